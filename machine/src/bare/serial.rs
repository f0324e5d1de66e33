//! The first serial port (COM1, a 16550): the console before there is any other, and the one that a
//! panic uses.
//!
//! The one idea: writing is polled and bounded, so that it works at any moment, even with a port
//! that is not there or a reader that has gone.

use super::instructions::{in_u8, out_u8, rdtsc};
use crate::irq::{self, Handler};
use crate::sync::{Once, Spin};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

const PORT: u16 = 0x3f8;
const LINE: u8 = 4;

// Registers (16550 data sheet, table 1).
const DATA: u16 = PORT;
const INTERRUPT_ENABLE: u16 = PORT + 1;
const FIFO_CONTROL: u16 = PORT + 2;
const LINE_CONTROL: u16 = PORT + 3;
const MODEM_CONTROL: u16 = PORT + 4;
const LINE_STATUS: u16 = PORT + 5;
const SCRATCH: u16 = PORT + 7;

const RECEIVED_DATA_AVAILABLE: u8 = 1;
const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Bytes that the transmit FIFO takes once it is empty.
const FIFO: usize = 16;
/// How long a full FIFO is waited for, in ticks of the time stamp counter (about a second).
const PATIENCE: u64 = 3_000_000_000;

static PRESENT: AtomicBool = AtomicBool::new(false);
/// The other end did not take anything for a whole [`PATIENCE`]: do not wait again until it does.
static STUCK: AtomicBool = AtomicBool::new(false);
/// A byte that came before the port was set up, with [`EARLY_MARK`]; 0: none.
static EARLY: AtomicU16 = AtomicU16::new(0);
const EARLY_MARK: u16 = 0x100;
static OUTPUT: Spin<()> = Spin::new(());
static RECEIVE: Once<irq::IrqGuard> = Once::new();

/// Finds the port and sets it to 115200 baud, 8 bits, no parity, FIFOs on.
pub(super) fn init() {
    // SAFETY: these ports belong to COM1 alone, and only this file uses them. Where there is no
    // COM1 writes go nowhere and reads give 0xff.
    unsafe {
        out_u8(SCRATCH, 0x5a);
        if in_u8(SCRATCH) != 0x5a {
            return;
        }
        // Switching the FIFOs on empties them: what was typed before the kernel ran is kept here.
        if status() & DATA_READY != 0 {
            EARLY.store(EARLY_MARK | u16::from(in_u8(DATA)), Ordering::Relaxed);
        }
        out_u8(INTERRUPT_ENABLE, 0);
        out_u8(LINE_CONTROL, 0x80);
        out_u8(DATA, 1);
        out_u8(INTERRUPT_ENABLE, 0);
        out_u8(LINE_CONTROL, 3);
        out_u8(FIFO_CONTROL, 0x07);
        out_u8(MODEM_CONTROL, 0x0b);
    }
    PRESENT.store(true, Ordering::Relaxed);
}

fn status() -> u8 {
    // SAFETY: reading the line status clears error bits that nobody uses.
    unsafe { in_u8(LINE_STATUS) }
}

fn wait_for_room() -> bool {
    if status() & TRANSMITTER_EMPTY != 0 {
        STUCK.store(false, Ordering::Relaxed);
        return true;
    }
    if STUCK.load(Ordering::Relaxed) {
        return false;
    }
    let start = rdtsc();
    while status() & TRANSMITTER_EMPTY == 0 {
        if rdtsc().wrapping_sub(start) > PATIENCE {
            STUCK.store(true, Ordering::Relaxed);
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

fn send(bytes: &[u8]) {
    if !PRESENT.load(Ordering::Relaxed) {
        return;
    }
    for chunk in bytes.chunks(FIFO) {
        if !wait_for_room() {
            return;
        }
        for &byte in chunk {
            // SAFETY: the FIFO is empty and takes 16 bytes.
            unsafe { out_u8(DATA, byte) };
        }
    }
}

/// Sends bytes. Waits while the port is busy, but gives up (and loses the rest) after about a
/// second without progress.
pub fn write(bytes: &[u8]) {
    let _one_at_a_time = OUTPUT.lock();
    send(bytes);
}

/// The next byte that came in.
pub fn read() -> Option<u8> {
    if !PRESENT.load(Ordering::Relaxed) {
        return None;
    }
    if EARLY.load(Ordering::Relaxed) != 0 {
        return Some(EARLY.swap(0, Ordering::Relaxed) as u8);
    }
    if status() & DATA_READY == 0 {
        return None;
    }
    // SAFETY: a byte is there; reading takes it.
    Some(unsafe { in_u8(DATA) })
}

/// Sets what runs when bytes come in. It must [`read`] them all. Only the first call counts.
pub fn on_receive(handler: Handler) {
    if RECEIVE.get().is_some() || !PRESENT.load(Ordering::Relaxed) {
        return;
    }
    let _ = RECEIVE.set(irq::legacy(LINE, "serial", handler));
    // SAFETY: the handler is connected, so the interrupt finds it.
    unsafe { out_u8(INTERRUPT_ENABLE, RECEIVED_DATA_AVAILABLE) };
}

/// Writes text without the lock, which somebody may hold who does not get on; it may mix with what that one writes.
pub fn write_without_lock(text: fmt::Arguments<'_>) {
    // It cannot fail.
    let _ = Direct.write_fmt(text);
}

/// Writes without the lock: for a panic, which may have stopped a writer in the middle.
pub(super) struct Direct;

impl fmt::Write for Direct {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                send(b"\r\n");
            }
            send(line.as_bytes());
        }
        Ok(())
    }
}
