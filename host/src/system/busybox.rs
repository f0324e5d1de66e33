//! Scripts for Debian's unmodified `busybox-static`: each must give, byte for byte, what it gives on this machine.
//!
//! The scripts are `tests/shell/*.sh`; they run with the applets inside busybox, in an empty directory of the same name
//! on both sides.

use super::guest::Program;
use super::{Body, Context, Test};
use crate::children::Guarded;
use crate::debian;
use crate::exec::session::How;
use crate::progress::Show;
use crate::scratch::Scratch;
use crate::tap::Point;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest time for a script with a fast machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Debian's static busybox, from its package.
pub fn program(context: &Context) -> Result<PathBuf> {
    Ok(
        debian::package(&context.workspace, "busybox-static", Show::Progress)?
            .files
            .join("bin/busybox"),
    )
}

/// One test for each script.
pub fn tests(context: &Context) -> Result<Vec<Test>> {
    let folder = context.workspace.root().join("tests/shell");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    scripts.sort();
    Ok(scripts
        .into_iter()
        .map(|script| {
            let name = script
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            let body = move |context: &Context| {
                compare(context, &script).map(|failure| {
                    vec![Point {
                        name: "same".into(),
                        failure,
                    }]
                })
            };
            Test {
                name: format!("busybox/{name}"),
                body: Body::Many(Box::new(body)),
            }
        })
        .collect())
}

fn environment() -> Vec<OsString> {
    // No directory of programs: every command is an applet of busybox on both sides.
    ["PATH=/no/programs", "HOME=/root", "LC_ALL=C", "TZ=UTC"]
        .map(OsString::from)
        .to_vec()
}

fn compare(context: &Context, script: &Path) -> Result<Option<String>> {
    let busybox = program(context)?;
    let text = fs::read_to_string(script)?;
    let scratch = Scratch::new()?;
    let directory = scratch.path().join("work");
    fs::create_dir(&directory)?;
    let here = on_linux(&busybox, &text, &directory, scratch.path())?;
    let name = directory.to_str().context("no UTF-8 path")?;
    let guest = Program::new(&busybox, &["busybox", "sh", "-c", &text, "script"])
        .environment(&environment())
        .directory(name)
        .limit(LIMIT)
        .run(context, b"")?;
    let same = guest.how == How::Exited(here.status)
        && guest.output == here.output
        && guest.errors == here.errors;
    if same {
        return Ok(None);
    }
    let difference = first_difference(&here.output, &guest.output)
        .map(|text| format!("standard output differs: {text}"))
        .or_else(|| {
            first_difference(&here.errors, &guest.errors)
                .map(|text| format!("standard error differs: {text}"))
        })
        .unwrap_or_else(|| format!("status {} on Linux, {:?} in Helve", here.status, guest.how));
    Ok(Some(format!("{difference}\n{}", guest.report())))
}

struct Here {
    status: u8,
    output: Vec<u8>,
    errors: Vec<u8>,
}

fn on_linux(busybox: &Path, text: &str, directory: &Path, scratch: &Path) -> Result<Here> {
    let (output, errors) = (scratch.join("output"), scratch.join("errors"));
    let mut command = Command::new(busybox);
    command
        .arg0("busybox")
        .args(["sh", "-c", text, "script"])
        .current_dir(directory)
        .env_clear();
    for entry in environment() {
        if let Some((name, value)) = entry.to_string_lossy().split_once('=') {
            command.env(name, value);
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::create(&errors)?);
    let mut child = Guarded::spawn_group(&mut command)?;
    let Some(status) = child.wait_until(Some(Instant::now() + LIMIT))? else {
        bail!("the script hangs on Linux")
    };
    child.kill();
    let status = status
        .code()
        .context("a signal ended the script on Linux")? as u8;
    Ok(Here {
        status,
        output: fs::read(output)?,
        errors: fs::read(errors)?,
    })
}

/// The first line in which two outputs differ.
fn first_difference(linux: &[u8], helve: &[u8]) -> Option<String> {
    if linux == helve {
        return None;
    }
    let (linux, helve) = (
        String::from_utf8_lossy(linux),
        String::from_utf8_lossy(helve),
    );
    let (mut a, mut b) = (linux.lines(), helve.lines());
    for number in 1.. {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => break,
            (a, b) => {
                let show = |line: Option<&str>| {
                    line.map_or("nothing more".into(), |line| format!("{line:?}"))
                };
                return Some(format!(
                    "line {number}: {} on Linux, {} in Helve",
                    show(a),
                    show(b)
                ));
            }
        }
    }
    Some("in bytes that are no lines".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        assert_eq!(first_difference(b"a\nb\n", b"a\nb\n"), None);
        let text = first_difference(b"a\nb\n", b"a\nc\n").unwrap();
        assert_eq!(text, "line 2: \"b\" on Linux, \"c\" in Helve");
        assert!(
            first_difference(b"a\n", b"")
                .unwrap()
                .ends_with("nothing more in Helve")
        );
        assert!(first_difference(b"a", b"a\n").is_some());
    }
}
