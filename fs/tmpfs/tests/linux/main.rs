//! The same operations on a tmpfs of Helve and on a directory of the Linux that runs the test: every answer and the tree
//! that comes of it must be the same.
//!
//! The test directory lies so deep that no path made here leads out of it: at most three `..` in a path, none in links.

mod steps;

use abi::Error;
use object::SliceSink;
use proptest::prelude::*;
use rustix::fs::{self as linux, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use steps::{Step, has, step};
use tmpfs::{Options, Tmpfs};
use vfs::{
    Access, Credentials, Description, FileKind, Location, Mount, MountFlags, OpenFlags,
    OpenRequest, RenameFlags, Seek, Time, View,
};

/// What an operation answers, in terms that both sides have.
type Answer = Result<Vec<u64>, Errno>;

fn errno(error: Error) -> Errno {
    match error {
        Error::Denied => Errno::ACCESS,
        Error::Forbidden => Errno::PERM,
        Error::NotFound => Errno::NOENT,
        Error::Exists => Errno::EXIST,
        Error::Invalid => Errno::INVAL,
        Error::BadHandle => Errno::BADF,
        Error::NotDirectory => Errno::NOTDIR,
        Error::IsDirectory => Errno::ISDIR,
        Error::NotEmpty => Errno::NOTEMPTY,
        Error::NameTooLong => Errno::NAMETOOLONG,
        Error::Loop => Errno::LOOP,
        Error::CrossDevice => Errno::XDEV,
        Error::Busy => Errno::BUSY,
        other => panic!("no errno for {other:?}"),
    }
}

/// A file system with somebody working in it.
trait World {
    fn run(&mut self, step: &Step) -> Answer;
    /// Every path below the base, with kind, links (of files), and content or target.
    fn tree(&mut self) -> BTreeMap<String, (u64, u64, Vec<u8>)>;
}

const KINDS: [FileKind; 3] = [FileKind::File, FileKind::Directory, FileKind::Symlink];

// Linux.

struct Linux {
    base: PathBuf,
    place: rustix::fd::OwnedFd,
}

impl Linux {
    fn path(&self, path: &str) -> String {
        path.replace("BASE", self.base.to_str().unwrap())
    }

    fn about(&self, stat: &linux::Stat) -> Vec<u64> {
        let kind = match linux::FileType::from_raw_mode(stat.st_mode) {
            linux::FileType::RegularFile => 0,
            linux::FileType::Directory => 1,
            linux::FileType::Symlink => 2,
            other => panic!("{other:?}"),
        };
        if kind == 1 {
            vec![kind]
        } else {
            vec![kind, stat.st_nlink, stat.st_size as u64]
        }
    }

    fn walk(&self, path: &Path, shown: &str, all: &mut BTreeMap<String, (u64, u64, Vec<u8>)>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{shown}/{}", entry.file_name().to_str().unwrap());
            let stat = linux::lstat(entry.path()).unwrap();
            let about = self.about(&stat);
            let content = match about[0] {
                0 => std::fs::read(entry.path()).unwrap(),
                2 => {
                    let target = std::fs::read_link(entry.path()).unwrap();
                    target
                        .to_str()
                        .unwrap()
                        .replace(self.base.to_str().unwrap(), "BASE")
                        .into()
                }
                _ => {
                    self.walk(&entry.path(), &name, all);
                    Vec::new()
                }
            };
            all.insert(
                name,
                (about[0], about.get(1).copied().unwrap_or(0), content),
            );
        }
    }
}

