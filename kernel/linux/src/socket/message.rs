//! The records around a message: `struct msghdr` and the control messages it points to (cmsg(3)).
//!
//! Bytes from a program are checked here and nowhere else: a control buffer is walked as `CMSG_NXTHDR` walks it, and
//! what does not fit in it is `EINVAL`.

use crate::errno::Errno;
use alloc::vec::Vec;
use local::Credentials;
use local::ancillary::FILES_MAX;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const MSG_OOB: u64 = 0x1;
pub const MSG_PEEK: u64 = 0x2;
pub const MSG_CTRUNC: u64 = 0x8;
pub const MSG_TRUNC: u64 = 0x20;
pub const MSG_DONTWAIT: u64 = 0x40;
pub const MSG_WAITALL: u64 = 0x100;
pub const MSG_NOSIGNAL: u64 = 0x4000;
pub const MSG_CMSG_CLOEXEC: u64 = 0x4000_0000;

pub const SOL_SOCKET: u32 = 1;
pub const SCM_RIGHTS: u32 = 1;
pub const SCM_CREDENTIALS: u32 = 2;

/// The largest control buffer that is read.
pub const CONTROL_MAX: u64 = 20_480;
/// `sizeof(struct cmsghdr)`.
const HEADER: usize = 16;

/// `struct msghdr`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MessageHeader {
    pub name: u64,
    pub name_length: u32,
    padding: u32,
    pub vector: u64,
    pub vector_length: u64,
    pub control: u64,
    pub control_length: u64,
    pub flags: u32,
    padding_after: u32,
}

/// Where `msg_namelen`, `msg_controllen` and `msg_flags` lie in it.
pub const NAME_LENGTH_AT: u64 = 8;
pub const CONTROL_LENGTH_AT: u64 = 40;
pub const FLAGS_AT: u64 = 48;

/// What a program sends beside its bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ancillary {
    /// Descriptors of files, in order.
    pub descriptors: Vec<u32>,
    /// Who it says that it is.
    pub credentials: Option<Credentials>,
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn align(length: usize) -> usize {
    length.saturating_add(7) & !7
}

impl Ancillary {
    /// Reads a control buffer.
    ///
    /// # Errors
    /// `EINVAL`: a message that does not fit in the buffer, one that local sockets do not know, or too many files.
    pub fn parse(mut control: &[u8]) -> Result<Ancillary, Errno> {
        let mut ancillary = Ancillary::default();
        while let (Some(length), Some(level), Some(kind)) = (
            word(control, 0).map(u64::from_le_bytes),
            word(control, 8).map(u32::from_le_bytes),
            word(control, 12).map(u32::from_le_bytes),
        ) {
            let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
            let data = control.get(HEADER..length).ok_or(Errno::EINVAL)?;
            control = control.get(align(length)..).unwrap_or_default();
            // Other levels are other protocols' business.
            if level == SOL_SOCKET {
                ancillary.add(kind, data)?;
            }
        }
        Ok(ancillary)
    }

