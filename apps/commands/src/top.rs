//! `top`: the processors, and the processes that use most of them, looked at again and again.
//!
//! What is shown is the difference of two looks. On a terminal it fills the screen and listens to keys; elsewhere it
//! prints one look below the other.

mod frame;

use crate::options::{Options, positive};
use crate::screen::Screen;
use crate::sleep::duration;
use crate::{Misuse, failed};
use alloc::string::String;
use frame::{Look, Order, frame};
use helve::{Error, environment, io, time};

/// Between two looks, if nothing else is said.
const DELAY: u64 = 2 * time::SECOND;
/// The first look is compared with one this much earlier.
const FIRST: u64 = time::SECOND / 5;

/// What the arguments ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    screen: bool,
    delay: u64,
    count: Option<u64>,
    order: Order,
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Plan, Misuse> {
        let options = Options::new(arguments, "bd:n:s:")?;
        options.no_operands()?;
        let interval = |text: &str| duration(text).filter(|delay| *delay > 0);
        let delay = options.value('d', "a time", interval)?;
        Ok(Plan {
            screen: !options.has('b'),
            delay: delay.unwrap_or(DELAY),
            count: options.value('n', "a number of looks", positive)?,
            order: options
                .value('s', "an order", Order::of_name)?
                .unwrap_or(Order::Cpu),
        })
    }
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let plan = Plan::read(arguments)?;
    let input = environment::handle("in").ok();
    let input = input.as_deref().filter(|_| plan.screen);
    let screen = input.and_then(|input| Screen::new(input).ok());
    let ended = match &screen {
        Some(screen) => interact(screen, plan),
        None => print(plan),
    };
    drop(screen);
    Ok(ended.map_or_else(|error| failed("top", "process:", error), |()| 0))
}

/// One look below the other, each with all processes.
fn print(plan: Plan) -> Result<(), Error> {
    let mut before = Look::now()?;
    time::sleep(FIRST)?;
    let mut shown = 0;
    loop {
        let now = Look::now()?;
        let mut text = frame(&before, &now, plan.order);
        if shown > 0 {
            text.insert(0, '\n');
        }
        io::output().write_all(text.as_bytes())?;
        shown += 1;
        if Some(shown) == plan.count {
            return Ok(());
        }
        before = now;
        time::sleep(plan.delay)?;
    }
}

/// A screenful at a time, until `q`.
fn interact(screen: &Screen<'_>, plan: Plan) -> Result<(), Error> {
    let mut order = plan.order;
    let mut before = Look::now()?;
    time::sleep(FIRST)?;
    let mut now = Look::now()?;
    let mut shown = 1;
    loop {
        screen.show(&frame(&before, &now, order))?;
        let next = now.time.saturating_add(plan.delay);
        match screen.key(next)? {
            Some(b'q' | b'Q' | 3 | 4) => return Ok(()),
            Some(key) => match Order::of_key(key) {
                // The same look in another order.
                Some(other) => {
                    order = other;
                    continue;
                }
                None if key == b' ' => {}
                None => continue,
            },
            None => {}
        }
        if Some(shown) == plan.count {
            return Ok(());
        }
        shown += 1;
        let look = Look::now()?;
        before = core::mem::replace(&mut now, look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Option<Plan> {
        let arguments: alloc::vec::Vec<String> =
            arguments.iter().map(|text| (*text).into()).collect();
        Plan::read(&arguments).ok()
    }

    #[test]
    fn what_the_arguments_mean() {
        let plain = Plan {
            screen: true,
            delay: DELAY,
            count: None,
            order: Order::Cpu,
        };
        assert_eq!(plan(&[]), Some(plain));
        let all = Plan {
            screen: false,
            delay: time::SECOND / 2,
            count: Some(3),
            order: Order::Memory,
        };
        assert_eq!(plan(&["-b", "-d", "0.5", "-n3", "-s", "memory"]), Some(all));
        for wrong in [
            &["-d", "0"][..],
            &["-d", "x"],
            &["-n", "0"],
            &["-s", "size"],
            &["-x"],
            &["1"],
        ] {
            assert_eq!(plan(wrong), None, "{wrong:?}");
        }
    }
}
