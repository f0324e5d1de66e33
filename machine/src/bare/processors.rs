//! Starting the other CPUs.
//!
//! The one idea: all of them start at once and number themselves as they come, so nobody waits for anybody, and a CPU
//! that the tables name but that does not answer takes no number. Each goes through the same steps as the first
//! one (`start`), and then runs what the kernel gave.

use super::instructions::rdmsr;
use super::{
    apic, boot, copy, cpu, gdt, idt, irq, kernel_map, layout, node, protection, time, user, vector,
    warp,
};
use crate::features::features;
use crate::memory::PAGE;
use crate::sync::Once;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Where the code for them is put: RAM below 1 MiB, which the frame allocator never gives away. Behind it their first
/// page tables: three levels, of which the last maps the first 2 MiB to themselves.
const START: usize = 0x8000;
const TOP: usize = START + PAGE;
const POINTERS: usize = TOP + PAGE;
const DIRECTORY: usize = POINTERS + PAGE;
const END: usize = DIRECTORY + PAGE;

global_asm!(
    include_str!("processors.s"),
    here = const START,
    tables = const TOP,
    stacks_of_cpu = const layout::STACKS_OF_CPU,
    options(att_syntax),
);

unsafe extern "C" {
    static machine_other_start: u8;
    static machine_other_end: u8;
    static machine_other_stacks: u8;
    static machine_other_entry: u8;
    static machine_other_limit: u8;
    static machine_other_features: u8;
}

/// What a CPU runs once it is up.
static RUN: Once<fn() -> !> = Once::new();
/// The APIC numbers of the CPUs that were told to start.
static CALLED: Once<Vec<u32>> = Once::new();
/// When that was.
static CALLED_AT: AtomicU64 = AtomicU64::new(0);

/// How long the others may take to answer before they are called once more, and in total.
const SECOND_CALL: u64 = 50_000_000;
const PATIENCE: u64 = 1_000_000_000;

/// Starts the other CPUs that the firmware names, as far as `maxcpus=` on the command line allows. They come up while
/// the caller goes on, and run `run`. Only the first call counts.
pub fn start_others(run: fn() -> !) {
    let most = boot::option("maxcpus")
        .and_then(|number| number.parse::<usize>().ok())
        .map_or(cpu::MAX, |number| number.clamp(1, cpu::MAX));
    let Some(acpi) = boot::acpi() else {
        return;
    };
    let others = acpi.cpus[..acpi.cpu_count]
        .iter()
        .copied()
        .filter(|&id| id != apic::id(0) && apic::can_reach(id));
    let others: Vec<u32> = others.take(most - 1).collect();
    if others.is_empty() || !is_ram(START, END) || RUN.set(run).is_err() {
        return;
    }
    // CPU `n` of those that come takes the `n`th stacks.
    let ready = (1..=others.len())
        .take_while(|&cpu| kernel_map::map_stacks(cpu).is_ok())
        .count();
    prepare(ready as u32 + 1);
    for &id in &others {
        apic::send_init(id);
    }
    if needs_time_to_reset() {
        time::spin(10_000_000);
    }
    for &id in &others {
        apic::send_start(id, START);
    }
    CALLED_AT.store(time::now(), Ordering::Relaxed);
    let _ = CALLED.set(others);
}

/// Whether physical memory from `start` to `end` is there to be used.
fn is_ram(start: usize, end: usize) -> bool {
    let is_free = |(from, to): (usize, usize)| from == 0 || to <= start || from >= end;
    boot::reserved().into_iter().all(is_free)
        && boot::info().memory.iter().any(|region| {
            region.usable && region.start <= start as u64 && region.end() >= end as u64
        })
}

/// Old processors need 10 ms between the reset and the start (Intel MultiProcessor Specification, B.4). Those of
/// today and hypervisors do not, as other systems have found out.
fn needs_time_to_reset() -> bool {
    let family = core::arch::x86_64::__cpuid(1).eax >> 8 & 0xf;
    !features().hypervisor && !matches!(family, 6 | 15)
}

