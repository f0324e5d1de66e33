//! The first task: files, devices, and the first program.

use crate::command_line::CommandLine;
use crate::{console, files, session};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use devfs::Devfs;
use linux::first::{self, Start};
use object::Namespace;
use task::Ready;
use vfs::Location;

/// Brings everything up and runs the first program until it ends.
pub async fn start(line: CommandLine<'static>) {
    if let Err(message) = run(line).await {
        panic!("cannot start: {message}");
    }
}

async fn run(line: CommandLine<'static>) -> Result<(), String> {
    let seed = u64::from_le_bytes(machine::random::seed()[..8].try_into().unwrap_or_default());
    let devices = Devfs::new(seed, files::now).map_err(|error| format!("the devices: {error}"))?;
    let root = files::root(&devices, seed).map_err(|error| format!("the first files: {error}"))?;
    let namespace = Namespace::new();
    if let Some(path) = line.value("exec") {
        let console = crate::devices::console().ok_or("exec needs a virtio console")?;
        session::run(console, root, path, namespace, line.value("tty") == Some("1")).await;
        return Ok(());
    }
    first_program(line, root, namespace).await
}

async fn first_program(line: CommandLine<'static>, root: Location, namespace: Namespace) -> Result<(), String> {
    let terminal = console::on_serial();
    let stream = console::handle(&terminal);
    let path = line.value("init").unwrap_or("/bin/init");
    let mut arguments: Vec<Vec<u8>> = alloc::vec![path.as_bytes().into()];
    arguments.extend(line.for_program().map(|word| word.as_bytes().to_vec()));
    let process = first::start(Start {
        directory: root.clone(),
        root,
        path: path.as_bytes().into(),
        arguments,
        environment: alloc::vec![b"HOME=/".to_vec(), b"TERM=linux".to_vec()],
        streams: [Some(stream.clone()), Some(stream.clone()), Some(stream)],
        namespace,
        parent: None,
        terminal: Some(terminal),
        leads_group: true,
    })
    .await
    .map_err(|errno| format!("{path}: {errno:?}"))?;
    let _ = process.ended().wait(Ready::READ, None).await;
    Err(match process.status() {
        Some(status) => format!("the first program has ended: {status:?}"),
        None => String::from("the first program has ended"),
    })
}

