//! `cat`: files, or what comes in, to `out`.

use crate::options::Options;
use crate::{Misuse, failed};
use alloc::string::String;
use alloc::vec;
use helve::{Error, File, Handle, io};

/// One piece, in bytes.
const PIECE: usize = 64 << 10;

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "")?;
    let mut buffer = vec![0; PIECE];
    let mut status = 0;
    let files = if options.operands.is_empty() {
        &["-"]
    } else {
        options.operands.as_slice()
    };
    for name in files {
        let done = match *name {
            "-" => copy(&io::input(), &mut buffer),
            path => File::open(path).and_then(|file| copy(file.handle(), &mut buffer)),
        };
        if let Err(error) = done {
            status = failed("cat", name, error);
        }
    }
    Ok(status)
}

fn copy(from: &Handle, buffer: &mut [u8]) -> Result<(), Error> {
    loop {
        match from.read(buffer)? {
            0 => return Ok(()),
            count => io::print_bytes(buffer.get(..count).unwrap_or_default()),
        }
    }
}
