//! `helve exec`: one program of the host is the first program of the machine (docs/exec.md).

use crate::console;
use crate::launch::{self, Launch};
use abi::{Error, Rights};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use devfs::Devfs;
use linux::first::{self, Start};
use native::arena::MemoryRegistry;
use native::channel::ChannelRegistry;
use native::port::EventRegistry;
use native::power::Power;
use object::{Handle, Namespace, Object, Registry, SliceSink, SliceSource};
use process::{Process, Status};
use task::Ready;
use vfs::{Access, Credentials, Location, View};
use virtio::console::{Console, Port};

/// How long the host may take to announce a port: it does so before the guest runs, so this is only for a host that never will.
const PATIENCE: u64 = 10_000_000_000;

/// Runs the program at `path` with the host's streams, tells the host how it ended, and turns the machine off.
pub async fn run(
    host: Arc<Console>,
    root: Location,
    devices: &Devfs,
    path: &'static str,
    tty: bool,
) {
    let deadline = Some(machine::time::now() + PATIENCE);
    let control = match host.port_named("helve.control", deadline).await {
        Ok(port) => port,
        Err(error) => {
            log::error!("exec: the host offers no port helve.control: {error}");
            machine::power::off();
        }
    };
    let line = match start(&host, &control, root, devices, path, tty, deadline).await {
        Ok((process, streams)) => {
            let _ = process.ended().wait(Ready::READ, None).await;
            for port in streams {
                // A host that stops reading cannot be waited for: it is told how the program ended all the same.
                let _ = port.drained(None).await;
            }
            match process.status() {
                Some(Status::Exited(status)) => format!("exit {}\n", status & 0xff),
                Some(Status::Signaled(signal)) => format!("signal {signal}\n"),
                None => String::from("error the program ended without a status\n"),
            }
        }
        Err(message) => format!("error {message}\n"),
    };
    say(&control, &(missing() + &line)).await;
    machine::power::off();
}

/// What the program asked for and Helve does not have: a line for each call.
fn missing() -> String {
    let mut lines = String::new();
    for (number, count) in linux::unsupported_calls() {
        let line = match number {
            Some(number) => format!("missing {number} {count}\n"),
            None => format!("missing other {count}\n"),
        };
        lines.push_str(&line);
    }
    lines
}

async fn say(port: &Port, line: &str) {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match port.try_write(&mut SliceSource::new(rest)) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Error::WouldBlock) => {
                let _ = port
                    .readiness()
                    .wait(Ready::WRITE | Ready::HANGUP, None)
                    .await;
            }
            Err(_) => return,
        }
    }
    let _ = port.drained(None).await;
}

type Started = (Arc<Process>, [Arc<Port>; 2]);

async fn start(
    host: &Arc<Console>,
    control: &Arc<Port>,
    root: Location,
    devices: &Devfs,
    path: &str,
    tty: bool,
    deadline: Option<u64>,
) -> Result<Started, String> {
    let launch = read_launch(&root)?;
    let port = async |name: &'static str| {
        host.port_named(name, deadline)
            .await
            .map_err(|error| format!("no port {name}: {error}"))
    };
    let (input, output, error) = (
        port("helve.in").await?,
        port("helve.out").await?,
        port("helve.err").await?,
    );
    let (streams, terminal) = if tty {
        let terminal = console::on_ports(&input, &output, control)
            .map_err(|error| format!("the terminal: {error}"))?;
        console::show(devices, &terminal).map_err(|error| format!("the terminal: {error}"))?;
        let stream =
            console::handle(&root, &terminal).map_err(|error| format!("the terminal: {error}"))?;
        (
            [Some(stream.clone()), Some(stream.clone()), Some(stream)],
            Some(terminal),
        )
    } else {
        let streams = [
            (&input, Access::READ),
            (&output, Access::WRITE),
            (&error, Access::WRITE),
        ];
        (
            streams.map(|(port, access)| Some(console::stream(port, access))),
            None,
        )
    };
    let credentials = Credentials::root();
    let view = View {
        root: &root,
        start: &root,
        credentials: &credentials,
    };
    let directory = view
        .locate(&launch.directory, true)
        .map_err(|error| format!("{}: {error}", String::from_utf8_lossy(&launch.directory)))?;
    let program = view
        .locate(path.as_bytes(), true)
        .map_err(|error| format!("{path}: {error}"))?;
    let process = first::start(Start {
        directory,
        program,
        path: path.as_bytes().into(),
        arguments: launch.arguments,
        environment: launch.environment,
        streams,
        namespace: given(),
        parent: None,
        terminal,
        leads_group: true,
        share: None,
        root,
    })
    .await
    .map_err(|errno| format!("{path}: {errno:?}"))?;
    Ok((process, [output, error]))
}

/// What the first program of a machine of its own may have beyond files and streams: turning it off, and the registries
/// that make new objects and show none of anybody else.
fn given() -> Namespace {
    let namespace = Namespace::new();
    let devices = Registry::new();
    let mut given = devices.insert("power", Handle::new(Arc::new(Power), Rights::all()));
    let registries: [(&str, Arc<dyn Object>); 4] = [
        ("device", Arc::new(devices)),
        ("channel", Arc::new(ChannelRegistry)),
        ("event", Arc::new(EventRegistry)),
        ("memory", Arc::new(MemoryRegistry)),
    ];
    for (name, registry) in registries {
        let registry = Handle::new(registry, Rights::all());
        given = given.and_then(|()| namespace.insert(name, registry).map(drop));
    }
    if let Err(error) = given {
        log::warn!("exec: the program cannot turn the machine off: {error}");
    }
    namespace
}

fn read_launch(root: &Location) -> Result<Launch, String> {
    let credentials = Credentials::root();
    let view = View {
        root,
        start: root,
        credentials: &credentials,
    };
    let file = view
        .locate(b"/boot/exec", true)
        .map_err(|error| format!("/boot/exec: {error}"))?;
    let pages = file
        .inode()
        .pages()
        .ok_or_else(|| String::from("/boot/exec: not a file"))?;
    const LIMIT: u64 = 8 << 20;
    let mut bytes = alloc::vec![0u8; pages.len().min(LIMIT) as usize];
    pages.read(0, &mut SliceSink::new(&mut bytes));
    launch::parse(&bytes).map_err(|error| format!("/boot/exec: {error}"))
}