impl World for Linux {
    fn run(&mut self, step: &Step) -> Answer {
        let at = &self.place;
        match step {
            Step::Open {
                path,
                flags,
                write,
                text,
            } => {
                let pairs = [
                    OFlags::CREATE,
                    OFlags::EXCL,
                    OFlags::TRUNC,
                    OFlags::APPEND,
                    OFlags::DIRECTORY,
                    OFlags::NOFOLLOW,
                    OFlags::PATH,
                ];
                let mut how = if *write { OFlags::RDWR } else { OFlags::RDONLY };
                for (bit, flag) in pairs.into_iter().enumerate() {
                    how.set(flag, has(*flags, bit as u16));
                }
                let file = linux::openat(at, self.path(path), how, Mode::from_raw_mode(0o644))?;
                let stat = linux::fstat(&file)?;
                let mut answer = self.about(&stat);
                if *write && !has(*flags, 6) {
                    answer.push(rustix::io::write(&file, text)? as u64);
                    answer.push(linux::seek(&file, linux::SeekFrom::Current(0))?);
                }
                Ok(answer)
            }
            Step::MakeDirectory(path) => {
                linux::mkdirat(at, self.path(path), Mode::from_raw_mode(0o755)).map(|()| vec![])
            }
            Step::RemoveDirectory(path) => {
                linux::unlinkat(at, self.path(path), AtFlags::REMOVEDIR).map(|()| vec![])
            }
            Step::Unlink(path) => {
                linux::unlinkat(at, self.path(path), AtFlags::empty()).map(|()| vec![])
            }
            Step::Rename(old, new, flags) => {
                let flags = linux::RenameFlags::from_bits_retain(u32::from(*flags));
                linux::renameat_with(at, self.path(old), at, self.path(new), flags).map(|()| vec![])
            }
            Step::Link(old, new, follow) => {
                let flags = if *follow {
                    AtFlags::SYMLINK_FOLLOW
                } else {
                    AtFlags::empty()
                };
                linux::linkat(at, self.path(old), at, self.path(new), flags).map(|()| vec![])
            }
            Step::Symlink(target, path) => {
                linux::symlinkat(self.path(target), at, self.path(path)).map(|()| vec![])
            }
            Step::Metadata(path, follow) => {
                let flags = if *follow {
                    AtFlags::empty()
                } else {
                    AtFlags::SYMLINK_NOFOLLOW
                };
                let stat = linux::statat(at, self.path(path), flags)?;
                let mut about = self.about(&stat);
                if about[0] == 2 {
                    // Absolute targets have other lengths here.
                    about.pop();
                }
                Ok(about)
            }
            Step::ReadLink(path) => {
                let target = linux::readlinkat(at, self.path(path), Vec::new())?;
                let base = self.base.to_str().unwrap();
                let target = target.to_str().unwrap().replace(base, "BASE");
                Ok(target.bytes().map(u64::from).collect())
            }
            Step::Truncate(path, size) => {
                let size = *size as i64;
                let path = self.path(path);
                // truncate(2) has no variant for directories: what it does is opening and cutting.
                let file = linux::openat(at, path, OFlags::WRONLY, Mode::empty())?;
                linux::ftruncate(&file, size as u64).map(|()| vec![])
            }
            Step::Mode(path, bits) => {
                let mode = Mode::from_raw_mode(u32::from(*bits));
                linux::chmodat(at, self.path(path), mode, AtFlags::empty()).map(|()| vec![])
            }
            Step::Check(path, access) => {
                let access = linux::Access::from_bits_retain(u32::from(*access));
                let path = self.path(path);
                linux::accessat(at, path, access, AtFlags::empty()).map(|()| vec![])
            }
            Step::Enter(path) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                self.place = linux::openat(at, self.path(path), flags, Mode::empty())?;
                Ok(vec![])
            }
        }
    }

    fn tree(&mut self) -> BTreeMap<String, (u64, u64, Vec<u8>)> {
        unlock(self.base.ancestors().nth(DEPTH).unwrap());
        let mut all = BTreeMap::new();
        self.walk(&self.base, "", &mut all);
        all
    }
}

// Helve.

struct Helve {
    base: PathBuf,
    root: Location,
    place: Location,
    who: Credentials,
    ticks: u64,
}

fn clock() -> Time {
    Time::default()
}

impl Helve {
    fn new(base: &Path) -> Helve {
        let options = Options::new(42, clock);
        let root = Mount::tree(Tmpfs::volume(&options).unwrap(), MountFlags::empty(), None);
        // Whoever runs the test owns the directory that was just made.
        let owner = std::fs::metadata(base).unwrap();
        let who = Credentials {
            uid: owner.uid(),
            gid: owner.gid(),
            groups: [].into(),
        };
        let view = View {
            root: &root,
            start: &root,
            credentials: &who,
        };
        let mut place = root.clone();
        let path = base.to_str().unwrap();
        for (end, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
            place = view
                .make_directory(&path.as_bytes()[..end], 0o755, clock())
                .unwrap();
        }
        Helve {
            base: base.to_owned(),
            root,
            place,
            who,
            ticks: 0,
        }
    }

