//! What is done with a watchdog, whatever hardware it is ("The Linux Watchdog driver API",
//! Documentation/watchdog/watchdog-api.rst, says what programs expect).
//!
//! The one idea: the hardware runs while anybody wants it to. A user's own timeout is kept here as a time; with the kernel
//! as a second party the hardware has the kernel's timeout, and is fed by the kernel until the user's time is over.

use crate::Hardware;
use abi::Error;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;
use machine::sync::Spin;
use task::{TimerGuard, clock};

const SECOND: u64 = 1_000_000_000;
/// As Linux drivers have it.
const TIMEOUT: u32 = 30;

/// A watchdog.
pub struct Watchdog {
    hardware: Box<dyn Hardware>,
    /// Who has started it cannot stop it.
    no_way_out: bool,
    me: Weak<Watchdog>,
    state: Spin<State>,
}

struct State {
    is_open: bool,
    /// A user wants it to run.
    runs: bool,
    /// In seconds.
    timeout: u32,
    /// Seconds before the timeout; 0: no warning.
    pretimeout: u32,
    /// When the user last said that all is well.
    pinged: u64,
    /// Somebody asked, and it had been pinged since it was asked before.
    was_pinged: bool,
    /// The user has written the letter that lets it stop.
    may_stop: bool,
    /// The kernel wants it to run, with this timeout.
    kernel: Option<u32>,
    warning: Option<TimerGuard>,
}

/// What a watchdog says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub runs: bool,
    /// Seconds.
    pub timeout: u32,
    /// Seconds; 0: none.
    pub pretimeout: u32,
    /// Seconds until the user's time is over, rounded up; all of it while it does not run.
    pub left: u32,
    /// It has started the machine the last time.
    pub has_reset: bool,
    /// The user may close it without its going on.
    pub may_stop: bool,
}

impl Watchdog {
    /// One that does not run.
    pub fn new(hardware: Box<dyn Hardware>, no_way_out: bool) -> Arc<Watchdog> {
        let limits = hardware.limits();
        let state = State {
            is_open: false,
            runs: false,
            timeout: TIMEOUT.clamp(*limits.start(), *limits.end()),
            pretimeout: 0,
            pinged: 0,
            was_pinged: false,
            may_stop: false,
            kernel: None,
            warning: None,
        };
        Arc::new_cyclic(|me| Watchdog {
            hardware,
            no_way_out,
            me: me.clone(),
            state: Spin::new(state),
        })
    }

