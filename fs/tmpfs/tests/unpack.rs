//! Unpacking archives into a tree.

mod world;

use abi::Error;
use machine::frame;
use proptest::prelude::*;
use vfs::cpio::{Problem, unpack};
use vfs::{FileKind, OpenFlags, View};
use world::{World, clock, content};

/// Writes an archive as cpio(1) does.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn add(self, name: &str, mode: u32, data: &[u8]) -> Archive {
        self.linked(name, mode, data, 1, 0)
    }

    fn linked(mut self, name: &str, mode: u32, data: &[u8], links: u32, inode: u32) -> Archive {
        let size = data.len() as u32;
        let numbers = [
            inode,
            mode,
            3,
            4,
            links,
            1000,
            size,
            0,
            0,
            1,
            3,
            name.len() as u32 + 1,
            0,
        ];
        self.0.extend(b"070701");
        for number in numbers {
            self.0.extend(format!("{number:08X}").bytes());
        }
        self.0.extend(name.bytes());
        self.0.push(0);
        self.pad();
        self.0.extend(data);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn end(self) -> &'static [u8] {
        Vec::leak(self.add("TRAILER!!!", 0, b"").0)
    }
}

const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

#[test]
fn everything_comes_out() {
    let before = frame::stats();
    let archive = Archive::default()
        .add(".", DIRECTORY | 0o755, b"")
        .add("bin", DIRECTORY | 0o750, b"")
        .add("bin/tool", FILE | 0o4755, &[9; 9000])
        .add("sbin", LINK | 0o777, b"bin")
        .add("sbin/other", FILE | 0o644, b"through the link")
        .add("no/parents/here", FILE | 0o600, b"x")
        .add("dev/null", 0o020_666, b"")
        .add("dev/pipe", 0o010_600, b"")
        .add("empty", FILE | 0o644, b"")
        .end();
    let world = World::new();
    assert_eq!(unpack(archive, &world.root), Ok(9));
    assert_eq!(
        world.names("."),
        [".", "..", "bin", "dev", "empty", "no", "sbin"]
    );
    assert_eq!(world.names("bin"), [".", "..", "other", "tool"]);
    let tool = world.at("bin/tool").metadata();
    assert_eq!(
        (tool.mode, tool.uid, tool.gid, tool.size),
        (0o4755, 3, 4, 9000)
    );
    assert_eq!(tool.modified.seconds, 1000);
    assert_eq!(world.at("bin").metadata().modified.seconds, 1000);
    let null = world.at("dev/null");
    assert_eq!(
        (null.kind(), null.metadata().device),
        (FileKind::CharacterDevice, vfs::DeviceNumber::new(1, 3))
    );
    assert_eq!(world.at("dev/pipe").kind(), FileKind::Fifo);
    assert_eq!(world.view().read_link(b"sbin").unwrap(), b"bin");
    // The content is still that of the archive.
    assert_eq!(frame::stats(), before);
    let file = world.open("bin/tool", OpenFlags::empty()).unwrap();
    assert_eq!(content(&file), [9; 9000]);
    file.write_at(8999, &mut &b"!!"[..]).unwrap();
    assert_eq!(content(&file)[8998..], [9, b'!', b'!']);
}

#[test]
fn hard_links_are_one_file_wherever_the_content_comes() {
    for content_first in [true, false] {
        let data = |first: bool| {
            if first == content_first {
                &b"shared"[..]
            } else {
                b""
            }
        };
        let archive = Archive::default()
            .linked("one", FILE | 0o644, data(true), 2, 77)
            .add("between", FILE | 0o644, b"own")
            .linked("two", FILE | 0o644, data(false), 2, 77)
            .end();
        let world = World::new();
        unpack(archive, &world.root).unwrap();
        assert_eq!(
            world.at("one").metadata().inode,
            world.at("two").metadata().inode
        );
        assert_eq!(world.at("one").metadata().links, 2);
        assert_eq!(
            content(&world.open("one", OpenFlags::empty()).unwrap()),
            b"shared"
        );
    }
}

#[test]
fn later_entries_win() {
    let mut first = Archive::default()
        .add("d", DIRECTORY | 0o700, b"")
        .add("d/kept", FILE | 0o600, b"kept")
        .add("x", FILE | 0o600, b"old")
        .add("y", DIRECTORY | 0o700, b"")
        .end()
        .to_vec();
    let second = Archive::default()
        .add("d", DIRECTORY | 0o755, b"")
        .add("x", DIRECTORY | 0o755, b"")
        .add("y", FILE | 0o600, b"new")
        .end();
    first.extend([0; 512]);
    first.extend(second);
    let world = World::new();
    unpack(Vec::leak(first), &world.root).unwrap();
    assert_eq!(world.at("d").metadata().mode, 0o755);
    assert_eq!(world.names("d"), [".", "..", "kept"]);
    assert_eq!(
        (world.at("x").kind(), world.at("y").kind()),
        (FileKind::Directory, FileKind::File)
    );
    // A directory with something in it is not thrown away.
    let third = Archive::default().add("d", FILE | 0o600, b"").end();
    assert_eq!(
        unpack(third, &world.root).unwrap_err().problem,
        Problem::NotMade(Error::NotEmpty)
    );
}

#[test]
fn a_bad_archive_changes_nothing() {
    let good = Archive::default().add("first", FILE | 0o644, b"");
    let escapes = Archive(good.0.clone())
        .add("a/../../b", FILE | 0o644, b"")
        .end();
    let cut = Archive(good.0).add("second", FILE | 0o644, b"content").0;
    let world = World::new();
    assert_eq!(
        unpack(escapes, &world.root).unwrap_err().problem,
        Problem::Escapes
    );
    let bad = unpack(Vec::leak(cut), &world.root).unwrap_err();
    assert_eq!(bad.problem, Problem::NoTrailer);
    assert!(bad.to_string().starts_with("cpio entry at byte "));
    assert_eq!(world.names("."), [".", ".."]);
}

#[test]
fn links_do_not_lead_out() {
    let archive = Archive::default()
        .add("up", LINK | 0o777, b"/../..")
        .add("up/file", FILE | 0o644, b"inside")
        .end();
    let world = World::new();
    world.directory("jail");
    let jail = world.at("jail");
    unpack(archive, &jail).unwrap();
    assert_eq!(world.names("."), [".", "..", "jail"]);
    let view = View {
        root: &jail,
        start: &jail,
        credentials: &world.who,
    };
    assert_eq!(view.metadata(b"file", true).unwrap().size, 6);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to an archive, unpacking ends with an answer, and nothing outside its root changes.
    #[test]
    fn damaged_archives_do_no_harm(changes in proptest::collection::vec((0..900usize, any::<u8>()), 1..6)) {
        let mut bytes = Archive::default()
            .add("d", DIRECTORY | 0o755, b"")
            .add("d/file", FILE | 0o644, b"content of a file")
            .add("l", LINK | 0o777, b"d/file")
            .linked("h", FILE | 0o644, b"linked", 2, 5)
            .linked("d/h", FILE | 0o644, b"", 2, 5)
            .end()
            .to_vec();
        let len = bytes.len();
        for (at, byte) in changes {
            bytes[at % len] = byte;
        }
        let world = World::new();
        world.file("outside", b"");
        world.directory("in");
        let _ = unpack(Vec::leak(bytes), &world.at("in"));
        prop_assert_eq!(world.names("."), [".", "..", "in", "outside"]);
        let _ = clock();
    }
}
