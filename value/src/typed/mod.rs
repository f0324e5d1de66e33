//! Values as types of Rust, by serde's derives: [`Value::of`] and [`Document::read`].
//!
//! The one idea: a type that borrows (`&str`, `&[u8]`, [`Element`](crate::Element), [`Document`]) borrows from the document,
//! so reading allocates only what the type itself allocates.
//!
//! | in Rust | in the document |
//! |---|---|
//! | `bool`, `f32` and `f64` | boolean, double (reading takes integers too) |
//! | integers up to 32 bits, `u32` to 64 bits | 32-bit integer, 64-bit integer; reading takes either that fits |
//! | `char`, `str`, unit variants | string; reading takes code and symbol too |
//! | `serde_bytes`' kind of bytes | binary of subtype 0; reading takes every subtype, strings, and object ids and decimals as their bytes |
//! | `()`, `None` | null; reading takes undefined too |
//! | structures, maps with text keys | documents |
//! | sequences, tuples | lists |
//! | other variants | a document with one element, whose key is the variant |
//!
//! Times read as the number that they are, milliseconds or stamp. Everything, changed in nothing, goes through a field of type
//! [`Element`](crate::Element), and a whole document through [`Document`] and [`Value`]. These three are for this crate's
//! reader and writer only.

mod only;
mod own;
mod read;
mod write;

use crate::builder::{Builder, Value};
use crate::document::Document;
use alloc::string::{String, ToString};
use core::fmt;
use serde::{Deserialize, Serialize, de, ser};

impl Value {
    /// Writes something that is a document: a structure, a map, a variant with content.
    ///
    /// # Errors
    /// It is none, or has a key that is no text, a number beyond 64 bits, or more than a value may have.
    pub fn of<T: Serialize + ?Sized>(from: &T) -> Result<Value, Error> {
        let mut builder = Builder::new();
        from.serialize(write::Slot::whole(&mut builder))?;
        Ok(builder.finish()?)
    }
}

impl<'de> Document<'de> {
    /// Reads it as something; what is there and not asked for is skipped.
    ///
    /// # Errors
    /// Something is missing, or of another type; the error says in which field.
    pub fn read<T: Deserialize<'de>>(&self) -> Result<T, Error> {
        T::deserialize(read::Whole(*self))
    }
}

/// Why something could not be read or written, and in which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Names with points between them.
    field: String,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Value(crate::Error),
    Other(String),
}

impl Error {
    /// The same, for a field around it.
    fn within(mut self, name: impl fmt::Display) -> Error {
        self.field = match self.field.as_str() {
            "" => name.to_string(),
            inner => alloc::format!("{name}.{inner}"),
        };
        self
    }

    /// Which field it was; nothing for the whole document.
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        match &self.why {
            Why::Value(error) => error.fmt(f),
            Why::Other(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for Error {}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Error {
        Error {
            field: String::new(),
            why: Why::Value(error),
        }
    }
}

impl From<Error> for abi::Error {
    fn from(error: Error) -> abi::Error {
        match error.why {
            Why::Value(error) => error.into(),
            Why::Other(_) => abi::Error::BadValue,
        }
    }
}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Error {
        Error {
            field: String::new(),
            why: Why::Other(text.to_string()),
        }
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Error {
        ser::Error::custom(text)
    }
}
