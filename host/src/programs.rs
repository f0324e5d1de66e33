//! Builds the programs that run in the guest: the native apps, the system tests and the benchmarks.

use crate::cargo::{self, Executable};
use crate::kernel::Profile;
use crate::packages::{self, Need};
use crate::progress::Show;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The sources of the C programs in `tests/c`, by name.
pub fn c_sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(workspace.root().join("tests/c"))? {
        let source = entry?.path();
        if source.extension().is_some_and(|kind| kind == "c") {
            sources.push(source);
        }
    }
    sources.sort();
    Ok(sources)
}

/// How a C program gets the C library of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    Static,
    Dynamic,
}

/// Compiles a C program and links it with this machine's C library.
pub fn c_program(workspace: &Workspace, source: &Path, linkage: Linkage) -> Result<PathBuf> {
    packages::ensure(&[
        Need::program("cc", "gcc"),
        Need::file("/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"),
    ])?;
    let (folder, option) = match linkage {
        Linkage::Static => ("programs/c", Some("-static")),
        Linkage::Dynamic => ("programs/c-dynamic", None),
    };
    let folder = workspace.target().join(folder);
    fs::create_dir_all(&folder)?;
    let program = folder.join(source.file_stem().unwrap_or_default());
    let status = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .args(option)
        .arg("-o")
        .args([&program, source])
        .status()
        .context("cannot run cc")?;
    ensure!(status.success(), "cc {}: {status}", source.display());
    Ok(program)
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
