//! How a task's CPU time is divided between user mode and the kernel.
//!
//! The one idea: the whole is known exactly, because turns are timed; to time every entry into the kernel too would cost
//! more than many a call does. So some of the ways around, user mode → kernel → user mode, are timed, and what lies between
//! two of them is divided in the same proportion. How many is decided by how long they are: about one in [`PERIOD`], so who
//! enters the kernel seldom is timed exactly, and who does so all the time at every [`LARGEST_GAP`]th entry. The gaps
//! vary, so that a program's own rhythm cannot hide anything. Every nanosecond goes to one of the two, none to both.
//!
//! All times here are on the task's own scale: nanoseconds of CPU time since its birth. So waiting, in the middle of a call
//! too, is nowhere to be seen. Pure: the time is an argument.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use machine::sync::Spin;

/// One way around is timed in about so many nanoseconds.
const PERIOD: u64 = 64_000;
/// At least one entry of so many is looked at, and half as many again.
const LARGEST_GAP: u32 = 128;
/// What was seen counts for so many more ways around that are timed, less and less.
const MEMORY: u64 = 128;

/// CPU time, in nanoseconds, told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
}

impl Times {
    /// Both together.
    pub fn sum(self) -> u64 {
        self.user + self.system
    }
}

impl core::ops::Add for Times {
    type Output = Times;

