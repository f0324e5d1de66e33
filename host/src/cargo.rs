//! Runs cargo from inside a program that cargo may have started.
//!
//! The one idea: a nested cargo must not inherit what the outer one set for its own package, nor flags that the user meant
//! for programs of this machine (`RUSTFLAGS` would replace the kernel's own).

use crate::progress::Show;
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program that a build made.
#[derive(Debug, Clone)]
pub struct Executable {
    /// Name of the binary target.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// `cargo SUBCOMMAND` in the workspace, with a clean environment.
pub fn command(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = Command::new(cargo());
    command
        .arg(subcommand)
        .current_dir(workspace.root())
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer) {
            command.env_remove(name);
        }
    }
    command
}

fn belongs_to_outer(name: &str) -> bool {
    const PREFIXES: [&str; 10] = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_BUILD_",
        "CARGO_TARGET_",
        "CARGO_PROFILE_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_ENCODED_",
        "CARGO_UNSTABLE_",
    ];
    const NAMES: [&str; 7] = [
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_CRATE_NAME",
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "LD_LIBRARY_PATH",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// Runs a `cargo build` command and returns the programs that it made (or found up to date).
pub fn build(mut command: Command, what: &str, show: Show) -> Result<Vec<Executable>> {
    let step = show.step(&format!("building {what}"));
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    command.stderr(if show == Show::Progress {
        Stdio::inherit()
    } else {
        Stdio::piped()
    });
    let mut child = command.spawn().context("cannot run cargo")?;
    let errors = child.stderr.take().map(|mut stream| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            bytes
        })
    });
    let output = child.stdout.take().context("cargo has no output")?;
    let mut programs = Vec::new();
    for line in BufReader::new(output).lines() {
        programs.extend(executable(&line?));
    }
    let status = child.wait()?;
    let errors = errors
        .map(|thread| thread.join().unwrap_or_default())
        .unwrap_or_default();
    drop(step);
    if !status.success() {
        let _ = std::io::stderr().write_all(&errors);
        bail!("building {what} failed");
    }
    Ok(programs)
}

/// The program that one of cargo's messages is about, if it is about a program.
fn executable(message: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact"
        || message["target"]["kind"] != serde_json::json!(["bin"])
    {
        return None;
    }
    Some(Executable {
        name: message["target"]["name"].as_str()?.into(),
        path: message["executable"].as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_among_messages() {
        let program = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"sh"},"executable":"/t/sh"}"#;
        assert_eq!(executable(program).unwrap().path, PathBuf::from("/t/sh"));
        for other in [
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"sh"},"executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "no json",
        ] {
            assert!(executable(other).is_none());
        }
    }

    #[test]
    fn only_the_outer_builds_variables_go() {
        for name in [
            "CARGO_PKG_NAME",
            "CARGO_MANIFEST_DIR",
            "RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
        ] {
            assert!(belongs_to_outer(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO",
            "RUSTUP_TOOLCHAIN",
            "RUSTUP_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_TERM_COLOR",
            "PATH",
        ] {
            assert!(!belongs_to_outer(name), "{name}");
        }
    }
}