    /// What it calls itself.
    pub fn name(&self) -> &'static str {
        self.hardware.name()
    }

    /// Takes it and starts it.
    ///
    /// # Errors
    /// [`Error::Busy`]: somebody has it.
    pub fn open(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.is_open {
            return Err(Error::Busy);
        }
        state.is_open = true;
        state.may_stop = false;
        self.start_locked(&mut state);
        Ok(())
    }

    /// Gives it back. It stops if it was said that it may; if not, it goes on, and nobody will feed it.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_open = false;
        if !state.runs {
            return;
        }
        if !state.may_stop || self.stop_locked(&mut state).is_err() {
            log::error!("watchdog: {} did not stop", self.name());
            self.ping_locked(&mut state);
        }
    }

    /// Whether somebody has it.
    pub fn is_open(&self) -> bool {
        self.state.lock().is_open
    }

    /// It runs from now on, as if it had been pinged.
    pub fn start(&self) {
        self.start_locked(&mut self.state.lock());
    }

    /// It waits for no user any more.
    ///
    /// # Errors
    /// [`Error::Busy`]: it cannot be stopped.
    pub fn stop(&self) -> Result<(), Error> {
        self.stop_locked(&mut self.state.lock())
    }

    /// The user says that all is well; it says with `may_stop` whether its closing means that it wants no watching.
    pub fn ping(&self, may_stop: Option<bool>) {
        let mut state = self.state.lock();
        if let Some(may_stop) = may_stop {
            state.may_stop = may_stop;
        }
        self.ping_locked(&mut state);
    }

    /// The user's time, in seconds.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the hardware cannot wait so long.
    pub fn set_timeout(&self, seconds: u32) -> Result<(), Error> {
        if !self.hardware.limits().contains(&seconds) {
            return Err(Error::Invalid);
        }
        let mut state = self.state.lock();
        state.timeout = seconds;
        if state.pretimeout >= seconds {
            state.pretimeout = 0;
        }
        if state.runs {
            self.hardware.set_timeout(state.hardware_timeout());
            self.ping_locked(&mut state);
        }
        Ok(())
    }

    /// So many seconds before the time is over the log says so; 0: not at all.
    ///
    /// # Errors
    /// [`Error::Invalid`]: not before the end.
    pub fn set_pretimeout(&self, seconds: u32) -> Result<(), Error> {
        let mut state = self.state.lock();
        if seconds > 0 && seconds >= state.timeout {
            return Err(Error::Invalid);
        }
        state.pretimeout = seconds;
        let old = self.renew_warning(&mut state);
        drop(state);
        drop(old);
        Ok(())
    }

    /// What it says about itself.
    pub fn status(&self) -> Status {
        let state = self.state.lock();
        let left = match state.runs {
            true => state.end().saturating_sub(clock::now()).div_ceil(SECOND),
            false => u64::from(state.timeout),
        };
        Status {
            runs: state.runs,
            timeout: state.timeout,
            pretimeout: state.pretimeout,
            left: left.min(u64::from(u32::MAX)) as u32,
            has_reset: self.hardware.has_reset(),
            may_stop: state.may_stop,
        }
    }

    /// Whether it was pinged since this was asked before.
    pub fn take_pinged(&self) -> bool {
        core::mem::take(&mut self.state.lock().was_pinged)
    }

    /// The kernel watches too from now on: whatever users do, it resets the machine unless it is fed by
    /// [`Watchdog::feed`] every `seconds` (or what the hardware comes closest to).
    pub fn start_for_kernel(&self, seconds: u32) {
        let limits = self.hardware.limits();
        let seconds = seconds.clamp(*limits.start(), *limits.end());
        let mut state = self.state.lock();
        state.kernel = Some(seconds);
        self.hardware.set_timeout(seconds);
        self.hardware.start();
    }

    /// The kernel is content. So the hardware is fed, unless the user's time is over.
    pub fn feed(&self) {
        let state = self.state.lock();
        if state.kernel.is_some() && (!state.runs || clock::now() <= state.end()) {
            self.hardware.ping();
        }
    }

    fn start_locked(&self, state: &mut State) {
        state.runs = true;
        self.hardware.set_timeout(state.hardware_timeout());
        self.hardware.start();
        self.ping_locked(state);
    }

    fn stop_locked(&self, state: &mut State) -> Result<(), Error> {
        if self.no_way_out || state.kernel.is_none() && !self.hardware.stop() {
            return Err(Error::Busy);
        }
        state.runs = false;
        state.warning = None;
        Ok(())
    }

    fn ping_locked(&self, state: &mut State) {
        state.was_pinged = true;
        state.pinged = clock::now();
        self.hardware.ping();
        drop(self.renew_warning(state));
    }

    /// Sets the timer of the warning; gives the old one.
    fn renew_warning(&self, state: &mut State) -> Option<TimerGuard> {
        let new = match state.pretimeout {
            seconds @ 1.. if state.runs => {
                let at = state.end().saturating_sub(u64::from(seconds) * SECOND);
                let warning = Arc::new(Warning(self.me.clone()));
                task::try_at(at, Waker::from(warning)).ok()
            }
            _ => None,
        };
        core::mem::replace(&mut state.warning, new)
    }
}

impl State {
    /// What the hardware waits for.
    fn hardware_timeout(&self) -> u32 {
        self.kernel.unwrap_or(self.timeout)
    }

    /// When the user's time is over.
    fn end(&self) -> u64 {
        self.pinged.saturating_add(u64::from(self.timeout) * SECOND)
    }
}

/// Says that the time is nearly over.
struct Warning(Weak<Watchdog>);

impl Wake for Warning {
    fn wake(self: Arc<Self>) {
        if let Some(dog) = self.0.upgrade() {
            log::warn!("watchdog: {} will soon reset the machine", dog.name());
        }
    }
}
