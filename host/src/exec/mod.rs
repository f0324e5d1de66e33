//! `helve exec`: runs one program of this machine in a machine of its own.

pub mod launch;
pub mod missing;
pub mod ports;
pub mod session;
pub mod streams;

use crate::cli::ExecOptions;
use crate::elf::check_program;
use crate::kernel::{Kernel, Profile};
use crate::libraries::{self, Surroundings};
use crate::packages::{self, find_program};
use crate::progress::{Show, say};
use crate::qemu::Accelerator;
use crate::terminal;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use launch::Launch;
use session::{Ending, Give, How, Job, Log, Streams};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use streams::Standard;

/// Status when Helve itself fails, as env(1), timeout(1) and their like use it.
pub const FAILED: u8 = 125;

/// Where a program goes whose own path cannot stand on a kernel command line.
const FALLBACK_PATH: &str = "/program";

/// The search path of programs in the guest.
const GUEST_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the command; returns the status to exit with.
pub fn execute(options: &ExecOptions) -> Result<u8> {
    let Some(name) = options.command.first() else {
        bail!("no program given")
    };
    let Some(program) = find(name) else {
        say(format!("{}: not found", name.to_string_lossy()));
        return Ok(127);
    };
    if let Err(refusal) = check_program(&program) {
        say(format!("{}: {refusal}", name.to_string_lossy()));
        return Ok(refusal.status());
    }
    let tty = options.wants_tty(terminal::on_both_sides());
    let path = guest_path(&program)?;
    let environment = environment(&options.env, tty);
    let around = Surroundings {
        gives: &options.give,
        environment: &environment,
        ..Surroundings::default()
    };
    let libraries = match libraries::needed(&[Give::new(&program, &path)], &around) {
        Ok(libraries) => libraries,
        Err(missing) => {
            say(missing.to_string());
            return Ok(126);
        }
    };
    let show = if options.verbose {
        Show::Progress
    } else {
        Show::OnFailure
    };
    let log = match &options.log {
        Some(path) => {
            Some(File::create(path).with_context(|| format!("cannot create {}", path.display()))?)
        }
        None => None,
    };
    packages::ensure(&[packages::QEMU])?;
    let workspace = Workspace::find()?;
    let kernel = match &options.kernel {
        Some(image) => Kernel::at(image)?,
        None => Kernel::build(&workspace, Profile::Release, show)?,
    };
    let accelerator = Accelerator::choose(options.accel, &workspace, &kernel)?;
    show.say(accelerator.describe());
    let job = Job {
        path,
        program,
        launch: Launch {
            directory: options.cwd.clone(),
            arguments: options.command.clone(),
            environment,
        },
        gives: [options.give.clone(), libraries].concat(),
        memory: options.memory,
        cpus: options.cpus,
        accelerator,
        tty,
        timeout: options.timeout,
        append: options.append.clone(),
        hardware: Vec::new(),
    };
    let streams = Streams {
        input: Box::new(Standard::new(std::io::stdin())?),
        output: Box::new(Standard::new(std::io::stdout())?),
        errors: Box::new(Standard::new(std::io::stderr())?),
    };
    let log = Log {
        file: log,
        echo: options.verbose,
    };
    let ending = session::run(&kernel, &job, streams, log)?;
    if options.missing || options.verbose {
        report(&ending);
    }
    Ok(status(&ending.how, || {
        if !options.verbose {
            eprint!("{}", ending.log);
        }
    }))
}

/// Says which calls the program made that Helve does not have.
fn report(ending: &Ending) {
    if !ending.missing.is_empty() {
        say("calls that Helve does not have (the program got ENOSYS):");
        eprint!("{}", ending.missing);
    } else if matches!(ending.how, How::Exited(_) | How::Signalled(_)) {
        say("Helve has every call that the program made");
    }
}

/// What to exit with; says what is worth saying.
fn status(how: &How, show_log: impl FnOnce()) -> u8 {
    match how {
        How::Exited(status) => *status,
        How::Signalled(signal) => signal.saturating_add(128),
        How::Refused(message) => {
            say(message);
            126
        }
        How::TimedOut => 124,
        How::ReaderGone => 128 + 13,
        How::Left => {
            say("left the machine (Ctrl-A X)");
            128 + 9
        }
        How::Died(message) => {
            show_log();
            say(format!("{message}, and never said how the program ended"));
            FAILED
        }
    }
}

