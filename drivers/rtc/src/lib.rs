//! The real-time clock as programs see it: `/dev/rtc0`.
//!
//! The one idea: while somebody wants to hear of seconds or has set an alarm, the clock interrupts each second, and
//! everything is decided there; else it does not interrupt at all. The registers are the business of [`machine::rtc`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::Error;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};
use machine::rtc::Updates;
use machine::sync::Spin;
use object::{Sink, Source};
use task::{Readiness, Ready};
use vfs::device::NewDevice;
use vfs::{Device, DeviceKind, DeviceNumber, File, OpenRequest};

/// What came, as it is read: a second, an alarm, and that anything came (rtc(4)).
const SECOND: u64 = 0x10;
const ALARM: u64 = 0x20;
const ANY: u64 = 0x80;

/// The clock. One program at a time has it open.
pub struct Clock {
    me: Weak<Clock>,
    is_open: AtomicBool,
    state: Spin<State>,
    readiness: Readiness,
}

#[derive(Default)]
struct State {
    /// Seconds since 1970, as the clock shows them; kept when nobody has it open.
    alarm: u64,
    wants_alarm: bool,
    wants_seconds: bool,
    /// How often something came since the last read, and what.
    count: u64,
    what: u64,
    /// There while something is wanted.
    updates: Option<Updates>,
}

impl Clock {
    /// The machine's clock.
    pub fn new() -> Arc<Clock> {
        Arc::new_cyclic(|me| Clock {
            me: me.clone(),
            is_open: AtomicBool::new(false),
            state: Spin::default(),
            readiness: Readiness::default(),
        })
    }

    /// How it is shown in `/dev`.
    pub fn node() -> NewDevice<'static> {
        NewDevice {
            name: "rtc0",
            kind: DeviceKind::Character,
            number: DeviceNumber::new(252, 0),
            mode: 0o600,
        }
    }

    /// A second has begun.
    fn second(&self) {
        let mut state = self.state.lock();
        if state.wants_seconds {
            state.note(SECOND);
        }
        if state.wants_alarm && machine::rtc::seconds() >= state.alarm {
            state.wants_alarm = false;
            state.note(ALARM);
        }
        let came = state.count > 0;
        let unwanted = self.settle(&mut state);
        drop(state);
        drop(unwanted);
        if came {
            self.readiness.set(Ready::READ);
        }
    }

    /// Makes the clock interrupt if something is wanted. What comes back is to be dropped without the lock.
    #[must_use = "dropped without the lock"]
    fn settle(&self, state: &mut State) -> Option<Updates> {
        let wanted = state.wants_seconds || state.wants_alarm;
        if !wanted {
            return state.updates.take();
        }
        if state.updates.is_none() {
            let me = self.me.clone();
            let second = move || {
                if let Some(clock) = me.upgrade() {
                    clock.second();
                }
            };
            state.updates = Some(Updates::start(Arc::new(second)));
        }
        None
    }
}

impl State {
    fn note(&mut self, what: u64) {
        self.count += 1;
        self.what |= what | ANY;
    }
}

impl Device for Clock {
    fn open(self: Arc<Self>, _: DeviceNumber, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        if self.is_open.swap(true, Ordering::AcqRel) {
            return Err(Error::Busy);
        }
        Ok(Arc::new(OpenClock(self)))
    }
}

/// The clock, open. Reading gives how often and what came since the last read: `count << 8 | what`, 4 or 8 bytes.
pub struct OpenClock(Arc<Clock>);

