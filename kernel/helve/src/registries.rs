//! What the first program is given: every registry there is.
//!
//! It hands on what it wants to; no program can name more than its parent could.

use crate::console;
use crate::log::LogFile;
use abi::{Error, Rights};
use alloc::boxed::Box;
use alloc::sync::Arc;
use linux::Errno;
use linux::first as linux_first;
use native::arena::MemoryRegistry;
use native::channel::ChannelRegistry;
use native::first::{LinuxStart, LinuxStarter, Starting};
use native::port::EventRegistry;
use native::power::Power;
use native::processes::ProcessRegistry;
use object::{Handle, Namespace, Object, Registry};
use tty::Tty;
use vfs::{Access, Credentials, Description, Location, OpenFlags, OpenRequest, View};
use watchdog::Watchdog;

/// All registries, with the whole tree of files and the machine's own terminal.
///
/// # Errors
/// [`Error::NoMemory`], or what keeps `/` or a device from being opened.
pub fn all(
    root: &Location,
    terminal: &Arc<Tty>,
    watchdog: Option<&Arc<Watchdog>>,
) -> Result<Namespace, Error> {
    let namespace = Namespace::new();
    let log = Description::nameless(
        Arc::new(LogFile),
        None,
        Access::READ | Access::WRITE,
        OpenFlags::empty(),
    );
    let entries: [(&str, Arc<dyn Object>); 7] = [
        ("file", vfs::handle::directory(root.clone())?),
        ("process", Arc::new(ProcessRegistry)),
        ("device", Arc::new(devices(root, terminal, watchdog)?)),
        ("log", log),
        ("event", Arc::new(EventRegistry)),
        ("channel", Arc::new(ChannelRegistry)),
        ("memory", Arc::new(MemoryRegistry)),
    ];
    for (name, object) in entries {
        namespace.insert(name, Handle::new(object, Rights::all()))?;
    }
    Ok(namespace)
}

fn devices(
    root: &Location,
    terminal: &Arc<Tty>,
    watchdog: Option<&Arc<Watchdog>>,
) -> Result<Registry, Error> {
    let registry = Registry::new();
    registry.insert("console", console::handle(root, terminal)?)?;
    registry.insert("power", Handle::new(Arc::new(Power), Rights::all()))?;
    if let Some(watchdog) = watchdog {
        registry.insert("watchdog", Handle::new(watchdog.clone(), Rights::all()))?;
    }
    let owner = Credentials::root();
    let view = View {
        root,
        start: root,
        credentials: &owner,
    };
    for name in ["null", "zero", "full", "random"] {
        let path = alloc::format!("/dev/{name}");
        let request = OpenRequest {
            access: Access::READ | Access::WRITE,
            ..OpenRequest::default()
        };
        let device = view.open(path.as_bytes(), &request)?;
        registry.insert(name, Handle::new(device, Rights::all()))?;
    }
    Ok(registry)
}

/// How native programs start Linux ones.
pub struct Starter;

impl LinuxStarter for Starter {
    fn start(&self, start: LinuxStart) -> Starting {
        Box::pin(async move {
            let start = linux_first::Start {
                root: start.root,
                directory: start.directory,
                program: start.program,
                path: start.path,
                arguments: start.arguments,
                environment: start.environment,
                streams: start.streams,
                namespace: start.namespace,
                parent: start.parent,
                terminal: start.terminal,
                leads_group: start.leads_group,
                share: start.share,
            };
            linux_first::start(start).await.map_err(error)
        })
    }
}

/// The system's own word for why a Linux program could not be started.
fn error(errno: Errno) -> Error {
    let same = Error::ALL
        .iter()
        .find(|&&error| Errno::from(error) == errno);
    same.copied().unwrap_or(Error::NotExecutable)
}
