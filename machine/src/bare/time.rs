//! Time: the clock counts with the time stamp counter unless that is unfit, the alarm is the best timer
//! that the machine has.
//!
//! The one idea: reading the clock is a multiplication. Its factor is measured against the
//! programmable interval timer while the rest of the boot goes on, and once more, over a second,
//! against the best counter whose rate is known, when there has been a second.

use super::apic;
use super::counter::{self, PIT_HERTZ, Source};
use super::cpu::PerCpu;
use super::instructions::{in_u8, out_u8, rdtsc};
use super::{clock_page, kvm_clock, pic, rtc};
use crate::features::features;
use crate::sync::{Once, Spin};
use crate::vdso::Scale;
use core::cell::Cell;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// The least stretch for the first measurement: 2 ms.
const SHORT: u64 = PIT_HERTZ / 500;
/// The second measurement comes after this time.
const SECOND_LOOK: u64 = 1_000_000_000;

const CHANNEL_0: u16 = 0x40;
const CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const SPEAKER: u16 = 0x61;

/// A [`Scale`] under a sequence lock.
struct Shared {
    sequence: AtomicU32,
    base_stamp: AtomicU64,
    base: AtomicU64,
    factor: AtomicU64,
    raw_base: AtomicU64,
    raw_factor: AtomicU64,
    /// Who changes it, and by how much the clock runs faster than its counter says: see [`set_rate`].
    rate: Spin<i64>,
}

static SCALE: Shared = Shared {
    sequence: AtomicU32::new(0),
    base_stamp: AtomicU64::new(0),
    base: AtomicU64::new(0),
    // One tick a nanosecond until measured.
    factor: AtomicU64::new(1 << 32),
    raw_base: AtomicU64::new(0),
    raw_factor: AtomicU64::new(1 << 32),
    rate: Spin::new(0),
};

/// A moment on both clocks.
#[derive(Clone, Copy)]
struct Moment {
    stamp: u64,
    pit: u16,
}

/// The first moment, and when the second look is due (0: done, or not needed).
static FIRST: Spin<Option<Moment>> = Spin::new(None);
/// The same with a better counter than the interval timer, if there is one: which, the time stamp
/// and what it counted.
static REFERENCE: Spin<Option<(Source, u64, u64)>> = Spin::new(None);
/// Nanoseconds of a tick of the time stamp counter, times 2^32, whatever the clock counts with.
static TSC_FACTOR: AtomicU64 = AtomicU64::new(1 << 32);
static LOOK_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static WALL: Once<u64> = Once::new();

const BY_PIT: u8 = 0;
const BY_COUNT: u8 = 1;
const BY_DEADLINE: u8 = 2;
static ALARM_KIND: AtomicU8 = AtomicU8::new(BY_PIT);
/// Ticks of the APIC's clock in a nanosecond, times 2^32.
static APIC_FACTOR: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since boot; never goes back.
#[inline]
pub fn now() -> u64 {
    loop {
        let sequence = SCALE.sequence.load(Ordering::Acquire);
        // A CPU whose counter is a little behind stands still for that while.
        let stamp = counter::count().saturating_sub(SCALE.base_stamp.load(Ordering::Relaxed));
        let factor = SCALE.factor.load(Ordering::Relaxed);
        let base = SCALE.base.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if sequence & 1 == 0 && sequence == SCALE.sequence.load(Ordering::Relaxed) {
            return base + scaled(stamp, factor);
        }
        core::hint::spin_loop();
    }
}

#[inline(always)]
fn scaled(value: u64, factor: u64) -> u64 {
    ((u128::from(value) * u128::from(factor)) >> 32) as u64
}

/// How long so many ticks of the time stamp counter are.
pub(super) fn nanoseconds(stamps: u64) -> u64 {
    scaled(stamps, TSC_FACTOR.load(Ordering::Relaxed))
}

/// What the time stamp counter shows.
#[inline]
pub(crate) fn stamp() -> u64 {
    rdtsc()
}

