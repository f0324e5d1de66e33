//! fork(2), vfork(2), clone(2), clone3(2).

use crate::call::{Args, Call};
use crate::door::LinuxDoor;
use crate::errno::{Answer, Errno};
use crate::process::{Ground, Heritage, Latch, Process, Standing};
use crate::schedule;
use crate::signal::set::{SIGCHLD, valid};
use crate::thread::Thread;
use crate::timer::realtime;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use process::Birth;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const CSIGNAL: u64 = 0xff;
const CLONE_VM: u64 = 0x100;
const CLONE_FS: u64 = 0x200;
const CLONE_FILES: u64 = 0x400;
const CLONE_SIGHAND: u64 = 0x800;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PTRACE: u64 = 0x2000;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_SYSVSEM: u64 = 0x4_0000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_DETACHED: u64 = 0x40_0000;
const CLONE_UNTRACED: u64 = 0x80_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;
const CLONE_IO: u64 = 0x8000_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Everything this version understands; namespaces, pidfds and tracing are not among it.
const SUPPORTED: u64 = CSIGNAL
    | CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_PTRACE
    | CLONE_VFORK
    | CLONE_PARENT
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID
    | CLONE_DETACHED
    | CLONE_UNTRACED
    | CLONE_CHILD_SETTID
    | CLONE_IO
    | CLONE_CLEAR_SIGHAND;

/// What a child shall be like, whichever call asked for it.
struct Request {
    flags: u64,
    exit_signal: u8,
    /// The child's stack pointer; 0: as the parent's.
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
}

/// `struct clone_args`, first version.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

pub async fn fork(call: &mut Call<'_>, _: Args) -> Answer {
    make(
        call,
        Request {
            flags: 0,
            exit_signal: SIGCHLD,
            stack: 0,
            parent_tid: 0,
            child_tid: 0,
            tls: 0,
        },
    )
    .await
}

pub async fn vfork(call: &mut Call<'_>, _: Args) -> Answer {
    let flags = CLONE_VFORK | CLONE_VM;
    make(
        call,
        Request {
            flags,
            exit_signal: SIGCHLD,
            stack: 0,
            parent_tid: 0,
            child_tid: 0,
            tls: 0,
        },
    )
    .await
}

pub async fn clone(
    call: &mut Call<'_>,
    [flags, stack, parent_tid, child_tid, tls, _]: Args,
) -> Answer {
    let exit_signal = exit_signal(flags & CSIGNAL)?;
    make(
        call,
        Request {
            flags: flags & !CSIGNAL,
            exit_signal,
            stack,
            parent_tid,
            child_tid,
            tls,
        },
    )
    .await
}

