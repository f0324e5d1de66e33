//! Control groups by files: cgroups(7), Documentation/admin-guide/cgroup-v2.rst.
//!
//! On Linux they run where a cgroup2 file system is mounted, those of controllers where it has these (which is not where
//! version 1 has them); elsewhere they find nothing to test and pass.

mod controllers;
mod cpu;
mod membership;
mod place;
mod tree;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("tree", tree::TESTS),
        ("membership", membership::TESTS),
        ("controllers", controllers::TESTS),
        ("cpu", cpu::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
