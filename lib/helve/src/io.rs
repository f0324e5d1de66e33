//! Text to the handles `out` and `err`.

use crate::handle::Handle;
use crate::start;
use abi::{Error, Number};
use core::fmt::{self, Write};
use core::mem::ManuallyDrop;

/// Exit status of a program whose output nobody wants any more (128 + SIGPIPE, as under Linux shells).
const NOBODY_READS: u8 = 141;

/// Collects small pieces of formatted text, so that a line is one call.
struct Pieces<'h> {
    handle: &'h Handle,
    buffer: [u8; 512],
    filled: usize,
    result: Result<(), Error>,
}

impl Pieces<'_> {
    fn flush(&mut self) {
        if self.result.is_ok() && self.filled > 0 {
            self.result = self
                .handle
                .write_all(self.buffer.get(..self.filled).unwrap_or_default());
        }
        self.filled = 0;
    }
}

impl Write for Pieces<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut bytes = text.as_bytes();
        while !bytes.is_empty() {
            if self.filled == self.buffer.len() {
                self.flush();
            }
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            self.filled += count;
            bytes = later;
        }
        self.result.map_err(|_| fmt::Error)
    }
}

/// Writes formatted text to a handle, all of it in as few calls as possible.
///
/// # Errors
/// What the object says.
pub fn format_to(handle: &Handle, text: fmt::Arguments<'_>) -> Result<(), Error> {
    if let Some(text) = text.as_str() {
        return handle.write_all(text.as_bytes());
    }
    let mut pieces = Pieces {
        handle,
        buffer: [0; 512],
        filled: 0,
        result: Ok(()),
    };
    // The pieces keep the error of the handle, which says more than this one.
    let _ = pieces.write_fmt(text);
    pieces.flush();
    pieces.result
}

fn standard(name: &str) -> ManuallyDrop<Handle> {
    ManuallyDrop::new(Handle::from_number(
        start::handle(name).unwrap_or(Number::NONE),
    ))
}

/// The handle `in`. Without one, every call on it answers `BadHandle`.
pub fn input() -> ManuallyDrop<Handle> {
    standard("in")
}

/// The handle `out`. Without one, every call on it answers `BadHandle`.
pub fn output() -> ManuallyDrop<Handle> {
    standard("out")
}

/// Text to `out`. Ends the program when nobody reads it any more; other errors are nobody's to hear.
pub fn print(text: fmt::Arguments<'_>) {
    if format_to(&output(), text) == Err(Error::Closed) {
        crate::exit(NOBODY_READS);
    }
}

/// Bytes to `out`, as [`print`].
pub fn print_bytes(bytes: &[u8]) {
    if output().write_all(bytes) == Err(Error::Closed) {
        crate::exit(NOBODY_READS);
    }
}

/// Text to `err`.
pub fn error(text: fmt::Arguments<'_>) {
    let _ = format_to(&standard("err"), text);
}

/// Prints to the handle `out`.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::io::print(::core::format_args!($($argument)*)) };
}

/// Prints to the handle `out`, with a line end.
#[macro_export]
macro_rules! println {
    () => { $crate::io::print(::core::format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::io::print(::core::format_args!("{}\n", ::core::format_args!($($argument)*)))
    };
}

/// Prints to the handle `err`, with a line end.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::io::error(::core::format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::io::error(::core::format_args!("{}\n", ::core::format_args!($($argument)*)))
    };
}
