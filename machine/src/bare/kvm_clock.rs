//! KVM's clock: the host keeps a page for each processor, from which the time is computed.
//!
//! The one idea: the host may move a guest to another machine, or stop it, and its clock knows of that, which a time stamp
//! counter does not. It is there only if CPUID says so (Linux's `virt/kvm/x86/cpuid`).

use super::instructions::{rdtsc, wrmsr};
use super::{cpu, layout};
use crate::features::features;
use crate::firmware::pvclock::{self, WALL_WORDS, WORDS};
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

/// `MSR_KVM_WALL_CLOCK_NEW` and `MSR_KVM_SYSTEM_TIME_NEW`.
const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// In leaf 0x40000001: these registers are there (`KVM_FEATURE_CLOCKSOURCE2`).
const HAS_CLOCK: u32 = 1 << 3;
const ENABLE: u64 = 1;

/// What the host writes for one processor. It does not cross the end of a page of memory.
#[repr(C, align(32))]
struct Page([AtomicU32; WORDS]);

static PAGES: [Page; cpu::MAX] = [const { Page([const { AtomicU32::new(0) }; WORDS]) }; cpu::MAX];
static WALL: Page = Page([const { AtomicU32::new(0) }; WORDS]);
static IS_THERE: AtomicBool = AtomicBool::new(false);

/// Whether the machine has it.
pub fn is_there() -> bool {
    IS_THERE.load(Ordering::Relaxed)
}

/// Looks for it, and has the host keep a page for this CPU.
pub fn find() {
    if !features().hypervisor {
        return;
    }
    // Several hypervisors may show themselves, each with its own leaves.
    let leaf = (0x4000_0000u32..0x4000_1000).step_by(0x100).find(|leaf| {
        let name = __cpuid(*leaf);
        [name.ebx, name.ecx, name.edx] == [0x4b4d_564b, 0x564b_4d56, 0x4d]
    });
    if leaf.is_some_and(|leaf| __cpuid(leaf + 1).eax & HAS_CLOCK != 0) {
        start_cpu(true);
        IS_THERE.store(
            pvclock::at_rest::<WORDS>(word_of(&PAGES[cpu::index()])).is_some(),
            Ordering::Relaxed,
        );
    }
}

/// Has the host keep a page for this CPU, if there is that clock (or it was found just now).
pub fn start_cpu(found: bool) {
    if found || is_there() {
        let page = physical(&PAGES[cpu::index()]);
        // SAFETY: CPUID says that the register is there. From here on the host writes the 32 bytes of a static that is
        // only ever read as atomic words.
        unsafe { wrmsr(SYSTEM_TIME, page | ENABLE) };
    }
}

fn physical(page: &'static Page) -> u64 {
    layout::physical(core::ptr::from_ref(page).addr()) as u64
}

fn word_of(page: &'static Page) -> impl Fn(usize) -> u32 {
    |at| {
        let word = page.0[at].load(Ordering::Acquire);
        fence(Ordering::Acquire);
        word
    }
}

/// What it shows: nanoseconds. A page that never comes to rest is read as it is.
pub fn count() -> u64 {
    let page = &PAGES[cpu::index()];
    let words = pvclock::at_rest::<WORDS>(word_of(page));
    let words = words.unwrap_or_else(|| core::array::from_fn(word_of(page)));
    pvclock::nanoseconds(&words, rdtsc())
}

/// Nanoseconds since 1970 when it showed 0; `None`: the host does not say.
pub fn wall() -> Option<u64> {
    if !is_there() {
        return None;
    }
    // SAFETY: as in `start_cpu`. The host writes 12 bytes, once, before the next instruction.
    unsafe { wrmsr(WALL_CLOCK, physical(&WALL)) };
    let words = pvclock::at_rest::<WALL_WORDS>(word_of(&WALL))?;
    Some(pvclock::wall(&words)).filter(|wall| *wall != 0)
}
