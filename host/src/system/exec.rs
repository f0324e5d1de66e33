//! `helve exec` as its users see it: a process with three streams and a status.

use super::{Context, Test, busybox};
use crate::children::Guarded;
use crate::packages::find_program;
use crate::scratch::Scratch;
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest time for one run with a fast machine.
const LIMIT: Duration = Duration::from_secs(30);

/// How much goes through a stream to show that none is lost.
const MANY: u64 = 300 << 20;

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("exec/hello", hello),
        Test::new("exec/statuses", statuses),
        Test::new("exec/signals", signals),
        Test::new("exec/streams-stay-apart", streams_stay_apart),
        Test::new("exec/environment-and-directory", environment_and_directory),
        Test::new("exec/given-files", given_files),
        Test::new("exec/memory", memory),
        Test::new("exec/timeout", timeout),
        Test::new("exec/refusals", refusals),
        Test::new("exec/dynamic", dynamic),
        Test::new("exec/log", log),
        Test::new("exec/missing", missing),
        Test::new("exec/reader-goes-away", reader_goes_away),
        Test::new("exec/input-that-never-ends", input_that_never_ends),
        Test::new("exec/many-bytes-in", many_bytes_in),
        Test::new("exec/many-bytes-out", many_bytes_out),
        Test::new("exec/many-bytes-both-ways", many_bytes_both_ways),
        Test::new("exec/terminal", terminal),
    ]
}

/// What a run of `helve exec` gave.
struct Ran {
    status: i32,
    output: Vec<u8>,
    errors: String,
}

/// `helve exec`, with the kernel that all tests run.
fn helve(context: &Context) -> Command {
    let mut helve = Command::new(&context.helve);
    helve.args(["exec", "--kernel"]).arg(&context.kernel.image);
    helve
}

/// Runs `helve exec` with options, then the program and its arguments.
fn exec(context: &Context, options: &[&str], command: &[&OsStr], input: Stdio) -> Result<Ran> {
    let scratch = Scratch::new()?;
    let (output, errors) = (scratch.path().join("output"), scratch.path().join("errors"));
    let mut helve = helve(context);
    helve.args(options).arg("--").args(command);
    helve
        .stdin(input)
        .stdout(File::create(&output)?)
        .stderr(File::create(&errors)?);
    let mut child = Guarded::spawn(&mut helve)?;
    let limit = LIMIT * context.accelerator.patience();
    let status = child.wait_until(Some(Instant::now() + limit))?;
    child.kill();
    let errors = String::from_utf8_lossy(&fs::read(errors)?).into_owned();
    let Some(status) = status else {
        bail!("not done in time; standard error:\n{errors}")
    };
    let status = status
        .code()
        .with_context(|| format!("helve itself ended: {status}\n{errors}"))?;
    Ok(Ran {
        status,
        output: fs::read(output)?,
        errors,
    })
}

/// A program of `tests/programs`, with no input.
fn run(context: &Context, options: &[&str], program: &str, arguments: &[&str]) -> Result<Ran> {
    let path = context
        .programs
        .get(program)
        .with_context(|| format!("there is no test program {program}"))?;
    let mut command = vec![path.as_os_str()];
    command.extend(arguments.iter().map(OsStr::new));
    exec(context, options, &command, Stdio::null())
}

/// A busybox script.
fn script(context: &Context, options: &[&str], text: &str, input: Stdio) -> Result<Ran> {
    let busybox = busybox::program(context)?;
    let command = [
        busybox.as_os_str(),
        OsStr::new("sh"),
        OsStr::new("-c"),
        OsStr::new(text),
    ];
    exec(context, options, &command, input)
}

impl Ran {
    fn check(&self, status: i32, output: &[u8], errors: &str) -> Result<()> {
        ensure!(
            self.status == status && self.output == output && self.errors == errors,
            "status {}, output {:?}, errors {:?}\nexpected status {status}, output {:?}, errors {errors:?}",
            self.status,
            String::from_utf8_lossy(&self.output[..self.output.len().min(2000)]),
            self.errors,
            String::from_utf8_lossy(&output[..output.len().min(2000)]),
        );
        Ok(())
    }
}

