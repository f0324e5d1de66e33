//! Where cgroups are, and one to test in.

use libc::{O_RDONLY, O_WRONLY};
use std::fs;
use std::path::{Path, PathBuf};
use test_programs::raw::short::*;
use test_programs::sys;

/// The directory of the hierarchy. `None`: there is none.
pub fn root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mut lines = mounts.lines().map(|line| line.split(' '));
    let mount = lines.find(|line| line.clone().nth(2) == Some("cgroup2"))?;
    mount.clone().nth(1).map(PathBuf::from)
}

/// A cgroup of this test, below the root; removed with all in it.
pub struct Place(PathBuf);

impl Place {
    /// With no controllers.
    pub fn plain() -> Option<Place> {
        let path = root()?.join(format!("helve-test-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Some(Place(path))
    }

    /// With the files of these controllers. `None` where the hierarchy has not got them.
    pub fn with(controllers: &[&str]) -> Option<Place> {
        let root = root()?;
        let known = read(&root.join("cgroup.controllers"));
        for name in controllers {
            known.split_whitespace().find(|known| known == name)?;
            write(&root.join("cgroup.subtree_control"), &format!("+{name}")).unwrap();
        }
        Place::plain()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn read(&self, name: &str) -> String {
        read(&self.file(name))
    }

    /// The error number, if it is refused.
    pub fn write(&self, name: &str, text: &str) -> Result<(), i32> {
        write(&self.file(name), text)
    }

    pub fn make(&self, name: &str) -> Place {
        let path = self.file(name);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    /// Removes it now.
    pub fn remove(&self) -> Result<(), i32> {
        let path = format!("{}\0", self.0.display());
        sys!(SYS_rmdir, path.as_ptr()).map(drop)
    }

    /// The number of `populated` in its events.
    pub fn is_populated(&self) -> bool {
        let events = self.read("cgroup.events");
        let line = events.lines().find(|line| line.starts_with("populated "));
        line.unwrap() == "populated 1"
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Removed already, or not empty because the test failed.
        let _ = self.remove();
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// In one call, as it must be.
pub fn write(path: &Path, text: &str) -> Result<(), i32> {
    let path = format!("{}\0", path.display());
    let descriptor = sys!(SYS_open, path.as_ptr(), O_WRONLY)?;
    let written = sys!(SYS_write, descriptor, text.as_ptr(), text.len());
    close(descriptor);
    written.map(|count| assert_eq!(count, text.len()))
}

pub fn open(path: &Path) -> usize {
    let path = format!("{}\0", path.display());
    sys!(SYS_open, path.as_ptr(), O_RDONLY).unwrap()
}
