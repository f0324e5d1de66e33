//! Control messages (section 5.3.6.2) and their two queues.
//!
//! The one idea: every message that this side sends may make the device answer with up to three, and a device that finds
//! no buffer for an answer drops it. So only as many messages are under way as there are buffers for their answers.

use super::piece::Piece;
use super::port::Size;
use crate::queue::Queue;
use abi::Error;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::PAGE;
use machine::dma::Region;

/// Descriptors that a control queue needs at most.
pub const MOST_DESCRIPTORS: u16 = 32;
/// Bytes of a buffer for a message from the device: the fixed part and a name.
const RECEIVE_SIZE: usize = 120;
const SEND_SIZE: usize = 8;
/// Messages to the device under way: each has up to three answers.
const MOST_SENT: u16 = MOST_DESCRIPTORS / 4;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Event {
    /// To the device: the driver is ready.
    DeviceReady = 0,
    /// From the device: there is a port.
    DeviceAdd = 1,
    /// From the device: the port is gone.
    DeviceRemove = 2,
    /// To the device: the port can be used.
    PortReady = 3,
    /// From the device: the port is a terminal.
    ConsolePort = 4,
    /// From the device: the terminal's window.
    Resize = 5,
    /// Both ways: somebody uses the port, or nobody does any more.
    PortOpen = 6,
    /// From the device: the port's name.
    PortName = 7,
}

/// A message to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which port.
    pub id: u32,
    /// What about it.
    pub event: Event,
    /// How.
    pub value: u16,
}

impl Message {
    fn to_bytes(self) -> [u8; SEND_SIZE] {
        let rest = u64::from(self.event as u16) << 32 | u64::from(self.value) << 48;
        (u64::from(self.id) | rest).to_le_bytes()
    }
}

/// A message from the device, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// There is a port.
    Add,
    /// The port is gone.
    Remove,
    /// The port is a terminal.
    ConsolePort,
    /// The terminal's window.
    Resize(Size),
    /// Whether somebody on the host uses the port.
    Open(bool),
    /// The port's name.
    Name(&'a str),
}

/// Which port a message is about and what it says; nothing if it is too short, unknown or no text.
pub fn parse(bytes: &[u8]) -> Option<(u32, Received<'_>)> {
    let (fixed, rest) = bytes.split_first_chunk::<8>()?;
    let fixed = u64::from_le_bytes(*fixed);
    let value = (fixed >> 48) as u16;
    let received = match (fixed >> 32) as u16 {
        event if event == Event::DeviceAdd as u16 => Received::Add,
        event if event == Event::DeviceRemove as u16 => Received::Remove,
        event if event == Event::ConsolePort as u16 => Received::ConsolePort,
        event if event == Event::Resize as u16 => {
            Received::Resize(Size::from_bytes(*rest.first_chunk()?))
        }
        event if event == Event::PortOpen as u16 => Received::Open(value != 0),
        event if event == Event::PortName as u16 => {
            // Some devices end the name with a NUL.
            let end = rest.iter().position(|&byte| byte == 0);
            let name = core::str::from_utf8(&rest[..end.unwrap_or(rest.len())]).ok()?;
            Received::Name(name)
        }
        _ => return None,
    };
    Some((fixed as u32, received))
}

/// The control queues.
pub struct Control {
    receive: Queue<Piece>,
    transmit: Queue<Piece>,
    /// Buffers for messages from the device, until they are posted.
    unposted: Vec<Piece>,
    /// Buffers for messages to the device that are free.
    free: Vec<Piece>,
    /// Messages that wait for a free buffer: each at most once, so at most a few for each port.
    outbox: VecDeque<Message>,
}