fn hello(context: &Context) -> Result<()> {
    run(context, &[], "hello", &[])?.check(0, b"hello from a Rust program\n", "")
}

fn statuses(context: &Context) -> Result<()> {
    for status in [0, 1, 77, 255] {
        run(context, &[], "exit-status", &[&status.to_string()])?.check(status, b"", "")?;
    }
    Ok(())
}

fn signals(context: &Context) -> Result<()> {
    for signal in [6, 9, 11, 15] {
        run(context, &[], "signal-self", &[&signal.to_string()])?.check(128 + signal, b"", "")?;
    }
    Ok(())
}

fn streams_stay_apart(context: &Context) -> Result<()> {
    let text = "cat; echo to errors >&2; printf 'no newline'; exit 3";
    script(context, &[], text, typed("from input\n")?)?.check(
        3,
        b"from input\nno newline",
        "to errors\n",
    )
}

fn environment_and_directory(context: &Context) -> Result<()> {
    let options = [
        "--env",
        "A=1",
        "--env",
        "B=two words",
        "--cwd",
        "/some/where",
    ];
    let text = "echo \"$A|$B|$HOME|$#|$0\"; pwd";
    script(context, &options, text, Stdio::null())?.check(
        0,
        b"1|two words|/root|0|sh\n/some/where\n",
        "",
    )
}

fn given_files(context: &Context) -> Result<()> {
    let scratch = Scratch::new()?;
    let tree = scratch.path().join("tree");
    fs::create_dir_all(tree.join("deep"))?;
    fs::write(tree.join("deep/file"), "given\n")?;
    let give = format!("file:{}:/given:ro", tree.display());
    let text = "cat /given/deep/file && echo changed > /given/deep/file && cat /given/deep/file";
    script(context, &["--give", &give], text, Stdio::null())?.check(0, b"given\nchanged\n", "")?;
    ensure!(
        fs::read_to_string(tree.join("deep/file"))? == "given\n",
        "the host's file changed"
    );
    Ok(())
}

fn memory(context: &Context) -> Result<()> {
    let ran = script(
        context,
        &["--memory", "1G"],
        "grep MemTotal /proc/meminfo",
        Stdio::null(),
    )?;
    let text = String::from_utf8_lossy(&ran.output).into_owned();
    let kib: u64 = text
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .with_context(|| text.clone())?;
    ensure!(
        (900 << 10..=1 << 20).contains(&kib),
        "of 1 GiB the guest has {kib} KiB"
    );
    Ok(())
}

fn timeout(context: &Context) -> Result<()> {
    let start = Instant::now();
    let ran = script(
        context,
        &["--timeout", "5s"],
        "echo started; while :; do :; done",
        Stdio::null(),
    )?;
    ran.check(124, b"started\n", "")?;
    ensure!(
        start.elapsed() < Duration::from_secs(15),
        "it took {:?}",
        start.elapsed()
    );
    Ok(())
}

fn refusals(context: &Context) -> Result<()> {
    let scratch = Scratch::new()?;
    // A dynamic program of this machine whose library has another name.
    let cat = fs::read(find_program("cat").context("there is no cat")?)?;
    let name = cat.windows(10).position(|part| part == b"libc.so.6\0");
    let mut lonely = cat;
    lonely[name.context("cat is not dynamic")?..][..4].copy_from_slice(b"none");
    let lonely = program(&scratch, "lonely", &lonely)?;
    let script = program(&scratch, "script", b"#!/bin/sh\n")?;
    for (program, status, reason) in [
        (Path::new("/no/such/program"), 127, "not found"),
        (Path::new("no-such-program"), 127, "not found"),
        (Path::new("/etc/passwd"), 126, "no execute permission"),
        (script.as_path(), 126, "is a script"),
        (
            lonely.as_path(),
            126,
            "needs none.so.6, which is not on this machine",
        ),
    ] {
        let ran = exec(context, &[], &[program.as_os_str()], Stdio::null())?;
        ensure!(
            ran.status == status
                && ran.output.is_empty()
                && ran.errors.contains(reason)
                && ran.errors.lines().count() == 1,
            "{}: status {}, errors {:?}",
            program.display(),
            ran.status,
            ran.errors
        );
    }
    Ok(())
}

