//! The simulated serial port: what is written is kept for the test, what the test types is read.

use super::{current, lock};
use crate::irq::Handler;
use std::collections::VecDeque;
use std::sync::Mutex;

#[derive(Default)]
struct Port {
    written: Vec<u8>,
    typed: VecDeque<u8>,
    on_receive: Option<Handler>,
}

#[derive(Default)]
pub(super) struct State(Mutex<Port>);

/// Sends bytes.
pub fn write(bytes: &[u8]) {
    lock(&current().0.serial.0).written.extend_from_slice(bytes);
}

/// Writes text; here it is the same.
pub fn write_without_lock(text: std::fmt::Arguments<'_>) {
    write(text.to_string().as_bytes());
}

/// The next byte that came in.
pub fn read() -> Option<u8> {
    lock(&current().0.serial.0).typed.pop_front()
}

/// Sets what runs when bytes come in.
pub fn on_receive(handler: Handler) {
    lock(&current().0.serial.0).on_receive = Some(handler);
}

/// Takes everything that was written so far.
pub fn take_written() -> Vec<u8> {
    std::mem::take(&mut lock(&current().0.serial.0).written)
}

/// Somebody at the other end sends bytes.
pub fn type_in(bytes: &[u8]) {
    let machine = current();
    let mut port = lock(&machine.0.serial.0);
    port.typed.extend(bytes);
    let handler = port.on_receive.clone();
    drop(port);
    if let Some(handler) = handler {
        handler();
    }
}
