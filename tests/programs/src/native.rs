//! Native calls from Linux programs. One idea: a kernel that has none says so, and a test that needs them asks first.

use crate::raw;
use abi::{Call, Error, MOST_HANDLES, NEVER, Passed, Passing, Received, Rights};

/// A native call.
pub fn native(call: Call, arguments: &[u64]) -> Result<u64, Error> {
    let words: Vec<usize> = arguments.iter().map(|&word| word as usize).collect();
    match raw::call(abi::encode(call) as i64, &words) {
        Ok(value) => Ok(value as u64),
        Err(code) => Error::from_raw(-i64::from(code) as u64),
    }
}

/// A kernel without native calls has none of their errors either.
pub fn is_linux() -> bool {
    let number = abi::encode(Call::Yield) as i64;
    raw::call(number, &[usize::MAX]) == Err(libc::ENOSYS)
}

pub fn registry(name: &str) -> Result<u64, Error> {
    native(Call::Registry, &[name.as_ptr() as u64, name.len() as u64])
}

pub fn close(handle: u64) -> Result<u64, Error> {
    native(Call::Close, &[handle])
}

/// The smallest values: the empty one, and one with a number under a key of one letter.
pub const EMPTY: [u8; 5] = [5, 0, 0, 0, 0];

/// A value with one number, `n`.
pub fn number(number: i64) -> [u8; 16] {
    let mut bytes = *b"\x10\0\0\0\x12n\0\0\0\0\0\0\0\0\0\0";
    bytes[7..15].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// The number under `key` in a value of integers only.
pub fn find(value: &[u8], key: &str) -> Option<u64> {
    let mut rest = value.get(4..)?;
    while let Some((&kind, after)) = rest.split_first().filter(|(kind, _)| **kind != 0) {
        let end = after.iter().position(|byte| *byte == 0)?;
        let (name, payload) = after.split_at(end);
        let payload = &payload[1..];
        let length = if kind == 0x12 { 8 } else { 4 };
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(payload.get(..length)?);
        if name == key.as_bytes() {
            return Some(u64::from_le_bytes(bytes));
        }
        rest = &payload[length..];
    }
    None
}

/// Asks for a verb whose reply is integers.
pub fn request(handle: u64, verb: &str, argument: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reply = vec![0; 4096];
    let (name, length) = (verb.as_ptr() as u64, verb.len() as u64);
    let room = [reply.as_mut_ptr() as u64, reply.len() as u64];
    let length = native(
        Call::Request,
        &[
            handle,
            name,
            length,
            argument.as_ptr() as u64,
            room[0],
            room[1],
        ],
    )?;
    reply.truncate(length as usize);
    Ok(reply)
}

/// A channel with the usual limits: sender and receiver.
pub fn channel() -> Result<(u64, u64), Error> {
    let registry = registry("channel")?;
    let reply = request(registry, "new", &EMPTY)?;
    close(registry)?;
    let end = |key| find(&reply, key).ok_or(Error::BadValue);
    Ok((end("sender")?, end("receiver")?))
}

/// Memory of so many bytes.
pub fn memory(bytes: u64) -> Result<u64, Error> {
    let registry = registry("memory")?;
    let mut argument = *b"\x14\0\0\0\x12bytes\0\0\0\0\0\0\0\0\0\0";
    argument[11..19].copy_from_slice(&bytes.to_le_bytes());
    let reply = request(registry, "new", &argument)?;
    close(registry)?;
    find(&reply, "memory").ok_or(Error::BadValue)
}

/// Sends a value with handles: the records of [`Passed`] as bytes.
pub fn send(to: u64, value: &[u8], handles: &[u8], deadline: u64) -> Result<(), Error> {
    let (records, count) = (
        handles.as_ptr() as u64,
        (handles.len() / Passed::SIZE) as u64,
    );
    let arguments = [to, value.as_ptr() as u64, records, count, deadline];
    native(Call::Send, &arguments).map(drop)
}

/// What was received.
#[derive(Debug, Default)]
pub struct Message {
    pub value: Vec<u8>,
    pub handles: Vec<Passed>,
    pub asks: bool,
}

impl Message {
    /// The number of [`number`].
    pub fn number(&self) -> i64 {
        find(&self.value, "n").expect("a number") as i64
    }

    /// The handle to answer with.
    pub fn reply(&self) -> u64 {
        assert!(self.asks, "nobody asks");
        self.handles.last().expect("a reply handle").number.0.into()
    }

    fn of(raw: u64, mut value: Vec<u8>, records: &[u8]) -> Message {
        let received = Received::from_raw(raw);
        assert!(received.fits(value.len(), MOST_HANDLES + 1));
        value.truncate(received.length as usize);
        let (records, _) = records.as_chunks();
        let records = records.iter().take(received.handles.into());
        let handles = records.map(|it| Passed::from_bytes(it).expect("a handle"));
        Message {
            value,
            handles: handles.collect(),
            asks: received.asks,
        }
    }
}

/// The room for handles.
type Records = [u8; (MOST_HANDLES + 1) * Passed::SIZE];

/// Receives one message of up to 4 KiB.
pub fn receive(from: u64, deadline: u64) -> Result<Message, Error> {
    let mut value = vec![0; 4096];
    let mut records: Records = [0; _];
    let arguments = [
        from,
        value.as_mut_ptr() as u64,
        value.len() as u64,
        records.as_mut_ptr() as u64,
        MOST_HANDLES as u64 + 1,
        deadline,
    ];
    let raw = native(Call::Receive, &arguments)?;
    Ok(Message::of(raw, value, &records))
}

/// Asks, with handles or without; waits for the answer.
pub fn call(to: u64, value: &[u8], handles: &[u8]) -> Result<Message, Error> {
    let mut answer = vec![0; 4096];
    let mut records: Records = [0; _];
    records[..handles.len()].copy_from_slice(handles);
    let passing = Passing {
        handles: records.as_mut_ptr() as u64,
        count: (handles.len() / Passed::SIZE) as u32,
        room: MOST_HANDLES as u32,
    };
    let passing = passing.to_bytes();
    let arguments = [
        to,
        value.as_ptr() as u64,
        answer.as_mut_ptr() as u64,
        answer.len() as u64,
        passing.as_ptr() as u64,
        NEVER,
    ];
    let raw = native(Call::Call, &arguments)?;
    Ok(Message::of(raw, answer, &records))
}

/// The record of a handle that is to be sent.
pub fn pass(number: u64, rights: Rights, what: u16) -> [u8; Passed::SIZE] {
    let number = abi::Number(number as u32);
    Passed {
        number,
        rights,
        what,
    }
    .to_bytes()
}