    fn add(self, other: Times) -> Times {
        Times {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

impl core::iter::Sum for Times {
    fn sum<I: Iterator<Item = Times>>(times: I) -> Times {
        times.fold(Times::default(), |sum, times| sum + times)
    }
}

/// Sees to it that what was told once never goes back, although estimates do.
#[derive(Debug, Default)]
pub(crate) struct Told(Times);

impl Told {
    /// Divides `whole` with about so much of it in user mode.
    pub fn tell(&mut self, whole: u64, user: u64) -> Times {
        let user = user.min(whole.saturating_sub(self.0.system));
        let user = user.max(self.0.user);
        self.0 = Times {
            user,
            system: whole.saturating_sub(user).max(self.0.system),
        };
        self.0
    }
}

/// Of one task. Whoever runs the task says when it enters the kernel and leaves it; anybody asks.
#[derive(Default)]
pub(crate) struct Split {
    /// How many entries from now one is looked at. Only who runs the task writes it, and the flag.
    countdown: AtomicU32,
    /// When the kernel is left, that is to be said.
    timing: AtomicBool,
    seen: Spin<Seen>,
}

impl Split {
    /// Of a task that begins in the kernel.
    pub fn new() -> Split {
        Split {
            timing: AtomicBool::new(true),
            ..Split::default()
        }
    }

    /// The kernel is entered: whether that is to be looked at. For every entry: three instructions.
    #[inline(always)]
    pub fn counts_down(&self) -> bool {
        let left = self.countdown.load(Relaxed).wrapping_sub(1);
        self.countdown.store(left, Relaxed);
        left == 0
    }

    /// Whether it is to be said when the kernel is left.
    #[inline]
    pub fn is_timing(&self) -> bool {
        self.timing.load(Relaxed)
    }

    /// The kernel was entered at `now`, which was to be looked at or was looked at anyway; gives what is known by that to
    /// have been user mode.
    pub fn entered(&self, now: u64) -> u64 {
        let mut seen = self.seen.lock();
        let entries = self.entries(&seen);
        let before = seen.times.user;
        let closes = seen.mode == Mode::User;
        if seen.mode == Mode::Unknown && self.countdown.load(Relaxed) != 0 {
            // Out of turn: it stands for nobody but itself.
            seen.weight = 1;
        }
        seen.attribute(now, entries, Place::Entry);
        if closes {
            seen.came_around();
        }
        let goes_on = closes && seen.gap > 1;
        seen.mode = match goes_on {
            true => Mode::Unknown,
            false => Mode::Kernel,
        };
        if goes_on {
            self.countdown.store(seen.gap - 1, Relaxed);
        }
        self.timing.store(!goes_on, Relaxed);
        seen.times.user - before
    }

    /// It is in the kernel at `now`, as it was for an unknown while; gives what was user mode before that.
    pub fn is_in_kernel(&self, now: u64) -> u64 {
        if self.is_timing() {
            return 0;
        }
        let mut seen = self.seen.lock();
        let entries = self.entries(&seen);
        let before = seen.times.user;
        seen.attribute(now, entries, Place::LongCall);
        // Part of a way around, which is not like others: its length says nothing of theirs.
        seen.weight = 0;
        seen.mode = Mode::Kernel;
        self.timing.store(true, Relaxed);
        seen.times.user - before
    }

    /// The kernel was left at `now`, which was to be said.
    pub fn left(&self, now: u64) {
        let mut seen = self.seen.lock();
        let began = seen.last;
        seen.attribute(now, 0, Place::Entry);
        seen.kernel = seen.last - began;
        seen.mode = Mode::User;
        self.countdown.store(1, Relaxed);
        self.timing.store(false, Relaxed);
    }

    /// How `whole()` divides, which is asked for while nothing changes.
    pub fn read(&self, whole: impl FnOnce() -> u64) -> Times {
        let mut seen = self.seen.lock();
        let whole = whole().max(seen.last);
        let entries = self.entries(&seen);
        let user = seen.times.user + seen.user_part(whole - seen.last, entries, Place::Entry);
        seen.told.tell(whole, user)
    }

    /// How many ways around there were since the last look.
    fn entries(&self, seen: &Seen) -> u32 {
        match seen.mode {
            Mode::Unknown => seen.gap.saturating_sub(self.countdown.load(Relaxed)),
            _ => 0,
        }
    }
}

/// What the time since the last look is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Kernel,
    User,
    /// Ways around that nobody timed.
    Unknown,
}

/// Where time is divided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Entry,
    /// In a call that has worked for so long that it lets interrupts in.
    LongCall,
}

/// A call lets interrupts in after less than this, in nanoseconds: it wants to after a tenth, but counts its work and not
/// the time.
const LONG_CALL: u64 = 640_000;

struct Seen {
    /// Until when all time is divided, and how.
    last: u64,
    times: Times,
    mode: Mode,
    /// The time in the kernel of the way around that is being timed.
    kernel: u64,
    /// Every so many entries one is looked at.
    gap: u32,
    /// For how many ways around the one stands that is being timed.
    weight: u32,
    /// The ways around of late, and the time they took.
    ways: u64,
    sums: Times,
    /// The last pseudo-random number.
    random: u32,
    user: u64,
    told: Told,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            last: 0,
            times: Times::default(),
            mode: Mode::Kernel,
            kernel: 0,
            gap: 1,
            weight: 1,
            ways: 0,
            sums: Times::default(),
            random: 1,
            user: 0,
            told: Told::default(),
        }
    }
}

impl Seen {
    /// Divides the time from the last look until now, in which there were so many unknown ways around.
    fn attribute(&mut self, now: u64, entries: u32, place: Place) {
        let passed = now.saturating_sub(self.last);
        let user = self.user_part(passed, entries, place);
        self.times.user += user;
        self.times.system += passed - user;
        self.user = user;
        self.last += passed;
    }

    fn user_part(&self, passed: u64, entries: u32, place: Place) -> u64 {
        match self.mode {
            Mode::Kernel => 0,
            Mode::User => passed,
            Mode::Unknown => {
                let all = self.sums.sum().max(1);
                let usual = |ways: u32| (all / self.ways.max(1)).saturating_mul(ways.into());
                // What is far more than such ways take was one long time. Long work in the kernel lets interrupts in, which
                // is a look: so it was either the beginning of that, or user mode.
                let (shared, kernel) = match place {
                    Place::Entry => (
                        usual(entries)
                            .saturating_mul(8)
                            .saturating_add(LONG_CALL * u64::from(entries)),
                        0,
                    ),
                    // The last way is this call, in which nothing was user mode.
                    Place::LongCall if entries <= 1 => (0, passed),
                    Place::LongCall => (usual(entries - 1).saturating_mul(2), LONG_CALL),
                };
                let shared = passed.min(shared);
                let part = u128::from(shared) * u128::from(self.sums.user) / u128::from(all);
                part as u64 + (passed - shared).saturating_sub(kernel)
            }
        }
    }

