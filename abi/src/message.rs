//! Messages: the records that go with `send`, `receive` and `call`.

use crate::{Kind, Number, Rights};

/// The most handles that one message carries.
pub const MOST_HANDLES: usize = 64;

/// One handle of a message: 8 bytes, little endian, in this order: number (32 bits), rights (16), and what it is (16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// In the table of whoever sends it, or of who receives it.
    pub number: Number,
    /// The rights that the receiver has: in `send` a subset of those that the handle has.
    pub rights: Rights,
    /// To be sent: one of [`Passed::MOVE`], [`Passed::COPY`], [`Passed::SURRENDER`]. Received: the code of its
    /// [`Kind`], and [`Passed::SURRENDERED`] beside it.
    pub what: u16,
}

impl Passed {
    /// Bytes of one record.
    pub const SIZE: usize = 8;
    /// The sender has it no longer. Needs `TRANSFER`.
    pub const MOVE: u16 = 0;
    /// The sender keeps it. Needs `TRANSFER` and `DUPLICATE`.
    pub const COPY: u16 = 1;
    /// Moved, and only for memory: the sender's mappings of it are taken out, so that the receiver is the only one who
    /// has it. `Busy` if somebody else has it too. Needs `TRANSFER`.
    pub const SURRENDER: u16 = 2;
    /// Beside the kind: nobody else has it.
    pub const SURRENDERED: u16 = 1 << 15;

    /// The record of a handle that is received.
    pub const fn received(number: Number, rights: Rights, kind: Kind, surrendered: bool) -> Passed {
        let what = if surrendered {
            kind as u16 | Passed::SURRENDERED
        } else {
            kind as u16
        };
        Passed {
            number,
            rights,
            what,
        }
    }

    /// The kind of a handle that was received.
    pub const fn kind(&self) -> Option<Kind> {
        Kind::from_code(self.what & !Passed::SURRENDERED)
    }

    /// Whether it is memory that nobody else has.
    pub const fn is_surrendered(&self) -> bool {
        self.what & Passed::SURRENDERED != 0
    }

    /// The record as it lies in memory.
    pub fn to_bytes(self) -> [u8; Passed::SIZE] {
        let [a, b, c, d] = self.number.0.to_le_bytes();
        let [e, f] = (self.rights.bits() as u16).to_le_bytes();
        let [g, h] = self.what.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Reads a record. `None`: it has rights that there are not.
    pub fn from_bytes(bytes: &[u8; Passed::SIZE]) -> Option<Passed> {
        let [a, b, c, d, e, f, g, h] = *bytes;
        Some(Passed {
            number: Number(u32::from_le_bytes([a, b, c, d])),
            rights: Rights::from_bits(u16::from_le_bytes([e, f]).into())?,
            what: u16::from_le_bytes([g, h]),
        })
    }
}

/// The handles of a `call`: 16 bytes, little endian, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passing {
    /// Where the records ([`Passed`]) lie that are sent, and where those of the answer go.
    pub handles: u64,
    /// How many are sent.
    pub count: u32,
    /// For how many of the answer there is room.
    pub room: u32,
}

impl Passing {
    /// Bytes of the record.
    pub const SIZE: usize = 16;

    /// The record as it lies in memory.
    pub fn to_bytes(self) -> [u8; Passing::SIZE] {
        let mut bytes = [0; Passing::SIZE];
        bytes[..8].copy_from_slice(&self.handles.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..].copy_from_slice(&self.room.to_le_bytes());
        bytes
    }

    /// Reads the record.
    pub fn from_bytes(bytes: &[u8; Passing::SIZE]) -> Passing {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        Passing {
            handles: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            count: u32::from_le_bytes([i, j, k, l]),
            room: u32::from_le_bytes([m, n, o, p]),
        }
    }
}

/// What `receive` and `call` give: the shape of the message. If it has more bytes or handles than there was room for,
/// nothing was received: ask again with more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of its value.
    pub length: u32,
    /// How many handles came with it, the reply handle included.
    pub handles: u16,
    /// Its sender waits for an answer: the last handle is the reply handle.
    pub asks: bool,
}

impl Received {
    /// The content of `rax`.
    pub const fn to_raw(self) -> u64 {
        self.length as u64 | (self.handles as u64) << 32 | (self.asks as u64) << 48
    }

    /// The reverse.
    pub const fn from_raw(raw: u64) -> Received {
        Received {
            length: raw as u32,
            handles: (raw >> 32) as u16,
            asks: raw >> 48 & 1 != 0,
        }
    }

    /// Whether there was room for it.
    pub const fn fits(&self, bytes: usize, handles: usize) -> bool {
        self.length as usize <= bytes && self.handles as usize <= handles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive() {
        let passed = Passed::received(Number(0x0102_0304), Rights::all(), Kind::Memory, true);
        assert_eq!(Passed::from_bytes(&passed.to_bytes()), Some(passed));
        assert_eq!(passed.kind(), Some(Kind::Memory));
        assert!(passed.is_surrendered());
        assert_eq!(Passed::from_bytes(&[0xff; 8]), None);
        let passing = Passing {
            handles: 0x0102_0304_0506_0708,
            count: 9,
            room: 10,
        };
        assert_eq!(Passing::from_bytes(&passing.to_bytes()), passing);
        let received = Received {
            length: 4 << 20,
            handles: 65,
            asks: true,
        };
        assert_eq!(Received::from_raw(received.to_raw()), received);
        assert!(crate::Error::from_raw(received.to_raw()).is_ok());
        assert!(received.fits(4 << 20, 65) && !received.fits(4 << 20, 64));
    }

    #[test]
    fn rights_fit_their_field() {
        assert!(Rights::all().bits() <= u16::MAX.into());
    }
}
