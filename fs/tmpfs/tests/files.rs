//! Files: content, positions, limits, times, and what is left when all is gone.

mod world;

use abi::Error;
use machine::{PAGE, frame};
use object::{SliceSink, Source};
use std::sync::Arc;
use tmpfs::{Options, Tmpfs};
use vfs::pipe::End;
use vfs::{
    Access, Change, Credentials, Description, FileKind, NewKind, NewTime, OpenFlags, OpenRequest,
    Seek, Time,
};
use world::{World, both, clock, content, read_only};

#[test]
fn a_removed_file_lives_until_the_last_close() {
    let before = frame::stats();
    let world = World::new();
    let file = world.file("a", &[7; 10_000]);
    world.view().unlink(b"a", clock()).unwrap();
    assert_eq!(
        world.open("a", OpenFlags::empty()).err(),
        Some(Error::NotFound)
    );
    assert_eq!(file.metadata().links, 0);
    assert_eq!(content(&file), [7; 10_000]);
    assert_eq!(file.write(&mut &b"more"[..]), Ok(4));
    assert_eq!(world.path(file.location().unwrap()), "/a (deleted)");
    let link = world.view().link(file.location().unwrap(), b"b", clock());
    assert_eq!(link, Err(Error::NotFound));
    assert_ne!(frame::stats(), before);
    drop(file);
    assert_eq!(frame::stats(), before);
    let statistics = world.volume().file_system().statistics();
    assert_eq!(statistics.free_blocks, statistics.blocks);
    assert_eq!(statistics.free_inodes, statistics.inodes - 1);
}

#[test]
fn positions_are_shared_and_pread_leaves_them() {
    let world = World::new();
    let file = world.file("a", b"0123456789");
    let shared = file.clone();
    assert_eq!(file.seek(Seek::Start(2)), Ok(2));
    let mut two = [0; 2];
    assert_eq!(shared.read(&mut SliceSink::new(&mut two)), Ok(2));
    assert_eq!((&two, file.position()), (b"23", 4));
    assert_eq!(file.read_at(8, &mut SliceSink::new(&mut two)), Ok(2));
    assert_eq!((&two, file.position()), (b"89", 4));
    assert_eq!(file.write_at(0, &mut &b"xy"[..]), Ok(2));
    assert_eq!(
        (content(&file), file.position()),
        (b"xy23456789".to_vec(), 4)
    );
    let other = world.open("a", OpenFlags::empty()).unwrap();
    assert_eq!(other.position(), 0);
    assert_eq!(file.seek(Seek::End(-1)), Ok(9));
    assert_eq!(file.seek(Seek::Here(-10)), Err(Error::Invalid));
    assert_eq!(file.seek(Seek::Start(u64::MAX)), Err(Error::Invalid));
    assert_eq!(file.seek(Seek::Here(i64::MAX)), Err(Error::Invalid));
    assert_eq!(file.seek(Seek::Here(100)), Ok(109));
    assert_eq!(file.read(&mut SliceSink::new(&mut two)), Ok(0));
    assert_eq!(file.write(&mut &b"!"[..]), Ok(1));
    assert_eq!(file.metadata().size, 110);
    assert_eq!(content(&file)[10..109], [0; 99]);
}

#[test]
fn appending_goes_to_the_end_wherever_that_is() {
    let world = World::new();
    let one = world
        .open("a", OpenFlags::CREATE | OpenFlags::APPEND)
        .unwrap();
    let other = world.open("a", OpenFlags::empty()).unwrap();
    one.write(&mut &b"12"[..]).unwrap();
    other.write(&mut &b"x"[..]).unwrap();
    one.write(&mut &b"3"[..]).unwrap();
    assert_eq!(
        (content(&one), one.position(), other.position()),
        (b"x23".to_vec(), 3, 1)
    );
    one.seek(Seek::Start(0)).unwrap();
    one.set_flags(OpenFlags::empty());
    one.write(&mut &b"y"[..]).unwrap();
    assert_eq!(other.append(&mut &b"z"[..]), Ok(1));
    assert_eq!((content(&one), other.position()), (b"y23z".to_vec(), 1));
}

