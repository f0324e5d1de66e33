//! What waits in a socket to be received: bytes, and what came with them.
//!
//! The one idea: the bytes of all messages lie one after another in the same queue that pipes use; a list of
//! [`Segment`]s beside it says where messages begin and what each of them carried. A stream is the case where a message
//! that carries nothing new is added to the segment before it.

use crate::ancillary::{Credentials, Files, Sent};
use crate::name::Name;
use abi::Error;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use object::{Sink, Source};
use vfs::pipe::Bytes;

/// What a message costs beside its bytes, so that empty ones cannot fill the memory.
pub const OVERHEAD: usize = 512;
/// Slots that an empty list keeps.
const SLOTS: usize = 8;

/// What a message carries beside its bytes.
#[derive(Default)]
pub struct Cargo {
    /// Who sent it.
    pub credentials: Credentials,
    /// Open files.
    pub files: Files,
    /// What the sender is known by, where messages of several come together.
    pub from: Option<Arc<Name>>,
}

struct Segment {
    left: usize,
    cargo: Cargo,
}

/// A queue of messages.
pub struct Queue {
    bytes: Bytes,
    segments: VecDeque<Segment>,
    /// How many segments carry files.
    carriers: usize,
}

/// How far a receiver looks into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Nothing is taken out; files are copied.
    pub peek: bool,
    /// Credentials of different senders are not received together.
    pub by_sender: bool,
}

/// What was received.
#[derive(Default)]
pub struct Received {
    /// Bytes that the sink took.
    pub count: usize,
    /// Bytes of the message: more than `count` if it was cut.
    pub length: usize,
    /// Who sent it; of a stream: who sent its first byte.
    pub credentials: Credentials,
    /// Open files that came with it.
    pub files: Files,
    /// What the sender is known by.
    pub from: Option<Arc<Name>>,
}

impl Queue {
    /// An empty one.
    pub const fn new() -> Queue {
        Queue {
            bytes: Bytes::new(),
            segments: VecDeque::new(),
            carriers: 0,
        }
    }

    /// Whether there is nothing in it, not even an empty message.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// All bytes in it.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of the first message.
    pub fn first_len(&self) -> usize {
        self.segments.front().map_or(0, |segment| segment.left)
    }

    /// What it counts against its limit.
    pub fn cost(&self) -> usize {
        self.bytes.len() + self.segments.len() * OVERHEAD
    }

    /// Whether a receiver might meet files.
    pub fn has_files(&self) -> bool {
        self.carriers > 0
    }

    /// All files that wait in it.
    pub fn files(&self) -> impl Iterator<Item = &Sent> {
        self.segments
            .iter()
            .flat_map(|segment| segment.cargo.files.iter())
    }