    fn add(&mut self, kind: u32, data: &[u8]) -> Result<(), Errno> {
        match kind {
            SCM_RIGHTS => {
                let (numbers, _) = data.as_chunks::<4>();
                if self.descriptors.len() + numbers.len() > FILES_MAX {
                    return Err(Errno::EINVAL);
                }
                self.descriptors
                    .extend(numbers.iter().map(|number| u32::from_le_bytes(*number)));
            }
            SCM_CREDENTIALS => {
                let (numbers, rest) = data.as_chunks::<4>();
                let [pid, uid, gid] = numbers else {
                    return Err(Errno::EINVAL);
                };
                if !rest.is_empty() {
                    return Err(Errno::EINVAL);
                }
                self.credentials = Some(Credentials {
                    pid: u32::from_le_bytes(*pid),
                    uid: u32::from_le_bytes(*uid),
                    gid: u32::from_le_bytes(*gid),
                });
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// A control buffer being filled for a program.
#[derive(Debug)]
pub struct Control {
    bytes: Vec<u8>,
    room: usize,
    /// Something did not fit (`MSG_CTRUNC`).
    pub truncated: bool,
}

impl Control {
    pub fn new(room: u64) -> Control {
        Control {
            bytes: Vec::new(),
            room: usize::try_from(room).unwrap_or(usize::MAX),
            truncated: false,
        }
    }

    fn left(&self) -> usize {
        self.room.saturating_sub(self.bytes.len())
    }

    /// How many descriptors still fit.
    pub fn descriptors_room(&self) -> usize {
        self.left().saturating_sub(HEADER) / 4
    }

    /// Adds a message; cut, or left out, if it does not fit.
    pub fn put(&mut self, kind: u32, data: &[u8]) {
        let room = self.left();
        if room < HEADER {
            self.truncated = true;
            return;
        }
        let length = HEADER + data.len();
        self.truncated |= length > room;
        let length = length.min(room);
        self.bytes.extend_from_slice(&(length as u64).to_le_bytes());
        self.bytes.extend_from_slice(&SOL_SOCKET.to_le_bytes());
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes
            .extend_from_slice(data.get(..length - HEADER).unwrap_or(data));
        let end = self.bytes.len() + align(length) - length;
        self.bytes.resize(end.min(self.room), 0);
    }

    /// What was put.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(length: u64, level: u32, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [
            &length.to_le_bytes()[..],
            &level.to_le_bytes(),
            &kind.to_le_bytes(),
            data,
        ]
        .concat();
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn the_header_is_as_the_c_library_has_it() {
        assert_eq!(size_of::<MessageHeader>(), 56);
        let offset = core::mem::offset_of!(MessageHeader, control_length);
        assert_eq!(offset as u64, CONTROL_LENGTH_AT);
        assert_eq!(core::mem::offset_of!(MessageHeader, flags) as u64, FLAGS_AT);
    }

    #[test]
    fn lengths_are_checked() {
        let parse =
            |length| Ancillary::parse(&message(length, SOL_SOCKET, SCM_RIGHTS, &[5, 0, 0, 0]));
        assert_eq!(parse(20).unwrap().descriptors, [5]);
        assert_eq!(parse(24).unwrap().descriptors, [5, 0]);
        assert_eq!(parse(16).unwrap(), Ancillary::default());
        for wrong in [0, 15, 25, u64::MAX, u64::MAX - 7] {
            assert_eq!(parse(wrong), Err(Errno::EINVAL), "{wrong}");
        }
        assert_eq!(Ancillary::parse(&[0; 15]), Ok(Ancillary::default()));
        let foreign = message(18, 41, 7, &[1, 2]);
        assert_eq!(Ancillary::parse(&foreign), Ok(Ancillary::default()));
        let unknown = message(18, SOL_SOCKET, 7, &[1, 2]);
        assert_eq!(Ancillary::parse(&unknown), Err(Errno::EINVAL));
        let short = message(24, SOL_SOCKET, SCM_CREDENTIALS, &[0; 8]);
        assert_eq!(Ancillary::parse(&short), Err(Errno::EINVAL));
        let many = [0; 4 * (FILES_MAX + 1)];
        let many = message(16 + many.len() as u64, SOL_SOCKET, SCM_RIGHTS, &many);
        assert_eq!(Ancillary::parse(&many), Err(Errno::EINVAL));
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        for room in 0..60u64 {
            let mut control = Control::new(room);
            control.put(SCM_CREDENTIALS, &[1; 12]);
            assert_eq!(control.truncated, room < 28, "{room}");
            assert_eq!(
                control.bytes().len() as u64,
                if room < 16 { 0 } else { room.min(32) }
            );
            let descriptors = control.descriptors_room();
            assert_eq!(descriptors as u64, room.saturating_sub(48) / 4);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Ancillary::parse(&bytes);
        }

        #[test]
        fn what_is_put_can_be_parsed(
            descriptors in proptest::collection::vec(any::<u32>(), 1..50),
            ids in any::<Option<[u32; 3]>>(),
            room in 0..400u64,
        ) {
            let mut control = Control::new(room);
            if let Some(ids) = ids {
                control.put(SCM_CREDENTIALS, ids.as_bytes());
            }
            let fits = control.descriptors_room().min(descriptors.len());
            if fits > 0 {
                control.put(SCM_RIGHTS, descriptors[..fits].as_bytes());
            }
            prop_assert!(control.bytes().len() as u64 <= room);
            if !control.truncated {
                let parsed = Ancillary::parse(control.bytes()).unwrap();
                prop_assert_eq!(&parsed.descriptors[..], &descriptors[..fits]);
                let credentials = ids.map(|[pid, uid, gid]| Credentials { pid, uid, gid });
                prop_assert_eq!(parsed.credentials, credentials);
            }
        }

        #[test]
        fn nearly_right_buffers(
            length in 0..80u64,
            level in 0..3u32,
            kind in 0..4u32,
            data in proptest::collection::vec(any::<u8>(), 0..40),
            cut in 0..80usize,
        ) {
            let mut bytes = message(length, level, kind, &data);
            bytes.truncate(cut);
            if let Ok(ancillary) = Ancillary::parse(&bytes) {
                prop_assert!(ancillary.descriptors.len() * 4 <= bytes.len());
            }
        }
    }
}