#[test]
fn access_is_what_it_was_opened_for() {
    let world = World::new();
    world.file("a", b"text");
    let reader = world.view().open(b"a", &read_only()).unwrap();
    assert_eq!(reader.write(&mut &b"x"[..]), Err(Error::BadHandle));
    assert_eq!(reader.set_size(0, clock()), Err(Error::Invalid));
    let request = OpenRequest {
        access: Access::WRITE,
        ..read_only()
    };
    let writer = world.view().open(b"a", &request).unwrap();
    assert_eq!(writer.read(&mut Vec::new()), Err(Error::BadHandle));
    let place = world.open("a", OpenFlags::PATH_ONLY).unwrap();
    assert_eq!(place.read(&mut Vec::new()), Err(Error::BadHandle));
    assert_eq!(place.seek(Seek::Start(0)), Err(Error::BadHandle));
    assert_eq!(place.metadata().size, 4);
    assert_eq!(place.sync(), Err(Error::BadHandle));
}

#[test]
fn cutting_and_growing_leave_zeros() {
    let world = World::new();
    let file = world.file("a", &[9; 3 * PAGE]);
    file.set_size(PAGE as u64 + 5, clock()).unwrap();
    file.set_size(2 * PAGE as u64, clock()).unwrap();
    let bytes = content(&file);
    assert_eq!(bytes[..PAGE + 5], [9; PAGE + 5]);
    assert_eq!(bytes[PAGE + 5..], [0; PAGE - 5]);
    assert_eq!(file.set_size(u64::MAX, clock()), Err(Error::TooLarge));
    let cut = world.open("a", OpenFlags::TRUNCATE).unwrap();
    assert_eq!((cut.metadata().size, cut.metadata().blocks), (0, 0));
}

#[test]
fn a_full_file_system_says_so_and_goes_on() {
    let options = Options {
        pages: 4,
        inodes: 5,
        ..Options::new(7, clock)
    };
    let world = World::with(&options);
    let file = world.open("a", OpenFlags::CREATE).unwrap();
    assert_eq!(file.write(&mut &[1; 6 * PAGE][..]), Ok(4 * PAGE));
    assert_eq!(file.write(&mut &[1; 1][..]), Err(Error::NoSpace));
    assert_eq!(world.volume().file_system().statistics().free_blocks, 0);
    // What is there can be written over, also across the end of what is there.
    assert_eq!(file.write_at(100, &mut &[2; 2 * PAGE][..]), Ok(2 * PAGE));
    let last = 4 * PAGE as u64 - 10;
    assert_eq!(file.write_at(last, &mut &[2; 100][..]), Ok(10));
    let other = world.open("b", OpenFlags::CREATE).unwrap();
    assert_eq!(other.write(&mut &[1; 10][..]), Err(Error::NoSpace));
    file.set_size(PAGE as u64, clock()).unwrap();
    assert_eq!(other.write(&mut &[1; 10][..]), Ok(10));
    // Inodes: the root, two files, two more.
    world.directory("c");
    world.directory("d");
    let full = world.view().make_directory(b"e", 0o755, clock());
    assert_eq!(full.err(), Some(Error::NoSpace));
    world.view().remove_directory(b"c", clock()).unwrap();
    world.directory("e");
}

#[test]
fn without_memory_nothing_is_half_done() {
    let world = World::new();
    let file = world.open("a", OpenFlags::CREATE).unwrap();
    machine::host::frame::fail_after(2);
    let written = file.write(&mut &[1; 5 * PAGE][..]).unwrap();
    assert!((1..5 * PAGE).contains(&written));
    assert_eq!(file.write(&mut &[1; PAGE][..]), Err(Error::NoMemory));
    let made = world.view().make_directory(b"b", 0o755, clock());
    assert_eq!(made.err(), Some(Error::NoMemory));
    assert_eq!(
        world.open("a", OpenFlags::empty()).err(),
        Some(Error::NoMemory)
    );
    assert_eq!(
        vfs::pipe::open(OpenFlags::empty(), clock()).err(),
        Some(Error::NoMemory)
    );
    machine::host::frame::fail_never();
    assert_eq!(world.names("."), [".", "..", "a"]);
    assert_eq!(file.metadata().size, written as u64);
}

