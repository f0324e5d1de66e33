//! Private temporary directories that go away on every end but a kill.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::{Builder, TempDir};

/// The directories that exist now, for the signal thread.
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory that only this user may enter; removed when dropped.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes one. Its path is short enough for the names of unix-domain sockets in it.
    pub fn new() -> Result<Scratch> {
        let builder = || {
            let mut builder = Builder::new();
            builder.prefix("helve-");
            builder
        };
        let directory = match builder().tempdir() {
            Ok(directory) if directory.path().as_os_str().len() <= 80 => directory,
            _ => builder()
                .tempdir_in("/tmp")
                .context("cannot create a temporary directory")?,
        };
        all().push(directory.path().to_path_buf());
        Ok(Scratch(directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        all().retain(|path| path != self.0.path());
    }
}

/// Removes every directory. For the signal thread: the process ends right after it.
pub fn remove_all() {
    for path in all().iter() {
        let _ = std::fs::remove_dir_all(path);
    }
}
