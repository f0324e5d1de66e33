//! The command line of `helve`: every option of every command, with its help.

use crate::exec::parse_give;
use crate::exec::session::Give;
use crate::kernel::Profile;
use crate::qemu::Choice;
use crate::quantity::{parse_duration, parse_memory};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Builds, boots, tests and measures the Helve operating system.
///
/// Without a command: the same as `helve run`. In the source tree, `cargo run -- ...` is this program.
#[derive(Debug, Parser)]
#[command(
    name = "helve",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Commands>,
    #[command(flatten)]
    pub run: RunOptions,
}

#[derive(Debug, Subcommand)]
pub enum Commands {
    Run(RunOptions),
    Exec(ExecOptions),
    Test(TestOptions),
    Bench(BenchOptions),
    Image(ImageOptions),
    Check(CheckOptions),
}

/// Boots Helve to its shell in this terminal.
///
/// Builds the kernel and the native programs first, and installs QEMU if this is root on Debian or Ubuntu. Leave with Ctrl-A X, or
/// with `poweroff` in the shell. If standard input is not a terminal, its lines are typed into the shell, and the machine is
/// turned off at their end.
#[derive(Debug, Args)]
pub struct RunOptions {
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Give the guest a copy of a file or directory of this machine (repeatable): file:HOST[:GUEST]:ro
    ///
    /// A Linux program that is given can be started in the shell by its path, or by its name if it is in /bin:
    /// --give file:/bin/busybox:ro. The libraries that it needs are given along. See `exec` for the form.
    #[arg(long, value_name = "WHAT", value_parser = parse_give)]
    pub give: Vec<Give>,
    /// Write everything that the guest's serial console shows to this file, too
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Build without debug assertions, optimised (the default)
    #[arg(long, conflicts_with = "debug")]
    pub release: bool,
    /// Build with debug assertions
    #[arg(long)]
    pub debug: bool,
}

impl RunOptions {
    /// The profile to build with.
    pub fn profile(&self) -> Profile {
        Profile::of(self.debug)
    }
}

/// The virtual machine.
#[derive(Debug, Args)]
pub struct MachineOptions {
    /// Memory of the machine: a number with K, M or G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_memory)]
    pub memory: u64,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// How the machine is run
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub accel: Choice,
    /// Words to add to the kernel command line
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub append: String,
}

/// Runs one Linux program of this machine as the first program of a virtual machine.
///
/// Standard input, output and error pass through unchanged, and nothing else appears on them. If standard input and standard
/// output are both terminals, the program gets a terminal (see --tty), and Ctrl-A X leaves.
///
/// The loader and the libraries of a dynamic program are found as ld.so(8) would find them, and given along. What it opens by
/// itself while it runs (modules, plugins, locales) must be given with --give.
///
/// The program's environment is PATH, HOME=/root and what --env gives, with TERM if it has a terminal. It is found at the
/// same path as here; the rest of the guest's file system is in memory and nearly empty.
///
/// Exit status: the program's own; 128 + N if signal N ended it; 124 if --timeout ran out; 125 if Helve itself failed; 126 if the
/// program is not an x86-64 ELF file or a library that it needs is not here; 127 if it was not found; 141 if the reader of standard output went away.
#[derive(Debug, Args)]
#[command(override_usage = "helve exec [OPTIONS] -- PROGRAM [ARGS]...")]
pub struct ExecOptions {
    /// Memory of the machine: a number with K, M or G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_memory)]
    pub memory: u64,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// Add a variable to the program's environment (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub env: Vec<OsString>,
    /// Working directory in the guest; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "/", value_parser = parse_absolute)]
    pub cwd: String,
    /// Give the guest a copy of a file or directory of this machine (repeatable): file:HOST[:GUEST]:ro
    ///
    /// GUEST is where it appears, by default at the same absolute path. For now it is copied into the initial file system, so it
    /// needs that much of the guest's memory, and changes stay in the guest.
    #[arg(long, value_name = "WHAT", value_parser = parse_give)]
    pub give: Vec<Give>,
    /// Write the kernel's log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Show the build and the kernel's log on standard error
    #[arg(short, long)]
    pub verbose: bool,
    /// At the end, list on standard error the Linux calls that the program made and Helve does not have
    #[arg(long)]
    pub missing: bool,
    /// End the program after this time, with status 124: a number with ms, s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Whether the program gets a terminal
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub tty: When,
    /// Give the program a terminal: short for --tty always
    #[arg(short = 't', conflicts_with = "tty")]
    pub terminal: bool,
    /// How the machine is run
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub accel: Choice,
    /// Words to add to the kernel command line
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub append: String,
    /// Boot this kernel, as an earlier build left it (`helve-kernel.image`), instead of building it
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM"
    )]
    pub command: Vec<OsString>,
}

