//! What the clock counts with: the time stamp counter, or what the chip set has.
//!
//! The one idea: a source is a counter that only goes up. The time stamp counter is one by itself. The others are short,
//! and are made long by adding what passed since the last look, so somebody must look before all of their range has
//! passed: the alarm sees to that ([`Source::patience`]). What passes while nobody does is lost in whole ranges.

use super::boot::{self, acpi};
use super::instructions::{in_u8, in_u32, out_u8, rdtsc};
use super::{kernel_map, kvm_clock};
use crate::PAGE;
use crate::firmware::long::longer;
use crate::sync::{Once, Spin};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The interval timer's clock, in hertz.
pub(super) const PIT_HERTZ: u64 = 1_193_182;
/// That of the ACPI timer (ACPI 6.5, section 4.8.3.3).
const PM_HERTZ: u64 = 3_579_545;
const PIT_COMMAND: u16 = 0x43;
const CHANNEL_2: u16 = 0x42;

/// Registers of the HPET (HPET specification 1.0a, section 2.3): capabilities, configuration, counter.
const HPET_CAPABILITIES: usize = 0;
const HPET_CONFIGURATION: usize = 0x10;
const HPET_COUNTER: usize = 0xf0;
const HPET_ENABLE: u64 = 1;
const HPET_WIDE: u64 = 1 << 13;
const FEMTOSECONDS: u64 = 1_000_000_000_000_000;
/// The longest period that the specification allows.
const HPET_SLOWEST: u64 = 100_000_000;

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// The processor's time stamp counter.
    Tsc,
    Hpet,
    /// The timer of the ACPI power management.
    Pm,
    /// Channel 2 of the interval timer.
    Pit,
    /// The hypervisor's.
    Kvm,
}

impl Source {
    /// All, the best first.
    const ALL: [Source; 5] = [
        Source::Tsc,
        Source::Kvm,
        Source::Hpet,
        Source::Pm,
        Source::Pit,
    ];

    /// Its name on the command line and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Source::Tsc => "tsc",
            Source::Hpet => "hpet",
            Source::Pm => "pm",
            Source::Pit => "pit",
            Source::Kvm => "kvm",
        }
    }

    /// The one that the command line names with `clock=`.
    pub(super) fn wanted() -> Option<Source> {
        let name = boot::option("clock")?;
        Source::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Whether this machine has it.
    pub(super) fn is_there(self) -> bool {
        match self {
            Source::Tsc | Source::Pit => true,
            Source::Hpet => HPET.get().is_some(),
            Source::Pm => PM.get().is_some(),
            Source::Kvm => kvm_clock::is_there(),
        }
    }

    /// Ticks in a second, if that is known without measuring.
    pub(super) fn hertz(self) -> Option<u64> {
        match self {
            Source::Tsc => None,
            Source::Hpet => HPET.get().map(|hpet| hpet.hertz),
            Source::Pm => Some(PM_HERTZ),
            Source::Pit => Some(PIT_HERTZ),
            // It counts nanoseconds.
            Source::Kvm => Some(1_000_000_000),
        }
    }

    /// The greatest number that it shows.
    fn mask(self) -> u64 {
        match self {
            Source::Tsc | Source::Kvm => u64::MAX,
            Source::Hpet => HPET.get().map_or(u64::MAX, |hpet| hpet.mask),
            Source::Pm => PM.get().map_or(u64::MAX, |pm| pm.mask),
            Source::Pit => 0xffff,
        }
    }

    /// How long it may be left alone, in nanoseconds; `None`: for ever.
    pub(super) fn patience(self) -> Option<u64> {
        let mask = self.mask();
        let hertz = self.hertz()?;
        (mask != u64::MAX)
            .then(|| (u128::from(mask) * 1_000_000_000 / u128::from(hertz) / 4) as u64)
    }

    /// How many ticks it counts before it begins again.
    pub(super) fn range(self) -> u128 {
        u128::from(self.mask()) + 1
    }

    /// Its counter as it is.
    pub(super) fn raw(self) -> u64 {
        match self {
            Source::Tsc => rdtsc(),
            Source::Hpet => HPET.get().map_or(0, Hpet::count),
            Source::Pm => PM.get().map_or(0, |pm| pm.count()),
            // It counts down.
            Source::Pit => u64::from(pit().wrapping_neg()),
            Source::Kvm => kvm_clock::count(),
        }
    }

    /// Its counter, made long. Only for one source at a time, but for the time stamp counter.
    pub(super) fn read(self) -> u64 {
        if self == Source::Tsc {
            return rdtsc();
        }
        // In this order: the counter is not behind what anybody has seen of it before.
        let before = LONG.load(Ordering::Acquire);
        let now = longer(before, self.raw(), self.mask());
        // Another CPU may have looked later than this one.
        LONG.fetch_max(now, Ordering::AcqRel).max(now)
    }

    /// It begins to be read.
    pub(super) fn begin(self) {
        LONG.store(self.raw(), Ordering::Relaxed);
    }
}

