use super::reader::{BadArchive, Kind, Problem, Reader};
use crate::metadata::DeviceNumber;
use proptest::prelude::*;
use std::vec::Vec;

/// Writes an archive as cpio(1) does.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn add(mut self, name: &[u8], mode: u32, links: u32, data: &[u8]) -> Writer {
        let numbers = [
            7,
            mode,
            1,
            2,
            links,
            99,
            data.len() as u32,
            0,
            5,
            8,
            1,
            name.len() as u32 + 1,
            0,
        ];
        self.0.extend(b"070701");
        for number in numbers {
            self.0.extend(std::format!("{number:08x}").bytes());
        }
        self.0.extend(name);
        self.0.push(0);
        self.pad();
        self.0.extend(data);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn end(self) -> Writer {
        self.add(b"TRAILER!!!", 0, 1, b"")
    }
}

fn problem(bytes: &[u8]) -> Option<BadArchive> {
    Reader::new(bytes).find_map(Result::err)
}

#[test]
fn entries_are_read_as_written() {
    let archive = Writer::default()
        .add(b".", 0o40755, 2, b"")
        .add(b"./name", 0o100640, 1, b"content")
        .add(b"dev/x", 0o20600, 1, b"")
        .end();
    let entries: Vec<_> = Reader::new(&archive.0).map(Result::unwrap).collect();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].kind, Kind::Directory);
    let file = &entries[1];
    assert_eq!((file.name, file.data), (&b"./name"[..], &b"content"[..]));
    assert_eq!(
        (file.kind, file.mode, file.uid, file.gid),
        (Kind::File, 0o640, 1, 2)
    );
    assert_eq!(
        (file.identity, file.links, file.modified),
        ((7, 0, 5), 1, 99)
    );
    assert_eq!(
        (entries[2].kind, entries[2].device),
        (Kind::CharacterDevice, DeviceNumber::new(8, 1))
    );
}

#[test]
fn archives_follow_each_other_with_zeros_between() {
    let mut bytes = Writer::default().add(b"one", 0o100644, 1, b"1").end().0;
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(Writer::default().add(b"two", 0o100644, 1, b"22").end().0);
    bytes.extend([0; 1000]);
    let names: Vec<_> = Reader::new(&bytes)
        .map(|entry| entry.unwrap().name)
        .collect();
    assert_eq!(names, [b"one", b"two"]);
    assert_eq!(Reader::new(b"").count(), 0);
    assert_eq!(Reader::new(&[0; 100]).count(), 0);
}

#[test]
fn what_is_wrong_is_said() {
    let whole = Writer::default()
        .add(b"name", 0o100644, 1, b"content")
        .end()
        .0;
    let problems = |bytes: &[u8]| problem(bytes).map(|bad| bad.problem);
    assert_eq!(problems(&whole), None);
    assert_eq!(
        problems(&Writer::default().add(b"x", 0o100644, 1, b"").0),
        Some(Problem::NoTrailer)
    );
    assert_eq!(problems(b"\x1f\x8b compressed: and long enough to hold a header, which it does not have, so nothing else to say about it....."), Some(Problem::NoHeader));
    let mut number = whole.clone();
    number[20] = b'g';
    assert_eq!(problems(&number), Some(Problem::BadNumber));
    let zero = Writer::default().add(b"a\0b", 0o100644, 1, b"").end().0;
    assert_eq!(problems(&zero), Some(Problem::BadName));
    assert_eq!(
        problems(&Writer::default().add(b"", 0o100644, 1, b"").end().0),
        Some(Problem::BadName)
    );
    assert_eq!(
        problems(&Writer::default().add(b"x", 0o170644, 1, b"").end().0),
        Some(Problem::BadKind)
    );
    let second = Writer(whole[..whole.len() - 124].to_vec())
        .add(b"x", 0o10, 1, b"")
        .0;
    assert_eq!(problem(&second).unwrap().offset, whole.len() - 124);
    // Cut anywhere, it is never taken for whole.
    for end in 1..whole.len() - 3 {
        assert!(
            matches!(
                problems(&whole[..end]),
                Some(Problem::CutShort | Problem::NoTrailer)
            ),
            "{end}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// Whatever the bytes, reading ends, stays inside, and reports at most one problem, last.
    #[test]
    fn any_bytes_can_be_read(
        changes in proptest::collection::vec((0..600usize, any::<u8>()), 0..8),
        cut in 0..600usize,
    ) {
        let mut bytes = Writer::default()
            .add(b"directory", 0o40755, 2, b"")
            .add(b"directory/file", 0o100644, 1, b"some content")
            .add(b"link", 0o120777, 1, b"directory/file")
            .end().0;
        for (at, byte) in changes {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        bytes.truncate(cut.max(1));
        let mut failed = false;
        for entry in Reader::new(&bytes) {
            prop_assert!(!failed);
            match entry {
                Ok(entry) => prop_assert!(!entry.name.is_empty() && !entry.name.contains(&0)),
                Err(bad) => {
                    prop_assert!(bad.offset <= bytes.len());
                    failed = true;
                }
            }
        }
    }
}