impl ExecOptions {
    /// Whether the program gets a terminal, given whether this process has one on both sides.
    pub fn wants_tty(&self, on_both_sides: bool) -> bool {
        match self.tty {
            _ if self.terminal => true,
            When::Auto => on_both_sides,
            When::Always => true,
            When::Never => false,
        }
    }
}

/// A choice that can be left to the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum When {
    /// If standard input and standard output are terminals
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Boots the system tests: programs and sessions inside the virtual machine.
///
/// `cargo test` runs every crate's own tests before these.
#[derive(Debug, Clone, Default, Args)]
pub struct TestOptions {
    /// Run only tests whose name contains one of these
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
    /// Only list the tests
    #[arg(long)]
    pub list: bool,
    /// Number of CPUs of the machines that are booted
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// How the machine is run
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub accel: Choice,
    /// Boot a kernel with debug assertions, which also checks in what order locks are taken; slow
    #[arg(long)]
    pub debug: bool,
}

impl TestOptions {
    /// The profile to build the kernel with.
    pub fn profile(&self) -> Profile {
        Profile::of(self.debug)
    }
}

/// Measures Helve beside Debian's Linux kernel: the same programs, in turn, in the same virtual machine.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// How often each system is measured; the medians count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,
    /// Count instructions instead of time: the same result each time, but nobody's real speed
    #[arg(long, conflicts_with = "cpus")]
    pub icount: bool,
    /// Measure only benchmarks whose name contains this
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Processors of the machine; with more than one it is measured too what they gain
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// Save the table as bench/results.md, with --cpus N as bench/results-N-cpus.md, with --icount as bench/counts.md
    #[arg(long)]
    pub save: bool,
    /// Memory of the machine: a number with K, M or G
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_memory)]
    pub memory: u64,
    /// How the machine is run
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub accel: Choice,
}

/// Makes a disc image that boots Helve on BIOS and UEFI machines (GRUB, Multiboot2).
#[derive(Debug, Args)]
pub struct ImageOptions {
    /// Where to write the image
    #[arg(long, value_name = "FILE.iso")]
    pub out: PathBuf,
    /// Words to add to the kernel command line
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub append: String,
}

/// Counts `unsafe` in every crate; fails if any is where it must not be.
#[derive(Debug, Args)]
pub struct CheckOptions {}

fn parse_variable(text: &str) -> Result<OsString, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.into()),
        _ => Err("the form is NAME=VALUE".into()),
    }
}

fn parse_absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.into())
    } else {
        Err("not an absolute path".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        let cli = Cli::try_parse_from(["helve", "--memory", "1G"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.run.machine.memory, 1 << 30);
    }

    #[test]
    fn exec_leaves_the_programs_options_alone() {
        let words = [
            "helve", "exec", "--env", "A=b", "-t", "--", "/bin/ls", "-l", "--tty", "--", "x",
        ];
        let Some(Commands::Exec(exec)) = Cli::try_parse_from(words).unwrap().command else {
            panic!()
        };
        assert_eq!(exec.command, ["/bin/ls", "-l", "--tty", "--", "x"]);
        assert_eq!(
            (&exec.env, exec.wants_tty(false)),
            (&vec![OsString::from("A=b")], true)
        );
        let words = ["helve", "exec", "--tty", "never", "/bin/ls", "-l"];
        let Some(Commands::Exec(exec)) = Cli::try_parse_from(words).unwrap().command else {
            panic!()
        };
        assert_eq!((exec.command.len(), exec.wants_tty(true)), (2, false));
        assert!(Cli::try_parse_from(["helve", "exec"]).is_err());
        assert!(Cli::try_parse_from(["helve", "exec", "--env", "A", "x"]).is_err());
    }
}
