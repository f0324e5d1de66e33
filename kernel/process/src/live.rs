//! The life of one user thread: into user mode and back, until it ends.

use crate::process::Status;
use crate::shortage::{Relief, relieve};
use crate::thread::Thread;
use abi::Error;
use alloc::sync::Arc;
use core::future::Future;
use machine::paging::Root;
use machine::user::{Fault, Trap, UserContext};
use memory::{Need, Space};
use task::{Cause, Task, Terms};

/// What a call or a checkpoint says about going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Back to user mode.
    Continue,
    /// Back to user mode, in the address space that the process has now.
    NewSpace,
    /// This thread ends; if it is the last one, the process ends with this status.
    Exit(Status),
}

/// What a thread may ask for, and what happens to it: the native door or the Linux door.
///
/// One value a thread. The futures are polled in place, as part of the thread's own future.
pub trait Door: Send + Sync + 'static {
    fn thread(&self) -> &Arc<Thread>;

    /// The name of a call by its number (`rax`), for whoever reads what the kernel was doing.
    fn call_name(number: u64) -> Option<&'static str>;

    /// The thread goes to user mode after something that may have been another turn of its task. What that means to it
    /// may come as an interruption of the task.
    fn enters(&self, _task: &Task, _space: &Arc<Space>, _user: &mut UserContext) {}

    /// The thread made a call, whose number and arguments are in the registers: answers it if that needs no waiting,
    /// without making a future. `None`: nothing has happened yet, and [`Door::call`] does all of it.
    fn immediate(&self, space: &Arc<Space>, user: &mut UserContext) -> Option<Flow>;

    /// The thread made a call that may have to wait.
    fn call(&self, space: &Arc<Space>, user: &mut UserContext)
    -> impl Future<Output = Flow> + Send;

    /// The thread did what it may not. `error` says what the address space answered to a page fault.
    fn fault(&self, user: &mut UserContext, fault: Fault, error: Option<Error>) -> Flow;

    /// Something came for this thread (a signal, its end): called before it returns to user mode.
    fn checkpoint(
        &self,
        space: &Arc<Space>,
        user: &mut UserContext,
    ) -> impl Future<Output = Flow> + Send;

    /// The thread has ended; the address space is still there if others share it.
    fn leave(&self, space: &Arc<Space>);
}

/// Starts the thread of `door` at `user`, competing on these terms. Prints the size of the thread's future once.
///
/// # Errors
/// [`Error::NoMemory`] when there is no room for the task; the thread is then taken out of its process again.
pub fn launch<D: Door>(door: Arc<D>, user: UserContext, terms: Terms) -> Result<(), Error> {
    let thread = door.thread().clone();
    let future = live(door, user);
    note_size(size_of_val(&future));
    match task::spawn_with(&thread.process().name(), terms, future) {
        Ok(task) => {
            thread.set_task(task.clone());
            follow(&thread, &task);
            Ok(())
        }
        Err(error) => {
            thread.abandon();
            Err(error)
        }
    }
}

/// A thread that was made by one of its own process is where that one is, which may have been moved to another group just
/// when it made it. (One that is not moved before this finds the new one in its process, and moves it too.)
fn follow(thread: &Thread, task: &Task) {
    let makers_process = task::with_current(Task::tag);
    if makers_process != Some(u64::from(thread.process().id())) {
        return;
    }
    let number = |group: &Option<Arc<task::Group>>| group.as_ref().map(|group| group.number());
    let group = task::with_current(Task::group).flatten();
    if number(&group) != number(&task.group()) {
        // It may not be there only if it has a priority that its maker has not.
        let _ = task.set_group(group);
    }
}

fn note_size(size: usize) {
    use core::sync::atomic::{AtomicUsize, Ordering};
    static LARGEST: AtomicUsize = AtomicUsize::new(0);
    if LARGEST.fetch_max(size, Ordering::Relaxed) < size {
        log::info!("thread future: {size} bytes");
    }
}

