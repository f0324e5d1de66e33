//! Processors that do not get on any more, on purpose, and what comes of it.

use super::shell::{self, LIMIT, PROMPT, Session};
use super::{Context, Test};
use crate::qemu::Machine;
use crate::qemu::serial::SerialGuest;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("watchdog/reports", |context| reports(context, "stall")),
        Test::new("watchdog/reports-kernel-task", |context| {
            reports(context, "stall-soft")
        }),
        Test::new("watchdog/waits-for-a-lock", waits_for_a_lock),
        Test::new("watchdog/starts-again", starts_again),
        Test::new("watchdog/off", off),
        Test::new("watchdog/hardware-resets", hardware_resets),
        Test::new("watchdog/hardware-and-kernel", hardware_and_kernel),
        Test::new("watchdog/linux", linux),
    ]
}

/// A machine with two processors at least.
fn start(context: &Context, append: &str) -> Result<(SerialGuest, Duration)> {
    start_on(context, context.cpus.max(2), append)
}

fn start_on(context: &Context, cpus: u32, append: &str) -> Result<(SerialGuest, Duration)> {
    let mut machine = shell::machine(context, Some(context.initramfs()?), append);
    machine.cpus = cpus;
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

/// Both guards are stuck: one holds a lock, and the other one waits for it and says so.
fn waits_for_a_lock(context: &Context) -> Result<()> {
    let append = "watchdog=report:1 selftest=stall-lock";
    let (mut guest, limit) = start_on(context, 2, append)?;
    for text in [
        "watchdog: processor 0 has waited for a lock for 1.",
        "watchdog::stall",
        "processor 1:",
        "watchdog::stall",
    ] {
        let found = guest.expect(text, limit);
        found.with_context(|| guest.output())?;
    }
    guest
        .expect(PROMPT, limit)
        .with_context(|| guest.output())?;
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

/// A machine with the hardware.
fn with_hardware(context: &Context, initramfs: &Path, append: &str) -> Machine {
    let mut machine = shell::machine(context, Some(initramfs), append);
    machine.devices = ["-device", "i6300esb", "-action", "watchdog=reset"]
        .map(Into::into)
        .to_vec();
    machine
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
    let machine = with_hardware(context, context.initramfs()?, "");
    let mut session = Session::on(context, &machine)?;
    let lines = "ask device:watchdog set timeout=2; ask device:watchdog start\r";
    session.guest.type_text(lines)?;
    sees_a_reset(session.guest, session.limit)
}

/// With one processor nobody but the hardware can notice, and it does.
fn hardware_and_kernel(context: &Context) -> Result<()> {
    let one = |append| {
        let mut machine = with_hardware(context, context.initramfs()?, append);
        machine.cpus = 1;
        Ok::<Machine, anyhow::Error>(machine)
    };
    let mut session = Session::on(context, &one("watchdog=reboot:2")?)?;
    // It is fed for longer than it would wait.
    session.ask("sleep 6; echo still here", "\nstill here")?;
    // A user whose time is over is not fed for.
    let lines = "ask device:watchdog set timeout=1; ask device:watchdog start\r";
    session.guest.type_text(lines)?;
    sees_a_reset(session.guest, session.limit)?;
    let stalled = SerialGuest::start(&one("watchdog=reboot:2 selftest=stall")?)?;
    sees_a_reset(stalled, session.limit)
}

/// Linux programs: every request, and busybox.
fn linux(context: &Context) -> Result<()> {
    let calls = context.programs.get("watchdog-calls");
    let programs = [
        (
            &**calls.context("no watchdog-calls")?,
            "/bin/watchdog-calls",
        ),
        (&super::busybox::program(context)?, "/bin/busybox"),
    ];
    let initramfs = shell::initramfs_with(context, &programs)?;
    let machine = with_hardware(context, &initramfs, "");
    let mut session = Session::on(context, &machine)?;
    for (line, answer) in [
        ("watchdog-calls /dev/watchdog && echo first", "\nfirst"),
        ("watchdog-calls /dev/watchdog0 && echo second", "\nsecond"),
        // Fed in time it runs for longer than its timeout, and ends as it should.
        (
            "busybox sh -c 'busybox watchdog -F -T 3 -t 1 /dev/watchdog & sleep 5; kill $!; wait; echo fed'",
            "\nfed",
        ),
        ("ask device:watchdog status", "\"runs\": false"),
        // Without the letter it goes on.
        (
            "busybox sh -c 'echo x > /dev/watchdog; echo left'",
            "\nleft",
        ),
        ("ask device:watchdog status", "\"runs\": true"),
    ] {
        session.ask(line, answer)?;
    }
    session
        .guest
        .type_text("ask device:watchdog set timeout=1\r")?;
    sees_a_reset(session.guest, session.limit)
}
