//! Programs that mean harm. Each may be refused or may die; the system goes on as if nothing had been, and what they took
//! comes back.
//!
//! On a machine of more than a gibibyte the tests suppose that others work there too, and bound what they take.

mod addresses;
mod calls;
mod ending;
mod exhaustion;
mod instructions;
mod lifetimes;
mod native;
mod programs;
mod races;
mod recursion;
mod returns;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("addresses", addresses::TESTS),
        ("instructions", instructions::TESTS),
        ("returns", returns::TESTS),
        ("recursion", recursion::TESTS),
        ("calls", calls::TESTS),
        ("native", native::TESTS),
        ("programs", programs::TESTS),
        ("exhaustion", exhaustion::TESTS),
        ("races", races::TESTS),
        ("lifetimes", lifetimes::TESTS),
    ],
    helpers: programs::HELPERS,
    limit: 240,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
