//! The test programs of `tests/programs` that report points (see [`crate::tap`]): in Helve, and on this machine's own Linux, so that a wrong
//! expectation shows.
//!
//! A program whose source is a folder is such a suite; the others are small helpers that other tests start.

use super::guest::Program;
use super::{Body, Context, Test, chosen};
use crate::children::Guarded;
use crate::exec::session::How;
use crate::programs::{self, Linkage};
use crate::tap::{Point, Report};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest time for a suite with a fast machine.
const LIMIT: Duration = Duration::from_secs(200);

/// The suites, or the parts of them, that the filters choose.
pub fn tests(context: &Context, filters: &[String]) -> Result<Vec<Test>> {
    let folder = context.workspace.root().join("tests/programs/src/bin");
    let mut tests = Vec::new();
    for (name, program) in &context.programs {
        if !folder.join(name).join("main.rs").exists() {
            continue;
        }
        let points = points(program).with_context(|| format!("{name} --list"))?;
        for place in [Place::Linux, Place::Helve] {
            let full = format!("{}/{name}", place.name());
            if let Some(part) = part(&full, &points, filters) {
                let program = program.clone();
                let run = move |context: &Context| place.run(context, &program, part.as_deref());
                tests.push(Test {
                    name: full,
                    body: Body::Many(Box::new(run)),
                });
            }
        }
    }
    tests.extend(in_c(context, filters)?);
    Ok(tests)
}

/// The C programs of `tests/c`, linked in both ways: each is run as a whole, and compiled when it is.
fn in_c(context: &Context, filters: &[String]) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for source in programs::c_sources(&context.workspace)? {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        for (folder, linkage) in [("c", Linkage::Static), ("c-dynamic", Linkage::Dynamic)] {
            for place in [Place::Linux, Place::Helve] {
                let name = format!("{}/{folder}/{name}", place.name());
                let source = source.clone();
                let run = move |context: &Context| {
                    let program = programs::c_program(&context.workspace, &source, linkage)?;
                    place.run(context, &program, None)
                };
                tests.push(Test {
                    name,
                    body: Body::Many(Box::new(run)),
                });
            }
        }
    }
    tests.retain(|test| chosen(&test.name, filters));
    Ok(tests)
}

/// Which part of a suite to run: `None` nothing, `Some(None)` all, `Some(Some(word))` the points that contain the word.
fn part(suite: &str, points: &BTreeSet<String>, filters: &[String]) -> Option<Option<String>> {
    if chosen(suite, filters) {
        return Some(None);
    }
    // The program takes one filter: a path into the suite (whose name may be cut at the front), or a word of its points.
    filters.iter().find_map(|filter| {
        let paths = filter
            .match_indices('/')
            .filter(|&(at, _)| suite.ends_with(&filter[..at]))
            .map(|(at, _)| &filter[at + 1..]);
        let mut words = paths.chain([filter.as_str()]);
        let known = |word: &&str| points.iter().any(|point| point.contains(word));
        words.find(known).map(|word| Some(word.to_string()))
    })
}

fn points(program: &Path) -> Result<BTreeSet<String>> {
    let output = Command::new(program)
        .arg("--list")
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("{}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_string)
        .collect())
}

/// Where a suite runs.
#[derive(Debug, Clone, Copy)]
enum Place {
    Linux,
    Helve,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Linux => "linux",
            Place::Helve => "helve",
        }
    }

    fn run(self, context: &Context, program: &Path, part: Option<&str>) -> Result<Vec<Point>> {
        let (text, ending, report) = match self {
            Place::Linux => on_linux(program, part)?,
            Place::Helve => in_helve(context, program, part)?,
        };
        let mut points = Report::parse(&text);
        if let Some(flaw) = points.flaw() {
            points.points.push(Point {
                name: "(whole)".into(),
                failure: Some(format!("{flaw}\n{report}")),
            });
        } else if let Some(ending) = ending {
            points.points.push(Point {
                name: "(end)".into(),
                failure: Some(format!("{ending}\n{report}")),
            });
        }
        Ok(points.points)
    }
}

/// What the program said, what was wrong with its end, and everything for a report.
type Said = (String, Option<String>, String);

fn in_helve(context: &Context, program: &Path, part: Option<&str>) -> Result<Said> {
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let mut arguments = vec![name];
    arguments.extend(part);
    let output = Program::new(program, &arguments)
        .limit(LIMIT)
        .run(context, b"")?;
    let failed = output
        .text()
        .lines()
        .any(|line| line.starts_with("not ok "));
    let ending = match &output.how {
        How::Exited(0) => None,
        // The program says itself that a point failed.
        How::Exited(1) if failed => None,
        how => Some(format!("the program ended: {how:?}")),
    };
    Ok((output.text(), ending, output.report()))
}

fn on_linux(program: &Path, part: Option<&str>) -> Result<Said> {
    let scratch = crate::scratch::Scratch::new()?;
    let file = scratch.path().join("output");
    let mut command = Command::new(program);
    command
        .args(part)
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root");
    command
        .stdin(Stdio::null())
        .stdout(File::create(&file)?)
        .stderr(Stdio::null());
    let mut child = Guarded::spawn_group(&mut command)?;
    let status = child.wait_until(Some(Instant::now() + LIMIT))?;
    child.kill();
    let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
    let failed = text.lines().any(|line| line.starts_with("not ok "));
    let ending = match status {
        None => Some("not done in time".to_string()),
        Some(status) if status.success() || (failed && status.code() == Some(1)) => None,
        Some(status) => Some(status.to_string()),
    };
    let report = text.clone();
    Ok((text, ending, report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_whole_suites_or_parts() {
        let points: BTreeSet<String> = ["file/open".to_string(), "file/close".to_string()].into();
        let part = |filters: &[&str]| {
            part(
                "helve/calls",
                &points,
                &filters.iter().map(|f| f.to_string()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(part(&[]), Some(None));
        assert_eq!(part(&["calls"]), Some(None));
        assert_eq!(
            part(&["helve/calls/file/open"]),
            Some(Some("file/open".into()))
        );
        for path in ["calls/file/open", "s/file/open"] {
            assert_eq!(part(&[path]), Some(Some("file/open".into())), "{path}");
        }
        assert_eq!(part(&["other/file/open"]), None);
        assert_eq!(part(&["close"]), Some(Some("close".into())));
        assert_eq!(part(&["other"]), None);
    }
}