/// A name with a slash is a path; another one is looked for as a shell does.
fn find(name: &OsStr) -> Option<PathBuf> {
    let path = Path::new(name);
    match name.to_str() {
        Some(plain) if !plain.contains('/') => find_program(plain),
        _ => Some(path.to_path_buf()),
    }
}

/// The guest's path of a program: the same absolute path as here, unless the kernel command line could not hold it.
fn guest_path(program: &Path) -> Result<String> {
    let mut parts: Vec<&OsStr> = Vec::new();
    let absolute = std::path::absolute(program)?;
    for part in absolute.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    let path: Option<String> = parts
        .iter()
        .map(|part| part.to_str().map(|part| format!("/{part}")))
        .collect();
    Ok(path
        .filter(|path| path.chars().all(|c| c.is_ascii_graphic() && c != '"') && path.len() < 200)
        .unwrap_or_else(|| FALLBACK_PATH.into()))
}

/// The program's environment: what is given, over a few defaults. Nothing else of this machine's environment goes in.
fn environment(given: &[OsString], tty: bool) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec![GUEST_PATH.into(), "HOME=/root".into()];
    if let Some(terminal) = std::env::var_os("TERM").filter(|_| tty) {
        let mut entry = OsString::from("TERM=");
        entry.push(terminal);
        all.push(entry);
    }
    for entry in given {
        let name = variable(entry).to_vec();
        all.retain(|other| variable(other) != name);
        all.push(entry.clone());
    }
    all
}

fn variable(entry: &OsStr) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    entry
        .as_bytes()
        .split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
}

/// Parses `--give file:HOST[:GUEST]:ro`.
pub fn parse_give(text: &str) -> Result<Give, String> {
    const FORM: &str = "the form is file:HOST[:GUEST]:ro";
    let Some(rest) = text.strip_prefix("file:") else {
        return Err(format!("only files can be given for now; {FORM}"));
    };
    let Some(rest) = rest.strip_suffix(":ro") else {
        return Err(format!(
            "the guest gets a copy, so it must end with :ro; {FORM}"
        ));
    };
    let (host, guest) = match rest.rsplit_once(':') {
        Some((host, guest)) => (host, Some(guest)),
        None => (rest, None),
    };
    let host = std::path::absolute(host).map_err(|error| error.to_string())?;
    let guest = match guest {
        Some(guest) => guest.to_string(),
        None => host.to_str().ok_or("the path is not UTF-8")?.to_string(),
    };
    if !guest.starts_with('/') {
        return Err(format!("the guest path `{guest}` is not absolute; {FORM}"));
    }
    if !host.exists() {
        return Err(format!("{} does not exist", host.display()));
    }
    Ok(Give { host, guest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives() {
        let give = |host: &str, guest| Give::new(host.as_ref(), guest);
        assert_eq!(
            parse_give("file:/etc/passwd:ro"),
            Ok(give("/etc/passwd", "/etc/passwd"))
        );
        assert_eq!(parse_give("file:/etc:/x:ro"), Ok(give("/etc", "/x")));
        for bad in [
            "/etc:ro",
            "file:/etc",
            "file:/etc:rw",
            "file:/etc:x:ro",
            "file:/no/such/file:ro",
        ] {
            assert!(parse_give(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn guest_paths_fit_the_command_line() {
        assert_eq!(
            guest_path(Path::new("/bin/../bin/./busybox")).unwrap(),
            "/bin/busybox"
        );
        assert_eq!(
            guest_path(Path::new("/a dir/program")).unwrap(),
            FALLBACK_PATH
        );
    }

    #[test]
    fn given_variables_win() {
        let all = environment(&["HOME=/".into(), "A=1".into(), "A=2".into()], false);
        assert_eq!(
            all,
            [OsString::from(GUEST_PATH), "HOME=/".into(), "A=2".into()]
        );
    }

    #[test]
    fn statuses() {
        let quiet = |how| status(&how, || {});
        assert_eq!(quiet(How::Exited(7)), 7);
        assert_eq!(quiet(How::Signalled(11)), 139);
        assert_eq!(quiet(How::TimedOut), 124);
        assert_eq!(quiet(How::ReaderGone), 141);
        assert_eq!(quiet(How::Refused("(a test)".into())), 126);
    }
}
