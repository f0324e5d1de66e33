//! Starting a Linux program from outside: by the kernel at boot, or by a native program.

use crate::cgroup::Hierarchy;
use crate::descriptors::Descriptors;
use crate::door::LinuxDoor;
use crate::errno::Errno;
use crate::execute::{self, Program};
use crate::jobs::Group;
use crate::limits::Limits;
use crate::process::{Ground, Heritage, Image, Process, Standing};
use crate::realm::Realm;
use crate::signal::Set;
use crate::signal::action::Actions;
use crate::thread::Thread;
use abi::Rights;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use machine::user::UserContext;
use object::{Handle, Namespace, Table};
use process::Birth;
use task::Terms;
use tty::Tty;
use vfs::{Credentials, Location};

/// Everything that a Linux program is handed.
pub struct Start {
    pub root: Location,
    pub directory: Location,
    pub program: Location,
    /// The program's path, as it and `/proc` are told.
    pub path: Vec<u8>,
    pub arguments: Vec<Vec<u8>>,
    pub environment: Vec<Vec<u8>>,
    /// Standard input, output and error: descriptors 0, 1 and 2. A stream that is not given stays closed.
    pub streams: [Option<Handle>; 3],
    pub namespace: Namespace,
    pub parent: Option<Arc<process::Process>>,
    /// The program leads a session of its own, with this as its terminal.
    pub terminal: Option<Arc<Tty>>,
    /// The program leads a process group of its own in its parent's session (or a new session, if it has none).
    pub leads_group: bool,
    /// The share of the CPUs that it starts in; `None`: that of whoever starts it.
    pub share: Option<Arc<task::Group>>,
}

/// Loads and starts a program; it runs from now on.
///
/// # Errors
/// As execve(2).
pub async fn start(start: Start) -> Result<Arc<process::Process>, Errno> {
    let credentials = Credentials::root();
    let identity = crate::process::Identity {
        real_uid: 0,
        saved_uid: 0,
        real_gid: 0,
        saved_gid: 0,
        effective: credentials.clone(),
        files: credentials.clone(),
    };
    let standing = Standing {
        root: start.root,
        directory: start.directory,
        mask: 0o022,
    };
    let program = Program {
        location: start.program,
        path: start.path,
        arguments: start.arguments,
        environment: start.environment,
    };
    let limits = Limits::default();
    let prepared = execute::prepare(&identity, true, &standing, program, &limits, None).await?;

    let handles = Arc::new(Table::new());
    let descriptors = Arc::new(Descriptors::new(handles.clone()));
    for (number, stream) in start.streams.into_iter().enumerate() {
        if let Some(handle) = stream {
            descriptors.place(number, handle)?;
        }
    }
    let parent_group = start
        .parent
        .as_ref()
        .and_then(|parent| Process::of(parent))
        .map(|parent| parent.group());
    let name = String::from_utf8_lossy(prepared.command.get(..15).unwrap_or(&prepared.command))
        .into_owned();
    let birth = Birth {
        name,
        parent: start.parent,
        space: prepared.space,
        handles,
        namespace: start.namespace,
    };
    let image: Image = prepared.image;
    let terms = Terms::within(start.share);
    let administers = birth.namespace.get("process");
    let administers = administers.is_ok_and(|it| it.rights().contains(Rights::ADMINISTER));
    let cgroups = Hierarchy::new(terms.group.clone(), administers);
    let mut side = None;
    let core = process::Process::new(birth, machine::time::now(), |id| {
        let group = match parent_group {
            Some(group) if start.terminal.is_none() => {
                if start.leads_group {
                    Group::new_in(id, group.session())
                } else {
                    group
                }
            }
            _ => Group::new_session(id),
        };
        let heritage = Heritage {
            realm: Realm::begin(standing.root.clone(), cgroups),
            ground: Arc::new(Ground::new(standing)),
            descriptors,
            actions: Arc::new(Actions::new()),
            group,
            identity: Arc::new(prepared.identity),
            limits,
            image,
            exit_signal: crate::signal::set::SIGCHLD,
        };
        let process = Process::new(id, heritage);
        side = Some(process.clone());
        process
    })?;
    let side = side.ok_or(Errno::EAGAIN)?;
    side.set_core(&core);
    side.has_executed.store(true, Ordering::Relaxed);
    if let Some(terminal) = start.terminal {
        crate::terminal::take(&side, &terminal);
    }
    let launched = launch(&core, side, prepared.entry, prepared.stack, terms);
    if let Err(errno) = launched {
        core.abandon();
        return Err(errno);
    }
    Ok(core)
}

fn launch(
    core: &Arc<process::Process>,
    side: Arc<Process>,
    entry: usize,
    stack: usize,
    terms: Terms,
) -> Result<(), Errno> {
    let user = UserContext::new(entry, stack).map_err(|_| Errno::ENOMEM)?;
    let thread = Thread::new(process::Thread::new(core)?, side, Set::EMPTY);
    process::launch(Arc::new(LinuxDoor(thread)), user, terms)?;
    Ok(())
}
