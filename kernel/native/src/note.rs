//! Telling native programs from others: by a note in their ELF file.
//!
//! The runtime puts the note into every native program: name `Helve`, type 1, and the version of the start block as a
//! 32-bit number. Every byte of the file is an allegation; what is not well formed is no native program.

use alloc::vec::Vec;
use memory::Object;
use object::SliceSink;

/// ELF header, program header, program header types (System V ABI, chapters 4 and 5).
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_NOTE: u32 = 4;
/// Program headers that are looked at.
const MOST_HEADERS: usize = 64;
/// Bytes of notes that are looked at.
const LARGEST_NOTE: usize = 1024;

const NAME: &[u8] = b"Helve\0";
const TYPE: u32 = 1;
const VERSION: u32 = 1;

/// Whether the file is a native program.
pub fn is_native(file: &Object) -> bool {
    let read = |offset: u64, length: usize| {
        let mut bytes = alloc::vec![0; length];
        let count = file.read(offset, &mut SliceSink::new(&mut bytes));
        bytes.truncate(count);
        bytes
    };
    look(&read).unwrap_or(false)
}

fn look(read: &dyn Fn(u64, usize) -> Vec<u8>) -> Option<bool> {
    let header = read(0, HEADER);
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64_at(&header, 32)?;
    let size = u16_at(&header, 54)?;
    let count = usize::from(u16_at(&header, 56)?).min(MOST_HEADERS);
    if usize::from(size) != PROGRAM_HEADER {
        return None;
    }
    let table = read(table, count * PROGRAM_HEADER);
    for entry in table.chunks_exact(PROGRAM_HEADER) {
        if u32_at(entry, 0)? == PT_NOTE {
            let (offset, length) = (u64_at(entry, 8)?, u64_at(entry, 32)?);
            let notes = read(offset, length.min(LARGEST_NOTE as u64) as usize);
            if has_mark(&notes) {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Goes through the notes: sizes of name and content, type, name, content, the last two filled up to four bytes.
fn has_mark(mut notes: &[u8]) -> bool {
    while let Some((note, rest)) = first(notes) {
        if note.name == NAME && note.kind == TYPE {
            return u32_at(note.content, 0).is_some_and(|version| version == VERSION);
        }
        notes = rest;
    }
    false
}

struct Note<'a> {
    name: &'a [u8],
    kind: u32,
    content: &'a [u8],
}

fn first(notes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let (name, content) = (u32_at(notes, 0)? as usize, u32_at(notes, 4)? as usize);
    let kind = u32_at(notes, 8)?;
    let rest = notes.get(12..)?;
    let (name_field, rest) = rest.split_at_checked(name.checked_next_multiple_of(4)?)?;
    let content_end = content.checked_next_multiple_of(4)?.min(rest.len());
    let (content_field, rest) = rest.split_at_checked(content_end)?;
    let note = Note {
        name: name_field.get(..name)?,
        kind,
        content: content_field.get(..content)?,
    };
    Some((note, rest))
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    bytes
        .get(place..)?
        .first_chunk()
        .map(|raw| u16::from_le_bytes(*raw))
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    bytes
        .get(place..)?
        .first_chunk()
        .map(|raw| u32::from_le_bytes(*raw))
}

fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    bytes
        .get(place..)?
        .first_chunk()
        .map(|raw| u64::from_le_bytes(*raw))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn program(notes: &[u8]) -> Vec<u8> {
        let mut file = vec![0; HEADER + PROGRAM_HEADER];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = HEADER as u8;
        file[54] = PROGRAM_HEADER as u8;
        file[56] = 1;
        file[HEADER] = PT_NOTE as u8;
        file[HEADER + 8] = (HEADER + PROGRAM_HEADER) as u8;
        file[HEADER + 32..HEADER + 36].copy_from_slice(&(notes.len() as u32).to_le_bytes());
        file.extend_from_slice(notes);
        file
    }

    fn check(file: &[u8]) -> bool {
        let read = |offset: u64, length: usize| {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(file.len());
            file[start..start.saturating_add(length).min(file.len())].to_vec()
        };
        look(&read).unwrap_or(false)
    }

    const MARK: &[u8] = b"\x06\0\0\0\x04\0\0\0\x01\0\0\0Helve\0\0\0\x01\0\0\0";

    #[test]
    fn the_mark_is_found_among_others() {
        assert!(check(&program(MARK)));
        let other = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0abc\0";
        assert!(check(&program(&[other, MARK].concat())));
        assert!(!check(&program(other)));
        assert!(!check(&program(b"")));
        assert!(!check(b"#!/bin/sh"));
        for length in 0..MARK.len() {
            assert!(!check(&program(&MARK[..length])));
        }
    }

    proptest! {
        #[test]
        fn nonsense_is_no_native_program(notes in any::<Vec<u8>>(), file in any::<Vec<u8>>()) {
            check(&file);
            prop_assert!(!check(&program(&notes)) || notes.windows(NAME.len()).any(|part| part == NAME));
        }
    }
}
