//! A seeded byte stream. One idea: every byte follows from its offset alone, so a reader notices loss, doubling and
//! reordering, wherever the reads cut the stream.

/// The bytes of the stream, eight at a time (splitmix64 of the block number).
pub fn fill(seed: u64, offset: u64, into: &mut [u8]) {
    for (i, byte) in into.iter_mut().enumerate() {
        let at = offset + i as u64;
        *byte = (block(seed, at / 8) >> (at % 8 * 8)) as u8;
    }
}

fn block(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The first offset at which the bytes differ from the stream.
pub fn mismatch(seed: u64, offset: u64, bytes: &[u8]) -> Option<u64> {
    let mut expected = vec![0; bytes.len()];
    fill(seed, offset, &mut expected);
    (0..bytes.len())
        .find(|&i| bytes[i] != expected[i])
        .map(|i| offset + i as u64)
}

/// A small generator of numbers for tests: the same numbers every time.
#[derive(Debug)]
pub struct Numbers {
    seed: u64,
    next: u64,
}

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers { seed, next: 0 }
    }
    pub fn word(&mut self) -> u64 {
        self.next += 1;
        block(self.seed, self.next)
    }
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.word() % limit
    }
}

/// FNV-1a over a stream, for programs that say what passed through them.
#[derive(Clone, Copy, Debug)]
pub struct Checksum(pub u64);

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
