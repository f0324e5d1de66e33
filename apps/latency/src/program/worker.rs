//! Who measures: sleeps until a time, looks at the clock, and tells how late it is.

use alloc::vec::Vec;
use helve::{Error, Handle, io, time};
use latency_report::sample::{BATCH, SIZE, Sample};

/// What was found is told at least this often, in nanoseconds.
const TELL: u64 = time::SECOND / 10;

/// Measures as its parent says: its number, the interval, how often at most, how long at most.
pub fn run(numbers: &[&str]) -> Result<(), Error> {
    let number = |place: usize| numbers.get(place)?.parse::<u64>().ok();
    let numbers = (number(0), number(1), number(2), number(3));
    let (Some(worker), Some(interval @ 1..), Some(count), Some(time)) = numbers else {
        return Err(Error::Invalid);
    };
    let worker = worker as u16;
    let output = io::output();
    // It was told where to run; from the next turn on it is there, and can be given a reservation there.
    if !may_go_on(&io::input())? {
        return Ok(());
    }
    output.write_all(&Sample::Ready { worker }.to_bytes())?;
    if !may_go_on(&io::input())? {
        return Ok(());
    }
    let mut found = Vec::with_capacity(BATCH * SIZE);
    let mut next = time::now()?.saturating_add(interval);
    let mut told = next;
    let end = next.saturating_add(time);
    for left in (0..count).rev() {
        time::sleep_until(next)?;
        let now = time::now()?;
        let nanoseconds = now.saturating_sub(next);
        let sample = Sample::Late {
            worker,
            nanoseconds,
        };
        found.extend_from_slice(&sample.to_bytes());
        let is_last = left == 0 || now >= end;
        if found.len() >= BATCH * SIZE || now.saturating_sub(told) >= TELL || is_last {
            output.write_all(&found)?;
            found.clear();
            told = now;
        }
        if is_last {
            break;
        }
        // Those that are past by now are missed.
        let steps = nanoseconds / interval + 1;
        next = next.saturating_add(steps.saturating_mul(interval));
    }
    Ok(())
}

/// Waits for the parent's next byte; `false`: there is no parent any more.
fn may_go_on(input: &Handle) -> Result<bool, Error> {
    Ok(input.read(&mut [0])? > 0)
}
