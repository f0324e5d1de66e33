//! One byte stream in each direction.
//!
//! The one idea: reading and writing never wait, whoever wants to wait does so on [`Port::readiness`]. An interrupt only
//! sets bits there; the bytes are moved by the reader and the writer themselves.

use super::piece::Piece;
use super::receive::Receive;
pub use super::transmit::Host;
use super::transmit::{Part, Transmit};
use crate::queue::Queue;
use abi::Error;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use machine::sync::{Once, Spin};
use object::{Sink, Source};
use task::{Deadline, Readiness, Ready, WaitQueue};

/// Descriptors that a port's queue needs at most.
pub const MOST_DESCRIPTORS: u16 = 64;

/// The window of a terminal, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

impl Size {
    /// Two little-endian words, as in the configuration and in messages.
    pub(super) fn from_bytes([c0, c1, r0, r1]: [u8; 4]) -> Size {
        Size {
            columns: u16::from_le_bytes([c0, c1]),
            rows: u16::from_le_bytes([r0, r1]),
        }
    }
}

type OnResize = Arc<dyn Fn(Size) + Send + Sync>;

/// A port of a console device.
pub struct Port {
    id: u32,
    name: Once<Box<str>>,
    console: AtomicBool,
    /// Somebody on this side uses it.
    open: AtomicBool,
    failed: AtomicBool,
    /// Columns and rows in one word; 0 until the host tells.
    size: AtomicU32,
    on_resize: Spin<Option<OnResize>>,
    receive: Spin<Receive>,
    transmit: Spin<Transmit>,
    readiness: Readiness,
    /// Those who wait until everything is taken.
    drained: WaitQueue,
}

impl Port {
    pub(super) fn new(id: u32, receive: Queue<Piece>, transmit: Queue<Part>) -> Arc<Port> {
        Arc::new(Port {
            id,
            name: Once::new(),
            console: AtomicBool::new(false),
            open: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            size: AtomicU32::new(0),
            on_resize: Spin::new(None),
            receive: Spin::new(Receive::new(receive)),
            transmit: Spin::new(Transmit::new(transmit)),
            readiness: Readiness::new(Ready::empty()),
            drained: WaitQueue::new(),
        })
    }

    /// The device's number for it.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the host calls it.
    pub fn name(&self) -> Option<&str> {
        self.name.get().map(|name| &**name)
    }

    /// Whether the host uses it as a terminal.
    pub fn is_console(&self) -> bool {
        self.console.load(Ordering::Acquire)
    }

    /// Whether somebody on the host uses it.
    pub fn host(&self) -> Host {
        self.transmit.lock().host()
    }

    /// `READ`: a read gives bytes or the end. `WRITE`: a write takes bytes or fails. `HANGUP`: the host closed the port.
    /// `ERROR`: the device broke the rules.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Moves what has arrived into `sink` and returns how much. `Ok(0)` is the end: the host closed the port and
    /// everything that it sent before has been read (or the sink has no room).
    ///
    /// [`Error::WouldBlock`] if nothing has arrived, [`Error::Fault`] if the sink takes nothing though it has room,
    /// [`Error::Io`] if the device broke the rules.
    pub fn try_read(&self, sink: &mut dyn Sink) -> Result<usize, Error> {
        let mut receive = self.receive.lock();
        let result = receive.read(sink, &self.readiness);
        let more = receive.check();
        drop(receive);
        if more {
            self.readiness.set(Ready::READ);
        }
        if result == Err(Error::Io) {
            self.fail();
        }
        result
    }

    /// Takes bytes from `source`, as many as there is room for, and returns how many.
    ///
    /// [`Error::WouldBlock`] if there is no room or the host has not opened the port yet, [`Error::Closed`] if it has
    /// closed it, [`Error::Fault`] if the source gives nothing though it has some, [`Error::NoMemory`] at the first
    /// write, [`Error::Io`] if the device broke the rules.
    pub fn try_write(&self, source: &mut dyn Source) -> Result<usize, Error> {
        if source.left() == 0 {
            return Ok(0);
        }
        let mut transmit = self.transmit.lock();
        loop {
            let result = transmit.write(source);
            if !transmit.has_room() {
                self.readiness.clear(Ready::WRITE);
                if transmit.host() == Host::Open && transmit.listen(false) {
                    if result == Err(Error::WouldBlock) {
                        continue;
                    }
                    drop(transmit);
                    self.poll_transmit();
                    return result;
                }
            }
            if result == Err(Error::Io) {
                drop(transmit);
                self.fail();
            }
            return result;
        }
    }

    /// Writes from a place that cannot wait (a panic): polls the device until it has taken everything, at most `polls`
    /// times. Returns how many bytes went out; none if somebody holds the port's lock.
    pub fn write_polled(&self, mut bytes: &[u8], polls: u32) -> usize {
        let all = bytes.len();
        for _ in 0..polls {
            let Some(mut transmit) = self.transmit.try_lock() else {
                break;
            };
            match transmit.write(&mut bytes) {
                Ok(_) | Err(Error::WouldBlock) => {}
                Err(_) => break,
            }
            if bytes.is_empty() && transmit.reap().is_ok() && transmit.is_drained() {
                break;
            }
            drop(transmit);
            core::hint::spin_loop();
        }
        all - bytes.len()
    }