/// Nanoseconds since it showed this, on the same CPU.
pub(crate) fn since(stamp: u64) -> u64 {
    nanoseconds(rdtsc().saturating_sub(stamp))
}

/// What [`now`] gave when the time stamp counter showed `stamp`.
pub(super) fn of_stamp(stamp: u64) -> u64 {
    now().saturating_sub(nanoseconds(rdtsc().saturating_sub(stamp)))
}

/// Nanoseconds since 1970 (UTC) at boot: from the real-time clock, which has whole seconds, or from the hypervisor if the
/// clock counts with its.
pub fn wall_at_boot() -> u64 {
    *WALL.get_or_init(|| {
        let is_kvm = counter::current() == Source::Kvm;
        let hypervisor = is_kvm.then(kvm_clock::wall).flatten();
        match hypervisor {
            Some(wall) => wall
                .saturating_add(kvm_clock::count())
                .saturating_sub(now()),
            None => rtc::seconds() * 1_000_000_000 - now().min(1_000_000_000),
        }
    })
}

/// Waits.
pub(super) fn spin(nanoseconds: u64) {
    let end = now().saturating_add(nanoseconds);
    while now() < end {
        core::hint::spin_loop();
    }
}

/// Starts the measurement: the interval timer's channel 2 counts from here on.
pub(super) fn begin() {
    SCALE.base_stamp.store(rdtsc(), Ordering::Relaxed);
    // SAFETY: channel 0 stops interrupting until the alarm needs it (mode 0 without a count).
    // Channel 2 drives the speaker alone, whose output is off (mode 0: it counts down once and
    // then goes on from 65535).
    unsafe {
        out_u8(PIT_COMMAND, 0x30);
        out_u8(SPEAKER, in_u8(SPEAKER) & !2 | 1);
        out_u8(PIT_COMMAND, 0xb0);
        out_u8(CHANNEL_2, 0xff);
        out_u8(CHANNEL_2, 0xff);
    }
    *FIRST.lock() = Some(best_look());
}

/// The quickest of three looks: in the others something (an emulator's translation, a host that
/// took the processor away) may have come between the two clocks.
fn best_look() -> Moment {
    let mut best = look();
    for _ in 0..2 {
        let next = look();
        if next.1 < best.1 {
            best = next;
        }
    }
    best.0
}

/// Both clocks at one moment: the time stamp in the middle of the command that latches the count,
/// and how long that took.
fn look() -> (Moment, u64) {
    // SAFETY: channel 2 again.
    unsafe {
        let before = rdtsc();
        out_u8(PIT_COMMAND, 0x80);
        let after = rdtsc();
        let low = in_u8(CHANNEL_2);
        let high = in_u8(CHANNEL_2);
        let moment = Moment {
            stamp: before + (after - before) / 2,
            pit: u16::from_le_bytes([low, high]),
        };
        (moment, after - before)
    }
}

/// Ends the measurement, after 2 ms from [`begin`] at the earliest, and starts the alarm.
/// `apic_start` is when the APIC's timer began to count.
pub(super) fn finish(apic_start: Option<u64>) {
    let Some(first) = *FIRST.lock() else {
        return;
    };
    let known = features().tsc_hertz;
    let mut last = look().0;
    let least = if known.is_some() { SHORT / 10 } else { SHORT };
    // A machine without the timer gives the same count for ever: do not wait for it.
    let patience = 10_000;
    for _ in 0..patience {
        if u64::from(first.pit.wrapping_sub(last.pit)) >= least {
            break;
        }
        last = look().0;
    }
    if last.pit != first.pit {
        last = best_look();
    }
    let ticks = u64::from(first.pit.wrapping_sub(last.pit));
    let hertz = match (known, ticks) {
        (Some(hertz), _) => hertz,
        (None, 0) => rtc::stamps_in_a_second().unwrap_or(1_000_000_000),
        (None, ticks) => (last.stamp - first.stamp) * PIT_HERTZ / ticks,
    };
    set_factor(hertz.max(1_000_000));
    if known.is_none() && ticks > 0 {
        LOOK_AT.store(SECOND_LOOK, Ordering::Relaxed);
    }

    if let Some(start) = apic_start {
        let left = apic::timer_count();
        let nanoseconds = nanoseconds(rdtsc() - start).max(1);
        let factor = (u128::from(u32::MAX - left) << 32) / u128::from(nanoseconds);
        APIC_FACTOR.store(factor as u64, Ordering::Relaxed);
        let deadline = features().tsc_deadline;
        apic::init_timer(deadline);
        ALARM_KIND.store(
            if deadline { BY_DEADLINE } else { BY_COUNT },
            Ordering::Relaxed,
        );
    } else {
        pic::set(0, false);
    }
    *REFERENCE.lock() = [Source::Hpet, Source::Pm]
        .into_iter()
        .find(|source| source.is_there())
        .map(reference_look);
    match Source::wanted() {
        Some(source) if source != Source::Tsc && source.is_there() => count_with(source),
        _ => {}
    }
}

