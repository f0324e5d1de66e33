//! Interrupts of devices: which processor they go to, those that come all the time, and processors that are left alone.

use super::shell::{self, Session};
use super::{Context, Test};
use crate::qemu::Machine;
use anyhow::Result;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("interrupts/storm", storm),
        Test::new("interrupts/affinity", affinity),
        Test::new("interrupts/isolated", isolated),
    ]
}

/// Two processors, and busybox.
fn machine(context: &Context, append: &str) -> Result<Machine> {
    let busybox = super::busybox::program(context)?;
    let initramfs = shell::initramfs_with(context, &[(&busybox, "/bin/busybox")])?;
    let mut machine = shell::machine(context, Some(&initramfs), append);
    machine.cpus = 2;
    Ok(machine)
}

/// A line that interrupts all the time is silenced, and the machine goes on.
fn storm(context: &Context) -> Result<()> {
    let machine = shell::machine(context, Some(context.initramfs()?), "selftest=storm");
    let mut session = Session::on(context, &machine)?;
    session.ask(
        "log",
        "interrupt storm from line 5 (storm): it is not heard for 1 s",
    )?;
    session.ask("sleep 2; log", "selftest: the storm is over")?;
    session.ask("ask process: interrupts", "\"storms\": 1,")?;
    session.power_off()
}

/// What is typed comes by an interrupt, wherever that goes.
fn affinity(context: &Context) -> Result<()> {
    let mut session = Session::on(context, &machine(context, "")?)?;
    session.ask("busybox ls /proc/irq", "default_smp_affinity")?;
    let shows = |what: &str| format!("busybox sh -c 'cd /proc/irq/4; echo = $(cat {what})'");
    let all = shows("smp_affinity smp_affinity_list effective_affinity effective_affinity_list");
    session.ask(&all, "\n= 3 0-1 1 0")?;
    session.ask("ask process: route number=4 cpus=1", "\n")?;
    session.ask(&all, "\n= 2 1 2 1")?;
    session.ask(
        "busybox awk '/serial/ && $3 > 0 { print \"came\", \"there\" }' /proc/interrupts",
        "\ncame there",
    )?;
    session.ask(
        "busybox sh -c 'echo 1 > /proc/irq/4/smp_affinity; echo to $?'",
        "\nto 0",
    )?;
    session.ask(&all, "\n= 1 0 1 0")?;
    session.ask(
        "busybox sh -c 'echo 1 > /proc/irq/4/smp_affinity_list; echo to $?'",
        "\nto 0",
    )?;
    session.ask(&all, "\n= 2 1 2 1")?;
    // Not for those who were not given all processes.
    session.ask(
        "with file:/,rw run /bin/busybox sh -c 'echo 1 > /proc/irq/4/smp_affinity; echo to $?'",
        "\nto 1",
    )?;
    session.ask(&all, "\n= 2 1 2 1")?;
    for wrong in ["0", "4", "x"] {
        let line = format!("busybox sh -c 'echo {wrong} > /proc/irq/4/smp_affinity; echo to $?'");
        session.ask(&line, "\nto 1")?;
    }
    session.ask("ask process: route number=4 cpus=2 || echo none", "\nnone")?;
    session.ask("ask process: route number=77 cpus=0 || echo none", "\nnone")?;
    session.power_off()
}

/// Only what is told to run there does.
fn isolated(context: &Context) -> Result<()> {
    let mut session = Session::on(context, &machine(context, "isolcpus=1")?)?;
    session.ask("log", "processors set aside: 1")?;
    let own = "busybox grep allowed_list /proc/self/status";
    session.ask(own, "Cpus_allowed_list:\t0\r")?;
    session.ask(
        &format!("busybox taskset 2 {own}"),
        "Cpus_allowed_list:\t1\r",
    )?;
    session.ask("busybox cat /proc/irq/4/smp_affinity_list", "\n0")?;
    session.ask("busybox cat /proc/irq/default_smp_affinity", "\n1")?;
    // Two that never wait share processor 0; the other one halts.
    session.ask(
        "busybox sh -c 'for i in 1 2 3 4; do timeout 1 sh -c \"while :; do :; done\" & done; wait; echo waited'",
        "\nwaited",
    )?;
    session.ask(
        "busybox awk '/^cpu1/ { print $2 * 10 < $5 ? \"idle\" : \"busy\", \"there\" }' /proc/stat",
        "\nidle there",
    )?;
    session.ask("latency -a 1 -l 20 -q", "\n  1    20 ")?;
    session.power_off()
}
