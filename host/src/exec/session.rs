//! One life of a guest that runs one program: start, streams, end.
//!
//! Everything that happens comes as an event to the thread that started QEMU; that thread alone decides. The order at the end
//! matters: the guest's last line on the control port says how the program ended, but the session is over only when output
//! and error streams have been read to their ends.

use super::launch::Launch;
use super::missing::Missing;
use super::ports::{Listening, Ports};
use super::streams::{Copied, Escape, copy_in, copy_out};
use crate::children::Guarded;
use crate::initramfs::Initramfs;
use crate::kernel::Kernel;
use crate::qemu::{Accelerator, Boot, Machine};
use crate::scratch::Scratch;
use crate::{signals, terminal};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the machine may take to turn itself off after its last word.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(3);

/// How much of the kernel's log is kept for a report.
const LOG_KEPT: usize = 256 << 10;

/// A file or directory of the host that the guest gets a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Give {
    pub host: PathBuf,
    /// Absolute guest path.
    pub guest: String,
}

impl Give {
    /// What is at `host` here is at `guest` there.
    pub fn new(host: &Path, guest: &str) -> Give {
        Give {
            host: host.to_path_buf(),
            guest: guest.into(),
        }
    }
}

/// What to run, and in what machine.
#[derive(Debug, Clone)]
pub struct Job {
    /// The program on the host.
    pub program: PathBuf,
    /// Where it is in the guest: absolute, without spaces.
    pub path: String,
    pub launch: Launch,
    pub gives: Vec<Give>,
    pub memory: u64,
    pub cpus: u32,
    pub accelerator: Accelerator,
    /// Whether the program gets a terminal.
    pub tty: bool,
    pub timeout: Option<Duration>,
    /// Added to the kernel command line.
    pub append: String,
    /// Further arguments of QEMU: what else the machine has.
    pub hardware: Vec<OsString>,
}

/// The program's streams on this side.
pub struct Streams {
    pub input: Box<dyn Read + Send>,
    pub output: Box<dyn Write + Send>,
    pub errors: Box<dyn Write + Send>,
}

/// Where the kernel's log goes, besides into the report.
#[derive(Debug, Default)]
pub struct Log {
    pub file: Option<File>,
    /// Also to this process's standard error.
    pub echo: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Exited(u8),
    Signalled(u8),
    /// The guest could not start the program.
    Refused(String),
    TimedOut,
    /// The reader of standard output went away.
    ReaderGone,
    /// The user typed Ctrl-A X.
    Left,
    /// The machine ended without a last word.
    Died(String),
}

/// The end of a session.
#[derive(Debug)]
pub struct Ending {
    pub how: How,
    /// The calls that the program made in vain; known only if the guest had a last word.
    pub missing: Missing,
    /// The last part of the kernel's log.
    pub log: String,
}

enum Event {
    Control(String),
    ControlClosed,
    Output(Copied),
    ErrorsClosed,
    Leave,
}

/// Runs the job to its end.
pub fn run(kernel: &Kernel, job: &Job, streams: Streams, log: Log) -> Result<Ending> {
    let directory = Scratch::new()?;
    let listening = Listening::bind(directory.path())?;
    let initramfs = directory.path().join("initramfs");
    write_initramfs(job, kernel, &initramfs)?;
    let tty = u8::from(job.tty);
    let mut command_line = format!("exec={} tty={tty} console=ttyS0 quiet", job.path);
    if !job.append.is_empty() {
        command_line = format!("{command_line} {}", job.append);
    }
    let mut devices = listening.arguments().to_vec();
    devices.extend(job.hardware.iter().cloned());
    devices.extend(
        [
            "-chardev",
            "stdio,id=log,signal=off",
            "-serial",
            "chardev:log",
        ]
        .map(Into::into),
    );
    let machine = Machine {
        memory: job.memory,
        cpus: job.cpus,
        accelerator: job.accelerator.clone(),
        boot: Boot::Kernel {
            image: kernel.image.clone(),
            initramfs: Some(initramfs),
            command_line,
        },
        devices,
    };
    let deadline = job.timeout.map(|limit| Instant::now() + limit);
    let mut command = machine.command()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut qemu = Guarded::spawn(&mut command)?;
    let collected = collect_log(&mut qemu, log)?;
    let ports = match listening.accept(&mut qemu) {
        Ok(ports) => ports,
        Err(error) => {
            qemu.kill();
            bail!("{error:#}\n{}", collected.finish());
        }
    };
    let guard = job.tty.then(terminal::Guard::raw);
    // Held to the end: if both halves were closed, QEMU would drop what the guest has not taken yet.
    let _input = ports.input.try_clone()?;
    let events = start_streams(ports, streams, job.tty)?;
    let mut missing = Missing::default();
    let how = conduct(&mut qemu, &events, deadline, &mut missing)?;
    drop(guard);
    qemu.kill();
    Ok(Ending {
        how,
        missing,
        log: collected.finish(),
    })
}