    /// Takes up to `count` bytes of a stream; returns how many. `cargo` goes with the first of them: if there was none
    /// (the source faulted), it is left as it was.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn push_stream(
        &mut self,
        source: &mut dyn Source,
        count: usize,
        cargo: &mut Cargo,
    ) -> Result<usize, Error> {
        let got = self.bytes.push(source, count)?;
        if got == 0 {
            return Ok(0);
        }
        match self.segments.back_mut() {
            Some(last)
                if cargo.files.is_empty()
                    && last.cargo.files.is_empty()
                    && last.cargo.credentials == cargo.credentials =>
            {
                last.left += got;
            }
            _ => self.add(got, cargo),
        }
        Ok(got)
    }

    fn add(&mut self, left: usize, cargo: &mut Cargo) {
        self.carriers += usize::from(!cargo.files.is_empty());
        self.segments.push_back(Segment {
            left,
            cargo: core::mem::take(cargo),
        });
    }

    /// Takes a message of `count` bytes as a whole.
    ///
    /// # Errors
    /// `NoMemory`; `Fault` if the source ended before. Then nothing has changed.
    pub fn push_record(
        &mut self,
        source: &mut dyn Source,
        count: usize,
        cargo: &mut Cargo,
    ) -> Result<(), Error> {
        if self.segments.try_reserve(1).is_err() {
            return Err(Error::NoMemory);
        }
        let got = match count {
            0 => 0,
            _ => self.bytes.push(source, count)?,
        };
        if got < count {
            self.bytes.retract(got);
            // A source that still has its bytes did not fail: there was no room for them.
            return Err(if source.left() >= count - got {
                Error::NoMemory
            } else {
                Error::Fault
            });
        }
        self.add(count, cargo);
        Ok(())
    }

    /// Receives from a stream: bytes of one segment after another until the sink is full, but nothing behind a
    /// segment that carried files. `None` if it is empty.
    pub fn pop_stream(&mut self, sink: &mut dyn Sink, look: Look) -> Option<Received> {
        let mut received = Received::default();
        let mut index = 0;
        let mut skip = 0;
        let mut begun = false;
        while let Some(segment) = self.segments.get_mut(index) {
            let cargo = &mut segment.cargo;
            if begun && look.by_sender && cargo.credentials != received.credentials {
                break;
            }
            if sink.room() == 0 && begun {
                break;
            }
            if !begun {
                received.credentials = cargo.credentials;
                begun = true;
            }
            let mut part = Part {
                sink,
                left: segment.left,
            };
            let count = if look.peek {
                self.bytes.peek(skip, &mut part)
            } else {
                self.bytes.pop(&mut part)
            };
            received.count += count;
            let files = !cargo.files.is_empty() && count > 0;
            if files {
                received.files = if look.peek {
                    cargo.files.clone()
                } else {
                    self.carriers -= 1;
                    core::mem::take(&mut cargo.files)
                };
            }
            let whole = count == segment.left;
            if look.peek {
                skip += count;
                index += 1;
            } else {
                segment.left -= count;
                if whole {
                    self.segments.pop_front();
                }
            }
            if files || !whole {
                break;
            }
        }
        self.shrink();
        received.length = received.count;
        begun.then_some(received)
    }

    /// Receives one message; what the sink does not take of it is lost. `None` if it is empty.
    pub fn pop_record(&mut self, sink: &mut dyn Sink, look: Look) -> Option<Received> {
        let segment = self.segments.front_mut()?;
        let length = segment.left;
        let mut part = Part { sink, left: length };
        if look.peek {
            let count = self.bytes.peek(0, &mut part);
            return Some(Received {
                count,
                length,
                credentials: segment.cargo.credentials,
                files: segment.cargo.files.clone(),
                from: segment.cargo.from.clone(),
            });
        }
        let count = self.bytes.pop(&mut part);
        self.bytes.pop(&mut Discard(length - count));
        let cargo = self.segments.pop_front()?.cargo;
        self.carriers -= usize::from(!cargo.files.is_empty());
        self.shrink();
        Some(Received {
            count,
            length,
            credentials: cargo.credentials,
            files: cargo.files,
            from: cargo.from,
        })
    }

    /// Takes the files out of all messages.
    pub fn strip(&mut self) -> Files {
        let mut files = Files::new();
        for segment in &mut self.segments {
            files.append(&mut segment.cargo.files);
        }
        self.carriers = 0;
        files
    }

    fn shrink(&mut self) {
        if self.segments.is_empty() && self.segments.capacity() > SLOTS {
            self.segments = VecDeque::new();
        }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue::new()
    }
}

/// The front of a sink.
struct Part<'a> {
    sink: &'a mut dyn Sink,
    left: usize,
}

impl Sink for Part<'_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let step = bytes.len().min(self.left);
        let put = self.sink.put(bytes.get(..step).unwrap_or_default());
        self.left -= put;
        put
    }

    fn room(&self) -> usize {
        self.left.min(self.sink.room())
    }
}

/// Where the rest of a cut message goes.
struct Discard(usize);

