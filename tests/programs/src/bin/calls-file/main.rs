//! Files, directories and descriptors by direct calls: results and errors as the manual pages (sections 2 and 7) have them.

mod attributes;
mod descriptors;
mod devices;
mod directories;
mod faults;
mod names;
mod open;
mod permission;
mod pipe;
mod proc;
mod resolution;
mod stat;
mod transfer;
mod vectors;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("open", open::TESTS),
        ("descriptors", descriptors::TESTS),
        ("transfer", transfer::TESTS),
        ("vectors", vectors::TESTS),
        ("names", names::TESTS),
        ("attributes", attributes::TESTS),
        ("resolution", resolution::TESTS),
        ("directories", directories::TESTS),
        ("stat", stat::TESTS),
        ("permission", permission::TESTS),
        ("pipe", pipe::TESTS),
        ("devices", devices::TESTS),
        ("proc", proc::TESTS),
        ("faults", faults::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