fn write_initramfs(job: &Job, kernel: &Kernel, path: &Path) -> Result<()> {
    let mut archive = Initramfs::create(path)?;
    archive.base()?;
    archive.copy(&job.program, &job.path)?;
    for give in &job.gives {
        archive.copy(&give.host, &give.guest)?;
    }
    archive.directory(&job.launch.directory, 0o755)?;
    archive.file("/boot/exec", 0o600, &job.launch.bytes())?;
    archive.copy(&kernel.symbols, "/boot/symbols")?;
    archive.finish()?;
    Ok(())
}

fn start_streams(ports: Ports, streams: Streams, tty: bool) -> Result<Receiver<Event>> {
    let (send, events) = channel();
    let Ports {
        input,
        output,
        errors,
        control,
    } = ports;
    if tty {
        let lines = Arc::new(Mutex::new(control.try_clone()?));
        send_size(&lines);
        signals::on_resize(move || send_size(&lines))?;
    }
    spawn(&send, move |send| {
        let leave = send.clone();
        if tty {
            copy_in(
                Escape::new(streams.input, move || drop(leave.send(Event::Leave))),
                input,
            );
        } else {
            copy_in(streams.input, input);
        }
    });
    spawn(&send, move |send| {
        drop(send.send(Event::Output(copy_out(output, streams.output))))
    });
    spawn(&send, move |send| {
        // Nobody reading the errors is no reason to end; they are read here so that the guest never waits.
        if let Ok(rest) = errors.try_clone()
            && copy_out(errors, streams.errors) == Copied::ReaderGone
        {
            copy_out(rest, std::io::sink());
        }
        drop(send.send(Event::ErrorsClosed));
    });
    spawn(&send, move |send| {
        for line in BufReader::new(control).lines().map_while(Result::ok) {
            drop(send.send(Event::Control(line)));
        }
        drop(send.send(Event::ControlClosed));
    });
    Ok(events)
}

fn spawn(send: &Sender<Event>, work: impl FnOnce(Sender<Event>) + Send + 'static) {
    let send = send.clone();
    std::thread::spawn(move || work(send));
}

fn send_size(control: &Mutex<UnixStream>) {
    if let Some((columns, rows)) = terminal::size() {
        let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
        // A guest that is gone has no size.
        let _ = writeln!(control, "size {columns} {rows}");
    }
}

