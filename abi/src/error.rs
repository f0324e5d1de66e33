//! The one error enum below the doors, and the codes that cross the native line.
//!
//! Native calls return a code in `rax` as a small negative number ([`Error::to_raw`]); the Linux door translates the
//! same enum to errno and is the only place where errno exists. Codes are part of the ABI: they are never reused.

use core::fmt;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a call failed. The text of `Display` is one clear lower-case sentence fit for a user's eyes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Error {
            $($(#[$doc])* $name = $code,)*
        }

        impl Error {
            /// Every error there is, in the order of the codes.
            pub const ALL: &'static [Error] = &[$(Error::$name,)*];

            /// The error with this code, if there is one.
            pub const fn from_code(code: u16) -> Option<Error> {
                match code {
                    $($code => Some(Error::$name),)*
                    _ => None,
                }
            }

            /// The name of the variant, as documentation and tracers write it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Error::$name => stringify!($name),)*
                }
            }

            /// One lower-case sentence without a full stop.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Error::$name => $text,)*
                }
            }
        }
    };
}

errors! {
    /// The handle lacks the right, or the file's permissions forbid it.
    Denied = 1, "permission denied";
    /// The caller's identity forbids it whatever the handle says (Linux EPERM).
    Forbidden = 2, "operation not permitted";
    /// No such name, key or verb.
    NotFound = 3, "not found";
    /// A name that had to be new is taken.
    Exists = 4, "already exists";
    /// An argument that no object of this kind could accept.
    Invalid = 5, "invalid argument";
    /// The handle number is not open in this process, or was closed before.
    BadHandle = 6, "not an open handle";
    /// The object is of a kind that cannot do this.
    WrongKind = 7, "wrong kind of object";
    /// This object, or this version of the system, does not offer this.
    Unsupported = 8, "operation not supported";
    /// It would have to wait, and was asked not to.
    WouldBlock = 9, "the operation would have to wait";
    /// A signal or a kill ended the wait.
    Interrupted = 10, "interrupted";
    /// The deadline passed first.
    TimedOut = 11, "timed out";
    /// The other side of a pipe, channel or connection is gone.
    Closed = 12, "the other side is closed";
    /// No memory for it.
    NoMemory = 13, "out of memory";
    /// The file system is full.
    NoSpace = 14, "no space left";
    /// A file, value or message beyond the size that is allowed.
    TooLarge = 15, "too large";
    /// The process holds as many handles as it may.
    TooMany = 16, "too many open handles";
    /// Another limit of the process or the system.
    Limit = 17, "a limit was reached";
    /// In use by somebody who excludes others.
    Busy = 18, "busy";
    /// An address that the process may not use in this way.
    Fault = 19, "bad address";
    /// A path goes through something that is not a directory.
    NotDirectory = 20, "not a directory";
    /// A directory where a file was needed.
    IsDirectory = 21, "is a directory";
    /// A directory that still has entries.
    NotEmpty = 22, "directory not empty";
    /// A name or path beyond its limit.
    NameTooLong = 23, "name too long";
    /// Too many symbolic links on the way, or a directory moved into itself.
    Loop = 24, "too many levels of symbolic links";
    /// The file system accepts no changes.
    ReadOnly = 25, "read-only file system";
    /// A link or rename between two file systems.
    CrossDevice = 26, "on another file system";
    /// A stream has no positions.
    NotSeekable = 27, "not seekable";
    /// A terminal was needed.
    NotTerminal = 28, "not a terminal";
    /// The file is not a program that this system can run.
    NotExecutable = 29, "not a program";
    /// A program that runs is being written, or the other way round.
    TextBusy = 30, "the program is running";
    /// The device is not there, or has gone.
    NoDevice = 31, "no such device";
    /// No process or thread with this number.
    NoProcess = 32, "no such process";
    /// No child to wait for.
    NoChild = 33, "no child processes";
    /// A number outside the range of its result.
    Range = 34, "result out of range";
    /// The device failed.
    Io = 35, "input/output error";
    /// A handle to something that was removed for good.
    Stale = 36, "no longer there";
    /// A number too large for the field it must fit in.
    Overflow = 37, "value too large for its field";
    /// A call number that does not exist. (The one code that is Linux's own, so that a native call made on a Linux
    /// kernel is answered in the same way.)
    NoCall = 38, "no such call";
    /// A file with as many names as it may have.
    TooManyLinks = 39, "too many links";
    /// Arguments and environment beyond the space for them.
    ArgumentsTooLong = 40, "argument list too long";
    /// Waiting would never end.
    Deadlock = 41, "would deadlock";
    /// Bytes that are not a well-formed value.
    BadValue = 42, "not a well-formed value";
    /// A socket that has no other side.
    NotConnected = 43, "not connected";
    /// A socket that has its other side already.
    Connected = 44, "already connected";
    /// Nobody listens at that address.
    Refused = 45, "connection refused";
    /// The other side went and left bytes unread.
    Reset = 46, "connection reset";
    /// A message beyond what its socket takes in one piece.
    MessageTooLong = 47, "message too long";
    /// An address that somebody else is known by.
    AddressInUse = 48, "address in use";
    /// A socket of one type that was to talk to one of another.
    WrongProtocol = 49, "wrong type of socket";
    /// What was waited for will not come as it was asked for: the clock was set, or somebody took it back.
    Cancelled = 50, "cancelled";
    /// A handle that was lent, and that whoever lent it has taken back.
    Revoked = 51, "taken back by whoever lent it";
    /// The question was received, and whoever had it let it go without an answer.
    Unanswered = 52, "the question was not answered";
}

impl Error {
    /// The code, 1 to 4095.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The content of `rax` that reports this error.
    pub const fn to_raw(self) -> u64 {
        -(self as u16 as i64) as u64
    }

    /// Splits the content of `rax` into value and error. A code this version does not know becomes [`Error::Invalid`].
    pub const fn from_raw(raw: u64) -> Result<u64, Error> {
        let signed = raw as i64;
        if signed >= 0 || signed < -4095 {
            return Ok(raw);
        }
        match Error::from_code((-signed) as u16) {
            Some(error) => Err(error),
            None => Err(Error::Invalid),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_survives_the_line() {
        for &error in Error::ALL {
            assert_eq!(Error::from_raw(error.to_raw()), Err(error));
            assert_eq!(Error::from_code(error.code()), Some(error));
            assert!(!error.text().is_empty() && !error.text().ends_with('.'));
        }
    }

    #[test]
    fn values_are_not_errors() {
        for value in [0, 1, 0x7fff_ffff_f000, u64::MAX - 4095] {
            assert_eq!(Error::from_raw(value), Ok(value));
        }
        assert_eq!(Error::from_raw(-4095i64 as u64), Err(Error::Invalid));
    }
}