impl Sink for Discard {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let step = bytes.len().min(self.0);
        self.0 -= step;
        step
    }

    fn room(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::SliceSink;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// A source that faults after so many bytes.
    struct Faulting<'a>(&'a [u8], usize);

    impl Source for Faulting<'_> {
        fn take(&mut self, into: &mut [u8]) -> usize {
            let step = into.len().min(self.1);
            self.1 -= step;
            self.0.take(&mut into[..step])
        }

        fn left(&self) -> usize {
            if self.1 == 0 { 0 } else { self.0.len() }
        }
    }

    fn from(pid: u32) -> Cargo {
        Cargo {
            credentials: Credentials {
                pid,
                uid: 0,
                gid: 0,
            },
            ..Cargo::default()
        }
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![0..3usize, 100..130usize, 4090..4100usize, 0..20_000usize]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize, usize, u32),
        Pop(usize, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let fault = prop_oneof![3 => Just(usize::MAX), 1 => 1..5000usize];
        prop_oneof![
            (size(), fault, 0..3u32).prop_map(|(size, fault, pid)| Step::Push(size, fault, pid)),
            (size(), any::<bool>()).prop_map(|(size, peek)| Step::Pop(size, peek)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn records_stay_apart(steps in proptest::collection::vec(step(), 1..60)) {
            let mut queue = Queue::new();
            let mut model: VecDeque<(Vec<u8>, u32)> = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push(size, fault, pid) => {
                        let bytes: Vec<u8> = (0..size).map(|at| (at + number) as u8).collect();
                        let pushed = queue.push_record(&mut Faulting(&bytes, fault), size, &mut from(pid));
                        prop_assert_eq!(pushed, if fault < size { Err(Error::Fault) } else { Ok(()) });
                        if pushed.is_ok() {
                            model.push_back((bytes, pid));
                        }
                    }
                    Step::Pop(size, peek) => {
                        let mut buffer = std::vec![0; size];
                        let look = Look { peek, by_sender: false };
                        let received = queue.pop_record(&mut SliceSink::new(&mut buffer), look);
                        let expected = if peek { model.front().cloned() } else { model.pop_front() };
                        prop_assert_eq!(received.is_some(), expected.is_some());
                        if let (Some(received), Some((bytes, pid))) = (received, expected) {
                            prop_assert_eq!(received.length, bytes.len());
                            prop_assert_eq!(received.count, bytes.len().min(size));
                            prop_assert_eq!(&buffer[..received.count], &bytes[..received.count]);
                            prop_assert_eq!(received.credentials.pid, pid);
                        }
                    }
                }
                prop_assert_eq!(queue.len(), model.iter().map(|record| record.0.len()).sum::<usize>());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.first_len(), model.front().map_or(0, |record| record.0.len()));
            }
        }

        #[test]
        fn a_stream_is_bytes_in_order(steps in proptest::collection::vec(step(), 1..60), by_sender in any::<bool>()) {
            let mut queue = Queue::new();
            let mut model: VecDeque<(u8, u32)> = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push(size, fault, pid) => {
                        let bytes: Vec<u8> = (0..size).map(|at| (at + number) as u8).collect();
                        let got = queue.push_stream(&mut Faulting(&bytes, fault), size, &mut from(pid)).unwrap();
                        prop_assert_eq!(got, size.min(fault));
                        model.extend(bytes[..got].iter().map(|byte| (*byte, pid)));
                    }
                    Step::Pop(size, peek) => {
                        let mut buffer = std::vec![0; size];
                        let look = Look { peek, by_sender };
                        let received = queue.pop_stream(&mut SliceSink::new(&mut buffer), look);
                        prop_assert_eq!(received.is_some(), !model.is_empty());
                        let Some(received) = received else { continue };
                        let first = model.front().map_or(0, |byte| byte.1);
                        prop_assert_eq!(received.credentials.pid, first);
                        let same = model.iter().take_while(|byte| !by_sender || byte.1 == first).count();
                        prop_assert_eq!(received.count, size.min(same));
                        let expected: Vec<u8> = model.iter().take(received.count).map(|byte| byte.0).collect();
                        prop_assert_eq!(&buffer[..received.count], &expected[..]);
                        if !peek {
                            model.drain(..received.count);
                        }
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
