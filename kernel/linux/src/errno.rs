//! errno: the only room that knows these numbers.
//!
//! Source: Linux `include/uapi/asm-generic/errno*.h`; the restart codes are internal, as in `include/linux/errno.h`:
//! they tell the signal code how to treat an interrupted call and never reach a program.

use abi::Error;
use core::num::NonZeroU16;

/// A Linux error number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(NonZeroU16);

/// What a call answers: the value of `rax`, or an error.
pub type Answer = Result<usize, Errno>;

macro_rules! errnos {
    ($($name:ident = $number:literal;)*) => {
        impl Errno {
            $(pub const $name: Errno = Errno(match NonZeroU16::new($number) { Some(n) => n, None => unreachable!() });)*
        }

        impl core::fmt::Debug for Errno {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.number() {
                    $($number => f.write_str(stringify!($name)),)*
                    other => write!(f, "errno {other}"),
                }
            }
        }
    };
}

errnos! {
    EPERM = 1; ENOENT = 2; ESRCH = 3; EINTR = 4; EIO = 5; ENXIO = 6; E2BIG = 7; ENOEXEC = 8; EBADF = 9; ECHILD = 10;
    EAGAIN = 11; ENOMEM = 12; EACCES = 13; EFAULT = 14; ENOTBLK = 15; EBUSY = 16; EEXIST = 17; EXDEV = 18;
    ENODEV = 19; ENOTDIR = 20; EISDIR = 21; EINVAL = 22; ENFILE = 23; EMFILE = 24; ENOTTY = 25; ETXTBSY = 26;
    EFBIG = 27; ENOSPC = 28; ESPIPE = 29; EROFS = 30; EMLINK = 31; EPIPE = 32; EDOM = 33; ERANGE = 34; EDEADLK = 35;
    ENAMETOOLONG = 36; ENOLCK = 37; ENOSYS = 38; ENOTEMPTY = 39; ELOOP = 40; EOVERFLOW = 75; ELIBBAD = 80; ENOTSOCK = 88; EMSGSIZE = 90; EPROTOTYPE = 91;
    ENOPROTOOPT = 92; EPROTONOSUPPORT = 93; ESOCKTNOSUPPORT = 94; EOPNOTSUPP = 95;
    EAFNOSUPPORT = 97; EADDRINUSE = 98; ECONNRESET = 104; ENOBUFS = 105; EISCONN = 106; ENOTCONN = 107;
    ETOOMANYREFS = 109; ECONNREFUSED = 111; ETIMEDOUT = 110; ESTALE = 116; ECANCELED = 125; ENODATA = 61;
    ERESTARTSYS = 512; ERESTARTNOINTR = 513; ERESTARTNOHAND = 514; ERESTARTBLOCK = 516;
}

impl Errno {
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    /// The value of `rax` that says this error.
    pub const fn to_register(self) -> u64 {
        (self.number() as i64).wrapping_neg() as u64
    }

    /// True for the internal codes of an interrupted call.
    pub const fn is_restart(self) -> bool {
        self.number() >= 512
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Errno {
        match error {
            Error::Denied => Errno::EACCES,
            Error::Forbidden => Errno::EPERM,
            Error::NotFound => Errno::ENOENT,
            Error::Exists => Errno::EEXIST,
            Error::Invalid => Errno::EINVAL,
            Error::BadHandle => Errno::EBADF,
            Error::WrongKind => Errno::EINVAL,
            Error::Unsupported => Errno::EOPNOTSUPP,
            Error::WouldBlock => Errno::EAGAIN,
            Error::Interrupted => Errno::ERESTARTSYS,
            Error::TimedOut => Errno::ETIMEDOUT,
            Error::Closed => Errno::EPIPE,
            Error::NoMemory => Errno::ENOMEM,
            Error::NoSpace => Errno::ENOSPC,
            Error::TooLarge => Errno::EFBIG,
            Error::TooMany => Errno::EMFILE,
            Error::Limit => Errno::EAGAIN,
            Error::Busy => Errno::EBUSY,
            Error::Fault => Errno::EFAULT,
            Error::NotDirectory => Errno::ENOTDIR,
            Error::IsDirectory => Errno::EISDIR,
            Error::NotEmpty => Errno::ENOTEMPTY,
            Error::NameTooLong => Errno::ENAMETOOLONG,
            Error::Loop => Errno::ELOOP,
            Error::ReadOnly => Errno::EROFS,
            Error::CrossDevice => Errno::EXDEV,
            Error::NotSeekable => Errno::ESPIPE,
            Error::NotTerminal => Errno::ENOTTY,
            Error::NotExecutable => Errno::ENOEXEC,
            Error::TextBusy => Errno::ETXTBSY,
            Error::NoDevice => Errno::ENODEV,
            Error::NoProcess => Errno::ESRCH,
            Error::NoChild => Errno::ECHILD,
            Error::Range => Errno::ERANGE,
            Error::Io => Errno::EIO,
            Error::Stale => Errno::ESTALE,
            Error::Overflow => Errno::EOVERFLOW,
            Error::NotConnected => Errno::ENOTCONN,
            Error::Connected => Errno::EISCONN,
            Error::Refused => Errno::ECONNREFUSED,
            Error::Reset => Errno::ECONNRESET,
            Error::MessageTooLong => Errno::EMSGSIZE,
            Error::AddressInUse => Errno::EADDRINUSE,
            Error::WrongProtocol => Errno::EPROTOTYPE,
            Error::Cancelled => Errno::ECANCELED,
            Error::Revoked => Errno::EACCES,
            Error::Unanswered => Errno::ECONNRESET,
            _ => Errno::EINVAL,
        }
    }
}

impl From<task::Interrupted> for Errno {
    fn from(_: task::Interrupted) -> Errno {
        Errno::ERESTARTSYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_system_has_an_errno_below_the_restart_codes_but_interruption() {
        for &error in Error::ALL {
            let errno = Errno::from(error);
            assert_eq!(errno.is_restart(), error == Error::Interrupted, "{error:?}");
        }
    }

    #[test]
    fn registers_hold_negative_numbers() {
        assert_eq!(Errno::ENOENT.to_register() as i64, -2);
    }
}