/// Puts code and tables in place for CPU numbers below `limit`.
fn prepare(limit: u32) {
    const EFER: u32 = 0xc000_0080;
    let start = (&raw const machine_other_start).addr();
    let len = (&raw const machine_other_end).addr() - start;
    assert!(len <= PAGE, "the code for other CPUs fits a page");
    let at = |symbol: *const u8| layout::direct(START + symbol.addr() - start);
    // SAFETY: these pages are RAM that nobody else uses (`is_ram`; the frame allocator leaves the first megabyte out),
    // seen through the direct map. What is written lies within them, aligned as in the image. The code reads
    // it as what it is written as.
    unsafe {
        copy::bytes(layout::direct(START), start as *const u8, len);
        copy::zero(layout::direct(TOP), END - TOP);
        let write = |symbol: *const u8, value: u64| at(symbol).cast::<u64>().write(value);
        write(
            &raw const machine_other_stacks,
            layout::stacks(1).kernel as u64 - layout::STACKS_OF_CPU as u64,
        );
        write(
            &raw const machine_other_entry,
            (other as *const ()).addr() as u64,
        );
        at(&raw const machine_other_limit)
            .cast::<u32>()
            .write(limit);
        at(&raw const machine_other_features)
            .cast::<u32>()
            .write(rdmsr(EFER) as u32 & 0x901);
        const PRESENT_WRITABLE: u64 = 3;
        const LARGE: u64 = 0x80;
        let entry = |table: usize, value: usize| {
            layout::direct(table)
                .cast::<u64>()
                .write(value as u64 | PRESENT_WRITABLE)
        };
        entry(TOP, POINTERS);
        entry(POINTERS, DIRECTORY);
        layout::direct(DIRECTORY)
            .cast::<u64>()
            .write(PRESENT_WRITABLE | LARGE);
        kernel_map::copy_kernel_half_to(layout::direct(TOP).cast());
    }
}

/// The first Rust on another CPU, on its own stack, with the first page tables of `prepare`.
// SAFETY: called by the code in processors.s alone, once for each number.
extern "C" fn other(index: u32) -> ! {
    // SAFETY: the first thing that runs on this CPU; the number was taken by no other.
    unsafe { cpu::init(index as usize) };
    kernel_map::load();
    gdt::init();
    idt::load();
    protection::init();
    irq::init_cpu();
    apic::init_cpu();
    node::init_cpu();
    vector::init();
    user::init();
    time::start_cpu();
    warp::join();
    cpu::is_ready();
    match RUN.get() {
        Some(run) => run(),
        None => super::instructions::halt(),
    }
}

/// Waits until all CPUs that were started have come up, a second at most. Gives the APIC numbers of those that did
/// not answer.
pub fn wait_for_others() -> Vec<u32> {
    let Some(called) = CALLED.get() else {
        return Vec::new();
    };
    let since = CALLED_AT.load(Ordering::Relaxed);
    let mut called_again = false;
    loop {
        let silent = || {
            let up = 0..cpu::count();
            called
                .iter()
                .copied()
                .filter(move |id| !up.clone().any(|cpu| apic::id(cpu) == *id))
        };
        if silent().next().is_none() {
            check_clocks();
            return Vec::new();
        }
        let waited = time::now().saturating_sub(since);
        if waited > PATIENCE {
            check_clocks();
            return silent().collect();
        }
        if waited > SECOND_CALL && !called_again {
            // A CPU that has started takes no notice.
            silent().for_each(|id| apic::send_start(id, START));
            called_again = true;
        }
        warp::watch();
    }
}

/// If the counters of the CPUs do not agree, the clock counts with something else.
fn check_clocks() {
    if warp::worst() > 0 {
        time::fall_back();
    }
}

/// How far the time stamp counter of one CPU was behind that of another when they started, in nanoseconds.
pub fn warp() -> u64 {
    time::nanoseconds(warp::worst())
}
