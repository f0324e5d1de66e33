//! adjtimex(2), clock_adjtime(2), and the clock that follows.
//!
//! The one idea: a timer on the wall clock rings at the beginning of the next second in which [`Ntp`] has something to
//! do, and there is none while it has nothing.

use super::clock;
use super::ntp::{Ntp, State, TICK, TOLERANCE, Timex, Turn, adj, sta};
use super::setting::check_authority;
use super::{CLOCK_REALTIME, SECOND};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;
use machine::cpu::Shared;
use machine::sync::Spin;
use task::{Deadline, TimerGuard};

/// `struct timex` in words of 8 bytes.
type Words = [u64; 26];

/// Which field is where.
mod word {
    pub const MODES: usize = 0;
    pub const OFFSET: usize = 1;
    pub const FREQUENCY: usize = 2;
    pub const MAX_ERROR: usize = 3;
    pub const ESTIMATED_ERROR: usize = 4;
    pub const STATUS: usize = 5;
    pub const CONSTANT: usize = 6;
    pub const PRECISION: usize = 7;
    pub const TOLERANCE: usize = 8;
    pub const SECONDS: usize = 9;
    pub const FRACTION: usize = 10;
    pub const TICK: usize = 11;
    pub const TAI: usize = 20;
}

/// The clock's discipline, and the timer that keeps it.
#[derive(Default)]
struct Keeper(Spin<Keeping>);

struct Keeping {
    ntp: Ntp,
    /// The rate that the clock has.
    rate: i64,
    timer: Option<TimerGuard>,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping {
            ntp: Ntp::new(),
            rate: 0,
            timer: None,
        }
    }
}

static KEEPER: Shared<Arc<Keeper>> = Shared::new(Arc::default);

fn second() -> u64 {
    task::clock::wall() / SECOND
}

impl Keeper {
    /// Makes the clock do what `turn` says, a leap excepted.
    fn follow(self: &Arc<Keeper>, keeping: &mut Keeping, turn: Turn) {
        if keeping.rate != turn.rate {
            keeping.rate = turn.rate;
            task::clock::set_rate(turn.rate);
        }
        let waker = || Waker::from(self.clone());
        let next = turn
            .next
            .map(|next| Deadline::Wall(next.saturating_mul(SECOND)));
        // Without memory nothing goes on until something is changed again.
        keeping.timer = next.and_then(|next| task::try_at(next, waker()).ok());
    }

    /// Changes something, and makes the clock follow.
    fn change<R>(self: &Arc<Keeper>, change: impl FnOnce(&mut Ntp) -> R) -> R {
        let mut keeping = self.0.lock();
        let result = change(&mut keeping.ntp);
        let turn = keeping.ntp.now(second());
        self.follow(&mut keeping, turn);
        result
    }
}

impl Wake for Keeper {
    /// A second begins.
    fn wake(self: Arc<Keeper>) {
        let mut keeping = self.0.lock();
        let turn = keeping.ntp.turn(second());
        self.follow(&mut keeping, turn);
        drop(keeping);
        if turn.leap != 0 {
            log::info!("clock: a leap second: {:+}", turn.leap);
            // Only in the first second of 1970 there is none to insert.
            let _ = task::clock::leap(turn.leap);
        }
    }
}

/// Somebody has set the wall clock.
pub fn clock_was_set() {
    KEEPER.get().change(Ntp::clock_was_set);
}

pub async fn adjtimex(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    adjust(call, to).await
}

pub async fn clock_adjtime(call: &mut Call<'_>, [number, to, ..]: Args) -> Answer {
    if u64::from(number as u32) != CLOCK_REALTIME {
        clock::find(call, number)?;
        return Err(Errno::EOPNOTSUPP);
    }
    adjust(call, to).await
}

async fn adjust(call: &mut Call<'_>, to: u64) -> Answer {
    let mut words: Words = call.read(to).await?;
    let state = apply(call, &mut words)?;
    call.write(to, &words).await?;
    Ok(state as usize)
}

