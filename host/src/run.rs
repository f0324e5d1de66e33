//! `helve run`: boots to the shell on this terminal.

use crate::children::Guarded;
use crate::cli::RunOptions;
use crate::exec::session::Give;
use crate::exec::streams::Standard;
use crate::initramfs::Initramfs;
use crate::kernel::{Kernel, Profile};
use crate::libraries::{self, Surroundings};
use crate::packages;
use crate::programs;
use crate::progress::{Show, say};
use crate::qemu::{Accelerator, Boot, Machine, option};
use crate::quantity::show_size;
use crate::terminal;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// What is typed when piped input ends: end of file for whatever reads, then the shell's own command. A shell that took the end of
/// file for itself has been started again by init and reads the command.
const GOOD_BYE: &[u8] = b"\x04\npoweroff\n";

/// Runs the command; returns the status to exit with.
pub fn run(options: &RunOptions) -> Result<u8> {
    packages::ensure(&[packages::QEMU])?;
    let workspace = Workspace::find()?;
    let (kernel, initramfs) = system(&workspace, options.profile(), &options.give, Show::Progress)?;
    let accelerator = Accelerator::choose(options.machine.accel, &workspace, &kernel)?;
    say(accelerator.describe());
    let size = std::fs::metadata(&kernel.image)?.len();
    say(format!(
        "booting: kernel {}, {} of memory, {} CPU{}; Ctrl-A X leaves",
        show_size(size),
        show_size(options.machine.memory),
        options.machine.cpus,
        if options.machine.cpus == 1 { "" } else { "s" },
    ));
    let interactive = std::io::stdin().is_terminal();
    let mut devices: Vec<OsString> = Vec::new();
    let mut serial = OsString::from(if interactive {
        "stdio,mux=on,id=com1,signal=off"
    } else {
        "stdio,id=com1,signal=off"
    });
    if let Some(log) = &options.log {
        File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        serial.push(option(",logfile=", log));
    }
    devices.extend([
        "-chardev".into(),
        serial,
        "-serial".into(),
        "chardev:com1".into(),
    ]);
    if interactive {
        // The monitor on the same line is what makes Ctrl-A X work.
        devices.extend(["-mon".into(), "chardev=com1".into()]);
    }
    let machine = Machine {
        memory: options.machine.memory,
        cpus: options.machine.cpus,
        accelerator,
        boot: Boot::Kernel {
            image: kernel.image,
            initramfs: Some(initramfs),
            command_line: format!("console=ttyS0 {}", options.machine.append)
                .trim_end()
                .to_string(),
        },
        devices,
    };
    let status = if interactive {
        attended(&machine)?
    } else {
        piped(&machine)?
    };
    Ok(match status.code() {
        Some(0) => 0,
        Some(code) if code & 1 == 1 && code > 1 => {
            say(format!("the guest ended itself with failure {}", code >> 1));
            1
        }
        _ => {
            say(format!("QEMU ended with {status}"));
            1
        }
    })
}

/// Builds what `helve run` boots: the kernel, and an initramfs with the native programs.
pub fn system(
    workspace: &Workspace,
    profile: Profile,
    gives: &[Give],
    show: Show,
) -> Result<(Kernel, PathBuf)> {
    let kernel = Kernel::build(workspace, profile, show)?;
    let initramfs = system_initramfs(workspace, &kernel, profile, gives, show)?;
    Ok((kernel, initramfs))
}

/// The initramfs with init, the shell and the other native programs, and with what is given.
pub fn system_initramfs(
    workspace: &Workspace,
    kernel: &Kernel,
    profile: Profile,
    gives: &[Give],
    show: Show,
) -> Result<PathBuf> {
    let programs = programs::native(workspace, profile, show)?;
    let directory = workspace.directory("helve")?;
    let mut temporary = tempfile::NamedTempFile::new_in(&directory)?;
    let mut archive = Initramfs::new(std::io::BufWriter::new(temporary.as_file_mut()));
    archive.base()?;
    archive.copy(&kernel.symbols, "/boot/symbols")?;
    for program in &programs {
        archive.file(
            &format!("/bin/{}", program.name),
            0o755,
            &std::fs::read(&program.path)?,
        )?;
        if program.name == "init" {
            archive.symlink("/init", "bin/init")?;
        }
    }
    let around = Surroundings {
        gives,
        ..Surroundings::default()
    };
    let libraries = libraries::needed(&[], &around)?;
    for give in gives.iter().chain(&libraries) {
        archive.copy(&give.host, &give.guest)?;
    }
    drop(archive.finish()?);
    let kind = if gives.is_empty() { "" } else { "-given" };
    let path = directory.join(format!("initramfs-{}{kind}", profile.name()));
    temporary.persist(&path)?;
    Ok(path)
}

/// QEMU owns the terminal.
fn attended(machine: &Machine) -> Result<ExitStatus> {
    let _mode = terminal::Guard::keep();
    let mut qemu = Guarded::spawn(&mut machine.command()?)?;
    qemu.wait_until(None)?.context("QEMU does not end")
}

/// This process types its standard input into the machine.
fn piped(machine: &Machine) -> Result<ExitStatus> {
    let mut command = machine.command()?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut qemu = Guarded::spawn(&mut command)?;
    let mut typed = qemu.child().stdin.take().context("QEMU has no input")?;
    let mut shown = qemu.child().stdout.take().context("QEMU has no output")?;
    let mut input = Standard::new(std::io::stdin())?;
    let mut output = Standard::new(std::io::stdout())?;
    let (talks, talking) = channel();
    let show = std::thread::spawn(move || -> std::io::Result<()> {
        let mut buffer = [0; 4096];
        while let count @ 1.. = shown.read(&mut buffer)? {
            output.write_all(&buffer[..count])?;
            let _ = talks.send(());
        }
        Ok(())
    });
    std::thread::spawn(move || -> std::io::Result<()> {
        // A kernel that sets up its serial port empties it: what is typed before its first words could be lost.
        let _ = talking.recv();
        let mut buffer = [0; 4096];
        while let count @ 1.. = input.read(&mut buffer)? {
            typed.write_all(&buffer[..count])?;
        }
        typed.write_all(GOOD_BYE)?;
        // The line stays open: for QEMU its end would be no event that the guest can see.
        loop {
            std::thread::park();
        }
    });
    // When nobody reads any more, there is nobody to run for.
    let _ = show.join();
    qemu.wait_until(Some(Instant::now() + Duration::from_secs(1)))?;
    qemu.kill();
    qemu.wait_until(None)?.context("QEMU does not end")
}