impl OpenClock {
    /// What it shows: seconds since 1970 (UTC).
    pub fn time(&self) -> u64 {
        machine::rtc::seconds()
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it cannot show that.
    pub fn set_time(&self, seconds: u64) -> Result<(), Error> {
        match machine::rtc::set(seconds) {
            true => Ok(()),
            false => Err(Error::Invalid),
        }
    }

    /// When the alarm is, and whether it is on.
    pub fn alarm(&self) -> (u64, bool) {
        let state = self.0.state.lock();
        (state.alarm, state.wants_alarm)
    }

    /// Sets the alarm.
    pub fn set_alarm(&self, seconds: u64, on: bool) {
        self.change(|state| (state.alarm, state.wants_alarm) = (seconds, on));
    }

    /// Switches the alarm on or off.
    pub fn switch_alarm(&self, on: bool) {
        self.change(|state| state.wants_alarm = on);
    }

    /// Whether reading tells of each second.
    pub fn switch_seconds(&self, on: bool) {
        self.change(|state| state.wants_seconds = on);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock();
        change(&mut state);
        let unwanted = self.0.settle(&mut state);
        drop(state);
        drop(unwanted);
    }
}

impl Drop for OpenClock {
    fn drop(&mut self) {
        self.change(|state| {
            (state.wants_seconds, state.wants_alarm) = (false, false);
            (state.count, state.what) = (0, 0);
        });
        self.0.readiness.clear(Ready::READ);
        self.0.is_open.store(false, Ordering::Release);
    }
}

impl File for OpenClock {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let room = match sink.room() {
            4 => 4,
            8.. => 8,
            _ => return Err(Error::Invalid),
        };
        let mut state = self.0.state.lock();
        let (count, what) = (state.count, state.what);
        (state.count, state.what) = (0, 0);
        self.0.readiness.clear(Ready::READ);
        drop(state);
        if count == 0 {
            return Err(Error::WouldBlock);
        }
        let bytes = (count << 8 | what).to_le_bytes();
        match sink.put(bytes.get(..room).unwrap_or_default()) {
            0 => Err(Error::Fault),
            put => Ok(put),
        }
    }

    fn try_write(&self, _: u64, _: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        Err(Error::Invalid)
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.readiness)
    }

    fn title(&self) -> String {
        String::from("/dev/rtc0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::host::{clock, irq};
    use object::SliceSink;

    const BILLION: u64 = 1_000_000_000;

    fn open() -> OpenClock {
        OpenClock(Clock::new())
    }

    /// A second passes.
    fn pass() {
        clock::advance(BILLION);
        irq::raise(8);
    }

    fn read(file: &OpenClock) -> Result<(u64, u64), Error> {
        let mut bytes = [0; 8];
        assert_eq!(file.try_read(0, &mut SliceSink::new(&mut bytes))?, 8);
        let word = u64::from_le_bytes(bytes);
        Ok((word >> 8, word & 0xff))
    }

    #[test]
    fn it_is_read_and_set() {
        let file = open();
        let before = file.time();
        pass();
        assert_eq!(file.time(), before + 1);
        file.set_time(before + 1000).unwrap();
        assert_eq!(file.time(), before + 1000);
        assert_eq!(file.set_time(0), Err(Error::Invalid));
    }

    #[test]
    fn seconds_are_told_while_somebody_wants_them() {
        let file = open();
        pass();
        assert_eq!(read(&file), Err(Error::WouldBlock));
        file.switch_seconds(true);
        pass();
        pass();
        assert!(file.readiness().unwrap().get().contains(Ready::READ));
        assert_eq!(read(&file), Ok((2, SECOND | ANY)));
        assert_eq!(read(&file), Err(Error::WouldBlock));
        file.switch_seconds(false);
        pass();
        assert_eq!(read(&file), Err(Error::WouldBlock));
        assert!(file.0.state.lock().updates.is_none());
    }

    #[test]
    fn an_alarm_rings_once() {
        let file = open();
        file.set_alarm(file.time() + 2, true);
        pass();
        assert_eq!(read(&file), Err(Error::WouldBlock));
        pass();
        assert_eq!(read(&file), Ok((1, ALARM | ANY)));
        assert_eq!(file.alarm(), (file.time(), false));
        assert!(file.0.state.lock().updates.is_none(), "it rests");
        pass();
        assert_eq!(read(&file), Err(Error::WouldBlock));
        file.set_alarm(file.time() + 1, true);
        file.switch_alarm(false);
        pass();
        assert_eq!(read(&file), Err(Error::WouldBlock));
    }

    #[test]
    fn one_at_a_time() {
        let clock = Clock::new();
        let open = || {
            clock
                .clone()
                .open(Clock::node().number, &OpenRequest::default())
        };
        let first = open().ok();
        assert!(first.is_some() && open().is_err());
        drop(first);
        assert!(open().is_ok());
    }
}