impl Control {
    pub(super) fn new(receive: Queue<Piece>, transmit: Queue<Piece>) -> Result<Control, Error> {
        let receives = usize::from(receive.size().min(MOST_DESCRIPTORS));
        let sends = usize::from(
            (receive.size() / 4)
                .clamp(1, MOST_SENT)
                .min(transmit.size()),
        );
        let region = Arc::new(Region::new(PAGE).map_err(|_| Error::NoMemory)?);
        let first_send = receives * RECEIVE_SIZE;
        let unposted = (0..receives)
            .map(|index| index * RECEIVE_SIZE)
            .filter_map(|at| Piece::written_by_device(&region, at..at + RECEIVE_SIZE))
            .collect();
        let free = (0..sends)
            .map(|index| first_send + index * SEND_SIZE)
            .filter_map(|at| Piece::read_by_device(&region, at..at + SEND_SIZE))
            .collect();
        Ok(Control {
            receive,
            transmit,
            unposted,
            free,
            outbox: VecDeque::new(),
        })
    }

    /// Gives the device its buffers, once it runs, and asks for interrupts.
    pub(super) fn post(&mut self) {
        for piece in self.unposted.drain(..) {
            // A queue that has no room for it is broken, and says so when it is polled.
            let _ = self.receive.add(piece);
        }
        self.receive.submit();
        let _ = self.receive.listen(0);
    }

    /// Sends a message now, or when there is a buffer for it. One that waits already is not sent twice.
    pub(super) fn send(&mut self, message: Message) {
        if !self.outbox.contains(&message) {
            self.outbox.push_back(message);
        }
        self.flush();
    }

    /// Handles all messages from the device with `dispatch`, which may answer, and sends what waits.
    ///
    /// [`Error::Io`] if the device broke the rules.
    pub(super) fn poll(
        &mut self,
        mut dispatch: impl FnMut(u32, Received<'_>) -> Option<Message>,
    ) -> Result<(), Error> {
        loop {
            // Whatever the device answered to a message came before it gave the message's buffer back. So look here
            // first: then all answers are out of the way when the buffer is used again.
            while let Some(used) = self.transmit.take()? {
                self.free.push(used.chain);
            }
            while let Some(used) = self.receive.take()? {
                let mut bytes = [0; RECEIVE_SIZE];
                let length = (used.written as usize).min(RECEIVE_SIZE);
                used.chain.read(&mut bytes[..length]);
                if self.receive.add(used.chain).is_err() {
                    return Err(Error::Io);
                }
                self.receive.submit();
                let answer = parse(&bytes[..length]).and_then(|(id, what)| dispatch(id, what));
                if let Some(message) = answer
                    && !self.outbox.contains(&message)
                {
                    self.outbox.push_back(message);
                }
            }
            self.flush();
            if self.outbox.is_empty() {
                self.transmit.quiet();
            } else if self.transmit.listen(0) {
                continue;
            }
            if !self.receive.listen(0) {
                return Ok(());
            }
        }
    }

    fn flush(&mut self) {
        while let Some(message) = self.outbox.front() {
            let Some(piece) = self.free.pop() else { break };
            piece.write(&message.to_bytes());
            if self.transmit.add(piece).is_err() {
                break;
            }
            self.outbox.pop_front();
        }
        self.transmit.submit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_understood() {
        let name = [3, 0, 0, 0, 7, 0, 1, 0, b'h', b'i', 0, b'x'];
        assert_eq!(parse(&name), Some((3, Received::Name("hi"))));
        assert_eq!(parse(&name[..10]), Some((3, Received::Name("hi"))));
        assert_eq!(parse(&name[..7]), None);
        let resize = [1, 0, 0, 0, 5, 0, 0, 0, 80, 0, 24, 0];
        let size = Size {
            columns: 80,
            rows: 24,
        };
        assert_eq!(parse(&resize), Some((1, Received::Resize(size))));
        assert_eq!(parse(&resize[..11]), None);
        assert_eq!(
            parse(&[0, 0, 0, 0, 7, 0, 0, 0, 0xff]),
            None,
            "a name that is no text"
        );
    }

    #[test]
    fn messages_are_made() {
        let message = Message {
            id: 5,
            event: Event::PortOpen,
            value: 1,
        };
        assert_eq!(message.to_bytes(), [5, 0, 0, 0, 6, 0, 1, 0]);
        assert_eq!(parse(&message.to_bytes()), Some((5, Received::Open(true))));
    }

    proptest! {
        #[test]
        fn no_message_hurts(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
            let _ = parse(&bytes);
        }
    }
}