/// The time stamp counter and another one at one moment: the closest of three looks.
fn reference_look(source: Source) -> (Source, u64, u64) {
    let look = |_| {
        let before = rdtsc();
        let count = source.raw();
        let took = rdtsc().saturating_sub(before);
        (took, before + took / 2, count)
    };
    let (_, stamp, count) = (0..3).map(look).min().unwrap_or_default();
    (source, stamp, count)
}

/// From now on the clock counts with another source than the time stamp counter.
fn count_with(source: Source) {
    let Some(hertz) = source.hertz() else { return };
    let rate = SCALE.rate.lock();
    let factor = ((1_000_000_000u128 << 32) / u128::from(hertz)) as u64;
    source.begin();
    change(factor, *rate, Some(source));
    drop(rate);
    // Somebody has to look before it begins again.
    ALARM.with(arm);
}

/// The time stamp counters of the CPUs do not agree: the clock counts with what all of them see alike.
pub(super) fn fall_back() {
    if counter::current() != Source::Tsc || Source::wanted() == Some(Source::Tsc) {
        return;
    }
    let others = [Source::Kvm, Source::Hpet, Source::Pm, Source::Pit].into_iter();
    if let Some(source) = others.into_iter().find(|source| source.is_there()) {
        count_with(source);
    }
}

/// What the clock counts with: `tsc`, `hpet`, `pm`, `pit` or `kvm`.
pub fn source() -> &'static str {
    counter::current().name()
}

/// Starts the alarm of a CPU other than the first. All have the same timer.
pub(super) fn start_cpu() {
    apic::init_timer(features().tsc_deadline);
    kvm_clock::start_cpu(false);
}

/// Makes the clock run faster than its counter says, or slower: by so many nanoseconds in a second, times 2^32. At most
/// by a tenth. All CPUs are made to set their alarms again.
pub fn set_rate(rate: i64) {
    const TENTH: i64 = 100_000_000 << 32;
    let mut current = SCALE.rate.lock();
    *current = rate.clamp(-TENTH, TENTH);
    change(SCALE.raw_factor.load(Ordering::Relaxed), *current, None);
    drop(current);
    kicked();
    for cpu in (0..super::cpu::count()).filter(|cpu| *cpu != super::cpu::index()) {
        super::cpu::kick(cpu);
    }
}

/// The clock that nobody adjusts: nanoseconds since boot as its counter says.
pub fn raw() -> u64 {
    let scale = scale();
    let stamps = counter::count().saturating_sub(scale.base_stamp);
    scale.raw_base + scaled(stamps, scale.raw_factor)
}

/// The time stamp counter was measured.
fn set_factor(hertz: u64) {
    let factor = ((1_000_000_000u128 << 32) / u128::from(hertz)) as u64;
    let rate = SCALE.rate.lock();
    TSC_FACTOR.store(factor, Ordering::Relaxed);
    if counter::current() == Source::Tsc {
        change(factor, *rate, None);
    }
}