    /// Whether the host's side has taken every byte written so far (or is gone).
    pub fn is_drained(&self) -> bool {
        let mut transmit = self.transmit.lock();
        let broken = transmit.reap().is_err();
        let drained = broken || transmit.is_drained();
        drop(transmit);
        if broken {
            self.fail();
        }
        drained
    }

    /// Waits until the host's side has taken every byte written so far (or is gone).
    ///
    /// [`Error::TimedOut`] when `deadline` (nanoseconds since boot) passes first, [`Error::Interrupted`].
    pub async fn drained(&self, deadline: Option<u64>) -> Result<(), Error> {
        let done = || self.progress(true).then_some(());
        self.drained
            .wait_until_by(deadline.map(Deadline::Boot), done)
            .await
            .map_err(Error::from)
    }

    /// The window of the host's terminal, if the host has told.
    pub fn size(&self) -> Option<Size> {
        let size = self.size.load(Ordering::Acquire);
        (size != 0).then(|| Size::from_bytes(size.to_le_bytes()))
    }

    /// Calls `tell` whenever the window changes (and now, if it is known). It is called from an interrupt: it must not
    /// wait.
    pub fn on_resize(&self, tell: impl Fn(Size) + Send + Sync + 'static) {
        let tell: OnResize = Arc::new(tell);
        *self.on_resize.lock() = Some(tell.clone());
        if let Some(size) = self.size() {
            tell(size);
        }
    }

    /// Looks at what the device has done and sets the bits of [`Port::readiness`]. Interrupts do this by themselves; a
    /// panic calls it instead. Skips what somebody else is just doing.
    pub fn poll(&self) {
        if let Some(mut receive) = self.receive.try_lock() {
            let readable = receive.check();
            drop(receive);
            if readable {
                self.readiness.set(Ready::READ);
            }
        }
        if self.transmit.try_lock().is_some() {
            self.poll_transmit();
        }
    }

    /// The device interrupted.
    pub(super) fn interrupt(&self) {
        let readable = self.receive.lock().check();
        if readable {
            self.readiness.set(Ready::READ);
        }
        self.poll_transmit();
    }

    fn poll_transmit(&self) {
        self.progress(!self.drained.is_empty());
    }

    /// Takes back what the device is done with, wakes a writer if that gave much room, and asks for the interrupt that
    /// the next one who waits needs: a writer, or (if `all`) somebody who waits for the end. True if all is taken;
    /// everybody who waits for that is woken then.
    fn progress(&self, all: bool) -> bool {
        let mut transmit = self.transmit.lock();
        loop {
            if transmit.reap().is_err() {
                drop(transmit);
                self.fail();
                return true;
            }
            let drained = transmit.is_drained();
            let waiting = !self.readiness.get().contains(Ready::WRITE);
            let writable = waiting && transmit.has_much_room();
            let more = if waiting && !writable && transmit.host() == Host::Open {
                transmit.listen(false)
            } else if all && !drained {
                transmit.listen(true)
            } else {
                transmit.quiet();
                false
            };
            if more {
                continue;
            }
            drop(transmit);
            if writable {
                self.readiness.set(Ready::WRITE);
            }
            if drained && !self.drained.is_empty() {
                self.drained.wake_all();
            }
            return drained;
        }
    }

    /// Somebody on this side uses it from now on. False if somebody did already.
    pub(super) fn open(&self) -> bool {
        if self.open.swap(true, Ordering::AcqRel) {
            return false;
        }
        // Without buffers nothing arrives; the reader waits, the rest of the system goes on.
        let _ = self.receive.lock().post();
        true
    }

    /// Nobody on this side uses it any more. False if nobody did.
    pub(super) fn close(&self) -> bool {
        self.open.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_name(&self, name: &str) {
        // The first name stays: whoever asked for it has the port already.
        let _ = self.name.set(name.into());
    }

    pub(super) fn mark_console(&self) {
        self.console.store(true, Ordering::Release);
    }

    pub(super) fn resized(&self, size: Size) {
        let [c0, c1] = size.columns.to_le_bytes();
        let [r0, r1] = size.rows.to_le_bytes();
        let word = u32::from_le_bytes([c0, c1, r0, r1]);
        if self.size.swap(word, Ordering::AcqRel) == word {
            return;
        }
        let tell = self.on_resize.lock().clone();
        if let Some(tell) = tell {
            tell(size);
        }
    }

    pub(super) fn host_opened(&self) {
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        self.readiness.clear(Ready::HANGUP);
        self.receive.lock().begin();
        self.transmit.lock().set_host(Host::Open);
        self.poll_transmit();
    }

    pub(super) fn host_closed(&self) {
        self.receive.lock().end();
        self.transmit.lock().set_host(Host::Gone);
        let bits = Ready::READ | Ready::WRITE | Ready::HANGUP;
        self.readiness.set(bits);
        self.drained.wake_all();
    }

    /// The device broke the rules: reads and writes fail from now on.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.transmit.lock().set_host(Host::Gone);
        let bits = Ready::READ | Ready::WRITE | Ready::HANGUP | Ready::ERROR;
        self.readiness.set(bits);
        self.drained.wake_all();
    }
}