    /// A way around was timed to its end: remembers it, and decides when the next one is.
    fn came_around(&mut self) {
        let (kernel, user) = (self.kernel, self.user);
        // Long ways that are all timed say nothing of those that are not.
        let alone = self.weight == 1 && kernel + user >= PERIOD;
        let weight = u64::from(if alone { 0 } else { self.weight });
        let keep = |sum: u64, new: u64| {
            let sum = sum - sum / MEMORY;
            sum.saturating_add(new.saturating_mul(weight))
        };
        self.ways = keep(self.ways, 1);
        self.sums.user = keep(self.sums.user, user);
        self.sums.system = keep(self.sums.system, kernel);
        let fits = PERIOD / (kernel + user).max(1);
        let most = LARGEST_GAP.min(self.gap.saturating_mul(8));
        let usual = u32::try_from(fits).unwrap_or(most).clamp(1, most);
        // Knuth, The Art of Computer Programming, volume 2, 3.3.4: a linear congruential generator, whose high bits count.
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.gap = match usual {
            1 => 1,
            usual => usual / 2 + 1 + (self.random >> 16) % usual,
        };
        self.weight = self.gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Runs ways around (in the kernel, in user mode) on a new task's scale; gives what was told after each, what is true
    /// at the end, and how often it was looked at.
    fn run(ways: impl IntoIterator<Item = (u64, u64)>) -> (Vec<Times>, Times, u32) {
        let split = Split::new();
        let (mut truth, mut told, mut looks) = (Times::default(), Vec::new(), 0);
        for (kernel, user) in ways {
            truth.system += kernel;
            if split.is_timing() {
                split.left(truth.sum());
                looks += 1;
            }
            truth.user += user;
            if split.counts_down() {
                split.entered(truth.sum());
                looks += 1;
            }
            told.push(split.read(|| truth.sum()));
            assert_eq!(told.last().map(|times| times.sum()), Some(truth.sum()));
        }
        (told, truth, looks)
    }

    /// How far the last answer is off, in thousandths of the whole.
    fn error((told, truth, _): &(Vec<Times>, Times, u32)) -> u64 {
        let last = told.last().unwrap();
        last.user.abs_diff(truth.user) * 1000 / truth.sum()
    }

    #[test]
    fn who_enters_seldom_is_timed_exactly() {
        let run = run((0..1000).map(|i| (60_000 + i, 1_000 * i)));
        assert_eq!(run.0.last(), Some(&run.1));
    }

    #[test]
    fn a_steady_rhythm_costs_few_looks() {
        let run = run(core::iter::repeat_n((150, 50), 100_000));
        assert!(error(&run) <= 5, "{:?} {:?}", run.0.last(), run.1);
        assert!(run.2 < 100_000 / 30, "{} looks", run.2);
    }

    #[test]
    fn a_rhythm_like_that_of_the_looks_hides_nothing() {
        for every in [2, 3, 16, 32, 64, 127, 128] {
            let run = run((0..1_000_000u64).map(|i| {
                if i % every == 0 {
                    (20_000, 50)
                } else {
                    (100, 100)
                }
            }));
            assert!(error(&run) < 60, "{every}: {:?} {:?}", run.0.last(), run.1);
        }
    }

    #[test]
    fn a_long_time_after_short_calls_is_user_mode() {
        // Ten seconds after each thousand calls, of which hardly one is looked at.
        let run =
            run((1..20_000u64).map(|i| (100, if i % 1000 == 0 { 10_000_000_000 } else { 100 })));
        assert!(error(&run) < 10, "{:?} {:?}", run.0.last(), run.1);
    }

    #[test]
    fn long_work_in_a_call_lets_interrupts_in_and_so_it_shows() {
        let split = Split::new();
        let mut now = 0;
        let mut in_calls = 0;
        for i in 1..100_000u64 {
            let begin = now;
            now += 100;
            if i % 1000 == 0 {
                for _ in 0..20 {
                    now += 64_000;
                    split.is_in_kernel(now);
                }
            }
            in_calls += now - begin;
            if split.is_timing() {
                split.left(now);
            }
            now += 100;
            if split.counts_down() {
                split.entered(now);
            }
        }
        let told = split.read(|| now);
        let off = told.system.abs_diff(in_calls) * 1000 / now;
        assert!(off < 10, "{told:?} {in_calls} of {now}");
    }

    #[test]
    fn who_computed_before_may_read_much_now() {
        let split = Split::new();
        let mut now = 0;
        let enter = |now: u64| {
            if split.counts_down() {
                split.entered(now);
            }
        };
        let leave = |now: u64| {
            if split.is_timing() {
                split.left(now);
            }
        };
        for _ in 0..300 {
            now += 400;
            leave(now);
            now += 1_000_000;
            enter(now);
        }
        let before = split.read(|| now);
        for _ in 0..1000 {
            // A call that tells the time, and one that reads: it looks up four times.
            for parts in [1, 4] {
                for part in 0..parts {
                    now += if parts == 1 { 400 } else { 70_000 };
                    if part > 0 {
                        split.is_in_kernel(now);
                    }
                }
                leave(now);
                now += 300;
                enter(now);
            }
        }
        let after = split.read(|| now);
        let user = after.user - before.user;
        assert!((500_000..2_000_000).contains(&user), "{before:?} {after:?}");
    }

    #[test]
    fn calls_that_are_long_but_do_not_say_so_are_seen() {
        // One that tells the time, and one that reads.
        let calls = [(400, 300), (300_000, 300)];
        let run = run((0..2000).map(|i| calls[i % 2]));
        assert!(error(&run) < 30, "{:?} {:?}", run.0.last(), run.1);
    }

    #[test]
    fn what_was_told_never_goes_back() {
        let mut told = Told::default();
        assert_eq!(
            told.tell(100, 90),
            Times {
                user: 90,
                system: 10
            }
        );
        assert_eq!(
            told.tell(110, 50),
            Times {
                user: 90,
                system: 20
            }
        );
        assert_eq!(
            told.tell(120, 120),
            Times {
                user: 100,
                system: 20
            }
        );
        // Nor does the whole, whoever's clock is a little behind.
        assert_eq!(
            told.tell(119, 0),
            Times {
                user: 100,
                system: 20
            }
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The sum is exact at any time and nothing goes back, whatever the program does; over a mixture without a plan
        /// the estimate is close.
        #[test]
        fn everything_is_somewhere(
            kinds in prop::collection::vec((0u64..100_000, 0u64..100_000), 1..6),
            order in prop::collection::vec(0usize..6, 20_000),
        ) {
            let run = run(order.iter().map(|kind| kinds[kind % kinds.len()]));
            for pair in run.0.windows(2) {
                prop_assert!(pair[0].user <= pair[1].user && pair[0].system <= pair[1].system);
            }
            if run.1.sum() > 0 {
                prop_assert!(error(&run) < 60, "{:?} {:?}", run.0.last(), run.1);
            }
        }

        /// However it is called, it counts on and does not panic.
        #[test]
        fn any_order_of_reports_is_survived(steps in prop::collection::vec((0u8..5, any::<u64>()), 0..200)) {
            let split = Split::new();
            let mut now = 0u64;
            for (step, more) in steps {
                now = now.saturating_add(more >> 8);
                match step {
                    0 => { split.entered(now); }
                    1 => split.left(now),
                    2 => { split.is_in_kernel(now); }
                    3 => { split.counts_down(); }
                    _ => { prop_assert_eq!(split.read(|| now).sum(), now); }
                }
            }
        }
    }
}
