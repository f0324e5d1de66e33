//! Places: mounts, paths upwards, the cache of names, trees deeper than the stack.

mod world;

use abi::Error;
use std::sync::Arc;
use tmpfs::{Options, Tmpfs};
use vfs::path::UNREACHABLE;
use vfs::{Location, Mount, MountFlags, NewKind, OpenFlags, RenameFlags, View, Volume};
use world::{World, both, clock, content};

fn volume() -> Arc<Volume> {
    Tmpfs::volume(&Options::new(8, clock)).unwrap()
}

#[test]
fn a_mount_covers_what_is_below_it() {
    let world = World::new();
    world.directory("mnt");
    world.file("mnt/hidden", b"");
    let inside = world
        .at("mnt")
        .attach(volume(), MountFlags::empty(), None)
        .unwrap();
    assert_eq!(world.names("mnt"), [".", ".."]);
    world.file("mnt/shown", b"text");
    world.directory("mnt/sub");
    let sub = world.at("mnt/sub");
    assert_eq!(world.path(&sub), "/mnt/sub");
    assert_eq!(world.path(&inside), "/mnt");
    // `..` goes through, and stops at the root.
    let from = world.from(&sub);
    assert!(from.locate(b"../..", true).unwrap().is(&world.root));
    assert!(
        from.locate(b"../../../../..", true)
            .unwrap()
            .is(&world.root)
    );
    assert_eq!(from.metadata(b"../../mnt/shown", true).unwrap().size, 4);
    // Two volumes have two numbers, and nothing moves between them.
    assert_ne!(world.root.metadata().volume, sub.metadata().volume);
    let rename = world.view().rename(
        b"mnt/shown",
        &world.view(),
        b"x",
        RenameFlags::empty(),
        clock(),
    );
    assert_eq!(rename, Err(Error::CrossDevice));
    let link = world.view().link(&world.at("mnt/shown"), b"x", clock());
    assert_eq!(link, Err(Error::CrossDevice));
    // What is mounted on stays.
    assert_eq!(
        world.view().remove_directory(b"mnt", clock()),
        Err(Error::Busy)
    );
    let rename = world
        .view()
        .rename(b"mnt", &world.view(), b"x", RenameFlags::empty(), clock());
    assert_eq!(rename, Err(Error::Busy));
    // And so does what is used.
    assert_eq!(world.at("mnt").detach(false), Err(Error::Busy));
    drop((inside, sub));
    world.at("mnt").detach(false).unwrap();
    assert_eq!(world.names("mnt"), [".", "..", "hidden"]);
    assert_eq!(world.at("mnt").detach(false), Err(Error::Invalid));
    assert_eq!(world.root.clone().detach(true), Err(Error::Invalid));
}

#[test]
fn mounts_stack_and_bind() {
    let world = World::new();
    world.directory("a");
    world.directory("a/deep");
    world.directory("b");
    world.file("a/deep/file", b"one");
    world
        .at("b")
        .bind(&world.at("a/deep"), MountFlags::READ_ONLY)
        .unwrap();
    let bound = world.at("b");
    assert_eq!(world.path(&bound), "/b");
    assert_eq!(
        content(&world.view().open(b"b/file", &world::read_only()).unwrap()),
        b"one"
    );
    // The same file through both; read-only only through one.
    assert_eq!(
        world.open("b/file", OpenFlags::empty()).err(),
        Some(Error::ReadOnly)
    );
    assert_eq!(
        world.view().unlink(b"b/file", clock()),
        Err(Error::ReadOnly)
    );
    let made = world.view().make_directory(b"b/x", 0o755, clock());
    assert_eq!(made.err(), Some(Error::ReadOnly));
    let mode = world.at("b/file").set_mode(&world.who, 0, clock());
    assert_eq!(mode, Err(Error::ReadOnly));
    let file = world.open("a/deep/file", OpenFlags::empty()).unwrap();
    file.write(&mut &b"two"[..]).unwrap();
    assert_eq!(world.at("b/file").metadata().inode, file.metadata().inode);
    assert_eq!(
        world.at("b/..").metadata().inode,
        world.root.metadata().inode
    );
    // A mount on a mount.
    let top = world
        .at("b")
        .attach(volume(), MountFlags::empty(), None)
        .unwrap();
    assert_eq!(world.names("b"), [".", ".."]);
    assert!(
        world
            .from(&top)
            .locate(b"..", true)
            .unwrap()
            .is(&world.root)
    );
    drop(top);
    world.at("b").detach(false).unwrap();
    assert_eq!(world.names("b"), [".", "..", "file"]);
    // Files take files, directories directories.
    world.file("f", b"");
    let wrong = world.at("f").attach(volume(), MountFlags::empty(), None);
    assert_eq!(wrong.err(), Some(Error::NotDirectory));
    world
        .at("f")
        .bind(&world.at("a/deep/file"), MountFlags::empty())
        .unwrap();
    assert_eq!(
        content(&world.open("f", OpenFlags::empty()).unwrap()),
        b"two"
    );
}