pub async fn clone3(call: &mut Call<'_>, [arguments, size, ..]: Args) -> Answer {
    if (size as usize) < size_of::<CloneArguments>() {
        return Err(Errno::EINVAL);
    }
    let given: CloneArguments = call.read(arguments).await?;
    for offset in (size_of::<CloneArguments>() as u64..size.min(4096)).step_by(8) {
        if call.read::<u64>(arguments.wrapping_add(offset)).await? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    if (given.stack == 0) != (given.stack_size == 0) || given.flags & CSIGNAL != 0 {
        return Err(Errno::EINVAL);
    }
    let request = Request {
        flags: given.flags,
        exit_signal: exit_signal(given.exit_signal)?,
        stack: given.stack.wrapping_add(given.stack_size),
        parent_tid: given.parent_tid,
        child_tid: given.child_tid,
        tls: given.tls,
    };
    make(call, request).await
}

fn exit_signal(number: u64) -> Result<u8, Errno> {
    if number == 0 {
        Ok(0)
    } else {
        valid(number).ok_or(Errno::EINVAL)
    }
}

fn check(flags: u64) -> Result<(), Errno> {
    let shares_handlers_without_memory = flags & CLONE_SIGHAND != 0 && flags & CLONE_VM == 0;
    let thread_without_handlers = flags & CLONE_THREAD != 0 && flags & CLONE_SIGHAND == 0;
    let clears_shared = flags & CLONE_CLEAR_SIGHAND != 0 && flags & CLONE_SIGHAND != 0;
    let unknown = flags & !SUPPORTED != 0 || flags & CLONE_PIDFD != 0;
    if shares_handlers_without_memory || thread_without_handlers || clears_shared || unknown {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

async fn make(call: &mut Call<'_>, request: Request) -> Answer {
    check(request.flags)?;
    schedule::may_fork(call)?;
    if request.flags & CLONE_THREAD != 0 {
        thread(call, request).await
    } else {
        child(call, request).await
    }
}

async fn thread(call: &mut Call<'_>, request: Request) -> Answer {
    let parent = call.thread.clone();
    let core = process::Thread::new(parent.core().process())?;
    let thread = Thread::new(core, parent.process().clone(), parent.mask());
    // It may have been alone until now, and known by that.
    parent.rseq.look_again();
    start(call, &request, thread).await
}

async fn child(call: &mut Call<'_>, request: Request) -> Answer {
    let flags = request.flags;
    let parent = call.process().clone();
    parent
        .limits
        .lock()
        .check_processes(parent.identity().real_uid)?;
    let space = if flags & CLONE_VM != 0 {
        call.space.clone()
    } else {
        call.space.fork_yielding().await?
    };
    // Who should run does not wait for the rest: each part may take 20 microseconds, by pages and by descriptors.
    task::rest().await;
    let descriptors = if flags & CLONE_FILES != 0 {
        parent.descriptors()
    } else {
        Arc::new(parent.descriptors().fork()?)
    };
    task::rest().await;
    let ground = parent.ground.lock().clone();
    let ground = if flags & CLONE_FS != 0 {
        ground
    } else {
        Arc::new(Ground::new(Standing::clone(&ground.get())))
    };
    let actions = parent.actions();
    let actions = if flags & CLONE_SIGHAND != 0 {
        actions
    } else {
        Arc::new(actions.fork())
    };
    if flags & CLONE_CLEAR_SIGHAND != 0 {
        actions.forget_handlers();
    }

    let parent_core = call.thread.core().process();
    let birth = Birth {
        name: parent_core.name(),
        parent: if flags & CLONE_PARENT != 0 {
            parent_core.parent()
        } else {
            Some(parent_core.clone())
        },
        space,
        handles: descriptors.table().clone(),
        namespace: parent_core.namespace().clone(),
    };
    let heritage = Heritage {
        realm: parent.realm.clone(),
        ground,
        descriptors,
        actions,
        group: parent.group(),
        identity: parent.identity(),
        limits: parent.limits.lock().clone(),
        image: parent.image.lock().clone(),
        // A sibling tells the common parent as its maker will: which signal the parent gets is not the maker's choice.
        exit_signal: if flags & CLONE_PARENT != 0 {
            parent.exit_signal()
        } else {
            request.exit_signal
        },
    };
    let mut side = None;
    let core = process::Process::new(birth, machine::time::now(), |id| {
        let process = Process::new(id, heritage);
        side = Some(process.clone());
        process
    })?;
    let side = side.ok_or(Errno::EAGAIN)?;
    side.set_core(&core);
    side.dumpable
        .store(parent.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
    side.no_new_privileges.store(
        parent.no_new_privileges.load(Ordering::Relaxed),
        Ordering::Relaxed,
    );

    side.personality_bits.store(
        parent.personality_bits.load(Ordering::Relaxed),
        Ordering::Relaxed,
    );

    let latch = (flags & CLONE_VFORK != 0).then(|| Arc::new(Latch::default()));
    side.set_vfork(latch.clone());
    let thread = match process::Thread::new(&core) {
        Ok(thread) => Thread::new(thread, side, call.thread.mask()),
        Err(error) => {
            core.abandon();
            return Err(error.into());
        }
    };
    if flags & CLONE_VM == 0 {
        thread.rseq.inherit(&call.thread.rseq);
    }
    if call.thread.alternate_stack().size != 0 && flags & (CLONE_VM | CLONE_VFORK) != CLONE_VM {
        thread.set_alternate_stack(call.thread.alternate_stack());
    }
    if let Err(errno) = crate::timer::watch_cpu_limit(thread.process()) {
        thread.core().abandon();
        return Err(errno);
    }
    let answer = start(call, &request, thread).await;
    if let (Ok(_), Some(latch)) = (&answer, latch) {
        // Killing the parent ends the wait; any other signal stays pending until the child lets go.
        while latch.wait().await.is_err() {
            if call.thread.core().is_killed() {
                break;
            }
            call.thread.clear_interrupt();
        }
        if call.thread.has_deliverable() {
            call.thread.interrupt();
        }
    }
    answer
}

/// Writes the numbers where they are wanted and lets the new thread run.
async fn start(call: &mut Call<'_>, request: &Request, thread: Arc<Thread>) -> Answer {
    let id = thread.id();
    let outcome = prepare(call, request, &thread).await;
    let launched = match outcome {
        Ok(context) => {
            let terms = schedule::inherited(call.thread);
            if let Err(errno) = realtime::watch(&thread, &terms.class) {
                thread.core().abandon();
                return Err(errno);
            }
            process::launch(Arc::new(LinuxDoor(thread)), context, terms).map_err(Errno::from)
        }
        Err(errno) => {
            thread.core().abandon();
            Err(errno)
        }
    };
    launched?;
    Ok(id as usize)
}

async fn prepare(
    call: &mut Call<'_>,
    request: &Request,
    thread: &Arc<Thread>,
) -> Result<machine::user::UserContext, Errno> {
    let mut context = call.user.fork().map_err(|_| Errno::ENOMEM)?;
    context.registers.rax = 0;
    if request.stack != 0 {
        context.registers.rsp = request.stack;
    }
    if request.flags & CLONE_SETTLS != 0 {
        if request.tls as usize >= machine::USER_END {
            return Err(Errno::EPERM);
        }
        context.fs_base = request.tls;
    }
    if request.flags & CLONE_PARENT_SETTID != 0 {
        call.write(request.parent_tid, &thread.id()).await?;
    }
    if request.flags & CLONE_CHILD_SETTID != 0 {
        let space = thread.core().process().space().ok_or(Errno::ESRCH)?;
        // As on Linux, a wrong address is the child's problem and not an error here.
        let _ = crate::user::write(&space, request.child_tid as usize, &thread.id()).await;
    }
    if request.flags & CLONE_CHILD_CLEARTID != 0 {
        thread
            .clear_child_tid
            .store(request.child_tid, Ordering::Relaxed);
    }
    Ok(context)
}

pub fn set_tid_address(call: &mut Call<'_>, [address, ..]: Args) -> Answer {
    call.thread
        .clear_child_tid
        .store(address, Ordering::Relaxed);
    Ok(call.thread.id() as usize)
}
