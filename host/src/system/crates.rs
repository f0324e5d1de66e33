//! The first stage of `cargo test`: every other crate's own tests, on this machine.

use super::{Tally, chosen, print};
use crate::cargo;
use crate::children::Guarded;
use crate::workspace::{Package, Workspace};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The longest time for all of them, with their compilation.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Folders whose packages are for the guest, or cargo runs them already.
const NOT_HERE: [&str; 5] = ["host", "machine/start", "apps", "tests", "bench"];

/// The packages whose tests run on this machine.
pub fn packages(workspace: &Workspace) -> Vec<&str> {
    let here = |package: &&Package| {
        let skipped = |folder: &&str| package.folder.starts_with(workspace.root().join(folder));
        !NOT_HERE.iter().any(skipped)
    };
    let mut names: Vec<&str> = workspace
        .packages()
        .iter()
        .filter(here)
        .map(|p| p.name.as_str())
        .collect();
    // The programs themselves run in the guest only, but what they keep in libraries is tested here.
    let libraries = workspace
        .packages_below("apps")
        .filter(|package| package.has_library_tests);
    names.extend(libraries.map(|package| package.name.as_str()));
    names.sort();
    names
}

/// Runs them and counts each test.
pub fn run(workspace: &Workspace, filters: &[String], tally: &mut Tally) -> Result<()> {
    let packages = packages(workspace);
    print(&format!("tests of {} crates", packages.len()));
    let mut command = cargo::command(workspace, "test");
    for package in &packages {
        command.args(["-p", package]);
    }
    command
        .args(["--no-fail-fast", "--target-dir"])
        .arg(workspace.target());
    // Cargo's own progress goes where ours goes; what the tests say is read here.
    command.arg("--").args(filters).stdout(Stdio::piped());
    let mut child = Guarded::spawn_group(&mut command)?;
    let output = child.child().stdout.take().context("cargo has no output")?;
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || read_lines(output, |line| send.send(line).is_ok()));
    let deadline = Instant::now() + LIMIT;
    let mut report = Report::default();
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        report.take(&line, tally);
    }
    let Some(status) = child.wait_until(Some(deadline))? else {
        bail!(
            "the crates' tests are not done after {} minutes",
            LIMIT.as_secs() / 60
        );
    };
    print(&format!("ok      {} tests of crates", report.passed));
    if !status.success() && report.failed == 0 {
        tally.record(
            "crates",
            Some("cargo test failed without a failing test: see above".into()),
            None,
        );
    }
    Ok(())
}

fn read_lines(output: impl Read, mut each: impl FnMut(String) -> bool) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        line.clear();
        if !each(text) {
            return;
        }
    }
}

/// Reads what libtest prints.
#[derive(Debug, Default)]
struct Report {
    passed: usize,
    failed: usize,
    /// Inside the part between `failures:` and the result, which is shown.
    showing: bool,
}

impl Report {
    fn take(&mut self, line: &str, tally: &mut Tally) {
        if let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            match result {
                "ok" => {
                    self.passed += 1;
                    tally.passed += 1;
                }
                "FAILED" => {
                    self.failed += 1;
                    tally.record(name, Some("failed".into()), None);
                }
                // Ignored, or a benchmark.
                _ => {}
            }
        } else if line == "failures:" {
            self.showing = true;
        } else if line.starts_with("test result: ") {
            self.showing = false;
        }
        if self.showing {
            print(line);
        }
    }
}

/// Whether the crates' stage is asked for at all: with filters it runs if none of them names a system test's group.
pub fn wanted(filters: &[String]) -> bool {
    const GROUPS: [&str; 8] = [
        "helve", "linux", "exec", "shell", "run", "busybox", "image", "machine",
    ];
    filters.is_empty()
        || !filters.iter().all(|filter| {
            GROUPS
                .iter()
                .any(|group| chosen(filter, &[format!("{group}/")]))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_is_counted() {
        let mut tally = Tally::default();
        let mut report = Report::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test c - should panic ... ok",
            "test d ... FAILED",
            "test e ... ignored",
        ] {
            report.take(line, &mut tally);
        }
        assert_eq!(
            (tally.passed, tally.failures.len(), report.failed),
            (2, 1, 1)
        );
    }

    #[test]
    fn system_filters_skip_the_crates() {
        let wanted =
            |filters: &[&str]| wanted(&filters.iter().map(|f| f.to_string()).collect::<Vec<_>>());
        assert!(wanted(&[]));
        assert!(wanted(&["elf"]));
        assert!(!wanted(&["exec/hello"]));
        assert!(wanted(&["exec/hello", "elf"]));
    }

    #[test]
    fn every_kernel_crate_is_tested() {
        let workspace = Workspace::find().unwrap();
        let names = packages(&workspace);
        for name in ["abi", "machine", "task", "vfs", "helve"] {
            assert!(names.contains(&name), "{name} is not tested");
        }
        for name in ["host", "start", "test-programs", "app-init"] {
            assert!(!names.contains(&name), "{name} cannot be tested here");
        }
    }
}