#[test]
fn a_detached_mount_ends_with_its_last_user() {
    let world = World::new();
    world.directory("mnt");
    let file_system = volume();
    let weak = Arc::downgrade(&file_system);
    world
        .at("mnt")
        .attach(file_system, MountFlags::empty(), None)
        .unwrap();
    let file = world.file("mnt/file", b"text");
    world.directory("mnt/on");
    world
        .at("mnt/on")
        .attach(volume(), MountFlags::empty(), None)
        .unwrap();
    world.at("mnt").detach(true).unwrap();
    assert_eq!(world.names("mnt"), [".", ".."]);
    assert_eq!(content(&file), b"text");
    let path = file.location().unwrap().path(&world.root);
    assert_eq!(path, [UNREACHABLE, b"/file"].concat());
    // From inside, up goes no further than the mount.
    let top = file.location().unwrap().parent(&world.root);
    assert!(top.parent(&world.root).is(&top));
    drop((file, top));
    assert!(weak.upgrade().is_none());
}

#[test]
fn nothing_leads_out_of_a_root() {
    let world = World::new();
    world.directory("jail");
    world.directory("jail/in");
    world.file("secret", b"");
    let jail = world.at("jail");
    let view = View {
        root: &jail,
        start: &jail,
        credentials: &world.who,
    };
    for path in [
        "..",
        "../secret",
        "/../secret",
        "in/../../secret",
        "/in/../../../jail",
    ] {
        match view.locate(path.as_bytes(), true) {
            Ok(there) => assert!(there.is(&jail), "{path}"),
            Err(error) => assert_eq!(error, Error::NotFound, "{path}"),
        }
    }
    view.make_symlink(b"/../../secret", b"link", clock())
        .unwrap();
    assert_eq!(view.locate(b"link", true).err(), Some(Error::NotFound));
    assert_eq!(jail.path(&jail), b"/");
    assert_eq!(world.root.path(&jail), [UNREACHABLE, b"/"].concat());
}

#[test]
fn paths_follow_renames() {
    let world = World::new();
    world.directory("a");
    world.directory("a/b");
    world.directory("c");
    let b = world.at("a/b");
    world.file("a/b/f", b"");
    let file = world.at("a/b/f");
    let rename = |old: &str, new: &str, flags| {
        world.view().rename(
            old.as_bytes(),
            &world.view(),
            new.as_bytes(),
            flags,
            clock(),
        )
    };
    rename("a/b", "c/new", RenameFlags::empty()).unwrap();
    assert_eq!(
        (world.path(&b), world.path(&file)),
        ("/c/new".into(), "/c/new/f".into())
    );
    assert_eq!(
        world.from(&b).metadata(b"..", true).unwrap().inode,
        world.at("c").metadata().inode
    );
    assert_eq!(
        (
            world.at("a").metadata().links,
            world.at("c").metadata().links
        ),
        (2, 3)
    );
    rename("a", "c", RenameFlags::EXCHANGE).unwrap();
    assert_eq!(world.path(&file), "/a/new/f");
    assert_eq!(
        rename("a", "a/new/x", RenameFlags::empty()),
        Err(Error::Invalid)
    );
    assert_eq!(
        rename("a/new", "a", RenameFlags::empty()),
        Err(Error::NotEmpty)
    );
    assert_eq!(
        rename("a/new", "c", RenameFlags::NO_REPLACE),
        Err(Error::Exists)
    );
    // Replacing an empty directory: whoever stands in it sees that it is gone.
    let gone = world.at("c");
    rename("a/new", "c", RenameFlags::empty()).unwrap();
    assert_eq!(
        (world.path(&gone), world.path(&file)),
        ("/c (deleted)".into(), "/c/f".into())
    );
    assert_eq!(
        world.from(&gone).make_directory(b"x", 0o755, clock()).err(),
        Some(Error::NotFound)
    );
    assert_eq!(
        world.from(&gone).locate(b"x", true).err(),
        Some(Error::NotFound)
    );
}

