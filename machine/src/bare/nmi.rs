//! What cannot wait until another CPU lets interrupts in: forgetting translations, giving a thread's
//! vector registers away, telling what it does, stopping.
//!
//! The one idea: the kernel runs with interrupts off, and a CPU may spin for a lock that the asking one
//! holds. So it is asked by a non-maskable interrupt, whose handler takes no lock and touches nothing but
//! what is atomic here and in the CPU's own block. Whoever asks may therefore wait, with any lock held, and
//! two may ask each other. In return going to user mode and copying to and from user memory cost nothing
//! more than on a machine with one CPU: neither has to say that it begins, nor to look whether somebody asked.
//!
//! Forgetting is counted: `asked` goes up by one for each request, and the handler, after it has forgotten,
//! raises `done` to what `asked` was before. Interrupts that fall together serve all who asked.
//!
//! Why nothing is missed: who asks has changed the tables, and then (a fence) reads which table each CPU has
//! in use. A CPU publishes a table before it loads CR3 (`paging::switch`). Either the one who asks sees it and
//! interrupts, or the CPU's walks come after the change. A CPU that idles forgets later, before it does anything
//! else: it clears `idle` and then reads `asked`; who asks raises `asked` and then reads `idle`. Both orders are
//! sequentially consistent, so one of them sees the other. But where tables go (`Walks::Ended`) idle CPUs are
//! interrupted too: a processor may walk ahead of time, and must not do that through frames that are given to others.
//! `machine/tests/shoot_down.rs` tries all interleavings.

use super::apic;
use super::cpu::{self, block, block_of};
use super::exception::KernelFrame;
use super::instructions::{halt, rdtsc, read_cr3, write_cr3};
use super::paging::Root;
use super::snapshot;
use super::tlb::Walks;
use super::vector;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

/// What others want of one CPU.
#[repr(align(64))]
struct Wanted {
    /// How often it was asked to forget, and how many of these it has served.
    asked: AtomicU64,
    done: AtomicU64,
    /// A vector state whose registers somebody else needs, or 0.
    vector: AtomicUsize,
    /// When it was last interrupted, on the time stamp counter.
    sent: AtomicU64,
    /// It has shown what it does to whoever wanted to know.
    shown: AtomicBool,
    stopped: AtomicBool,
    /// How many non-maskable interrupts it has had, from whomever.
    count: AtomicU64,
}

static WANTED: [Wanted; cpu::MAX] = [const {
    Wanted {
        asked: AtomicU64::new(0),
        done: AtomicU64::new(0),
        vector: AtomicUsize::new(0),
        sent: AtomicU64::new(0),
        shown: AtomicBool::new(true),
        stopped: AtomicBool::new(false),
        count: AtomicU64::new(0),
    }
}; cpu::MAX];

/// All CPUs but the one that says so shall stop.
static STOP: AtomicBool = AtomicBool::new(false);

fn interrupt(cpu: usize) {
    WANTED[cpu].sent.store(rdtsc(), Ordering::Relaxed);
    apic::send_nmi(cpu);
}

/// The handler. False when nobody here asked for it.
pub fn handle(frame: &mut KernelFrame) -> bool {
    do_not_halt(frame);
    let wanted = &WANTED[cpu::index()];
    // They do not nest, and nobody else writes it.
    let count = wanted.count.load(Ordering::Relaxed);
    wanted.count.store(count + 1, Ordering::Relaxed);
    if STOP.load(Ordering::Acquire) {
        wanted.stopped.store(true, Ordering::Release);
        halt();
    }
    let mut served = false;
    let asked = wanted.asked.load(Ordering::Acquire);
    if asked != wanted.done.load(Ordering::Relaxed) {
        flush();
        wanted.done.fetch_max(asked, Ordering::Release);
        served = true;
    }
    let state = wanted.vector.load(Ordering::Acquire);
    if state != 0 {
        vector::give_up(state);
        served = true;
    }
    if !wanted.shown.load(Ordering::Acquire) {
        snapshot::fill(frame);
        wanted.shown.store(true, Ordering::Release);
        served = true;
    }
    // One may come for what another has served already, but not much later.
    const SHORTLY: u64 = 1 << 30;
    served || rdtsc().wrapping_sub(wanted.sent.load(Ordering::Relaxed)) < SHORTLY
}

unsafe extern "C" {
    /// Instructions of `machine_wait` (traps.s).
    static machine_wait_halts: u8;
    static machine_wait_is_over: u8;
}

