//! What measuring processes write into their common pipe: eight bytes for each wake-up.

use alloc::vec::Vec;

/// The length of one as bytes.
pub const SIZE: usize = 8;
/// How many go into one write: less than a pipe takes as a whole, so that those of different processes never mix.
pub const BATCH: usize = 256;

/// Where the worker's number begins.
const WORKER: u32 = 48;
/// What stands for "ready".
const READY: u64 = (1 << WORKER) - 1;
/// The longest time that is told: three days.
const LONGEST: u64 = READY - 1;

/// One report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// This worker is where it shall measure.
    Ready { worker: u16 },
    /// It was late by so many nanoseconds.
    Late { worker: u16, nanoseconds: u64 },
}

impl Sample {
    pub fn to_bytes(self) -> [u8; SIZE] {
        let (worker, rest) = match self {
            Sample::Ready { worker } => (worker, READY),
            Sample::Late {
                worker,
                nanoseconds,
            } => (worker, nanoseconds.min(LONGEST)),
        };
        (u64::from(worker) << WORKER | rest).to_le_bytes()
    }

    pub fn from_bytes(bytes: [u8; SIZE]) -> Sample {
        let bits = u64::from_le_bytes(bytes);
        let worker = (bits >> WORKER) as u16;
        match bits & READY {
            READY => Sample::Ready { worker },
            nanoseconds => Sample::Late {
                worker,
                nanoseconds,
            },
        }
    }
}

/// A stream of bytes as samples, wherever it is cut.
#[derive(Debug, Default)]
pub struct Samples(Vec<u8>);

impl Samples {
    /// Takes what was read; gives every sample that is whole by now to `take`.
    pub fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Sample)) {
        self.0.extend_from_slice(bytes);
        let mut whole = self.0.chunks_exact(SIZE);
        for bytes in whole.by_ref() {
            // They are of this size.
            take(Sample::from_bytes(bytes.try_into().unwrap_or_default()));
        }
        let rest = whole.remainder().len();
        self.0.drain(..self.0.len() - rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_cross_a_pipe_in_any_pieces() {
        let late = |worker, nanoseconds| Sample::Late {
            worker,
            nanoseconds,
        };
        let samples = [
            Sample::Ready { worker: 3 },
            late(0, 0),
            late(u16::MAX, 123_456_789),
            late(7, LONGEST),
        ];
        let bytes = samples.map(Sample::to_bytes).concat();
        for piece in 1..=bytes.len() {
            let (mut read, mut seen) = (Samples::default(), Vec::new());
            for bytes in bytes.chunks(piece) {
                read.feed(bytes, |sample| seen.push(sample));
            }
            assert_eq!(seen, samples, "pieces of {piece}");
        }
        assert_eq!(
            Sample::from_bytes(late(1, u64::MAX).to_bytes()),
            late(1, LONGEST)
        );
    }
}