#[test]
fn links_are_followed_forty_times() {
    let world = World::new();
    world.file("l0", b"end");
    for number in 1..=41 {
        let target = format!("l{}", number - 1);
        world
            .view()
            .make_symlink(target.as_bytes(), format!("l{number}").as_bytes(), clock())
            .unwrap();
    }
    assert!(world.view().locate(b"l40", true).is_ok());
    assert_eq!(world.view().locate(b"l41", true).err(), Some(Error::Loop));
    world
        .view()
        .make_symlink(b"self", b"self", clock())
        .unwrap();
    assert_eq!(
        world.view().locate(b"self/x", true).err(),
        Some(Error::Loop)
    );
    // Links in the middle count as well, and long targets are read to their end.
    world.directory("d");
    world.file("d/f", b"");
    world.view().make_symlink(b"/d", b"to", clock()).unwrap();
    let long = ["./"; 2000].concat() + "to/f";
    world
        .view()
        .make_symlink(long.as_bytes(), b"long", clock())
        .unwrap();
    assert!(world.view().locate(b"long", true).is_ok());
    assert!(
        world
            .view()
            .locate(["to/../"; 40].concat().as_bytes(), true)
            .is_ok()
    );
    assert_eq!(
        world
            .view()
            .locate(["to/../"; 41].concat().as_bytes(), true)
            .err(),
        Some(Error::Loop)
    );
    let too_long = [b'x'; 4096];
    assert_eq!(
        world.view().locate(&too_long, true).err(),
        Some(Error::NameTooLong)
    );
    let target = world.view().make_symlink(&too_long, b"x", clock());
    assert_eq!(target.err(), Some(Error::NameTooLong));
    assert_eq!(
        world.view().make_symlink(b"", b"x", clock()).err(),
        Some(Error::NotFound)
    );
}

#[test]
fn the_cache_is_bounded_and_correct() {
    let world = World::new();
    world.directory("d");
    for number in 0..30_000 {
        // Missing names, many of them.
        let name = format!("d/missing{number}");
        assert_eq!(
            world.view().locate(name.as_bytes(), true).err(),
            Some(Error::NotFound)
        );
    }
    let names = world.volume().cached_names();
    assert!(names < 16_000, "{names} names are remembered");
    // A name that was known to be missing is there once it is made, and the other way round.
    world.file("d/missing29999", b"");
    world.at("d/missing29999");
    world.view().unlink(b"d/missing29999", clock()).unwrap();
    assert!(world.view().locate(b"d/missing29999", true).is_err());
    // Names in use are never forgotten: the same place, whatever was asked for meanwhile.
    let held: Vec<Location> = (0..9000)
        .map(|number| world.directory(&format!("d/held{number}")))
        .collect();
    for number in 0..20_000 {
        drop(world.directory(&format!("n{number}")));
    }
    for (number, held) in held.iter().enumerate() {
        assert!(world.at(&format!("d/held{number}")).is(held));
    }
    assert!(world.volume().cached_names() < 9000 + 16_000);
    drop(held);
    assert_eq!(world.volume().shrink(), 0);
    assert_eq!(world.names("d").len(), 9002);
}

#[test]
fn removed_directories_leave_no_names_behind() {
    let world = World::new();
    for _ in 0..100 {
        world.directory("d");
        assert!(world.view().locate(b"d/missing", true).is_err());
        world.view().remove_directory(b"d", clock()).unwrap();
    }
    let statistics = world.volume().file_system().statistics();
    assert_eq!(statistics.inodes - statistics.free_inodes, 1);
}

#[test]
fn a_tree_may_be_deeper_than_the_stack() {
    const DEPTH: usize = 200_000;
    let world = World::with(&Options {
        inodes: u64::MAX,
        ..Options::new(7, clock)
    });
    let mut place = world.directory("d");
    for _ in 1..DEPTH {
        let below = world
            .from(&place)
            .make_directory(b"d", 0o755, clock())
            .unwrap();
        place = below;
    }
    assert_eq!(place.path(&world.root).len(), 2 * DEPTH);
    // A place holds everything above it, also when the names are gone.
    let statistics = world.volume().file_system().statistics();
    assert_eq!(statistics.inodes - statistics.free_inodes, DEPTH as u64 + 1);
    drop(place);
    world.volume().shrink();
    drop(world);
}