/// A source that gives some bytes and then faults.
struct Faulting(usize);

impl Source for Faulting {
    fn take(&mut self, into: &mut [u8]) -> usize {
        let step = into.len().min(self.0);
        into[..step].fill(b'x');
        self.0 -= step;
        step
    }

    fn left(&self) -> usize {
        1 << 20
    }
}

#[test]
fn what_a_faulting_buffer_gave_is_written() {
    let world = World::new();
    let file = world.file("a", b"......");
    file.seek(Seek::Start(1)).unwrap();
    assert_eq!(file.write(&mut Faulting(3)), Ok(3));
    assert_eq!((content(&file), file.position()), (b".xxx..".to_vec(), 4));
    assert_eq!(file.write(&mut Faulting(0)), Ok(0));
    assert_eq!(file.position(), 4);
}

#[test]
fn times_follow_what_happens() {
    let world = World::new();
    let file = world.file("a", b"text");
    let times = || {
        let about = file.metadata();
        (about.accessed, about.modified, about.changed)
    };
    let (accessed, modified, changed) = times();
    assert!(modified > accessed && modified == changed);
    content(&file);
    let read = times();
    assert!(read.0 > modified && read.1 == modified);
    // Read again without a change in between: nothing new.
    content(&file);
    assert_eq!(times(), read);
    file.write(&mut &b"x"[..]).unwrap();
    assert!(times().1 > read.0);
    let place = file.location().unwrap();
    let at = |seconds| Time {
        seconds,
        nanoseconds: 5,
    };
    place
        .set_times(&world.who, NewTime::At(at(-9)), NewTime::Keep, at(77))
        .unwrap();
    assert_eq!((times().0, times().2), (at(-9), at(77)));
    place.set_mode(&world.who, 0o600, at(78)).unwrap();
    assert_eq!(times().2, at(78));
    let root = world.root.metadata().modified;
    world.file("b", b"");
    assert!(world.root.metadata().modified > root);
    assert_eq!(file.metadata().created, world.at("a").metadata().created);
}

#[test]
fn identities_decide() {
    let world = World::new();
    let who = |uid| Credentials {
        uid,
        gid: uid,
        groups: Arc::new([50]),
    };
    let (ann, bob) = (who(10), who(11));
    world.at("/").set_mode(&world.who, 0o1777, clock()).unwrap();
    let view = |who| vfs::View {
        root: &world.root,
        start: &world.root,
        credentials: who,
    };
    let file = view(&ann).open(b"a", &both(OpenFlags::CREATE)).unwrap();
    let place = file.location().unwrap();
    assert_eq!((file.metadata().uid, file.metadata().gid), (10, 10));
    // The sticky bit: others may not remove or rename, even where they may write.
    assert_eq!(view(&bob).unlink(b"a", clock()), Err(Error::Forbidden));
    let flags = vfs::RenameFlags::empty();
    let rename = view(&bob).rename(b"a", &view(&bob), b"b", flags, clock());
    assert_eq!(rename, Err(Error::Forbidden));
    assert_eq!(
        view(&bob).open(b"a", &both(OpenFlags::empty())).err(),
        Some(Error::Denied)
    );
    // Only owners change modes; only uid 0 gives away; groups only among one's own.
    assert_eq!(place.set_mode(&bob, 0o777, clock()), Err(Error::Forbidden));
    assert_eq!(
        place.set_owner(&ann, Some(11), None, clock()),
        Err(Error::Forbidden)
    );
    assert_eq!(
        place.set_owner(&ann, None, Some(11), clock()),
        Err(Error::Forbidden)
    );
    place.set_mode(&ann, 0o6755, clock()).unwrap();
    place.set_owner(&ann, Some(10), Some(50), clock()).unwrap();
    assert_eq!((file.metadata().mode, file.metadata().gid), (0o755, 50));
    // Set-uid bits do not survive a write by others than uid 0.
    place.set_mode(&ann, 0o4755, clock()).unwrap();
    assert_eq!(file.metadata().mode, 0o4755);
    file.write(&mut &b"x"[..]).unwrap();
    assert_eq!(file.metadata().mode, 0o755);
    // Times: anybody who may write sets them to now, only the owner to others.
    let at = NewTime::At(Time::default());
    assert_eq!(
        place.set_times(&bob, at, at, clock()),
        Err(Error::Forbidden)
    );
    let now = place.set_times(&bob, NewTime::Now, NewTime::Now, clock());
    assert_eq!(now, Err(Error::Denied));
    place.set_mode(&ann, 0o666, clock()).unwrap();
    place
        .set_times(&bob, NewTime::Now, NewTime::Now, clock())
        .unwrap();
    // A set-gid directory hands down its group.
    let directory = world.directory("shared");
    directory
        .set_owner(&world.who, None, Some(50), clock())
        .unwrap();
    directory.set_mode(&world.who, 0o2777, clock()).unwrap();
    let below = view(&bob)
        .make_directory(b"shared/x", 0o755, clock())
        .unwrap();
    assert_eq!((below.metadata().gid, below.metadata().mode), (50, 0o2755));
    // Device nodes are for uid 0.
    let node = NewKind::CharacterDevice(vfs::DeviceNumber::new(1, 3));
    assert_eq!(
        view(&bob).make(b"node", node, 0o666, clock()).err(),
        Some(Error::Forbidden)
    );
    // Nobody else's files are looked at without leave.
    let no_access_time = OpenRequest {
        flags: OpenFlags::NO_ACCESS_TIME,
        ..read_only()
    };
    assert_eq!(
        view(&bob).open(b"a", &no_access_time).err(),
        Some(Error::Forbidden)
    );
}