fn check(call: &Call<'_>, wanted: &Timex) -> Result<(), Errno> {
    let has = |mode| wanted.modes & mode != 0;
    if has(adj::ADJTIME) {
        if !has(adj::OFFSET) {
            return Err(Errno::EINVAL);
        }
        if !has(adj::READ_ONLY) {
            check_authority(call)?;
        }
        return Ok(());
    }
    if wanted.modes != 0 {
        check_authority(call)?;
    }
    // A tenth more or less.
    if has(adj::TICK) && (wanted.tick - TICK).abs() > TICK / 10 {
        return Err(Errno::EINVAL);
    }
    // What cannot be counted in the clock's own unit.
    let too_much = wanted.frequency.checked_mul(1000 << 16).is_none();
    if has(adj::FREQUENCY) && too_much {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

fn apply(call: &Call<'_>, words: &mut Words) -> Result<State, Errno> {
    let wanted = Timex {
        modes: words[word::MODES] as u32,
        offset: words[word::OFFSET] as i64,
        frequency: words[word::FREQUENCY] as i64,
        max_error: words[word::MAX_ERROR] as i64,
        estimated_error: words[word::ESTIMATED_ERROR] as i64,
        status: words[word::STATUS] as i32,
        constant: words[word::CONSTANT] as i64,
        tick: words[word::TICK] as i64,
    };
    check(call, &wanted)?;
    let has = |mode| wanted.modes & mode != 0;
    let singly = has(adj::ADJTIME);
    if has(adj::SETOFFSET) && !singly {
        let unit = match has(adj::NANO) {
            true => 1,
            false => 1000,
        };
        step(words[word::SECONDS] as i64, words[word::FRACTION], unit)?;
    }
    if has(adj::TAI) && !singly && (0..=100_000).contains(&wanted.constant) {
        task::clock::set_tai_offset(wanted.constant as i32);
    }
    let keeper = KEEPER.get();
    let now = second();
    let (state, mut report) = match singly {
        true => keeper.change(|ntp| {
            let before = ntp.adjtime();
            if !has(adj::READ_ONLY) {
                ntp.set_adjtime(wanted.offset);
            }
            let mut report = ntp.report(now);
            report.offset = before;
            (ntp.state(), report)
        }),
        false if wanted.modes != 0 => keeper.change(|ntp| {
            ntp.change(&wanted, now);
            (ntp.state(), ntp.report(now))
        }),
        false => {
            let mut keeping = keeper.0.lock();
            let report = keeping.ntp.report(now);
            (keeping.ntp.state(), report)
        }
    };
    report.modes = wanted.modes;
    answer(words, &report);
    Ok(state)
}

/// Moves the clock by seconds and a fraction, which is never negative.
fn step(seconds: i64, fraction: u64, unit: u64) -> Result<(), Errno> {
    if fraction >= SECOND / unit {
        return Err(Errno::EINVAL);
    }
    let nanoseconds = seconds
        .checked_mul(SECOND as i64)
        .and_then(|whole| whole.checked_add((fraction * unit) as i64));
    task::clock::step_wall(nanoseconds.ok_or(Errno::EINVAL)?)?;
    clock_was_set();
    Ok(())
}

fn answer(words: &mut Words, report: &Timex) {
    let wall = task::clock::wall();
    let fraction = match report.status & sta::NANO {
        0 => wall % SECOND / 1000,
        _ => wall % SECOND,
    };
    *words = [0; 26];
    for (place, value) in [
        (word::MODES, i64::from(report.modes)),
        (word::OFFSET, report.offset),
        (word::FREQUENCY, report.frequency),
        (word::MAX_ERROR, report.max_error),
        (word::ESTIMATED_ERROR, report.estimated_error),
        (word::STATUS, i64::from(report.status)),
        (word::CONSTANT, report.constant),
        // In microseconds: what Linux says of every clock.
        (word::PRECISION, 1),
        (word::TOLERANCE, TOLERANCE),
        (word::SECONDS, (wall / SECOND) as i64),
        (word::FRACTION, fraction as i64),
        (word::TICK, report.tick),
        (word::TAI, i64::from(task::clock::tai_offset() as u32)),
    ] {
        words[place] = value as u64;
    }
}
