//! execve(2): another program in the same process.
//!
//! The new address space is built beside the old one, which stays until nothing can fail any more. So a program that
//! cannot be loaded leaves its caller as it was.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::exit;
use crate::limits::Limits;
use crate::native_program;
use crate::open::{self, AT_FDCWD, At};
use crate::process::{Identity, Image, Standing};
use crate::script;
use crate::start_stack::{self, Beside};
use crate::vdso;
use abi::Rights;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use memory::{Object, Space};
use process::Flow;
use process::image::{self, Loaded};
use vfs::{Access, FileKind, Location, Permissions, mode};

/// All strings together: a quarter of the stack, as Linux has it, and 6 MiB at most.
const STRINGS_LIMIT: usize = 6 << 20;
/// However small the stack may be.
const STRINGS_LEAST: usize = 32 * machine::PAGE;
/// One string (`MAX_ARG_STRLEN`).
const STRING_LIMIT: usize = 32 * machine::PAGE;
/// How often a script's interpreter may be a script.
const SCRIPT_DEPTH: usize = 5;

const AT_EMPTY_PATH: u64 = 0x1000;
const AT_SYMLINK_NOFOLLOW: u64 = 0x100;

pub async fn execve(call: &mut Call<'_>, [path, arguments, environment, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let found = At::working(call).view().locate(&path, true)?;
    run(call, found, path, arguments, environment).await
}

pub async fn execveat(
    call: &mut Call<'_>,
    [directory, path, arguments, environment, flags, _]: Args,
) -> Answer {
    if flags & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut path = call.path(path).await?;
    let found = if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        call.place(directory)?.ok_or(Errno::EACCES)?
    } else {
        At::directory(call, directory, &path)?
            .view()
            .locate(&path, flags & AT_SYMLINK_NOFOLLOW == 0)?
    };
    if found.kind() == FileKind::Symlink {
        return Err(Errno::ELOOP);
    }
    if directory as i32 != AT_FDCWD && path.first() != Some(&b'/') {
        // The name by which a script's interpreter finds it; it will be closed by then if it is marked so.
        if is_script(&found)
            && call
                .process()
                .descriptors()
                .close_on_exec(directory as u32)?
        {
            return Err(Errno::ENOENT);
        }
        let slash = if path.is_empty() { "" } else { "/" };
        let mut full = format!("/dev/fd/{}{slash}", directory as u32).into_bytes();
        full.append(&mut path);
        path = full;
    }
    run(call, found, path, arguments, environment).await
}

async fn run(
    call: &mut Call<'_>,
    location: Location,
    path: Vec<u8>,
    arguments: u64,
    environment: u64,
) -> Answer {
    let limits = call.process().limits.lock().clone();
    let mut budget = STRINGS_LIMIT.min((limits.stack() / 4).max(STRINGS_LEAST));
    let mut arguments = strings(call, arguments, &mut budget).await?;
    let environment = strings(call, environment, &mut budget).await?;
    if arguments.is_empty() {
        // As Linux does since 5.18: a program may count on its name being there.
        arguments.push(Vec::new());
    }
    let program = Program {
        location,
        path,
        arguments,
        environment,
    };
    let process = call.process().clone();
    let standing = call.standing();
    let honours = !process.no_new_privileges.load(Ordering::Relaxed);
    let descriptors = process.descriptors();
    let caller = native_program::Caller {
        thread: call.thread.core(),
        descriptors: &descriptors,
    };
    let identity = process.identity();
    let prepared = prepare(
        &identity,
        honours,
        &standing,
        program,
        &limits,
        Some(&caller),
    )
    .await?;
    drop(descriptors);

    // From here on nothing fails, but for a thread that is being killed: the other threads go first.
    let core = call.thread.core().process().clone();
    core.take_over(call.thread.core()).await?;
    let old = core::mem::replace(&mut *process.image.lock(), prepared.image);
    drop(old);
    process.dumpable.store(!prepared.gains, Ordering::Relaxed);
    if prepared.gains {
        call.thread.parent_death_signal.store(0, Ordering::Relaxed);
    }
    process.set_identity(prepared.identity);
    exit::leave_memory(call.thread, call.space);
    call.thread.rseq.forget();
    call.thread
        .set_alternate_stack(crate::signal::frame::Stack {
            flags: crate::signal::frame::SS_DISABLE,
            ..Default::default()
        });
    process.posix_timers.clear();
    process.unshare_actions();
    process.actions().forget_handlers();
    let descriptors = process.descriptors();
    if Arc::strong_count(&descriptors) > 2 {
        // Shared with another process: the new program gets a copy of its own.
        let own = Arc::new(descriptors.fork()?);
        core.set_handles(own.table().clone());
        process.set_descriptors(own);
    }
    process.descriptors().executed();
    process.has_executed.store(true, Ordering::Relaxed);
    process.set_command(&prepared.command);
    core.set_space(prepared.space);
    process.release_vfork();
    call.user.reset(prepared.entry, prepared.stack);
    call.registers_set = true;
    call.flow = Flow::NewSpace;
    Ok(0)
}

