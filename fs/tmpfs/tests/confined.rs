//! What a tree seen with few rights allows: exactly that, by every way there is.

mod world;

use abi::{Error, Rights};
use object::{Lease, Tenure};
use proptest::prelude::*;
use vfs::confine::FILES;
use vfs::{
    Access, Credentials, Location, MountFlags, NewKind, NewTime, OpenFlags, OpenRequest,
    RenameFlags, View,
};
use world::{World, both, clock, content, read_only};

/// `/in/file`, `/in/sub/deep`, `/in/out` (a link to `/outside`), `/in/up` (a link to `../outside`), `/outside`, and
/// another volume at `/in/mounted` with `other`.
fn tree() -> World {
    let world = World::new();
    for directory in ["in", "in/sub", "in/mounted", "in/empty"] {
        world.directory(directory);
    }
    world.file("in/file", b"inside");
    world.file("in/sub/deep", b"deep");
    world.file("outside", b"secret");
    let link = |target: &[u8], path: &[u8]| {
        let link = NewKind::Symlink(target);
        world.view().make(path, link, 0o777, clock()).unwrap();
    };
    link(b"/outside", b"in/out");
    link(b"../outside", b"in/up");
    let other = World::new();
    other.file("other", b"mounted");
    let place = world.at("in/mounted");
    place
        .attach(other.volume().clone(), MountFlags::empty(), None)
        .unwrap();
    world
}

fn view<'a>(root: &'a Location, who: &'a Credentials) -> View<'a> {
    View {
        root,
        start: root,
        credentials: who,
    }
}

fn open(view: &View<'_>, path: &str, access: Access, flags: OpenFlags) -> Result<(), Error> {
    let request = OpenRequest {
        access,
        ..both(flags)
    };
    view.open(path.as_bytes(), &request).map(drop)
}

#[test]
fn no_path_leads_out() {
    let world = tree();
    let who = Credentials::root();
    for rights in [FILES, Rights::LIST | Rights::READ] {
        let root = world.at("in").confined(rights, &Tenure::FOREVER).unwrap();
        let inside = view(&root, &who);
        for path in [
            "out",
            "up",
            "/outside",
            "../outside",
            "sub/../../outside",
            "mounted/../../outside",
            "sub/../../../../../outside",
        ] {
            let found = inside.open(path.as_bytes(), &read_only());
            assert_eq!(found.err(), Some(Error::NotFound), "{path}");
        }
        for path in ["..", "/..", "sub/../..", "mounted/../.."] {
            assert!(inside.locate(path.as_bytes(), true).unwrap().is(&root));
        }
        // Nor from a directory below, opened before.
        let deep = inside.open(b"mounted", &read_only()).unwrap();
        let from = View {
            start: deep.location().unwrap(),
            ..inside
        };
        assert!(from.locate(b"../..", true).unwrap().is(&root));
        assert_eq!(
            from.locate(b"../outside", true).err(),
            Some(Error::NotFound)
        );
        let other = from.open(b"other", &read_only()).unwrap();
        assert_eq!(content(&other), b"mounted");
    }
}

#[test]
fn it_changes_nothing_of_the_tree_itself() {
    let world = tree();
    let who = Credentials::root();
    let root = world
        .at("in")
        .confined(Rights::LIST, &Tenure::FOREVER)
        .unwrap();
    assert_eq!(world.open("in/file", OpenFlags::empty()).err(), None);
    // The same files, not copies.
    world.file("in/new", b"new");
    let seen = view(&root, &who).locate(b"new", true).unwrap();
    assert_eq!(seen.metadata(), world.at("in/new").metadata());
    // What is mounted later is not seen; what it covers is.
    let place = world.at("in/empty");
    place
        .attach(World::new().volume().clone(), MountFlags::empty(), None)
        .unwrap();
    let covered = view(&root, &who).locate(b"empty", true).unwrap();
    assert_ne!(
        covered.metadata().volume,
        world.at("in/empty").metadata().volume
    );
    // And when it goes, the places are free again.
    drop((seen, covered, root));
    let mounted = world.at("in/mounted");
    assert_eq!(mounted.detach(false), Ok(()));
}

#[test]
fn hard_links_do_not_cross() {
    let world = tree();
    let who = Credentials::root();
    let little = world
        .at("in")
        .confined(Rights::LIST | Rights::READ, &Tenure::FOREVER)
        .unwrap();
    let all = world.at("in").confined(FILES, &Tenure::FOREVER).unwrap();
    let file = view(&little, &who).locate(b"file", true).unwrap();
    let linked = view(&all, &who).link(&file, b"again", clock());
    assert_eq!(linked, Err(Error::CrossDevice));
}

#[test]
fn narrowing_again_gives_no_more() {
    let world = tree();
    let who = Credentials::root();
    let root = world
        .at("in")
        .confined(Rights::LIST | Rights::READ, &Tenure::FOREVER)
        .unwrap();
    for again in [
        root.confined(FILES, &Tenure::FOREVER).unwrap(),
        root.narrowed(FILES, &Tenure::FOREVER).unwrap(),
    ] {
        let refused = open(
            &view(&again, &who),
            "file",
            Access::WRITE,
            OpenFlags::empty(),
        );
        assert_eq!(refused, Err(Error::ReadOnly));
    }
    let file = view(&root, &who).locate(b"file", true).unwrap();
    let nothing = file.narrowed(Rights::empty(), &Tenure::FOREVER).unwrap();
    let request = read_only();
    let refused = view(&nothing, &who).open_location(nothing.clone(), &request);
    assert_eq!(refused.err(), Some(Error::Denied));
    // A narrowed directory has nothing above it.
    let sub = view(&root, &who).locate(b"sub", true).unwrap();
    let sub = sub.narrowed(Rights::LIST, &Tenure::FOREVER).unwrap();
    let from = View {
        start: &sub,
        ..view(&root, &who)
    };
    assert!(from.locate(b"..", true).unwrap().is(&sub));
}