/// An executable file with these bytes.
fn program(scratch: &Scratch, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = scratch.path().join(name);
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(path)
}

/// Programs of this machine as they are, with the loader and the libraries that they have here.
fn dynamic(context: &Context) -> Result<()> {
    let run = |options: &[&str], command: &[&str], input: Stdio| {
        let command: Vec<_> = command.iter().map(OsStr::new).collect();
        exec(context, options, &command, input)
    };
    run(&[], &["/bin/echo", "hello"], Stdio::null())?.check(0, b"hello\n", "")?;
    let lines = typed("pear\napple\nfig\n")?;
    run(&[], &["sort", "-r"], lines)?.check(0, b"pear\nfig\napple\n", "")?;
    let text = "echo one | { read x; echo $x two; }; ls / | grep -c proc; exit 4";
    let given: Vec<String> = ["ls", "grep"]
        .iter()
        .map(|name| {
            let path = find_program(name).with_context(|| format!("there is no {name}"))?;
            Ok(format!("file:{}:ro", path.display()))
        })
        .collect::<Result<_>>()?;
    let options = ["--give", &given[0], "--give", &given[1]];
    run(&options, &["bash", "-c", text], Stdio::null())?.check(4, b"one two\n1\n", "")?;
    let text = "$_ = join '', map { $_ * 2 } 1 .. 5; print; exit length";
    run(&[], &["perl", "-e", text], Stdio::null())?.check(6, b"246810", "")
}

fn log(context: &Context) -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.path().join("log");
    let name = file.to_str().context("path")?;
    run(
        context,
        &["--log", name, "--append", "loglevel=7"],
        "hello",
        &[],
    )?
    .check(0, b"hello from a Rust program\n", "")?;
    ensure!(file.exists(), "no log file");
    let ran = run(context, &["-v"], "hello", &[])?;
    ensure!(
        ran.output == b"hello from a Rust program\n",
        "-v changed the output"
    );
    ensure!(
        ran.errors.contains("running with"),
        "-v says nothing: {:?}",
        ran.errors
    );
    Ok(())
}

fn missing(context: &Context) -> Result<()> {
    // 500 is a number between those of Linux, 100000 one beyond them.
    let calls = ["500", "100000", "500"];
    let ran = run(context, &["--missing"], "unknown-calls", &calls)?;
    ensure!(ran.status == 0 && ran.output.is_empty(), "{}", ran.errors);
    for line in [
        "helve: calls that Helve does not have (the program got ENOSYS):\n",
        "\n   500  (no call of Linux), 2 times\n",
        "\n other  (no calls of Linux), once\n",
    ] {
        ensure!(ran.errors.contains(line), "no {line:?} in {:?}", ran.errors);
    }
    run(context, &[], "unknown-calls", &calls)?.check(0, b"", "")
}

fn reader_goes_away(context: &Context) -> Result<()> {
    let path = &context.programs["pattern-writer"];
    let mut helve = helve(context);
    helve
        .args(["--timeout", "60s", "--"])
        .arg(path)
        .arg("1000000000");
    helve
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = Guarded::spawn(&mut helve)?;
    let mut output = child.child().stdout.take().context("no output")?;
    output.read_exact(&mut [0; 1000])?;
    drop(output);
    let status = child
        .wait_until(Some(Instant::now() + LIMIT))?
        .context("it does not end")?;
    ensure!(status.code() == Some(141), "ended with {status}");
    Ok(())
}

fn input_that_never_ends(context: &Context) -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    let ran = script(context, &[], "echo done", reader.into())?;
    drop(writer);
    ran.check(0, b"done\n", "")
}

fn many_bytes_in(context: &Context) -> Result<()> {
    let path = &context.programs["pattern-checker"];
    let (reader, _writer) = written(context)?;
    let count = MANY.to_string();
    let ran = exec(
        context,
        &[],
        &[path.as_os_str(), OsStr::new(&count)],
        reader,
    )?;
    ensure!(
        ran.status == 0,
        "{}{}",
        String::from_utf8_lossy(&ran.output),
        ran.errors
    );
    Ok(())
}

