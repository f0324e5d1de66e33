//! `rm`: removes files and directories.

use crate::options::Options;
use crate::{Misuse, failed};
use alloc::string::String;
use alloc::vec::Vec;
use helve::file::{metadata, remove};
use helve::{Directory, Error, Kind, path};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "frR")?;
    if !options.has('f') {
        options.some_operands()?;
    }
    let recursive = options.has('r') || options.has('R');
    let mut status = 0;
    for target in &options.operands {
        if matches!(path::name(target), "." | ".." | "/") {
            status = failed("rm", target, Error::Invalid);
            continue;
        }
        match one(target, recursive) {
            Ok(()) => {}
            Err((_, Error::NotFound)) if options.has('f') => {}
            Err((what, error)) => status = failed("rm", &what, error),
        }
    }
    Ok(status)
}

/// Removes what is at a path. Goes through directories with a list of its own, so their depth costs no stack.
fn one(target: &str, recursive: bool) -> Result<(), (String, Error)> {
    let about = metadata(target, false).map_err(|error| (target.into(), error))?;
    if about.kind != Kind::Directory {
        return remove(target).map_err(|error| (target.into(), error));
    }
    if !recursive {
        return Err((target.into(), Error::IsDirectory));
    }
    // Directories in the order in which they were found: each comes after the one it is in.
    let mut directories = Vec::from([String::from(target)]);
    let mut next = 0;
    while let Some(directory) = directories.get(next).cloned() {
        let entries = Directory::open(&directory).and_then(|open| open.entries());
        for entry in entries.map_err(|error| (directory.clone(), error))? {
            let inner = path::join(&directory, &entry.name);
            match entry.kind {
                Kind::Directory => directories.push(inner),
                _ => remove(&inner).map_err(|error| (inner, error))?,
            }
        }
        next += 1;
    }
    for directory in directories.into_iter().rev() {
        remove(&directory).map_err(|error| (directory, error))?;
    }
    Ok(())
}
