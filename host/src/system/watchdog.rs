//! Processors that do not get on any more, on purpose, and what comes of it.

use super::shell::{self, LIMIT, PROMPT};
use super::{Context, Test};
use crate::exec::session::Give;
use crate::kernel::Profile;
use crate::progress::Show;
use crate::qemu::Boot;
use crate::qemu::serial::SerialGuest;
use crate::run;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::Path;
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("watchdog/reports", |context| reports(context, "stall")),
        Test::new("watchdog/reports-kernel-task", |context| {
            reports(context, "stall-soft")
        }),
        Test::new("watchdog/starts-again", starts_again),
        Test::new("watchdog/off", off),
        Test::new("watchdog/hardware-resets", hardware_resets),
        Test::new("watchdog/hardware-and-kernel", hardware_and_kernel),
        Test::new("watchdog/linux", linux),
    ]
}

/// A machine with two processors at least.
fn start(context: &Context, append: &str) -> Result<(SerialGuest, Duration)> {
    let mut machine = shell::machine(context, Some(context.initramfs()?), append);
    machine.cpus = machine.cpus.max(2);
    let limit = LIMIT * context.accelerator.patience();
    Ok((SerialGuest::start(&machine)?, limit))
}

/// The stall is reported once with what runs there, and so is its end; the machine goes on all the while.
fn reports(context: &Context, kind: &str) -> Result<()> {
    let (mut guest, limit) = start(context, &format!("watchdog=report:1 selftest={kind}"))?;
    let last = context.cpus.max(2) - 1;
    let head = format!("watchdog: processor {last} has not got on for");
    for text in [
        &*head,
        "in a task of the kernel",
        "in the kernel, interrupts",
        "watchdog::stall",
        &format!("watchdog: processor {last} goes on, after"),
    ] {
        let found = guest.expect(text, limit);
        found.with_context(|| guest.output())?;
    }
    guest.type_text("log | cat; poweroff\r")?;
    let status = guest.finish(limit).with_context(|| guest.output())?;
    let shown = guest.output();
    ensure!(status.success() && shown.contains(PROMPT), "{shown}");
    // Once on the console when it happened, and once from the log.
    let reports = shown.matches(&head).count();
    ensure!(reports == 2, "{reports} reports in:\n{shown}");
    Ok(())
}

fn starts_again(context: &Context) -> Result<()> {
    let (mut guest, limit) = start(context, "watchdog=reboot:1 selftest=stall")?;
    guest
        .expect("watchdog: starting again", limit)
        .with_context(|| guest.output())?;
    // QEMU ends instead.
    let status = guest.finish(limit).with_context(|| guest.output())?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

fn off(context: &Context) -> Result<()> {
    let (mut guest, limit) = start(context, "watchdog=off selftest=stall")?;
    guest
        .expect(PROMPT, limit)
        .with_context(|| guest.output())?;
    // It ends after eight seconds, and the machine with it.
    guest.type_text("sleep 9; poweroff\r")?;
    guest.finish(limit).with_context(|| guest.output())?;
    let shown = guest.output();
    ensure!(!shown.contains("watchdog:"), "{shown}");
    Ok(())
}

/// A machine with the hardware, and a session on it.
fn with_hardware(
    context: &Context,
    initramfs: &Path,
    append: &str,
) -> Result<(SerialGuest, Duration)> {
    let mut machine = shell::machine(context, Some(initramfs), append);
    machine.devices = ["-device", "i6300esb", "-action", "watchdog=reset"]
        .map(Into::into)
        .to_vec();
    let limit = LIMIT * context.accelerator.patience();
    let mut guest = SerialGuest::start(&machine)?;
    guest
        .expect(PROMPT, limit)
        .with_context(|| guest.output())?;
    Ok((guest, limit))
}

/// QEMU ends where another machine would start again; nobody has asked it to.
fn sees_a_reset(mut guest: SerialGuest, limit: Duration) -> Result<()> {
    let status = guest.finish(limit).with_context(|| guest.output())?;
    let shown = guest.output();
    ensure!(status.success(), "QEMU ended with {status}:\n{shown}");
    ensure!(!shown.contains("watchdog: starting again"), "{shown}");
    Ok(())
}

fn hardware_resets(context: &Context) -> Result<()> {
    let (mut guest, limit) = with_hardware(context, context.initramfs()?, "")?;
    guest.type_text("ask device:watchdog set timeout=2; ask device:watchdog start\r")?;
    sees_a_reset(guest, limit)
}

/// With one processor nobody but the hardware can notice, and it does.
fn hardware_and_kernel(context: &Context) -> Result<()> {
    let mut machine = shell::machine(context, Some(context.initramfs()?), "watchdog=reboot:2");
    machine.cpus = 1;
    machine.devices = ["-device", "i6300esb"].map(Into::into).to_vec();
    let limit = LIMIT * context.accelerator.patience();
    let mut guest = SerialGuest::start(&machine)?;
    guest
        .expect(PROMPT, limit)
        .with_context(|| guest.output())?;
    // It is fed for longer than it would wait.
    guest.type_text("sleep 6; ask device:watchdog status; echo still here\r")?;
    guest
        .expect("\nstill here", limit)
        .with_context(|| guest.output())?;
    // A user whose time is over is not fed for.
    guest.type_text("ask device:watchdog set timeout=1; ask device:watchdog start\r")?;
    sees_a_reset(guest, limit)?;
    let Boot::Kernel { command_line, .. } = &mut machine.boot else {
        bail!("it boots from a kernel");
    };
    command_line.push_str(" selftest=stall");
    sees_a_reset(SerialGuest::start(&machine)?, limit)
}

/// Linux programs: every request, and busybox.
fn linux(context: &Context) -> Result<()> {
    let calls = context.programs.get("watchdog-calls");
    let gives = [
        (
            calls.context("no watchdog-calls")?.clone(),
            "/bin/watchdog-calls",
        ),
        (super::busybox::program(context)?, "/bin/busybox"),
    ];
    let gives = gives.map(|(host, guest)| Give {
        host,
        guest: guest.into(),
    });
    let initramfs = run::system_initramfs(
        &context.workspace,
        &context.kernel,
        Profile::Release,
        &gives,
        Show::Progress,
    )?;
    let (mut guest, limit) = with_hardware(context, &initramfs, "")?;
    let mut ask = |text: &str, answer: &str| -> Result<()> {
        guest.type_text(&format!("{text}\r"))?;
        guest
            .expect(answer, limit)
            .with_context(|| guest.output())?;
        guest
            .expect(PROMPT, limit)
            .with_context(|| guest.output())?;
        Ok(())
    };
    ask("watchdog-calls /dev/watchdog && echo first", "\nfirst")?;
    ask("watchdog-calls /dev/watchdog0 && echo second", "\nsecond")?;
    // Fed in time it runs for longer than its timeout, and ends as it should.
    ask(
        "busybox sh -c 'busybox watchdog -F -T 3 -t 1 /dev/watchdog & echo $! > /tmp/id; sleep 5; kill $(cat /tmp/id); wait; echo fed'",
        "\nfed",
    )?;
    ask("ask device:watchdog status", "\"runs\": false")?;
    // Without the letter it goes on.
    ask(
        "busybox sh -c 'echo x > /dev/watchdog; echo left'",
        "\nleft",
    )?;
    ask("ask device:watchdog status", "\"runs\": true")?;
    guest.type_text("ask device:watchdog set timeout=1\r")?;
    sees_a_reset(guest, limit)
}
