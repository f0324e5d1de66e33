//! `mkdir`: makes directories.

use crate::options::Options;
use crate::{Misuse, failed};
use alloc::string::String;
use helve::{Directory, Error, path};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "p")?;
    options.some_operands()?;
    let mut status = 0;
    for directory in &options.operands {
        let made = if options.has('p') {
            with_parents(directory)
        } else {
            Directory::create(directory).map(drop)
        };
        if let Err(error) = made {
            status = failed("mkdir", directory, error);
        }
    }
    Ok(status)
}

/// Makes what is missing on the way, too. What is there is fine.
fn with_parents(directory: &str) -> Result<(), Error> {
    match Directory::create(directory) {
        Err(Error::NotFound) if !matches!(path::parent(directory), "." | "/") => {
            with_parents(path::parent(directory))?;
            Directory::create(directory).map(drop)
        }
        Err(Error::Exists) => Directory::open(directory).map(drop),
        other => other.map(drop),
    }
}
