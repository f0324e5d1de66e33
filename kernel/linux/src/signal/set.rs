//! Signal numbers, sets of them, and what they do when nobody handles them.
//!
//! Source: signal(7); Linux `include/uapi/asm-generic/signal.h`.
#![allow(dead_code, reason = "the list of signals is whole, whoever uses it")]

/// A signal number, 1 to 64.
pub type Signal = u8;

pub const SIGHUP: Signal = 1;
pub const SIGINT: Signal = 2;
pub const SIGQUIT: Signal = 3;
pub const SIGILL: Signal = 4;
pub const SIGTRAP: Signal = 5;
pub const SIGABRT: Signal = 6;
pub const SIGBUS: Signal = 7;
pub const SIGFPE: Signal = 8;
pub const SIGKILL: Signal = 9;
pub const SIGUSR1: Signal = 10;
pub const SIGSEGV: Signal = 11;
pub const SIGUSR2: Signal = 12;
pub const SIGPIPE: Signal = 13;
pub const SIGALRM: Signal = 14;
pub const SIGTERM: Signal = 15;
pub const SIGSTKFLT: Signal = 16;
pub const SIGCHLD: Signal = 17;
pub const SIGCONT: Signal = 18;
pub const SIGSTOP: Signal = 19;
pub const SIGTSTP: Signal = 20;
pub const SIGTTIN: Signal = 21;
pub const SIGTTOU: Signal = 22;
pub const SIGURG: Signal = 23;
pub const SIGXCPU: Signal = 24;
pub const SIGXFSZ: Signal = 25;
pub const SIGVTALRM: Signal = 26;
pub const SIGPROF: Signal = 27;
pub const SIGWINCH: Signal = 28;
/// First of the real-time signals, which queue.
pub const SIGRTMIN: Signal = 32;
/// One past the last signal number.
pub const NSIG: usize = 65;

/// A set of signals: bit `n - 1` stands for signal `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(pub u64);

impl Set {
    pub const EMPTY: Set = Set(0);
    /// Those that can be neither blocked, caught nor ignored.
    pub const UNBLOCKABLE: Set = Set(bit(SIGKILL) | bit(SIGSTOP));
    /// Those that stop a process by default.
    pub const STOPS: Set = Set(bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU));
    const IGNORED: Set = Set(bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH));
    const CORE: Set = Set(bit(SIGQUIT)
        | bit(SIGILL)
        | bit(SIGTRAP)
        | bit(SIGABRT)
        | bit(SIGBUS)
        | bit(SIGFPE)
        | bit(SIGSEGV)
        | bit(SIGXCPU)
        | bit(SIGXFSZ)
        | bit(31));
    /// Those that an instruction of the thread itself causes; they come first.
    pub const SYNCHRONOUS: Set =
        Set(bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGFPE) | bit(31));

    pub const fn of(signal: Signal) -> Set {
        Set(bit(signal))
    }

    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & bit(signal) != 0
    }

    pub const fn with(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub const fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    pub const fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The signal to deliver next: those that an instruction caused first, then in order of number.
    pub const fn first(self) -> Option<Signal> {
        let urgent = self.0 & Set::SYNCHRONOUS.0;
        let from = if urgent != 0 { urgent } else { self.0 };
        if from == 0 {
            None
        } else {
            Some(from.trailing_zeros() as u8 + 1)
        }
    }
}

const fn bit(signal: Signal) -> u64 {
    1 << (signal - 1)
}

/// What an unhandled signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Terminate,
    Core,
    Ignore,
    Stop,
    Continue,
}

/// signal(7), "Standard signals".
pub const fn default(signal: Signal) -> Default {
    if signal == SIGCONT {
        Default::Continue
    } else if Set::IGNORED.contains(signal) {
        Default::Ignore
    } else if Set::STOPS.contains(signal) {
        Default::Stop
    } else if Set::CORE.contains(signal) {
        Default::Core
    } else {
        Default::Terminate
    }
}

/// Checks a signal number that a program gave.
pub const fn valid(number: u64) -> Option<Signal> {
    if number >= 1 && number < NSIG as u64 {
        Some(number as u8)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_before_lower_numbers() {
        assert_eq!(
            Set::of(SIGHUP).with(Set::of(SIGSEGV)).first(),
            Some(SIGSEGV)
        );
        assert_eq!(
            Set::of(SIGUSR1).with(Set::of(SIGTERM)).first(),
            Some(SIGUSR1)
        );
        assert_eq!(Set::EMPTY.first(), None);
        assert_eq!(Set::of(64).first(), Some(64));
    }

    #[test]
    fn defaults_follow_the_manual() {
        assert_eq!(default(SIGCHLD), Default::Ignore);
        assert_eq!(default(SIGTTIN), Default::Stop);
        assert_eq!(default(SIGABRT), Default::Core);
        assert_eq!(default(SIGCONT), Default::Continue);
        assert_eq!(default(40), Default::Terminate);
    }
}