/// From now on so many nanoseconds a tick, times 2^32, and the clock at this rate. The time goes on from where it is. Only
/// with the rate locked. `source`: it counts with another one, too, which has begun.
fn change(raw_factor: u64, rate: i64, source: Option<Source>) {
    let second = i128::from(1_000_000_000i64) << 32;
    let more = i128::from(raw_factor) * i128::from(rate) / second;
    let factor = raw_factor.saturating_add_signed(more as i64);
    let stamp = counter::count();
    let passed = stamp.wrapping_sub(SCALE.base_stamp.load(Ordering::Relaxed));
    let first_time = SCALE.base.load(Ordering::Relaxed) == 0;
    let go_on = |base: &AtomicU64, old: &AtomicU64, new: u64| {
        let factor = match first_time {
            true => new,
            false => old.load(Ordering::Relaxed),
        };
        base.load(Ordering::Relaxed) + scaled(passed, factor)
    };
    let base = go_on(&SCALE.base, &SCALE.factor, factor);
    let raw_base = go_on(&SCALE.raw_base, &SCALE.raw_factor, raw_factor);
    SCALE.sequence.fetch_add(1, Ordering::Relaxed);
    fence(Ordering::Release);
    let stamp = match source {
        Some(source) => {
            counter::set_current(source);
            source.read()
        }
        None => stamp,
    };
    for (place, value) in [
        (&SCALE.base_stamp, stamp),
        (&SCALE.base, base),
        (&SCALE.factor, factor),
        (&SCALE.raw_base, raw_base),
        (&SCALE.raw_factor, raw_factor),
    ] {
        place.store(value, Ordering::Relaxed);
    }
    SCALE.sequence.fetch_add(1, Ordering::Release);
    clock_page::update();
}

