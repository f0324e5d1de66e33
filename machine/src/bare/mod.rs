//! The bare back end: an x86-64 computer.
//!
//! Read it in the order of [`start`]: entry (entry.s), what the loader said, CPU tables, memory,
//! interrupts, time. Then user mode: `user` and `traps.s`, `copy` and `copy.s`.

mod apic;
pub mod boot;
pub mod clock_page;
mod copy;
mod counter;
pub mod cpu;
pub mod dma;
mod exception;
pub mod frame;
mod gdt;
pub mod heap;
mod idt;
mod instructions;
mod ioapic;
pub mod irq;
mod kernel_map;
mod kvm_clock;
mod layout;
pub mod mmio;
mod nmi;
pub mod node;
pub mod paging;
pub mod panic;
mod pic;
pub mod port;
pub mod power;
mod processors;
mod protection;
pub mod random;
mod routes;
pub mod rtc;
pub mod selftest;
pub mod serial;
pub mod snapshot;
mod table;
pub mod time;
mod tlb;
mod trace;
pub mod user;
mod vector;
mod warp;

core::arch::global_asm!(include_str!("entry.s"), options(att_syntax));

/// Brings the machine up on the boot CPU and runs the kernel. Called once, by the kernel binary's
/// entry, on the boot stack in the higher half.
pub fn start(main: fn() -> !) -> ! {
    // SAFETY: the first thing that runs on this CPU.
    unsafe { cpu::init(0) };
    serial::init();
    gdt::init();
    idt::init();
    idt::load();
    time::begin();
    protection::init();
    copy::init();
    table::init();

    // What loader and firmware say, then memory. From here on the heap works.
    boot::read();
    frame::init();
    kernel_map::init();

    // Interrupts. They stay off until user mode or idling lets them in.
    irq::init_cpu();
    pic::init();
    let io_apic = ioapic::init();
    apic::init(!io_apic);
    let counting = apic::is_there().then(|| {
        apic::start_counting();
        instructions::rdtsc()
    });
    node::init_cpu();
    vector::init();
    user::init();
    counter::find();
    time::finish(counting);
    main()
}