#[test]
fn nameless_files_can_get_a_name() {
    let world = World::new();
    let file = world.open(".", OpenFlags::NAMELESS).unwrap();
    file.write(&mut &b"secret"[..]).unwrap();
    assert_eq!(file.metadata().links, 0);
    assert_eq!(world.names("."), [".", ".."]);
    world
        .view()
        .link(file.location().unwrap(), b"named", clock())
        .unwrap();
    assert_eq!(
        content(&world.open("named", OpenFlags::empty()).unwrap()),
        b"secret"
    );
    assert_eq!(file.metadata().links, 1);
}

#[test]
fn fifos_and_sockets_have_names() {
    let world = World::new();
    world
        .view()
        .make(b"fifo", NewKind::Fifo, 0o644, clock())
        .unwrap();
    world
        .view()
        .make(b"socket", NewKind::Socket, 0o644, clock())
        .unwrap();
    assert_eq!(
        world.open("socket", OpenFlags::empty()).err(),
        Some(Error::NoDevice)
    );
    let reader = world.view().open(b"fifo", &read_only()).unwrap();
    assert!(reader.opening().is_some());
    let request = OpenRequest {
        access: Access::WRITE,
        ..read_only()
    };
    let writer = world.view().open(b"fifo", &request).unwrap();
    assert!(reader.opening().is_none());
    writer.write(&mut &b"through"[..]).unwrap();
    let mut bytes = [0; 10];
    assert_eq!(reader.read(&mut SliceSink::new(&mut bytes)), Ok(7));
    assert_eq!(reader.read_at(0, &mut Vec::new()), Err(Error::NotSeekable));
    assert_eq!(reader.seek(Seek::Start(0)), Err(Error::NotSeekable));
    assert_eq!(
        (reader.kind(), reader.metadata().inode),
        (FileKind::Fifo, world.at("fifo").metadata().inode)
    );
    assert!(reader.file_as::<End>().is_some());
}

#[test]
fn a_pipe_can_be_opened_again_by_its_place() {
    let world = World::new();
    let (reader, writer) = vfs::pipe::open(OpenFlags::empty(), clock()).unwrap();
    let place = reader.place().unwrap();
    assert!(
        String::from_utf8(place.path(&world.root))
            .unwrap()
            .starts_with("pipe:[")
    );
    let again = world.view().open_location(place, &read_only()).unwrap();
    writer.write(&mut &b"x"[..]).unwrap();
    drop(reader);
    let mut byte = [0];
    assert_eq!(again.read(&mut SliceSink::new(&mut byte)), Ok(1));
    assert_eq!(again.metadata().inode, writer.metadata().inode);
}

