//! The first task: files, devices, and the first program.

use crate::command_line::CommandLine;
use crate::{console, demo, devices, files, interrupts, registries, session, watchdog};
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use devfs::Devfs;
use native::first::{self, Start};
use native::groups::Group;
use task::Ready;
use vfs::device::Registry;
use vfs::{Access, Credentials, Description, Location, OpenRequest, View};

/// Brings everything up and runs the first program until it ends.
pub async fn start(line: CommandLine<'static>) {
    if let Err(message) = run(line).await {
        panic!("cannot start: {message}");
    }
}

async fn run(line: CommandLine<'static>) -> Result<(), String> {
    for silent in machine::cpu::wait_for_others() {
        log::warn!("the processor with APIC number {silent} does not answer; going on without it");
    }
    if machine::cpu::count() > 1 {
        log::info!("{} processors", machine::cpu::count());
        task::arrange(machine::node::topology());
    }
    if machine::cpu::warp() > 0 {
        log::warn!(
            "the processors' time stamp counters are up to {} ns apart",
            machine::cpu::warp()
        );
    }
    let nodes = machine::node::all().count();
    if nodes > 1 {
        log::info!("{nodes} nodes of memory");
    }
    log::info!("the clock counts with: {}", machine::time::source());
    let bus = devices::bus();
    let hardware = bus.as_ref().and_then(|bus| devices::watchdog(bus, line));
    if let Some(plan) = watchdog::Plan::of(line) {
        watchdog::start(plan, hardware.clone());
    }
    watchdog::stall(line);
    interrupts::test(line);
    demo::run(line).await;
    let seed = u64::from_le_bytes(machine::random::seed()[..8].try_into().unwrap_or_default());
    let devfs = Devfs::new(seed, files::now).map_err(|error| format!("the devices: {error}"))?;
    if let Some(watchdog) = &hardware {
        devices::show_watchdog(&devfs, watchdog)
            .map_err(|error| format!("the watchdog: {error}"))?;
    }
    devfs
        .add(&rtc::Clock::node(), rtc::Clock::new())
        .map_err(|error| format!("the clock: {error}"))?;
    let root = files::root(&devfs, seed).map_err(|error| format!("the first files: {error}"))?;
    native::first::set_linux_starter(Arc::new(registries::Starter));
    if let Some(path) = line.value("exec") {
        let console = bus.as_ref().and_then(devices::console);
        let console = console.ok_or("exec needs a virtio console")?;
        session::run(console, root, &devfs, path, line.value("tty") == Some("1")).await;
        return Ok(());
    }
    first_program(line, root, &devfs, hardware.as_ref()).await
}

/// Runs `init=`, native or Linux, on the serial terminal.
async fn first_program(
    line: CommandLine<'static>,
    root: Location,
    devfs: &Devfs,
    hardware: Option<&Arc<::watchdog::Watchdog>>,
) -> Result<(), String> {
    let terminal = console::on_serial();
    console::show(devfs, &terminal).map_err(|error| format!("the console: {error}"))?;
    let namespace = registries::all(&root, &terminal, hardware)
        .map_err(|error| format!("the registries: {error}"))?;
    let path = line.value("init").unwrap_or("/bin/init");
    let program = open(&root, path).map_err(|error| format!("{path}: {error}"))?;
    let mut arguments: Vec<Vec<u8>> = alloc::vec![path.as_bytes().into()];
    arguments.extend(line.for_program().map(|word| word.as_bytes().to_vec()));
    let stream =
        console::handle(&root, &terminal).map_err(|error| format!("the console: {error}"))?;
    let process = first::start(Start {
        program,
        arguments,
        environment: alloc::vec![
            (String::from("HOME"), b"/".to_vec()),
            (String::from("TERM"), b"linux".to_vec())
        ],
        directory: String::from("/"),
        handles: ["in", "out", "err"]
            .map(|name| (String::from(name), stream.clone()))
            .into(),
        namespace,
        parent: None,
        group: Group::Own,
        share: None,
    })
    .await
    .map_err(|error| format!("{path}: {error}"))?;
    // Nothing interrupts this task, so the wait ends with the process.
    let _ = process.ended().wait(Ready::READ, None).await;
    Err(match process.status() {
        Some(status) => format!("the first program has ended: {status:?}"),
        None => String::from("the first program has ended"),
    })
}

fn open(root: &Location, path: &str) -> Result<Arc<Description>, Error> {
    let owner = Credentials::root();
    let view = View {
        root,
        start: root,
        credentials: &owner,
    };
    view.open(
        path.as_bytes(),
        &OpenRequest {
            access: Access::READ,
            ..OpenRequest::default()
        },
    )
}
