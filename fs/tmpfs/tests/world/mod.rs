//! A tree with somebody in it, for the tests.
#![allow(dead_code, reason = "no test file uses all of it")]

use abi::Error;
use object::SliceSink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tmpfs::{Options, Tmpfs};
use vfs::{
    Access, Credentials, Description, Location, Mount, MountFlags, OpenFlags, OpenRequest, Time,
    View, Volume,
};

static TICKS: AtomicU64 = AtomicU64::new(0);

/// A clock that moves on by a second each time somebody looks.
pub fn clock() -> Time {
    Time::from_nanoseconds(TICKS.fetch_add(1_000_000_000, Ordering::Relaxed))
}

pub struct World {
    pub root: Location,
    pub who: Credentials,
}

impl World {
    pub fn new() -> World {
        World::with(&Options::new(7, clock))
    }

    pub fn with(options: &Options) -> World {
        World {
            root: Mount::tree(Tmpfs::volume(options).unwrap(), MountFlags::empty(), None),
            who: Credentials::root(),
        }
    }

    pub fn volume(&self) -> &Arc<Volume> {
        self.root.mount().volume()
    }

    pub fn view(&self) -> View<'_> {
        self.from(&self.root)
    }

    pub fn from<'a>(&'a self, start: &'a Location) -> View<'a> {
        View {
            root: &self.root,
            start,
            credentials: &self.who,
        }
    }

    pub fn at(&self, path: &str) -> Location {
        self.view().locate(path.as_bytes(), true).unwrap()
    }

    pub fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<Description>, Error> {
        self.view().open(path.as_bytes(), &both(flags))
    }

    pub fn directory(&self, path: &str) -> Location {
        self.view()
            .make_directory(path.as_bytes(), 0o755, clock())
            .unwrap()
    }

    /// A new file with this content.
    pub fn file(&self, path: &str, content: &[u8]) -> Arc<Description> {
        let file = self.open(path, OpenFlags::CREATE).unwrap();
        assert_eq!(file.write(&mut &content[..]), Ok(content.len()));
        file
    }

    pub fn path(&self, location: &Location) -> String {
        String::from_utf8(location.path(&self.root)).unwrap()
    }

    /// The names that a listing of the directory shows, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let directory = self.view().open(path.as_bytes(), &read_only()).unwrap();
        let mut names = Vec::new();
        directory
            .list(&mut |entry| {
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                true
            })
            .unwrap();
        names.sort();
        names
    }
}

pub fn both(flags: OpenFlags) -> OpenRequest<'static> {
    OpenRequest {
        access: Access::READ | Access::WRITE,
        flags,
        mode: 0o644,
        now: clock(),
        ..OpenRequest::default()
    }
}

pub fn read_only() -> OpenRequest<'static> {
    OpenRequest {
        access: Access::READ,
        ..OpenRequest::default()
    }
}

/// Everything in the file.
pub fn content(file: &Description) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().size as usize + 10];
    let count = file.read_at(0, &mut SliceSink::new(&mut bytes)).unwrap();
    bytes.truncate(count);
    bytes
}