    fn about(&self, metadata: &vfs::Metadata) -> Vec<u64> {
        let kind = KINDS
            .iter()
            .position(|kind| *kind == metadata.kind)
            .unwrap() as u64;
        if kind == 1 {
            vec![kind]
        } else {
            vec![kind, u64::from(metadata.links), metadata.size]
        }
    }

    fn answer(&mut self, step: &Step) -> Result<Vec<u64>, Error> {
        self.ticks += 1;
        let now = Time::from_nanoseconds(self.ticks);
        let base = self.base.to_str().unwrap().to_owned();
        let path = |path: &str| path.replace("BASE", &base).into_bytes();
        let view = View {
            root: &self.root,
            start: &self.place,
            credentials: &self.who,
        };
        match step {
            Step::Open {
                path: name,
                flags,
                write,
                text,
            } => {
                let pairs = [
                    OpenFlags::CREATE,
                    OpenFlags::EXCLUSIVE,
                    OpenFlags::TRUNCATE,
                    OpenFlags::APPEND,
                    OpenFlags::DIRECTORY,
                    OpenFlags::NO_FOLLOW,
                    OpenFlags::PATH_ONLY,
                ];
                let mut request = OpenRequest {
                    access: if *write {
                        Access::READ | Access::WRITE
                    } else {
                        Access::READ
                    },
                    mode: 0o644,
                    now,
                    ..OpenRequest::default()
                };
                for (bit, flag) in pairs.into_iter().enumerate() {
                    request.flags.set(flag, has(*flags, bit as u16));
                }
                let file = view.open(&path(name), &request)?;
                let mut answer = self.about(&file.metadata());
                if *write && !has(*flags, 6) {
                    answer.push(file.write(&mut &text[..])? as u64);
                    answer.push(file.seek(Seek::Here(0))?);
                }
                Ok(answer)
            }
            Step::MakeDirectory(name) => {
                view.make_directory(&path(name), 0o755, now).map(|_| vec![])
            }
            Step::RemoveDirectory(name) => view.remove_directory(&path(name), now).map(|()| vec![]),
            Step::Unlink(name) => view.unlink(&path(name), now).map(|()| vec![]),
            Step::Rename(old, new, flags) => {
                let flags = RenameFlags::from_bits_retain(*flags);
                view.rename(&path(old), &view, &path(new), flags, now)
                    .map(|()| vec![])
            }
            Step::Link(old, new, follow) => {
                let target = view.locate(&path(old), *follow)?;
                view.link(&target, &path(new), now).map(|()| vec![])
            }
            Step::Symlink(target, name) => view
                .make_symlink(&path(target), &path(name), now)
                .map(|_| vec![]),
            Step::Metadata(name, follow) => {
                let mut about = self.about(&view.metadata(&path(name), *follow)?);
                if about[0] == 2 {
                    about.pop();
                }
                Ok(about)
            }
            Step::ReadLink(name) => {
                let target = String::from_utf8(view.read_link(&path(name))?).unwrap();
                Ok(target
                    .replace(&base, "BASE")
                    .bytes()
                    .map(u64::from)
                    .collect())
            }
            Step::Truncate(name, size) => {
                let request = OpenRequest {
                    access: Access::WRITE,
                    now,
                    ..OpenRequest::default()
                };
                let file = view.open(&path(name), &request)?;
                file.set_size(*size, now).map(|()| vec![])
            }
            Step::Mode(name, bits) => view
                .locate(&path(name), true)?
                .set_mode(&self.who, *bits, now)
                .map(|()| vec![]),
            Step::Check(name, access) => {
                let access = Access::from_bits_retain(*access);
                view.check(&path(name), access, true).map(|()| vec![])
            }
            Step::Enter(name) => {
                let request = OpenRequest {
                    access: Access::READ,
                    flags: OpenFlags::DIRECTORY,
                    now,
                    ..OpenRequest::default()
                };
                let file = view.open(&path(name), &request)?;
                self.place = file.location().unwrap().clone();
                Ok(vec![])
            }
        }
    }