#[test]
fn files_hold_their_pages_for_whoever_maps_them() {
    let world = World::new();
    let file = world.file("a", b"mapped");
    let pages = file.pages().unwrap();
    pages.write(2, &mut &b"PP"[..]).unwrap();
    assert_eq!(content(&file), b"maPPed");
    file.write_at(0, &mut &b"M"[..]).unwrap();
    let mut bytes = [0; 6];
    pages.read(0, &mut SliceSink::new(&mut bytes));
    assert_eq!(&bytes, b"MaPPed");
    // Content that came with the system costs no frame until it is written.
    let before = frame::stats();
    let kind = NewKind::Content(&[5; 3 * PAGE]);
    world.view().make(b"given", kind, 0o644, clock()).unwrap();
    let given = world.open("given", OpenFlags::empty()).unwrap();
    assert_eq!(content(&given), [5; 3 * PAGE]);
    assert_eq!(frame::stats(), before);
    assert_eq!(given.metadata().blocks, 24);
    given.write_at(PAGE as u64, &mut &b"x"[..]).unwrap();
    assert_eq!(frame::stats().user, before.user + 1);
}

#[test]
fn everything_is_given_back() {
    let before = frame::stats();
    let file_system = Tmpfs::new(&Options::new(7, clock)).unwrap();
    let volume = vfs::Volume::new(file_system.clone(), 7);
    let weak = Arc::downgrade(&volume);
    let root = vfs::Mount::tree(volume, vfs::MountFlags::empty(), None);
    let world = World {
        root,
        who: Credentials::root(),
    };
    for round in 0..3 {
        for name in 0..50 {
            let directory = format!("d{round}-{name}");
            world.directory(&directory);
            let file = world.file(&format!("{directory}/f"), &[1; 5000]);
            world
                .view()
                .link(
                    file.location().unwrap(),
                    format!("l{round}-{name}").as_bytes(),
                    clock(),
                )
                .unwrap();
            // A missing name is remembered, too.
            assert!(
                world
                    .open(&format!("{directory}/missing"), OpenFlags::empty())
                    .is_err()
            );
        }
    }
    assert!(frame::stats().user > before.user);
    drop(world);
    assert!(weak.upgrade().is_none());
    assert_eq!(Arc::strong_count(&file_system), 1);
    use vfs::FileSystem;
    let root: Arc<dyn vfs::Inode> = file_system.root();
    assert_eq!(Arc::strong_count(&root), 2, "only the file system itself");
    drop((root, file_system));
    assert_eq!(frame::stats(), before);
}

#[test]
fn changes_of_inodes_are_all_or_nothing() {
    let world = World::new();
    let directory = world.directory("d");
    let change = Change {
        size: Some(5),
        mode: Some(0),
        ..Change::default()
    };
    assert_eq!(directory.inode().change(&change), Err(Error::IsDirectory));
    assert_eq!(directory.metadata().mode, 0o755);
    assert_eq!(
        directory.set_size(&world.who, 0, clock()),
        Err(Error::IsDirectory)
    );
}

/// Two descriptions of one file that write at once, from two CPUs: appends never overwrite each other.
#[test]
fn appends_from_two_cpus_are_all_there() {
    let world = Arc::new(World::new());
    let machine = machine::host::current();
    let writers: Vec<_> = (1..=2u8)
        .map(|number| {
            let (world, machine) = (world.clone(), machine.clone());
            std::thread::spawn(move || {
                machine.enter(usize::from(number));
                let flags = OpenFlags::CREATE | OpenFlags::APPEND;
                let file = world.open("log", flags).unwrap();
                for _ in 0..200 {
                    assert_eq!(file.write(&mut &[number; 37][..]), Ok(37));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let file: Arc<Description> = world.open("log", OpenFlags::empty()).unwrap();
    let bytes = content(&file);
    assert_eq!(bytes.len(), 2 * 200 * 37);
    assert!(
        bytes
            .chunks(37)
            .all(|record| record.iter().all(|&byte| byte == record[0]))
    );
}
