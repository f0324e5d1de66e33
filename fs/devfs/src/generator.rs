//! The system's random generator.
//!
//! The one idea: fast key erasure. ChaCha20 under the current key makes a run of bytes; the first become the next key, the
//! rest are handed out and wiped as they go. Whoever sees the state later learns nothing about what was given before.
//! Design: D. J. Bernstein, "Fast-key-erasure random-number generators" (2017); cipher: RFC 8439.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use machine::sync::Spin;

const KEY: usize = 32;
/// Bytes made at a time: what the cipher makes at once.
const RUN: usize = 256;
/// Bytes after which fresh entropy is mixed in.
const RESEED: u64 = 1 << 20;

static SYSTEM: Spin<Option<Generator>> = Spin::new(None);

/// Fills `bytes` from the system's generator, which seeds itself from the machine. Never waits.
pub fn fill_random(bytes: &mut [u8]) {
    if bytes.len() <= RUN - KEY {
        with_system(|generator| generator.fill(bytes));
        return;
    }
    // Much at once gets a stream of its own, so that nobody else waits for it.
    let mut seed = [0; KEY];
    with_system(|generator| generator.fill(&mut seed));
    ChaCha20Rng::from_seed(seed).fill_bytes(bytes);
}

/// Adds bytes that somebody believes to be random. They can only make it better.
pub fn mix(bytes: &[u8]) {
    with_system(|generator| generator.mix(bytes));
}

fn with_system(use_it: impl FnOnce(&mut Generator)) {
    let mut system = SYSTEM.lock();
    let generator = system.get_or_insert_with(|| Generator::new(machine::random::seed()));
    if generator.made >= RESEED {
        generator.mix(&machine::random::seed());
        generator.made = 0;
    }
    use_it(generator);
}

/// A generator with a key of its own.
pub struct Generator {
    key: [u8; KEY],
    run: [u8; RUN],
    /// Bytes of the run that are gone.
    used: usize,
    /// Bytes made since fresh entropy came in.
    made: u64,
}

impl Generator {
    /// A generator that depends on nothing but its seed.
    pub fn new(seed: [u8; 32]) -> Generator {
        Generator {
            key: seed,
            run: [0; RUN],
            used: RUN,
            made: 0,
        }
    }

    /// Hands out bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.used == RUN {
                self.renew();
            }
            let step = rest.len().min(RUN - self.used);
            let (part, after) = rest.split_at_mut(step);
            let given = &mut self.run[self.used..self.used + step];
            part.copy_from_slice(given);
            given.fill(0);
            self.used += step;
            rest = after;
        }
    }

    /// Adds to the key.
    pub fn mix(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(KEY) {
            for (key, byte) in self.key.iter_mut().zip(part) {
                *key ^= byte;
            }
            self.renew();
        }
    }

    fn renew(&mut self) {
        ChaCha20Rng::from_seed(self.key).fill_bytes(&mut self.run);
        self.key.copy_from_slice(&self.run[..KEY]);
        self.run[..KEY].fill(0);
        self.used = KEY;
        self.made += (RUN - KEY) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_cipher_with_erased_keys() {
        let seed = [7; 32];
        let mut generator = Generator::new(seed);
        let mut bytes = [0; 300];
        generator.fill(&mut bytes[..10]);
        generator.fill(&mut bytes[10..]);
        let mut first = [0; RUN];
        ChaCha20Rng::from_seed(seed).fill_bytes(&mut first);
        let mut second = [0; RUN];
        let key: [u8; KEY] = first[..KEY].try_into().unwrap();
        ChaCha20Rng::from_seed(key).fill_bytes(&mut second);
        assert_eq!(bytes[..RUN - KEY], first[KEY..]);
        assert_eq!(bytes[RUN - KEY..], second[KEY..KEY + 300 - (RUN - KEY)]);
        // What was given is nowhere in the state.
        assert!(
            generator.run[..generator.used]
                .iter()
                .all(|&byte| byte == 0)
        );
    }

    /// RFC 8439, appendix A.1, test vector 1 (key, nonce and counter zero).
    #[test]
    fn the_cipher_is_chacha20() {
        let mut block = [0; 16];
        ChaCha20Rng::from_seed([0; 32]).fill_bytes(&mut block);
        let expected = [
            0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86,
            0xbd, 0x28,
        ];
        assert_eq!(block, expected);
    }

    #[test]
    fn mixing_changes_what_follows() {
        let (mut one, mut other) = (Generator::new([1; 32]), Generator::new([1; 32]));
        one.mix(b"something");
        let (mut a, mut b) = ([0; 32], [0; 32]);
        one.fill(&mut a);
        other.fill(&mut b);
        assert_ne!(a, b);
    }

    #[test]
    fn the_system_gives_different_bytes_each_time() {
        let (mut a, mut b) = ([0; 32], [0; 1000]);
        fill_random(&mut a);
        fill_random(&mut b);
        assert_ne!(a, b[..32]);
        assert_ne!(b[..500], b[500..]);
    }
}
