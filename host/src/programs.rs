//! Builds the programs that run in the guest: the native apps, the system tests and the benchmarks.

use crate::cargo::{self, Executable};
use crate::kernel::Profile;
use crate::progress::Show;
use crate::workspace::Workspace;
use anyhow::Result;

/// Target of every user program: they are static and start without this machine's libraries.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the native programs below `apps/`. They are placed as `/bin/NAME`.
pub fn native(workspace: &Workspace, profile: Profile, show: Show) -> Result<Vec<Executable>> {
    let mut command = cargo::command(workspace, "build");
    for package in workspace.packages_below("apps") {
        command.args(["-p", &package.name]);
    }
    command.args(["--bins", "--profile", profile.name(), "--target", TARGET]);
    command
        .arg("--target-dir")
        .arg(workspace.target().join("apps"));
    let mut programs = cargo::build(command, "the native programs", show)?;
    for program in &mut programs {
        if let Some(name) = program.name.strip_prefix("app-") {
            program.name = name.to_string();
        }
    }
    Ok(programs)
}

/// Builds the Linux test programs of `tests/programs`, statically linked.
pub fn tests(workspace: &Workspace, show: Show) -> Result<Vec<Executable>> {
    linux(workspace, "test-programs", "the test programs", show)
}

/// Builds the benchmark programs of `bench/programs`, statically linked.
pub fn benchmarks(workspace: &Workspace, show: Show) -> Result<Vec<Executable>> {
    linux(workspace, "bench-programs", "the benchmark programs", show)
}

fn linux(workspace: &Workspace, package: &str, what: &str, show: Show) -> Result<Vec<Executable>> {
    let mut command = cargo::command(workspace, "build");
    command.args(["-p", package, "--bins", "--release", "--target", TARGET]);
    command
        .arg("--target-dir")
        .arg(workspace.target().join("programs"));
    // `+crt-static` is a codegen flag: it must reach every crate of the program, so it is not the package's own business.
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo::build(command, what, show)
}