/// One thing to do in the tree, the rights it takes besides `LIST`, and how.
type Deed = (
    &'static str,
    Rights,
    fn(&View<'_>, &Location) -> Result<(), Error>,
);

const DEEDS: &[Deed] = &[
    ("read", Rights::READ, |view, _| {
        open(view, "file", Access::READ, OpenFlags::empty())
    }),
    ("write", Rights::WRITE, |view, _| {
        open(view, "file", Access::WRITE, OpenFlags::empty())
    }),
    ("read on another volume", Rights::READ, |view, _| {
        open(view, "mounted/other", Access::READ, OpenFlags::empty())
    }),
    ("write on another volume", Rights::WRITE, |view, _| {
        open(view, "mounted/other", Access::WRITE, OpenFlags::empty())
    }),
    ("cut", Rights::WRITE, |view, _| {
        open(view, "file", Access::empty(), OpenFlags::TRUNCATE)
    }),
    ("list", Rights::LIST, |view, _| {
        open(view, "sub", Access::READ, OpenFlags::empty())
    }),
    ("create", Rights::CREATE.union(Rights::WRITE), |view, _| {
        open(view, "made", Access::WRITE, OpenFlags::CREATE)
    }),
    (
        "create nameless",
        Rights::CREATE.union(Rights::WRITE),
        |view, _| open(view, "sub", Access::WRITE, OpenFlags::NAMELESS),
    ),
    ("make a directory", Rights::CREATE, |view, _| {
        view.make_directory(b"made", 0o755, clock()).map(drop)
    }),
    ("make a link", Rights::CREATE, |view, _| {
        let link = NewKind::Symlink(b"file");
        view.make(b"made", link, 0o777, clock()).map(drop)
    }),
    ("hard link", Rights::CREATE, |view, _| {
        view.link(&view.locate(b"file", true)?, b"made", clock())
    }),
    ("unlink", Rights::DELETE, |view, _| {
        view.unlink(b"file", clock())
    }),
    ("remove a directory", Rights::DELETE, |view, _| {
        view.remove_directory(b"empty", clock())
    }),
    ("rename", Rights::DELETE.union(Rights::CREATE), |view, _| {
        view.rename(b"file", view, b"made", RenameFlags::empty(), clock())
    }),
    ("rename over", Rights::DELETE, |view, _| {
        view.rename(b"file", view, b"sub/deep", RenameFlags::empty(), clock())
    }),
    ("chmod", Rights::WRITE, |view, _| {
        let place = view.locate(b"file", true)?;
        place.set_mode(view.credentials, 0o600, clock())
    }),
    ("chown", Rights::WRITE, |view, _| {
        let place = view.locate(b"file", true)?;
        place.set_owner(view.credentials, Some(5), None, clock())
    }),
    ("utimes", Rights::WRITE, |view, _| {
        let place = view.locate(b"file", true)?;
        place.set_times(view.credentials, NewTime::Now, NewTime::Now, clock())
    }),
    ("truncate", Rights::WRITE, |view, _| {
        let place = view.locate(b"file", true)?;
        place.set_size(view.credentials, 1, clock())
    }),
    ("ask to read", Rights::READ, |view, _| {
        view.check(b"file", Access::READ, true)
    }),
    ("ask to write", Rights::WRITE, |view, _| {
        view.check(b"file", Access::WRITE, true)
    }),
];

proptest! {
    /// Every deed works with its rights and whatever others, and without any one of them fails and changes nothing; and
    /// so it does, with all of them, in a tree that was lent and taken back.
    #[test]
    fn deeds_take_their_rights(bits in 0..=FILES.bits(), which in 0..DEEDS.len(), uid in 0u32..2, revoked: bool) {
        let rights = Rights::from_bits_truncate(bits) & FILES;
        let (name, needed, deed) = DEEDS[which];
        // Nothing is found in a directory without it.
        let needed = needed | Rights::LIST;
        let world = tree();
        let who = Credentials { uid: uid * 1000, ..Credentials::root() };
        if uid != 0 {
            for path in ["", "in", "in/file", "in/sub", "in/sub/deep", "in/mounted/other", "in/empty"] {
                let place = world.at(&format!("/{path}"));
                place.set_owner(&Credentials::root(), Some(1000), None, clock()).unwrap();
            }
        }
        // Giving away is for uid 0 alone.
        prop_assume!(uid == 0 || name != "chown");
        let lease = Lease::new(&Tenure::FOREVER, false).unwrap();
        let root = world.at("in").confined(rights, lease.tenure()).unwrap();
        if revoked {
            lease.revoke();
        }
        let before = world.at("in/file").metadata();
        let names = world.names("in");
        let result = deed(&view(&root, &who), &root);
        if rights.contains(needed) && !revoked {
            prop_assert_eq!(result, Ok(()), "{} with {:?}", name, rights);
        } else {
            prop_assert!(
                match result {
                    Err(Error::Revoked) => revoked,
                    Err(Error::Denied | Error::ReadOnly) => !revoked,
                    _ => false,
                },
                "{} with {:?}: {:?}", name, rights, result
            );
            prop_assert_eq!(world.names("in"), names);
            prop_assert_eq!(world.at("in/file").metadata(), before);
        }
    }
}
