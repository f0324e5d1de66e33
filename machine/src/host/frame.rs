//! Simulated frames of physical memory: real allocations, counted, with a limit that tests can set.
//!
//! Each frame remembers its machine's [`Ledger`], so a leak shows as a count that does not come
//! back, and [`fail_after`] makes every allocation point fail in turn.

use super::{current, lock};
use crate::PAGE;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub use crate::memory::{OutOfFrames, Stats};

/// 256 MiB, unless a test says otherwise.
const TOTAL: usize = 65_536;

/// The books of one machine's memory.
pub(super) struct Ledger {
    total: AtomicUsize,
    kernel: AtomicUsize,
    user: AtomicUsize,
    /// Allocations that still succeed; `usize::MAX` means no limit.
    allowance: AtomicUsize,
    next_number: AtomicUsize,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger {
            total: AtomicUsize::new(TOTAL),
            kernel: AtomicUsize::new(0),
            user: AtomicUsize::new(0),
            allowance: AtomicUsize::new(usize::MAX),
            next_number: AtomicUsize::new(1),
        }
    }
}

impl Ledger {
    fn free(&self) -> usize {
        let used = self.kernel.load(Ordering::SeqCst) + self.user.load(Ordering::SeqCst);
        self.total.load(Ordering::SeqCst).saturating_sub(used)
    }

    /// What is kept for the kernel heap: the same rule as on the bare machine.
    fn reserve(&self) -> usize {
        (self.total.load(Ordering::SeqCst) / 64).max(256)
    }

    fn permit(&self) -> Result<(), OutOfFrames> {
        if self.free() <= self.reserve() {
            return Err(OutOfFrames);
        }
        self.allowance
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
                usize::MAX => Some(left),
                0 => None,
                left => Some(left - 1),
            })
            .map(drop)
            .map_err(|_| OutOfFrames)
    }
}

/// Lets `allocations` more frame allocations of this machine succeed and all after them fail, until
/// [`fail_never`].
pub fn fail_after(allocations: usize) {
    current()
        .0
        .frames
        .allowance
        .store(allocations, Ordering::SeqCst);
}

/// Takes back [`fail_after`].
pub fn fail_never() {
    current()
        .0
        .frames
        .allowance
        .store(usize::MAX, Ordering::SeqCst);
}

/// Sets how many frames this machine has.
pub fn set_total(frames: usize) {
    current().0.frames.total.store(frames, Ordering::SeqCst);
}

/// How memory is used at this moment.
pub fn stats() -> Stats {
    let machine = current();
    let ledger = &machine.0.frames;
    Stats {
        total: ledger.total.load(Ordering::SeqCst),
        free: ledger.free(),
        kernel: ledger.kernel.load(Ordering::SeqCst),
        user: ledger.user.load(Ordering::SeqCst),
    }
}

/// True while kernel objects may still be created.
pub fn heap_room() -> bool {
    let machine = current();
    let ledger = &machine.0.frames;
    ledger.free() > ledger.reserve() / 2 && ledger.allowance.load(Ordering::SeqCst) > 0
}

/// One frame of the kernel's own (a page table, device memory): only counted.
pub(super) struct KernelFrame(Arc<Ledger>);

impl KernelFrame {
    pub(super) fn new() -> Result<KernelFrame, OutOfFrames> {
        let ledger = current().0.frames.clone();
        ledger.permit()?;
        ledger.kernel.fetch_add(1, Ordering::SeqCst);
        Ok(KernelFrame(ledger))
    }
}

impl Drop for KernelFrame {
    fn drop(&mut self) {
        self.0.kernel.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Inner {
    bytes: Mutex<Box<[u8; PAGE]>>,
    number: usize,
    ledger: Arc<Ledger>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ledger.user.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A counted reference to one 4 KiB frame that users may see. `Clone` counts up, `Drop` counts down
/// and frees the last.
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

impl Frame {
    fn filled(byte: u8) -> Result<Frame, OutOfFrames> {
        let ledger = current().0.frames.clone();
        ledger.permit()?;
        ledger.user.fetch_add(1, Ordering::SeqCst);
        let number = ledger.next_number.fetch_add(1, Ordering::SeqCst);
        Ok(Frame(Arc::new(Inner {
            bytes: Mutex::new(Box::new([byte; PAGE])),
            number,
            ledger,
        })))
    }

    /// A frame full of zeros.
    pub fn zeroed() -> Result<Frame, OutOfFrames> {
        Frame::filled(0)
    }

    /// A frame with any contents: overwrite all of it before anybody sees it.
    pub fn dirty() -> Result<Frame, OutOfFrames> {
        Frame::filled(0xdb)
    }

    /// Whether this is the only reference.
    pub fn is_unique(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Copies out of the frame. Panics when `offset + into.len()` passes the frame's end.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&lock(&self.0.bytes)[offset..offset + into.len()]);
    }

    /// Copies into the frame. Panics when `offset + from.len()` passes the frame's end.
    pub fn write(&self, offset: usize, from: &[u8]) {
        lock(&self.0.bytes)[offset..offset + from.len()].copy_from_slice(from);
    }

    /// Clears a range of the frame. Panics when it passes the frame's end.
    pub fn fill_zero(&self, range: Range<usize>) {
        lock(&self.0.bytes)[range].fill(0);
    }

    /// Makes this frame's contents those of `other`.
    pub fn copy_from(&self, other: &Frame) {
        if !Arc::ptr_eq(&self.0, &other.0) {
            let copy = lock(&other.0.bytes).clone();
            *lock(&self.0.bytes) = copy;
        }
    }

    /// The frame's physical number (address divided by [`PAGE`]).
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// Changes an aligned word of the frame in one step, as a locked instruction would. Returns
    /// what `change` saw.
    pub(super) fn atomic<const N: usize, R>(
        &self,
        offset: usize,
        change: impl FnOnce(&mut [u8; N]) -> R,
    ) -> R {
        let mut bytes = lock(&self.0.bytes);
        let word: &mut [u8; N] = (&mut bytes[offset..offset + N])
            .try_into()
            .expect("N bytes");
        change(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_and_come_back() {
        let before = stats();
        let frame = Frame::zeroed().unwrap();
        let same = frame.clone();
        assert!(!frame.is_unique());
        assert_eq!(stats().user, before.user + 1);
        drop(same);
        assert!(frame.is_unique());
        drop(frame);
        assert_eq!(stats(), before);
    }

    #[test]
    fn the_limit_holds() {
        fail_after(1);
        let kept = Frame::zeroed().unwrap();
        assert!(Frame::dirty().is_err());
        drop(kept);
        assert!(Frame::dirty().is_err());
        fail_never();
        assert!(Frame::dirty().is_ok());
        set_total(300);
        let kept: Vec<_> = std::iter::from_fn(|| Frame::zeroed().ok()).collect();
        assert_eq!(kept.len(), 300 - 256);
    }

    #[test]
    fn another_thread_has_another_machine_until_it_enters_ours() {
        let _kept = Frame::zeroed().unwrap();
        let machine = current();
        std::thread::spawn(move || {
            assert_eq!(stats().user, 0);
            machine.enter(1);
            assert_eq!(stats().user, 1);
        })
        .join()
        .unwrap();
    }
}
