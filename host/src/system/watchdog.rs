//! Processors that do not get on any more, on purpose, and what comes of it.

use super::shell::{self, LIMIT, PROMPT};
use super::{Context, Test};
use crate::qemu::serial::SerialGuest;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("watchdog/reports", |context| reports(context, "stall")),
        Test::new("watchdog/reports-kernel-task", |context| {
            reports(context, "stall-soft")
        }),
        Test::new("watchdog/starts-again", starts_again),
        Test::new("watchdog/off", off),
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