/// Reads a NULL-terminated array of strings.
async fn strings(call: &Call<'_>, array: u64, budget: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut list = Vec::new();
    if array == 0 {
        return Ok(list);
    }
    loop {
        let address = call
            .read::<u64>(array.wrapping_add(list.len() as u64 * 8))
            .await?;
        if address == 0 {
            return Ok(list);
        }
        let string = memory::c_string(call.space, address as usize, STRING_LIMIT)
            .await
            .map_err(|error| match error {
                abi::Error::NameTooLong => Errno::E2BIG,
                other => other.into(),
            })?;
        *budget = budget
            .checked_sub(string.len() + 1 + 8)
            .ok_or(Errno::E2BIG)?;
        list.push(string);
    }
}

/// What shall run, and with what.
pub struct Program {
    pub location: Location,
    pub path: Vec<u8>,
    pub arguments: Vec<Vec<u8>>,
    pub environment: Vec<Vec<u8>>,
}

/// A program in an address space of its own, ready to go.
pub struct Prepared {
    pub space: Arc<Space>,
    pub entry: usize,
    pub stack: usize,
    pub image: Image,
    pub command: Vec<u8>,
    /// Who the program is: its caller, or who its file says (set-user-ID, set-group-ID).
    pub identity: Identity,
    /// It is somebody else than its caller.
    pub gains: bool,
}

/// Loads a program and what it starts with. A native one takes a `caller`.
///
/// # Errors
/// As execve(2): `EACCES`, `ENOEXEC`, `ENOENT` (an interpreter), `ELIBBAD` (a damaged one), `ENOMEM`, `E2BIG`.
pub async fn prepare(
    identity: &Identity,
    honours_set_id: bool,
    standing: &Standing,
    mut program: Program,
    limits: &Limits,
    caller: Option<&native_program::Caller<'_>>,
) -> Result<Prepared, Errno> {
    let credentials = identity.files.clone();
    let name = program.path.clone();
    let command = program
        .path
        .rsplit(|&byte| byte == b'/')
        .next()
        .unwrap_or_default()
        .to_vec();
    let mut depth = 0;
    let (file, plan) = loop {
        let file = executable(&program.location, &credentials)?;
        match image::inspect(&file) {
            Ok(plan) => break (file, plan),
            Err(_) => {
                let Some((interpreter, argument)) = first_line(&file)? else {
                    return Err(Errno::ENOEXEC);
                };
                depth += 1;
                if depth > SCRIPT_DEPTH {
                    return Err(Errno::ELOOP);
                }
                let mut arguments = alloc::vec![interpreter.clone()];
                arguments.extend(argument);
                arguments.push(core::mem::take(&mut program.path));
                arguments.extend(program.arguments.drain(..).skip(1));
                program.arguments = arguments;
                program.location =
                    open::view_of(standing, &credentials).locate(&interpreter, true)?;
                program.path = interpreter;
            }
        }
    };
    let native = native::note::is_native(&file);
    let caller = match (native, caller) {
        (false, _) => None,
        (true, None) => return Err(Errno::ENOEXEC),
        (true, caller) => caller,
    };
    let honours_set_id = honours_set_id && vfs::open::honours_set_id(&program.location);
    let identity = identity_in(
        identity,
        program.location.inode().permissions(),
        honours_set_id,
    );
    let gains = identity.gains();
    program.path = name;
    let running = Some(Arc::new(file.begin_running()?));
    let space = Space::new()?;
    let interpreter = image::interpreter(&file, &plan)?;
    let executable_stack = plan.executable_stack;
    let loaded = image::load(&space, &file, plan, image::PROGRAM_BASE).await?;
    space.set_brk_start(loaded.end);
    task::rest().await;
    let reserved = limits.stack().max(machine::USER_END - memory::MMAP_BASE);
    space.set_mmap_base(machine::USER_END - reserved);
    let (entry, interpreter_base) = match interpreter {
        None => (loaded.entry, 0),
        // No name means the working directory, as Linux has it, which is no program.
        Some(path) if path.is_empty() => return Err(Errno::EACCES),
        Some(path) => {
            let location = open::view_of(standing, &credentials).locate(&path, true)?;
            let loaded = load_interpreter(&space, &location, &credentials).await?;
            (loaded.entry, loaded.base)
        }
    };
    space.set_limits(limits.space());
    let top = image::map_stack(&space, reserved - machine::PAGE, executable_stack)?;
    let native = caller
        .map(|caller| native_program::start_block(caller, &space, standing, &program))
        .transpose()?;
    let block = native
        .as_ref()
        .map_or(&[][..], |(block, _)| block.as_bytes());
    let vdso = match native {
        None => vdso::map(&space)?,
        Some(_) => 0,
    };
    let beside = Beside {
        interpreter_base,
        identity: &identity,
        vdso,
        block,
    };
    task::rest().await;
    let start = start_stack::build(&space, top, &program, &loaded, &beside).await?;
    // One that was given from outside the root has no path there but the one that it was given by.
    let path = match program.location.path(&standing.root) {
        path if path.starts_with(b"/") => path,
        _ => program.path.clone(),
    };
    let image = Image {
        path,
        location: Some(program.location),
        running,
        given: native.map(|(_, given)| Arc::new(given)),
        arguments: start.arguments,
        environment: start.environment,
        auxiliary: start.auxiliary,
    };
    Ok(Prepared {
        space,
        entry,
        stack: start.pointer,
        image,
        command,
        identity,
        gains,
    })
}

