//! Programs that must not outlive the tool, whatever ends it.
//!
//! Three nets: the guard's drop, the signal thread ([`crate::signals`]) which ends every registered child, and, for the case that
//! the tool itself is killed outright, the kernel's parent-death signal, which a small launcher step sets (std offers no
//! safe way to set it between fork and exec, so the tool starts itself as the launcher).

use anyhow::{Context, Result};
use rustix::process::{
    Pid, Signal, kill_process, kill_process_group, set_parent_process_death_signal,
};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// First argument that makes this program the launcher.
const LAUNCH: &str = "launch-and-die-with-parent";

/// The children that run now: process id, and whether it leads a process group.
static RUNNING: Mutex<Vec<(Pid, bool)>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<(Pid, bool)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Must be called first in `main` of every program that starts children: becomes the launcher if asked to.
pub fn launch_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(LAUNCH)) {
        return;
    }
    let Some(parent) = arguments
        .next()
        .and_then(|pid| pid.to_str()?.parse::<i32>().ok())
    else {
        std::process::exit(125)
    };
    let Some(program) = arguments.next() else {
        std::process::exit(125)
    };
    let prepared = set_parent_process_death_signal(Some(Signal::KILL));
    // If the parent ended before the line above, nobody would ever send the signal.
    if prepared.is_err() || rustix::process::getppid().map(Pid::as_raw_pid) != Some(parent) {
        std::process::exit(125);
    }
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("helve: cannot run {}: {error}", program.to_string_lossy());
    std::process::exit(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    });
}

/// A command that runs `program` so that it dies with this process.
///
/// The thread that spawns it counts as the parent: it must live as long as the child should.
pub fn command(program: &OsStr, arguments: &[OsString]) -> Result<Command> {
    let own = std::env::current_exe().context("cannot find this program itself")?;
    let mut command = Command::new(own);
    command
        .arg(LAUNCH)
        .arg(std::process::id().to_string())
        .arg(program)
        .args(arguments);
    Ok(command)
}

/// A running child; dropping it kills and reaps it.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    pid: Pid,
    group: bool,
    status: Option<ExitStatus>,
}

impl Guarded {
    /// Starts the command.
    pub fn spawn(command: &mut Command) -> Result<Guarded> {
        Guarded::start(command, false)
    }

    /// Starts the command as the leader of its own process group, so that its own children end with it.
    pub fn spawn_group(command: &mut Command) -> Result<Guarded> {
        Guarded::start(command.process_group(0), true)
    }

    fn start(command: &mut Command, group: bool) -> Result<Guarded> {
        let mut running = running();
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        let pid = Pid::from_child(&child);
        running.push((pid, group));
        Ok(Guarded {
            child,
            pid,
            group,
            status: None,
        })
    }

    /// The process, for its streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its status if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            // Registered processes are not reaped behind the signal thread's back: a reused number must not be killed.
            let mut running = running();
            self.status = self.child.try_wait()?;
            if self.status.is_some() {
                running.retain(|(pid, _)| *pid != self.pid);
            }
        }
        Ok(self.status)
    }

    /// Waits until it has ended or the deadline has passed.
    pub fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            send(self.pid, self.group, Signal::KILL);
            let _ = self.wait_until(None);
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills every registered child. For the signal thread: the process ends right after it.
pub fn kill_all() {
    for (pid, group) in running().iter() {
        send(*pid, *group, Signal::KILL);
    }
}

fn send(pid: Pid, group: bool, signal: Signal) {
    // It may be gone already.
    let _ = if group {
        kill_process_group(pid, signal)
    } else {
        kill_process(pid, signal)
    };
}
