//! What can be wrong with bytes that claim to be a value.

use core::fmt;

/// Why bytes are not an acceptable document, or a document could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends before it is complete.
    Truncated,
    /// A length field does not fit what it describes.
    BadLength,
    /// An element of a type that BSON 1.1 does not have.
    BadType(u8),
    /// A boolean other than 0 and 1.
    BadBoolean(u8),
    /// A key or string is not UTF-8.
    BadText,
    /// A key to be written has a zero byte in it.
    BadKey,
    /// More than [`crate::MAX_DEPTH`] documents inside each other.
    TooDeep,
    /// Longer than [`crate::MAX_SIZE`] bytes.
    TooLarge,
    /// Bytes follow after the end of the document.
    Trailing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Truncated => "the document is cut off",
            Error::BadLength => "a length does not fit",
            Error::BadType(kind) => return write!(f, "unknown element type {kind:#04x}"),
            Error::BadBoolean(byte) => return write!(f, "a boolean is {byte:#04x}"),
            Error::BadText => "a string is not UTF-8",
            Error::BadKey => "a key contains a zero byte",
            Error::TooDeep => "documents are nested too deeply",
            Error::TooLarge => "the document is too large",
            Error::Trailing => "bytes follow the document",
        })
    }
}

impl core::error::Error for Error {}

impl From<Error> for abi::Error {
    fn from(error: Error) -> abi::Error {
        match error {
            Error::TooLarge => abi::Error::TooLarge,
            Error::BadKey => abi::Error::Invalid,
            _ => abi::Error::BadValue,
        }
    }
}
