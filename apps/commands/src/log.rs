//! `log`: the kernel's log.

use crate::{Misuse, failed};
use alloc::string::String;
use alloc::vec;
use helve::{Error, io, system};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let done = if arguments.is_empty() {
        show()
    } else {
        add(&arguments.join(" "))
    };
    match done {
        Ok(()) => Ok(0),
        Err(error) => Ok(failed("log", "log:", error)),
    }
}

fn show() -> Result<(), Error> {
    let log = system::log()?;
    let mut buffer = vec![0; 16 << 10];
    let mut offset = 0;
    loop {
        match log.read_at(offset, &mut buffer)? {
            0 => return Ok(()),
            count => {
                io::print_bytes(buffer.get(..count).unwrap_or_default());
                offset += count as u64;
            }
        }
    }
}

fn add(text: &str) -> Result<(), Error> {
    system::log()?.append(text.as_bytes()).map(drop)
}
