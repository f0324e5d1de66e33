//! `helve`: see `helve --help`.
#![forbid(unsafe_code)]

use clap::Parser;
use host::cli::{Cli, Commands};
use host::progress::say;
use host::{bench, check, children, exec, image, run, signals, system};
use std::process::ExitCode;

fn main() -> ExitCode {
    children::launch_if_asked();
    let cli = Cli::parse();
    let failed = if matches!(cli.command, Some(Commands::Exec(_))) {
        exec::FAILED
    } else {
        1
    };
    let result = signals::clean_up_on_end().and_then(|()| match &cli.command {
        None => run::run(&cli.run),
        Some(Commands::Run(options)) => run::run(options),
        Some(Commands::Exec(options)) => exec::execute(options),
        Some(Commands::Test(options)) => system::test(options),
        Some(Commands::Bench(options)) => bench::bench(options),
        Some(Commands::Image(options)) => image::image(options),
        Some(Commands::Check(options)) => check::check(options),
    });
    let status = result.unwrap_or_else(|error| {
        say(format!("{error:#}"));
        failed
    });
    ExitCode::from(status)
}
