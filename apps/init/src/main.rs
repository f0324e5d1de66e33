//! PID 1: gives the console to a shell, and another one when that ends.
//!
//! Init was given every handle there is; what the shell gets is decided here. Processes whose parent has ended become
//! children of init; the kernel forgets them when they end, as init asks for no status.
#![cfg_attr(panic = "abort", no_std, no_main)]
#![deny(unsafe_code)]

use helve::console::{Console, Mode};
use helve::process::Group;
use helve::{Command, Error, Handle, OpenFlags, Rights, environment, io, registry, time};

helve::program!(init);

/// What every program finds in its environment.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("PATH", "/bin:/sbin:/usr/bin:/usr/sbin"),
    ("HOME", "/root"),
    ("USER", "root"),
    ("SHELL", "/bin/sh"),
    ("TERM", "xterm"),
];

/// A shell that ends sooner than this after it began is broken: the next one has to wait.
const TOO_SOON: u64 = time::SECOND / 2;

fn init() -> u8 {
    let console = match console() {
        Ok(console) => console,
        Err(error) => {
            log(format_args!("init: no console: {error}\n"));
            return 1;
        }
    };
    for (name, text) in ENVIRONMENT {
        if environment::variable(name).is_none() {
            environment::set_variable(name, text);
        }
    }
    for home in ["/root", "/"] {
        if environment::set_current_directory(home).is_ok() {
            break;
        }
    }
    loop {
        let begun = time::now().unwrap_or(0);
        match shell(&console) {
            Ok(status) => log(format_args!("init: the shell {status}\n")),
            Err(error) => log(format_args!("init: /bin/sh: {error}\n")),
        }
        if time::now().unwrap_or(0) < begun + TOO_SOON {
            // Asked to end while it sleeps, init has nothing better to do than to go on.
            let _ = time::sleep(time::SECOND);
        }
    }
}

/// The console: the handle `console`, or the device of that name.
fn console() -> Result<Handle, Error> {
    match environment::copy_of_handle("in") {
        Ok(console) => Ok(console),
        Err(_) => registry::open(
            "device:console",
            Rights::STREAM | Rights::ADMINISTER,
            OpenFlags::empty(),
        ),
    }
}

/// One shell, from its start to its end. A terminal is left as the next one wants to find it.
fn shell(console: &Handle) -> Result<helve::Status, Error> {
    let mut command = Command::new("/bin/sh");
    command
        .give("in", console)
        .give("out", console)
        .give("err", console)
        .group(Group::Own);
    let shell = command.start()?;
    let status = shell.wait()?;
    if let Ok(terminal) = Console::of(console) {
        let _ = terminal.set_mode(Mode::LINES);
    }
    Ok(status)
}

/// A line for the kernel's log.
fn log(text: core::fmt::Arguments<'_>) {
    if let Ok(log) = helve::system::log() {
        let _ = io::format_to(&log, text);
    }
}
