//! Local sockets by direct calls: pairs, messages, files and credentials that travel, names and connections, options.

mod ancillary;
mod errors;
mod message;
mod names;
mod options;
mod pair;
mod records;
mod stream;

use std::process::ExitCode;
use test_programs::harness::Suite;

const SUITE: Suite = Suite {
    groups: &[
        ("pair", pair::TESTS),
        ("stream", stream::TESTS),
        ("records", records::TESTS),
        ("ancillary", ancillary::TESTS),
        ("names", names::TESTS),
        ("options", options::TESTS),
        ("errors", errors::TESTS),
    ],
    helpers: &[],
    limit: 60,
    root: true,
    machine: false,
};

fn main() -> ExitCode {
    SUITE.main()
}
