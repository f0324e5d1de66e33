//! What `wait` reports: which watched objects became ready for what.

bitflags::bitflags! {
    /// States of an object that can be waited for. `HANGUP` and `ERROR` are always watched.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Events: u32 {
        /// `read` or `receive` would not wait. For a process or thread: it ended.
        const READ = 1 << 0;
        /// `write` or `send` would not wait.
        const WRITE = 1 << 1;
        /// The other side is gone.
        const HANGUP = 1 << 2;
        /// Something failed.
        const ERROR = 1 << 3;
        /// Something out of the ordinary is to be read.
        const PRIORITY = 1 << 4;
    }
}

/// One record that `wait` writes: 16 bytes, little endian, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Event {
    /// The key given to `watch`; 0 when a single object was waited for.
    pub key: u64,
    /// What it is ready for.
    pub events: Events,
    /// The handle number given to `watch`.
    pub handle: u32,
}

impl Event {
    /// Bytes of one record.
    pub const SIZE: usize = 16;

    /// The record as it lies in memory.
    pub fn to_bytes(self) -> [u8; Event::SIZE] {
        let mut bytes = [0; Event::SIZE];
        bytes[..8].copy_from_slice(&self.key.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.events.bits().to_le_bytes());
        bytes[12..].copy_from_slice(&self.handle.to_le_bytes());
        bytes
    }

    /// Reads a record. Unknown event bits are kept out.
    pub fn from_bytes(bytes: &[u8; Event::SIZE]) -> Event {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        Event {
            key: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            events: Events::from_bits_truncate(u32::from_le_bytes([i, j, k, l])),
            handle: u32::from_le_bytes([m, n, o, p]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives() {
        let event = Event {
            key: 0x0102_0304_0506_0708,
            events: Events::READ | Events::HANGUP,
            handle: 77,
        };
        assert_eq!(Event::from_bytes(&event.to_bytes()), event);
        assert_eq!(core::mem::size_of::<Event>(), Event::SIZE);
    }
}