/// The last value that was read, made long.
static LONG: AtomicU64 = AtomicU64::new(0);

/// The source that the clock counts with.
static CURRENT: AtomicU8 = AtomicU8::new(Source::Tsc as u8);

/// What the clock counts with.
#[inline(always)]
pub(super) fn current() -> Source {
    match CURRENT.load(Ordering::Relaxed) {
        0 => Source::Tsc,
        1 => Source::Hpet,
        2 => Source::Pm,
        3 => Source::Pit,
        _ => Source::Kvm,
    }
}

/// Only with the clock's scale being changed.
pub(super) fn set_current(source: Source) {
    CURRENT.store(source as u8, Ordering::Relaxed);
}

/// The clock's counter now.
#[inline(always)]
pub(super) fn count() -> u64 {
    match current() {
        Source::Tsc => rdtsc(),
        other => slow(other),
    }
}

#[cold]
#[inline(never)]
fn slow(source: Source) -> u64 {
    source.read()
}

struct Hpet {
    registers: usize,
    hertz: u64,
    mask: u64,
}

static HPET: Once<Hpet> = Once::new();

impl Hpet {
    fn count(&self) -> u64 {
        let at = (self.registers + HPET_COUNTER) as *const u64;
        match self.mask {
            // SAFETY: the window stays mapped for ever; reading the counter has no side effect.
            u64::MAX => unsafe { at.read_volatile() },
            // SAFETY: the same.
            _ => u64::from(unsafe { at.cast::<u32>().read_volatile() }),
        }
    }
}

struct Pm {
    port: u16,
    mask: u64,
}

static PM: Once<Pm> = Once::new();

impl Pm {
    fn count(&self) -> u64 {
        // SAFETY: the FADT names the port; reading it has no side effect.
        let count = unsafe { in_u32(self.port) };
        u64::from(count) & self.mask
    }
}

/// Who latches the interval timer's count and reads the two halves.
static PIT: Spin<()> = Spin::new(());

/// What channel 2 of the interval timer has left.
pub(super) fn pit() -> u16 {
    let _lock = PIT.lock();
    // SAFETY: channel 2 drives the speaker alone, whose output is off.
    unsafe {
        out_u8(PIT_COMMAND, 0x80);
        let low = in_u8(CHANNEL_2);
        let high = in_u8(CHANNEL_2);
        u16::from_le_bytes([low, high])
    }
}

/// Finds what the tables name, and starts what has to be started.
pub(super) fn find() {
    kvm_clock::find();
    let Some(acpi) = acpi() else { return };
    if let Some((port, is_wide)) = acpi.pm_timer {
        let mask = if is_wide { 0xffff_ffff } else { 0xff_ffff };
        PM.get_or_init(|| Pm { port, mask });
    }
    if let Some(hpet) = acpi.hpet.and_then(start_hpet) {
        HPET.get_or_init(|| hpet);
    }
}

fn start_hpet(physical: u64) -> Option<Hpet> {
    let start = physical as usize & !(PAGE - 1);
    let window = kernel_map::map_window(start, PAGE).ok()?;
    let registers = window + (physical as usize - start);
    let register = |offset: usize| (registers + offset) as *mut u64;
    // SAFETY: the table names this as the registers of an HPET, and the window maps them for ever. Its counter is
    // switched on, and its interrupts stay as they are: off.
    unsafe {
        let capabilities = register(HPET_CAPABILITIES).read_volatile();
        let period = capabilities >> 32;
        if !(1..=HPET_SLOWEST).contains(&period) {
            return None;
        }
        let configuration = register(HPET_CONFIGURATION).read_volatile();
        register(HPET_CONFIGURATION).write_volatile(configuration | HPET_ENABLE);
        let is_wide = capabilities & HPET_WIDE != 0;
        Some(Hpet {
            registers,
            hertz: FEMTOSECONDS / period,
            mask: if is_wide { u64::MAX } else { 0xffff_ffff },
        })
    }
}