/// Takes events until the streams are at their ends, or something else ends the session.
fn conduct(
    qemu: &mut Guarded,
    events: &Receiver<Event>,
    deadline: Option<Instant>,
    missing: &mut Missing,
) -> Result<How> {
    let mut how: Option<How> = None;
    let mut killed_at: Option<Instant> = None;
    let (mut output, mut errors, mut control) = (true, true, true);
    while output || errors || control {
        let until = if how.is_some() { killed_at } else { deadline };
        let event = match until {
            Some(until) => events.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Control(line)) if how.is_none() => {
                let call = line.strip_prefix("missing ");
                if call.is_some_and(|call| missing.note(call)) {
                    continue;
                }
                how = Some(parse_end(&line));
                killed_at = Some(Instant::now() + POWER_OFF_LIMIT);
            }
            Ok(Event::Control(_)) => {}
            Ok(Event::ControlClosed) => control = false,
            Ok(Event::Output(Copied::All)) => output = false,
            Ok(Event::ErrorsClosed) => errors = false,
            Ok(Event::Output(Copied::ReaderGone)) => return Ok(How::ReaderGone),
            Ok(Event::Leave) => return Ok(How::Left),
            // Time is up and the caller's reader does not take what is left, either.
            Err(RecvTimeoutError::Timeout) if how == Some(How::TimedOut) => break,
            Err(RecvTimeoutError::Timeout) => {
                // What the guest wrote before is still in the sockets and is read to its end.
                qemu.kill();
                killed_at = how.is_none().then(|| Instant::now() + POWER_OFF_LIMIT);
                how.get_or_insert(How::TimedOut);
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the stream threads are gone"),
        }
    }
    if let Some(how) = how {
        return Ok(how);
    }
    let status = qemu.wait_until(Some(Instant::now() + POWER_OFF_LIMIT))?;
    Ok(How::Died(match status.and_then(|status| status.code()) {
        // The test device shifts what the guest says to the left and adds one.
        Some(code) if code & 1 == 1 && code > 1 => {
            format!("the guest ended itself with failure {}", code >> 1)
        }
        Some(0) => "the guest turned off or restarted".into(),
        Some(code) => format!("QEMU ended with status {code}"),
        None => "QEMU was killed".into(),
    }))
}

/// The meaning of a line from the guest; an unknown line is the guest's mistake and ends the session, too.
fn parse_end(line: &str) -> How {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "exit" => rest.parse().map_or_else(|_| unknown(line), How::Exited),
        "signal" => rest.parse().map_or_else(|_| unknown(line), How::Signalled),
        "error" => How::Refused(rest.to_string()),
        _ => unknown(line),
    }
}

fn unknown(line: &str) -> How {
    How::Died(format!(
        "the guest sent a line that means nothing: {line:?}"
    ))
}

/// The kernel's log and QEMU's complaints while they come in.
struct Collected {
    kept: Arc<Mutex<Vec<u8>>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

fn collect_log(qemu: &mut Guarded, log: Log) -> Result<Collected> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::new(log);
    let output = qemu.child().stdout.take().context("QEMU has no output")?;
    let errors = qemu
        .child()
        .stderr
        .take()
        .context("QEMU has no error output")?;
    let threads = vec![
        std::thread::spawn({
            let (kept, log) = (kept.clone(), log.clone());
            move || keep(output, &kept, &log)
        }),
        std::thread::spawn({
            let kept = kept.clone();
            move || keep(errors, &kept, &log)
        }),
    ];
    Ok(Collected { kept, threads })
}

fn keep(mut from: impl Read, kept: &Mutex<Vec<u8>>, log: &Log) {
    let mut buffer = vec![0; 1 << 14];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..count];
        if let Some(mut file) = log.file.as_ref() {
            let _ = file.write_all(bytes);
        }
        if log.echo {
            let _ = std::io::stderr().write_all(bytes);
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        if kept.len() > 2 * LOG_KEPT {
            let surplus = kept.len() - LOG_KEPT;
            kept.drain(..surplus);
        }
    }
}

impl Collected {
    /// Everything kept, after QEMU has ended.
    fn finish(self) -> String {
        for thread in self.threads {
            let _ = thread.join();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines() {
        assert_eq!(parse_end("exit 3"), How::Exited(3));
        assert_eq!(parse_end("signal 11"), How::Signalled(11));
        assert_eq!(
            parse_end("error not a program"),
            How::Refused("not a program".into())
        );
        assert!(matches!(parse_end("exit 256"), How::Died(_)));
        assert!(matches!(parse_end("hello"), How::Died(_)));
    }
}