fn many_bytes_out(context: &Context) -> Result<()> {
    let (path, checker) = (
        &context.programs["pattern-writer"],
        &context.programs["pattern-checker"],
    );
    let mut helve = helve(context);
    helve.arg("--").arg(path).arg(MANY.to_string());
    helve
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = Guarded::spawn(&mut helve)?;
    let output = child.child().stdout.take().context("no output")?;
    checked(
        checker,
        output.into(),
        LIMIT * context.accelerator.patience(),
    )?;
    let status = child
        .wait_until(Some(Instant::now() + LIMIT))?
        .context("it does not end")?;
    ensure!(status.success(), "ended with {status}");
    Ok(())
}

fn many_bytes_both_ways(context: &Context) -> Result<()> {
    let (path, checker) = (
        &context.programs["cat-check"],
        &context.programs["pattern-checker"],
    );
    let (reader, _writer) = written(context)?;
    let mut helve = helve(context);
    helve
        .arg("--")
        .arg(path)
        .stdin(reader)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = Guarded::spawn(&mut helve)?;
    let output = child.child().stdout.take().context("no output")?;
    checked(
        checker,
        output.into(),
        2 * LIMIT * context.accelerator.patience(),
    )?;
    let status = child
        .wait_until(Some(Instant::now() + LIMIT))?
        .context("it does not end")?;
    ensure!(status.success(), "ended with {status}");
    Ok(())
}

/// A process on this machine that writes [`MANY`] bytes of the pattern.
fn written(context: &Context) -> Result<(Stdio, Guarded)> {
    let mut command = Command::new(&context.programs["pattern-writer"]);
    command
        .arg(MANY.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut writer = Guarded::spawn(&mut command)?;
    let output = writer.child().stdout.take().context("no output")?;
    Ok((output.into(), writer))
}

/// Runs the checker of the pattern on this machine.
fn checked(checker: &Path, input: Stdio, limit: Duration) -> Result<()> {
    let mut command = Command::new(checker);
    command
        .arg(MANY.to_string())
        .stdin(input)
        .stdout(Stdio::piped());
    let mut child = Guarded::spawn(&mut command)?;
    let status = child
        .wait_until(Some(Instant::now() + limit))?
        .context("not done in time")?;
    let mut said = String::new();
    child
        .child()
        .stdout
        .take()
        .context("no output")?
        .read_to_string(&mut said)?;
    ensure!(
        status.success(),
        "the bytes are not those that were written: {said}"
    );
    Ok(())
}

/// A small input, all of it in a pipe.
fn typed(text: &str) -> Result<Stdio> {
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(text.as_bytes())?;
    Ok(reader.into())
}

fn terminal(context: &Context) -> Result<()> {
    let busybox = busybox::program(context)?;
    let mut command = helve(context);
    command
        .args(["--env", "PS1=ready> ", "--"])
        .arg(&busybox)
        .args(["sh", "-i"]);
    let mut session =
        super::typist::Typist::start(command, 100, 30, LIMIT * context.accelerator.patience())?;
    session.expect("ready> ")?;
    session.send("tty; stty size\r")?;
    session.expect("30 100")?;
    session.expect("ready> ")?;
    // ^C ends the running command, not the shell. The command itself says "go", so it has the terminal by then: a ^C
    // between two commands goes to the shell, and one that comes while the shell forks is lost, on Linux too.
    session.send("sh -c 'echo go; exec sleep 1000'; echo after-$?\r")?;
    session.expect("\ngo\r\n")?;
    session.send("\x03")?;
    session.expect("ready> ")?;
    session.send("sh -c 'echo go; exec cat'\r")?;
    session.expect("\ngo\r\n")?;
    session.send("a line\r")?;
    session.expect("a line\r\na line")?;
    session.send("\x04")?;
    session.expect("ready> ")?;
    session.send("exit 5\r")?;
    let status = session.finish()?;
    ensure!(
        status == 5,
        "ended with {status}; the terminal showed:\n{}",
        session.shown()
    );
    Ok(())
}