async fn live<D: Door>(door: Arc<D>, mut user: UserContext) {
    let thread = door.thread().clone();
    if let Some(task) = task::current() {
        // So that everybody further down can tell whose call it is.
        task.set_tag(u64::from(thread.process().id()));
        thread.set_task(task);
    }
    let status = match (thread.process().space(), thread.task()) {
        (Some(space), Some(task)) => run(&*door, &thread, task, space, &mut user).await,
        _ => Status::Signaled(9),
    };
    drop(user);
    drop(door);
    if let Some(task) = thread.task() {
        task.retire();
    }
    thread.end(status);
}

async fn run<D: Door>(
    door: &D,
    thread: &Arc<Thread>,
    task: &Arc<Task>,
    mut space: Arc<Space>,
    user: &mut UserContext,
) -> Status {
    let mut root = space.root();
    loop {
        door.enters(task, &space, user);
        // Timers rang and others ran at the end of the last round: what came for the thread is seen before user mode.
        let mut flow = match task.interrupted() {
            true => Flow::Continue,
            false => match stay(door, task, &space, &root, user) {
                Step::Flow(flow) => flow,
                Step::Call => door.call(&space, user).await,
                Step::Fault(fault) => resolve(door, &space, user, fault).await,
            },
        };
        if flow == Flow::Continue && task.interrupted() {
            flow = door.checkpoint(&space, user).await;
        }
        match flow {
            Flow::Continue => {}
            Flow::NewSpace => match thread.process().space() {
                Some(now) => {
                    space = now;
                    root = space.root();
                }
                None => return Status::Signaled(9),
            },
            Flow::Exit(status) => {
                door.leave(&space);
                return status;
            }
        }
        if task::should_yield() {
            task::yield_now().await;
        }
    }
}

/// Why a thread does not just go on.
enum Step {
    /// What needed no waiting came to this, or an interrupt came.
    Flow(Flow),
    /// A call that may have to wait; nothing has happened of it.
    Call,
    Fault(Fault),
}

/// User mode and calls that need no waiting, until there is something else to do. It is a plain function, so that what
/// it works with is in registers and not in the thread's future.
fn stay<D: Door>(
    door: &D,
    task: &Task,
    space: &Arc<Space>,
    root: &Root,
    user: &mut UserContext,
) -> Step {
    let here = task::here();
    loop {
        here.leave_kernel(task);
        match user.enter(root) {
            Trap::Call => {
                here.enter_kernel_often(task, || Cause::Call(user.registers.rax, D::call_name));
                match door.immediate(space, user) {
                    // In this order: a timer that rings may interrupt this very task.
                    Some(Flow::Continue) if !here.should_yield() && !task.interrupted() => {}
                    Some(flow) => return Step::Flow(flow),
                    None => return Step::Call,
                }
            }
            Trap::Fault(fault) => {
                here.enter_kernel_often(task, || Cause::Fault(fault.vector));
                return Step::Fault(fault);
            }
            Trap::Interrupt => {
                here.enter_kernel(task, Cause::Interrupt(machine::irq::last().1));
                return Step::Flow(Flow::Continue);
            }
        }
    }
}

async fn resolve<D: Door>(
    door: &D,
    space: &Arc<Space>,
    user: &mut UserContext,
    fault: Fault,
) -> Flow {
    if fault.vector != PAGE_FAULT {
        return door.fault(user, fault, None);
    }
    let need = if fault.code & CODE_FETCH != 0 {
        Need::Execute
    } else if fault.code & CODE_WRITE != 0 {
        Need::Write
    } else {
        Need::Read
    };
    match space.resolve(fault.address as usize, need).await {
        Ok(()) => Flow::Continue,
        // The instruction runs again once there is memory, and faults again if it was not enough.
        Err(Error::NoMemory) if relieve(door.thread().process()).await == Relief::Retry => {
            Flow::Continue
        }
        Err(error) => door.fault(user, fault, Some(error)),
    }
}

/// Intel SDM volume 3, 6.15: vector 14, and the bits of its error code.
const PAGE_FAULT: u8 = 14;
const CODE_WRITE: u64 = 1 << 1;
const CODE_FETCH: u64 = 1 << 4;