/// Who a program is whose file has these permissions (execve(2), credentials(7)).
fn identity_in(caller: &Identity, file: Permissions, honours_set_id: bool) -> Identity {
    let mut identity = caller.clone();
    if honours_set_id && file.mode & mode::SET_UID != 0 {
        identity.effective.uid = file.uid;
    }
    // Without the execute bit of the group, the bit stands for something else.
    let set_group = mode::SET_GID | mode::GROUP_EXECUTE;
    if honours_set_id && file.mode & set_group == set_group {
        identity.effective.gid = file.gid;
    }
    identity.saved_uid = identity.effective.uid;
    identity.saved_gid = identity.effective.gid;
    identity.files = identity.effective.clone();
    identity
}

/// Maps what loads a dynamic program: below all else, as a program would map it.
async fn load_interpreter(
    space: &Arc<Space>,
    location: &Location,
    credentials: &vfs::Credentials,
) -> Result<Loaded, Errno> {
    let file = executable(location, credentials)?;
    // Nobody may be writing it while it is looked at.
    let _running = file.begin_running()?;
    let damaged = |error| match error {
        abi::Error::NotExecutable | abi::Error::Exists => Errno::ELIBBAD,
        other => other.into(),
    };
    let plan = image::inspect(&file).map_err(damaged)?;
    let base = image::free_base(space, &plan)?;
    image::load(space, &file, plan, base).await.map_err(damaged)
}

fn executable(location: &Location, credentials: &vfs::Credentials) -> Result<Arc<Object>, Errno> {
    let inode = location.inode();
    if inode.kind() != FileKind::File {
        return Err(Errno::EACCES);
    }
    if !location.grants(Rights::EXECUTE) {
        return Err(Errno::EACCES);
    }
    credentials.check(inode.permissions(), Access::EXECUTE, false)?;
    inode.pages().ok_or(Errno::EACCES)
}

fn first_line(file: &Arc<Object>) -> Result<script::Line, Errno> {
    let mut line = [0u8; script::LOOKED_AT];
    file.read(0, &mut object::SliceSink::new(&mut line));
    script::parse(&line)
}

fn is_script(location: &Location) -> bool {
    let pages = location.inode().pages();
    pages.is_some_and(|file| !matches!(first_line(&file), Ok(None)))
}