    fn walk(&self, place: &Location, shown: &str, all: &mut BTreeMap<String, (u64, u64, Vec<u8>)>) {
        let view = View {
            root: &self.root,
            start: place,
            credentials: &self.who,
        };
        let request = OpenRequest {
            access: Access::READ,
            ..OpenRequest::default()
        };
        let directory = view.open(b".", &request).unwrap();
        let mut names = Vec::new();
        // Few at a time, to go through the positions.
        loop {
            let mut room = 2;
            let more = directory.list(&mut |entry| {
                let fits = room > 0;
                if fits {
                    room -= 1;
                    names.push(entry.name.to_vec());
                }
                fits
            });
            if !more.unwrap() {
                break;
            }
        }
        names.sort();
        assert_eq!(names[..2], [b".".to_vec(), b"..".to_vec()]);
        names.drain(..2);
        for name in names {
            let there = view.locate(&name, false).unwrap();
            let about = self.about(&there.metadata());
            let shown = format!("{shown}/{}", String::from_utf8(name.clone()).unwrap());
            let content = match about[0] {
                0 => read_all(&view.open(&name, &request).unwrap()),
                2 => {
                    let target = String::from_utf8(view.read_link(&name).unwrap()).unwrap();
                    target.replace(self.base.to_str().unwrap(), "BASE").into()
                }
                _ => {
                    self.walk(&there, &shown, all);
                    Vec::new()
                }
            };
            all.insert(
                shown,
                (about[0], about.get(1).copied().unwrap_or(0), content),
            );
        }
        // What the directory says about itself agrees with what is in it.
        let subdirectories = all
            .iter()
            .filter(|(path, (kind, ..))| {
                *kind == 1
                    && path
                        .strip_prefix(shown)
                        .is_some_and(|rest| rest.matches('/').count() == 1)
            })
            .count();
        assert_eq!(
            place.metadata().links as usize,
            2 + subdirectories,
            "{shown}"
        );
    }
}

fn read_all(file: &Description) -> Vec<u8> {
    let mut bytes = vec![0; 20_000];
    let count = file.read_at(0, &mut SliceSink::new(&mut bytes)).unwrap();
    bytes.truncate(count);
    bytes
}

impl World for Helve {
    fn run(&mut self, step: &Step) -> Answer {
        self.answer(step).map_err(errno)
    }

    fn tree(&mut self) -> BTreeMap<String, (u64, u64, Vec<u8>)> {
        self.who = Credentials::root();
        let view = View {
            root: &self.root,
            start: &self.root,
            credentials: &self.who,
        };
        let base = view
            .locate(self.base.to_str().unwrap().as_bytes(), true)
            .unwrap();
        let mut all = BTreeMap::new();
        self.walk(&base, "", &mut all);
        all
    }
}

/// Makes everything readable again for whoever runs the test.
fn unlock(path: &Path) {
    let kind = std::fs::symlink_metadata(path).unwrap().file_type();
    if kind.is_symlink() {
        return;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            unlock(&entry.unwrap().path());
        }
    }
}

/// Directories between the top of the scratch space and the base.
const DEPTH: usize = 6;

/// An empty directory of its own for each run, on a real tmpfs where there is one.
struct Scratch {
    top: PathBuf,
    base: PathBuf,
}

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() {
            shm.to_owned()
        } else {
            std::env::temp_dir()
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top = parent.join(format!("helve-tmpfs-{}-{number}", std::process::id()));
        let base = top.join("1/2/3/4/5/6");
        assert_eq!(base.ancestors().nth(DEPTH), Some(&*top));
        std::fs::create_dir_all(&base).unwrap();
        Scratch { top, base }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        unlock(&self.top);
        // The directory was made by this test, and has a name that nobody else uses.
        let _ = std::fs::remove_dir_all(&self.top);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn helve_does_what_linux_does(steps in proptest::collection::vec(step(), 1..60)) {
        let scratch = Scratch::new();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let place = linux::openat(CWD, &scratch.base, flags, Mode::empty()).unwrap();
        let mut theirs = Linux { base: scratch.base.clone(), place };
        let mut ours = Helve::new(&scratch.base);
        for step in &steps {
            let expected = theirs.run(step);
            let answer = ours.run(step);
            prop_assert_eq!(answer, expected, "{:?}", step);
        }
        prop_assert_eq!(ours.tree(), theirs.tree());
    }
}
