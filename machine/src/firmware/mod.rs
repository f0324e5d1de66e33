//! What firmware and boot loaders leave in memory, parsed: pure logic, tested on any machine.
//!
//! The one idea: these structures come from outside, so they are only ever seen as bytes that a
//! [`Memory`] lends, every address and length is checked, and what does not fit is not there.
#![forbid(unsafe_code)]

pub mod acpi;
pub mod loader;
pub mod long;
pub mod numa;
pub mod pvclock;
pub mod symbols;

/// Lends `len` bytes at a physical address; fewer or none when they cannot be read.
pub type Memory<'a> = dyn Fn(usize, usize) -> &'a [u8] + 'a;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..) {
        Some([low, high, ..]) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod image {
    //! A made-up physical memory for tests.

    use std::collections::BTreeMap;

    /// Pieces of memory by address. Reading across a piece's end gives nothing.
    #[derive(Clone, Debug, Default)]
    pub struct Image(pub BTreeMap<usize, Vec<u8>>);

    impl Image {
        pub fn put(&mut self, at: usize, bytes: Vec<u8>) {
            self.0.insert(at, bytes);
        }

        pub fn read(&self, at: usize, len: usize) -> &[u8] {
            let Some((start, piece)) = self.0.range(..=at).next_back() else {
                return &[];
            };
            at.checked_add(len)
                .and_then(|end| piece.get(at - start..end - start))
                .unwrap_or(&[])
        }
    }

    /// Little-endian words of the given widths in a row.
    pub fn words(parts: &[(usize, u64)]) -> Vec<u8> {
        parts
            .iter()
            .flat_map(|(width, value)| value.to_le_bytes()[..*width].to_vec())
            .collect()
    }
}
