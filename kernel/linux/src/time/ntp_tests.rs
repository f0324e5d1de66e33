//! The discipline of a clock, second by second.

use super::ntp::*;
use proptest::prelude::*;

const ONE: i64 = 1 << 32;

fn with(modes: u32, set: impl FnOnce(&mut Timex)) -> Timex {
    let mut wanted = Timex {
        modes,
        ..Timex::default()
    };
    set(&mut wanted);
    wanted
}

/// Counts seconds until there is nothing to do; gives the time by which the clock was moved, times 2^32.
fn run(ntp: &mut Ntp, mut now: u64) -> (i64, u64) {
    let (mut moved, begin) = (0, now);
    while let Some(next) = ntp.now(now).next {
        now = next;
        moved += ntp.turn(now).rate;
    }
    (moved, now - begin)
}

#[test]
fn nothing_is_known_at_first() {
    let mut ntp = Ntp::new();
    assert_eq!((ntp.state(), ntp.now(5)), (State::Error, Turn::default()));
    let report = ntp.report(5);
    assert_eq!(
        (report.status, report.tick, report.max_error),
        (sta::UNSYNC, TICK, MAX_ERROR)
    );
    ntp.change(
        &with(adj::STATUS | adj::MAXERROR, |t| t.max_error = 1000),
        5,
    );
    assert_eq!(ntp.state(), State::Ok);
    assert_eq!(ntp.report(15).max_error, 6000);
    assert_eq!(ntp.report(40_000).status, sta::UNSYNC);
}

#[test]
fn a_frequency_lasts() {
    let mut ntp = Ntp::new();
    ntp.change(&with(adj::FREQUENCY, |t| t.frequency = 100 << 16), 1);
    // 100 parts per million.
    assert_eq!(
        ntp.now(1),
        Turn {
            rate: 100_000 * ONE,
            leap: 0,
            next: None
        }
    );
    assert_eq!(ntp.report(2).frequency, 100 << 16);
    ntp.change(&with(adj::FREQUENCY, |t| t.frequency = i64::MAX), 1);
    assert_eq!(ntp.report(2).frequency, TOLERANCE);
    ntp.change(&with(adj::FREQUENCY | adj::TICK, |t| t.tick = 10_001), 1);
    assert_eq!(ntp.now(1).rate, 100_000 * ONE);
}

#[test]
fn adjtime_moves_the_clock_half_a_millisecond_a_second() {
    let mut ntp = Ntp::new();
    ntp.set_adjtime(-1700);
    assert_eq!(ntp.now(10).next, Some(11));
    assert_eq!(ntp.turn(11).rate, -500_000 * ONE);
    assert_eq!(ntp.adjtime(), -1200);
    assert_eq!(run(&mut ntp, 11), (-1_200_000 * ONE, 4));
    assert_eq!(ntp.turn(20), Turn::default());
}

#[test]
fn a_second_is_inserted_at_the_end_of_the_day() {
    let mut ntp = Ntp::new();
    ntp.change(&with(adj::STATUS, |t| t.status = sta::INS), 100);
    assert_eq!(ntp.now(100).next, Some(101));
    assert_eq!(ntp.turn(101).next, Some(DAY));
    assert_eq!(ntp.state, State::Insert);
    // The clock shows the second before again.
    assert_eq!(
        ntp.turn(DAY),
        Turn {
            rate: 0,
            leap: 1,
            next: Some(DAY)
        }
    );
    assert_eq!(ntp.state, State::InProgress);
    assert_eq!(ntp.turn(DAY), Turn::default());
    assert_eq!(ntp.state, State::Over);
    ntp.change(&with(adj::STATUS, |_| {}), DAY + 10);
    assert_eq!(run(&mut ntp, DAY + 10), (0, 1));
    assert_eq!(ntp.state, State::Ok);
}

#[test]
fn a_second_is_left_out() {
    let mut ntp = Ntp::new();
    ntp.change(&with(adj::STATUS, |t| t.status = sta::DEL), 100);
    assert_eq!(ntp.turn(101).next, Some(DAY - 1));
    assert_eq!(ntp.turn(DAY - 1).leap, -1);
    assert_eq!(ntp.state, State::Over);
    // Whoever changes his mind in time gets none.
    let mut ntp = Ntp::new();
    ntp.change(&with(adj::STATUS, |t| t.status = sta::DEL), 100);
    ntp.turn(101);
    ntp.change(&with(adj::STATUS, |_| {}), 102);
    assert_eq!(run(&mut ntp, 102), (0, 1));
    assert_eq!(ntp.state, State::Ok);
}

#[test]
fn setting_the_clock_ends_what_went_on() {
    let mut ntp = Ntp::new();
    let locked = sta::PLL | sta::NANO;
    ntp.change(&with(adj::STATUS | adj::NANO, |t| t.status = locked), 1);
    ntp.change(&with(adj::OFFSET, |t| t.offset = 5_000_000), 1);
    ntp.set_adjtime(100);
    assert!(ntp.turn(2).rate > 0);
    ntp.clock_was_set();
    assert_eq!((ntp.now(2), ntp.state()), (Turn::default(), State::Error));
}

proptest! {
    /// An offset is slewed away, all of it but for what is too little to matter, and never overshoots.
    #[test]
    fn an_offset_is_slewed(offset in -500_000_000i64..500_000_000, constant in 0i64..=10) {
        let mut ntp = Ntp::new();
        let set = adj::STATUS | adj::NANO | adj::TIMECONST;
        ntp.change(&with(set, |t| (t.status, t.constant) = (sta::PLL, constant)), 1000);
        ntp.change(&with(adj::OFFSET, |t| t.offset = offset), 1000);
        prop_assert_eq!(ntp.report(1000).offset, offset);
        // At once: it says nothing of the frequency.
        prop_assert_eq!(ntp.report(1000).frequency, 0);
        let (moved, seconds) = run(&mut ntp, 1000);
        prop_assert!((moved - offset * ONE).abs() <= 1 << 13);
        prop_assert!(seconds < 300_000);
    }

    /// Whatever is asked for, nothing overflows and the frequency stays in its bounds.
    #[test]
    fn nothing_overflows(
        steps in prop::collection::vec((any::<u32>(), any::<[i64; 5]>(), any::<i32>(), 1u64..5000), 1..40),
    ) {
        let mut ntp = Ntp::new();
        let mut now = 1_700_000_000;
        for (modes, [offset, frequency, max_error, estimated_error, constant], status, pause) in steps {
            let tick = 9000 + (offset % 2000).abs();
            let wanted = Timex {
                modes, offset, frequency, max_error, estimated_error, status, constant, tick,
            };
            ntp.change(&wanted, now);
            let report = ntp.report(now);
            prop_assert!(report.frequency.abs() <= TOLERANCE);
            prop_assert!((0..=MAX_ERROR).contains(&report.max_error));
            prop_assert!((0..=MAX_CONSTANT).contains(&report.constant));
            now += pause;
            let turn = ntp.turn(now);
            prop_assert!(turn.next.is_none_or(|next| next >= now));
        }
    }
}