#[test]
fn listings_survive_changes() {
    let world = World::new();
    world.directory("d");
    for number in 0..100 {
        world.file(&format!("d/f{number}"), b"");
    }
    let directory = world.view().open(b"d", &world::read_only()).unwrap();
    let mut seen = Vec::new();
    let mut take = |count: usize| {
        let mut left = count;
        let more = directory.list(&mut |entry| {
            if left == 0 {
                return false;
            }
            left -= 1;
            seen.push(entry.name.to_vec());
            true
        });
        more.unwrap()
    };
    take(30);
    for number in 0..60 {
        world
            .view()
            .unlink(format!("d/f{number}").as_bytes(), clock())
            .unwrap();
        world.file(&format!("d/new{number}"), b"");
    }
    while take(7) {}
    for number in 60..100 {
        let name = format!("f{number}").into_bytes();
        assert_eq!(seen.iter().filter(|&other| *other == name).count(), 1);
    }
    directory.seek(vfs::Seek::Start(0)).unwrap();
    let mut count = 0;
    directory
        .list(&mut |_| {
            count += 1;
            true
        })
        .unwrap();
    assert_eq!(count, 102);
    let file = world.open("d/f99", OpenFlags::empty()).unwrap();
    assert_eq!(file.list(&mut |_| true), Err(Error::NotDirectory));
    world.directory("e");
    let removed = world.view().open(b"e", &world::read_only()).unwrap();
    world.view().remove_directory(b"e", clock()).unwrap();
    assert_eq!(removed.list(&mut |_| true), Err(Error::NotFound));
}

#[test]
fn a_mount_can_forbid_running() {
    let world = World::new();
    world.directory("mnt");
    world
        .at("mnt")
        .attach(volume(), MountFlags::NO_EXECUTE, None)
        .unwrap();
    world.file("mnt/program", b"");
    world
        .at("mnt/program")
        .set_mode(&world.who, 0o755, clock())
        .unwrap();
    let mut request = world::read_only();
    request.access |= vfs::Access::EXECUTE;
    assert_eq!(
        world.view().open(b"mnt/program", &request).err(),
        Some(Error::Denied)
    );
    // A node leads nowhere where no devices were given.
    let node = NewKind::CharacterDevice(vfs::DeviceNumber::new(1, 3));
    world.view().make(b"null", node, 0o666, clock()).unwrap();
    assert_eq!(
        world.view().open(b"null", &both(OpenFlags::empty())).err(),
        Some(Error::Denied)
    );
    let devices = vfs::Devices::new();
    let tree = Mount::tree(world.volume().clone(), MountFlags::empty(), Some(devices));
    let view = View {
        root: &tree,
        start: &tree,
        credentials: &world.who,
    };
    assert_eq!(
        view.open(b"null", &both(OpenFlags::empty())).err(),
        Some(Error::NoDevice)
    );
}

/// Renames between directories on two CPUs, while others walk and list: no deadlock, and nothing lost or doubled.
#[test]
fn moving_on_several_cpus_loses_nothing() {
    let world = Arc::new(World::new());
    for name in ["a", "b", "a/c"] {
        world.directory(name);
    }
    for number in 0..8 {
        world.directory(&format!("a/x{number}"));
    }
    let machine = machine::host::current();
    let directories = ["a", "b", "a/c"];
    let movers: Vec<_> = (1..3usize)
        .map(|cpu| {
            let (world, machine) = (world.clone(), machine.clone());
            std::thread::spawn(move || {
                machine.enter(cpu);
                let mut state = cpu;
                for _ in 0..400 {
                    state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
                    let pick = |shift: usize| state >> shift & 0xff;
                    let name = format!("x{}", pick(8) % 8);
                    let (from, to) = (directories[pick(16) % 3], directories[pick(20) % 3]);
                    let (old, new) = (format!("{from}/{name}"), format!("{to}/{name}"));
                    let flags = RenameFlags::NO_REPLACE;
                    let _ = world.view().rename(
                        old.as_bytes(),
                        &world.view(),
                        new.as_bytes(),
                        flags,
                        clock(),
                    );
                    let _ = world
                        .view()
                        .locate(old.as_bytes(), true)
                        .map(|there| there.path(&world.root));
                    let _ = world
                        .view()
                        .rename(b"a/c", &world.view(), b"b/c", flags, clock());
                    let _ = world
                        .view()
                        .rename(b"b/c", &world.view(), b"a/c", flags, clock());
                }
            })
        })
        .collect();
    for mover in movers {
        mover.join().unwrap();
    }
    let _ = world
        .view()
        .rename(b"b/c", &world.view(), b"a/c", RenameFlags::empty(), clock());
    let mut all: Vec<String> = directories
        .iter()
        .flat_map(|name| world.names(name))
        .collect();
    all.retain(|name| name.starts_with('x'));
    all.sort();
    let expected: Vec<String> = (0..8).map(|number| format!("x{number}")).collect();
    assert_eq!(all, expected);
}
