//! What a process does with each signal: sigaction(2).

use super::set::{self, Default, NSIG, Set, Signal};
use machine::sync::Spin;

pub const SIG_DFL: u64 = 0;
pub const SIG_IGN: u64 = 1;

pub const SA_NOCLDSTOP: u64 = 1;
pub const SA_NOCLDWAIT: u64 = 2;
pub const SA_ONSTACK: u64 = 0x0800_0000;
pub const SA_RESTART: u64 = 0x1000_0000;
pub const SA_NODEFER: u64 = 0x4000_0000;
pub const SA_RESETHAND: u64 = 0x8000_0000;

/// The kernel's `struct sigaction` on x86-64.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(C)]
pub struct Action {
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: u64,
}

impl Action {
    /// True when the signal would do nothing at all.
    pub fn ignores(&self, signal: Signal) -> bool {
        self.handler == SIG_IGN
            || (self.handler == SIG_DFL && set::default(signal) == Default::Ignore)
    }

    pub fn has_handler(&self) -> bool {
        self.handler > SIG_IGN
    }
}

/// The actions of a process, or of several that share them (`CLONE_SIGHAND`).
pub struct Actions {
    table: Spin<[Action; NSIG]>,
}

impl Actions {
    pub fn new() -> Actions {
        Actions {
            table: Spin::new([Action::default(); NSIG]),
        }
    }

    pub fn get(&self, signal: Signal) -> Action {
        self.table
            .lock()
            .get(usize::from(signal))
            .copied()
            .unwrap_or_default()
    }

    /// Replaces the action of a valid signal; gives the one before.
    pub fn set(&self, signal: Signal, action: Action) -> Action {
        match self.table.lock().get_mut(usize::from(signal)) {
            Some(slot) => core::mem::replace(slot, action),
            None => Action::default(),
        }
    }

    pub fn fork(&self) -> Actions {
        Actions {
            table: Spin::new(*self.table.lock()),
        }
    }

    /// A new program handles nothing; what was ignored stays ignored (execve(2)).
    pub fn forget_handlers(&self) {
        for action in self.table.lock().iter_mut() {
            let ignored = action.handler == SIG_IGN;
            *action = Action::default();
            if ignored {
                action.handler = SIG_IGN;
            }
        }
    }

    /// The sets of ignored and of caught signals, as `/proc/PID/status` shows them.
    pub fn sets(&self) -> (Set, Set) {
        let (mut ignored, mut caught) = (Set::EMPTY, Set::EMPTY);
        for (signal, action) in self.table.lock().iter().enumerate().skip(1) {
            let this = Set::of(signal as Signal);
            if action.handler == SIG_IGN {
                ignored = ignored.with(this);
            } else if action.has_handler() {
                caught = caught.with(this);
            }
        }
        (ignored, caught)
    }
}

impl core::default::Default for Actions {
    fn default() -> Actions {
        Actions::new()
    }
}