/// How stamps become time at this moment.
pub(super) fn scale() -> Scale {
    loop {
        let sequence = SCALE.sequence.load(Ordering::Acquire);
        let scale = Scale {
            base_stamp: SCALE.base_stamp.load(Ordering::Relaxed),
            base: SCALE.base.load(Ordering::Relaxed),
            factor: SCALE.factor.load(Ordering::Relaxed),
            raw_base: SCALE.raw_base.load(Ordering::Relaxed),
            raw_factor: SCALE.raw_factor.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        if sequence & 1 == 0 && sequence == SCALE.sequence.load(Ordering::Relaxed) {
            return scale;
        }
        core::hint::spin_loop();
    }
}

/// Measures again over the whole time since the first look. The other counter has begun again meanwhile,
/// perhaps many times; the first measurement says how often it did.
#[cold]
fn look_again() {
    LOOK_AT.store(u64::MAX, Ordering::Relaxed);
    let first = FIRST.lock().take();
    let reference = REFERENCE.lock().take();
    let (stamps, counted, range, hertz) = match (reference, first) {
        (Some((source, stamp, count)), _) => {
            let (_, last, now) = reference_look(source);
            let Some(hertz) = source.hertz() else { return };
            (last - stamp, now.wrapping_sub(count), source.range(), hertz)
        }
        (None, Some(first)) => {
            let last = best_look();
            let counted = u64::from(first.pit.wrapping_sub(last.pit));
            (last.stamp - first.stamp, counted, 1 << 16, PIT_HERTZ)
        }
        (None, None) => return,
    };
    let estimate = u128::from(nanoseconds(stamps)) * u128::from(hertz) / 1_000_000_000;
    let remainder = u128::from(counted) % range;
    // The whole number of rounds that comes closest.
    let rounds = (estimate + range / 2).saturating_sub(remainder) / range;
    let ticks = rounds * range + remainder;
    if ticks.abs_diff(estimate) * 500 < estimate {
        set_factor((u128::from(stamps) * u128::from(hertz) / ticks) as u64);
    }
}

struct Alarm {
    /// When the kernel wants to be told.
    wanted: Cell<u64>,
    /// When the timer will interrupt; `u64::MAX` when it is not running.
    armed: Cell<u64>,
    /// How the clock ran when it was set.
    factor: Cell<u64>,
}

static ALARM: PerCpu<Alarm> = PerCpu::new(|| Alarm {
    wanted: Cell::new(u64::MAX),
    armed: Cell::new(u64::MAX),
    factor: Cell::new(0),
});

/// Sets or clears this CPU's one-shot alarm, a time on the scale of [`now`]. Moving it later, or
/// clearing it, costs nothing: the timer then rings early once and is set again.
#[inline]
pub fn set_alarm(deadline: Option<u64>) {
    ALARM.with(|alarm| {
        let wanted = deadline.unwrap_or(u64::MAX);
        alarm.wanted.set(wanted);
        // Somebody has to look at a short counter even when nobody wants to be told of anything.
        let unwatched = || alarm.armed.get() == u64::MAX && counter::current() != Source::Tsc;
        if wanted < alarm.armed.get() || unwatched() {
            arm(alarm);
        }
    });
}

/// This CPU was made to look: perhaps the clock runs at another rate, and its alarm would ring too late.
pub(super) fn kicked() {
    ALARM.with(|alarm| {
        let factor = SCALE.factor.load(Ordering::Relaxed);
        if alarm.wanted.get() != u64::MAX && alarm.factor.get() != factor {
            arm(alarm);
        }
    });
}

/// Starts the timer for what is wanted.
fn arm(alarm: &Alarm) {
    let deadline = alarm.wanted.get();
    let left = deadline.saturating_sub(now());
    alarm.armed.set(deadline);
    let factor = SCALE.factor.load(Ordering::Relaxed).max(1);
    alarm.factor.set(factor);
    // The timers do not run at another rate because the clock does.
    let raw_factor = SCALE.raw_factor.load(Ordering::Relaxed);
    let left = match factor == raw_factor {
        true => left,
        false => {
            let raw = u128::from(left) * u128::from(raw_factor) / u128::from(factor);
            u64::try_from(raw).unwrap_or(u64::MAX)
        }
    };
    let left = match counter::current() {
        Source::Tsc => left,
        source => left.min(source.patience().unwrap_or(u64::MAX)),
    };
    match ALARM_KIND.load(Ordering::Relaxed) {
        BY_DEADLINE => {
            let factor = TSC_FACTOR.load(Ordering::Relaxed).max(1);
            let stamps = (u128::from(left) << 32) / u128::from(factor) + 1;
            let stamps = u64::try_from(stamps)
                .unwrap_or(u64::MAX / 2)
                .min(u64::MAX / 2);
            apic::set_deadline(rdtsc().wrapping_add(stamps));
        }
        BY_COUNT => {
            let factor = APIC_FACTOR.load(Ordering::Relaxed);
            // An hour at most: then it rings early and is set again.
            let ticks = scaled(left.min(3_600_000_000_000), factor) + 1;
            apic::set_count(u32::try_from(ticks).unwrap_or(u32::MAX));
        }
        _ => {
            let ticks = (left.min(50_000_000) * PIT_HERTZ / 1_000_000_000).clamp(1, 0xffff) as u16;
            let [low, high] = ticks.to_le_bytes();
            // SAFETY: channel 0 is the alarm (mode 0: interrupt at the end of the count).
            unsafe {
                out_u8(PIT_COMMAND, 0x30);
                out_u8(CHANNEL_0, low);
                out_u8(CHANNEL_0, high);
            }
        }
    }
}

/// The timer has interrupted.
pub(super) fn alarm() {
    ALARM.with(|alarm| {
        alarm.armed.set(u64::MAX);
        let now = now();
        let wanted = alarm.wanted.get();
        if wanted <= now {
            alarm.wanted.set(u64::MAX);
        }
        if alarm.wanted.get() != u64::MAX || counter::current() != Source::Tsc {
            arm(alarm);
        }
        if now >= LOOK_AT.load(Ordering::Relaxed) {
            look_again();
        }
    });
}
