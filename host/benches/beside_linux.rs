//! `cargo bench`: the same as `cargo run -- bench`, with the same options behind `--`.
#![forbid(unsafe_code)]

use clap::Parser;
use host::cli::{Cli, Commands};
use host::progress::say;
use host::{bench, children, signals};
use std::process::ExitCode;

fn main() -> ExitCode {
    children::launch_if_asked();
    // Cargo adds a word of its own.
    let options = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let words = ["helve", "bench"].map(String::from);
    let Some(Commands::Bench(options)) = Cli::parse_from(words.into_iter().chain(options)).command
    else {
        return ExitCode::FAILURE;
    };
    let result = signals::clean_up_on_end().and_then(|()| bench::bench(&options));
    let status = result.unwrap_or_else(|error| {
        say(format!("{error:#}"));
        1
    });
    ExitCode::from(status)
}
