//! Native threads: what their traps come to, and how they end.
//!
//! A native program has no signal handlers: what would need one ends it, and it can neither be stopped nor continued.

use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::sync::Spin;
use machine::user::{Fault, UserContext};
use memory::{Running, Space};
use process::{Door, Flow, Personality, Process, Status, Thread, Zombie};

/// The personality's name, as process lists show it.
pub const NAME: &str = "native";

/// One native thread at its door.
pub struct NativeDoor(pub Arc<Thread>);

impl Door for NativeDoor {
    fn thread(&self) -> &Arc<Thread> {
        &self.0
    }

    fn call_name(number: u64) -> Option<&'static str> {
        abi::decode(number).map(abi::Call::name)
    }

    fn immediate(&self, space: &Arc<Space>, user: &mut UserContext) -> Option<Flow> {
        crate::call::immediate(&self.0, space, user)
    }

    async fn call(&self, space: &Arc<Space>, user: &mut UserContext) -> Flow {
        crate::call(&self.0, space, user).await
    }

    fn fault(&self, user: &mut UserContext, fault: Fault, error: Option<Error>) -> Flow {
        let process = self.0.process();
        let at = user.registers.rip;
        let (id, name) = (process.id(), process.name());
        match error {
            Some(error) => log::info!("{name}[{id}]: {error}: {:#x}, at {at:#x}", fault.address),
            None => log::info!("{name}[{id}]: exception {} at {at:#x}", fault.vector),
        }
        let status = Status::Signaled(signal_of(fault, error));
        process.end(status);
        Flow::Exit(status)
    }

    async fn checkpoint(&self, _: &Arc<Space>, _: &mut UserContext) -> Flow {
        if self.0.is_killed() || self.0.process().is_ending() {
            return Flow::Exit(Status::Signaled(KILL));
        }
        if let Some(task) = self.0.task() {
            task.clear_interrupt();
        }
        Flow::Continue
    }

    fn leave(&self, _: &Arc<Space>) {}
}

// Numbers of Linux signals: one numbering for all statuses.
const ILLEGAL: u8 = 4;
const TRAP: u8 = 5;
const BUS: u8 = 7;
const ARITHMETIC: u8 = 8;
const KILL: u8 = 9;
const SEGMENT: u8 = 11;
const CHILD: u8 = 17;
const CONTINUE: u8 = 18;
const STOP: u8 = 19;
const STOP_FROM_TERMINAL: u8 = 20;
const BACKGROUND_READ: u8 = 21;
const BACKGROUND_WRITE: u8 = 22;
const URGENT: u8 = 23;
const WINDOW: u8 = 28;

/// The signal that stands for an exception (Intel SDM volume 3, chapter 6).
fn signal_of(fault: Fault, error: Option<Error>) -> u8 {
    match (fault.vector, error) {
        (14, Some(Error::NoMemory)) => KILL,
        (14, Some(Error::Io | Error::Range)) | (11 | 12 | 17, _) => BUS,
        (0 | 16 | 19, _) => ARITHMETIC,
        (1 | 3, _) => TRAP,
        (6, _) => ILLEGAL,
        _ => SEGMENT,
    }
}

/// A native process: its arguments, for those who list processes, and its program's file.
pub struct Native {
    command_line: Vec<u8>,
    /// Nobody writes the program while it runs.
    running: Spin<Option<Running>>,
}

/// Bytes of arguments that are kept.
const LONGEST_COMMAND: usize = 4096;

impl Native {
    /// The personality of a process with these arguments, and what keeps its program's file from being written.
    pub(crate) fn new(arguments: &[Vec<u8>], running: Option<Running>) -> Arc<Native> {
        let mut command_line = Vec::new();
        for argument in arguments {
            command_line.extend_from_slice(argument);
            command_line.push(0);
            if command_line.len() > LONGEST_COMMAND {
                command_line.truncate(LONGEST_COMMAND);
                break;
            }
        }
        Arc::new(Native {
            command_line,
            running: Spin::new(running),
        })
    }
}

impl Personality for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signal(&self, process: &Arc<Process>, signal: u8) {
        // The first process cannot be ended, and nothing can be stopped or told anything.
        let ends = !matches!(
            signal,
            0 | CHILD
                | CONTINUE
                | STOP
                | STOP_FROM_TERMINAL
                | BACKGROUND_READ
                | BACKGROUND_WRITE
                | URGENT
                | WINDOW
        );
        if ends && process.id() != 1 {
            process.end(Status::Signaled(signal));
        }
    }

    fn wants_status(&self, _: &Arc<Process>, _: &Arc<Process>) -> Zombie {
        // Whoever wants the status has a handle, which keeps it.
        Zombie::Forget
    }

    fn child_ended(&self, _: &Arc<Process>, _: &Arc<Process>) {}

    fn ended(&self, _: &Arc<Process>) {
        let running = self.running.lock().take();
        drop(running);
        // Its handles are gone.
        object::IN_FLIGHT.after_closing();
    }

    fn command_line(&self, _: &Process) -> Vec<u8> {
        self.command_line.clone()
    }
}