/// A CPU that is about to halt does not. `sti` keeps interrupts out for one instruction, the `hlt`, but a processor may take
/// an NMI between the two (Intel SDM volume 2, STI: it *may* inhibit them), and the end of its handler lets in at once what is
/// pending. After that it would halt, although it was woken.
fn do_not_halt(frame: &mut KernelFrame) {
    let [halts, is_over] = wait_addresses();
    if frame.rip == halts {
        frame.rip = is_over;
    }
}

/// Where a CPU that waits halts, and where it goes on.
pub(super) fn wait_addresses() -> [u64; 2] {
    [
        &raw const machine_wait_halts,
        &raw const machine_wait_is_over,
    ]
    .map(|label| label.addr() as u64)
}

/// Makes CPU `cpu` show what it does.
pub fn ask_for_snapshot(cpu: usize) {
    WANTED[cpu].shown.store(false, Ordering::Release);
    interrupt(cpu);
}

/// Whether it has.
pub fn has_snapshot(cpu: usize) -> bool {
    WANTED[cpu].shown.load(Ordering::Acquire)
}

/// How many non-maskable interrupts a CPU has had.
pub fn count(cpu: usize) -> u64 {
    WANTED[cpu].count.load(Ordering::Relaxed)
}

/// Forgets all translations but the kernel's own.
fn flush() {
    // SAFETY: the same tables again.
    unsafe { write_cr3(read_cr3()) };
}

/// Before this CPU halts: from here on it may be asked to forget without being interrupted. It uses no user
/// memory until [`end_idle`].
pub fn begin_idle() {
    block().idle.store(true, Ordering::SeqCst);
}

/// Serves what was asked for meanwhile.
pub fn end_idle() {
    block().idle.store(false, Ordering::SeqCst);
    let wanted = &WANTED[cpu::index()];
    let asked = wanted.asked.load(Ordering::SeqCst);
    if asked != wanted.done.load(Ordering::Relaxed) {
        flush();
        // Not a store: the handler may have come in between, and served more.
        wanted.done.fetch_max(asked, Ordering::Release);
    }
}

/// Makes the other CPUs that have `root` in use forget it, and waits until they did. Costs a look at each
/// CPU, and an interrupt for each that has it in use.
#[cold]
pub fn forget(root: &Root, walks: Walks) {
    // The change of the tables comes before the looks.
    fence(Ordering::SeqCst);
    let me = cpu::index();
    let mut tickets = [0; cpu::MAX];
    let count = cpu::count();
    for (cpu, ticket) in tickets[..count].iter_mut().enumerate() {
        if cpu == me || !root.may_be_active_on(cpu) {
            continue;
        }
        let mine = WANTED[cpu].asked.fetch_add(1, Ordering::SeqCst) + 1;
        if walks == Walks::Ended || !block_of(cpu).idle.load(Ordering::SeqCst) {
            *ticket = mine;
            interrupt(cpu);
        }
    }
    for (wanted, &ticket) in WANTED.iter().zip(&tickets[..count]) {
        while wanted.done.load(Ordering::Acquire) < ticket {
            spin_loop();
        }
    }
}

/// Makes CPU `cpu` save the registers of the vector state at `state`, if they are there, and waits until
/// `is_saved`. The caller owns the state, so nobody loads it meanwhile.
pub fn fetch_vector(cpu: usize, state: usize, is_saved: impl Fn() -> bool) {
    let slot = &WANTED[cpu].vector;
    while slot
        .compare_exchange(0, state, Ordering::AcqRel, Ordering::Relaxed)
        .is_err()
    {
        spin_loop();
    }
    interrupt(cpu);
    while !is_saved() {
        spin_loop();
    }
    slot.store(0, Ordering::Release);
}

/// Stops all other CPUs for good; waits for that, but not for ever.
pub fn stop_others() {
    let me = cpu::index();
    let count = cpu::count();
    if count == 1 || STOP.swap(true, Ordering::SeqCst) {
        return;
    }
    for cpu in (0..count).filter(|&cpu| cpu != me) {
        interrupt(cpu);
    }
    let end = super::time::now().saturating_add(LONGEST_STOP);
    for cpu in (0..count).filter(|&cpu| cpu != me) {
        while !WANTED[cpu].stopped.load(Ordering::Acquire) && super::time::now() < end {
            spin_loop();
        }
    }
}

/// A tenth of a second: a CPU that does not answer by then does not answer.
const LONGEST_STOP: u64 = 100_000_000;
