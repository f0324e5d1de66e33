//! `latency`: how late processors come back to those who sleep until a time.
//!
//! One program in two parts: [`parent`], which the user starts, and [`worker`], of which it starts one on each
//! processor. A native program has no threads, so they are processes; what they find goes through one pipe.
#![cfg_attr(panic = "abort", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

mod parent;
mod worker;

use alloc::string::String;
use alloc::vec::Vec;
use commands::Misuse;
use helve::environment;
use latency_report::plan::{Plan, USAGE};

helve::program!(run);

/// The first argument of a worker; its others are its number, the interval, the count and the time.
const WORKER: &str = "--worker";

/// Exit status when somebody was later than allowed.
const TOO_LATE: u8 = 3;

fn run() -> u8 {
    let arguments: Vec<String> = environment::arguments().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words.as_slice() {
        [WORKER, numbers @ ..] => worker::run(numbers).map(|()| true),
        ["--help" | "-h", ..] => {
            helve::print!("{USAGE}");
            return 0;
        }
        _ => match Plan::read(&arguments) {
            Ok(plan) => parent::run(plan),
            Err(Misuse(why)) => {
                helve::eprintln!("latency: {why} (latency --help tells more)");
                return 2;
            }
        },
    };
    match ended {
        Ok(true) => 0,
        Ok(false) => TOO_LATE,
        Err(error) => {
            helve::eprintln!("latency: {error}");
            1
        }
    }
}
