//! Files as native programs see them: through handles.

mod world;

use abi::{Error, Kind, OpenFlags, Rights};
use object::{Handle, Opened, SliceSink};
use value::{Document, Value};
use world::World;

fn root(world: &World) -> Handle {
    let directory = vfs::handle::directory(world.root.clone()).unwrap();
    Handle::new(directory, Rights::all())
}

fn open(handle: &Handle, path: &str, rights: Rights, flags: OpenFlags) -> Result<Handle, Error> {
    match handle.open(Rights::LIST, path, rights, flags)? {
        Opened::Object(opened) => Ok(opened),
        Opened::Beyond(..) => panic!("{path} leads out of the file system"),
    }
}

fn read(handle: &Handle, offset: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = [0; 100];
    let count = handle
        .check(Rights::READ)?
        .try_read(offset, &mut SliceSink::new(&mut bytes))?;
    Ok(bytes[..count].to_vec())
}

const ALL: Rights = Rights::all();

#[test]
fn files_are_made_written_and_read() {
    let world = World::new();
    let root = root(&world);
    assert_eq!(root.kind(), Kind::Directory);
    let file = open(
        &root,
        "/file",
        ALL,
        OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
    )
    .unwrap();
    assert_eq!(file.kind(), Kind::File);
    let object = file.check(Rights::WRITE).unwrap();
    assert_eq!(object.try_write(abi::NEXT, &mut &b"hello"[..]), Ok(5));
    assert_eq!(object.try_write(abi::END, &mut &b" you"[..]), Ok(4));
    assert_eq!(object.try_write(0, &mut &b"H"[..]), Ok(1));
    assert_eq!(read(&file, 0).unwrap(), b"Hello you");
    assert_eq!(read(&file, abi::NEXT).unwrap(), b" you");
    let again = open(&root, "file", ALL, OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
    assert_eq!(again.unwrap_err(), Error::Exists);
    let looked = open(&root, "file", Rights::READ, OpenFlags::empty()).unwrap();
    let write = looked
        .check(Rights::READ)
        .unwrap()
        .try_write(0, &mut &b"x"[..]);
    assert_eq!(write, Err(Error::BadHandle));
    let cut = open(&root, "file", Rights::WRITE, OpenFlags::TRUNCATE).unwrap();
    assert_eq!(cut.rights(), Rights::WRITE);
    assert_eq!(read(&file, 0).unwrap(), b"");
}

#[test]
fn directories_give_records() {
    let world = World::new();
    let root = root(&world);
    let make = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::DIRECTORY;
    let directory = open(&root, "d", Rights::LOOK, make).unwrap();
    assert_eq!(open(&root, "d", ALL, make).unwrap_err(), Error::Exists);
    for name in ["one", "two", "three"] {
        open(&directory, name, Rights::WRITE, OpenFlags::CREATE).unwrap();
    }
    world
        .view()
        .make_symlink(b"one", b"d/link", world::clock())
        .unwrap();
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let bytes = read(&directory, offset).unwrap();
        if bytes.is_empty() {
            break;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (record, after) = Document::parse_front(rest).unwrap();
            let field = |key| record.string(key).unwrap().to_owned();
            found.push((field("name"), field("kind")));
            offset = record.unsigned("next").unwrap();
            rest = after;
        }
    }
    let file = |name: &str| (name.to_owned(), "file".to_owned());
    assert_eq!(
        found,
        [
            file("one"),
            file("two"),
            file("three"),
            ("link".into(), "link".into())
        ]
    );
}

#[test]
fn what_is_below_a_handle_stays_below() {
    let world = World::new();
    world.directory("d");
    world.file("secret", b"");
    let root = root(&world);
    let inside = open(&root, "d", ALL, OpenFlags::DIRECTORY).unwrap();
    for path in ["../secret", "/../secret", "/secret"] {
        assert_eq!(
            open(&inside, path, ALL, OpenFlags::empty()).unwrap_err(),
            Error::NotFound
        );
    }
    assert!(open(&inside, "..", ALL, OpenFlags::DIRECTORY).is_ok());
    let file = open(&inside, "f", ALL, OpenFlags::CREATE).unwrap();
    let to = Value::build(|argument| {
        argument.put("to", "/../out");
    });
    file.request("rename", to.unwrap().as_document()).unwrap();
    assert_eq!(world.names("."), [".", "..", "d", "secret"]);
    assert_eq!(world.names("d"), [".", "..", "out"]);
}

#[test]
fn verbs_remove_and_rename() {
    let world = World::new();
    let root = root(&world);
    world.file("file", b"text");
    world.directory("d");
    world
        .view()
        .make_symlink(b"file", b"link", world::clock())
        .unwrap();
    let target = |path, flags| open(&root, path, Rights::DELETE | Rights::INSPECT, flags).unwrap();
    let link = target("link", OpenFlags::NO_FOLLOW);
    assert_eq!(link.kind(), Kind::Link);
    let told = link.inspect().unwrap();
    let about = told.as_document().document("object").unwrap();
    assert_eq!(
        (about.string("target"), about.unsigned("size")),
        (Some("file"), Some(4))
    );
    link.request("remove", Document::EMPTY).unwrap();
    assert_eq!(
        link.request("remove", Document::EMPTY).err(),
        Some(Error::NotFound)
    );
    let file = target("file", OpenFlags::empty());
    let to = Value::build(|argument| {
        argument.put("to", "/d/moved");
    });
    file.request("rename", to.unwrap().as_document()).unwrap();
    assert_eq!(world.names("d"), [".", "..", "moved"]);
    let directory = target("d", OpenFlags::NO_FOLLOW);
    assert_eq!(
        directory.request("remove", Document::EMPTY).err(),
        Some(Error::NotEmpty)
    );
    file.request("remove", Document::EMPTY).unwrap();
    directory.request("remove", Document::EMPTY).unwrap();
    assert_eq!(
        root.request("remove", Document::EMPTY).err(),
        Some(Error::Busy)
    );
    let weak = open(&root, "/", Rights::INSPECT, OpenFlags::empty()).unwrap();
    assert_eq!(
        weak.request("remove", Document::EMPTY).err(),
        Some(Error::Denied)
    );
    assert_eq!(world.names("."), [".", ".."]);
}

#[test]
fn inspecting_needs_no_access() {
    let world = World::new();
    world
        .view()
        .make(b"fifo", vfs::NewKind::Fifo, 0, world::clock())
        .unwrap();
    let fifo = open(&root(&world), "fifo", Rights::INSPECT, OpenFlags::empty()).unwrap();
    assert_eq!(fifo.kind(), Kind::Pipe);
    let told = fifo.inspect().unwrap();
    assert_eq!(
        told.as_document()
            .document("object")
            .unwrap()
            .unsigned("mode"),
        Some(0)
    );
}
