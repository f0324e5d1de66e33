//! One element of a document: its type and its payload, borrowed from the document's bytes.

use crate::document::{Array, Document, MAX_DEPTH, walk};
use crate::error::Error;

/// A typed element. All types of BSON 1.1 are here; those marked *old* are read and kept, new data does not use them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    /// 64-bit floating point.
    Double(f64),
    /// UTF-8 text; may contain zero bytes.
    String(&'a str),
    /// A document.
    Document(Document<'a>),
    /// A list.
    Array(Array<'a>),
    /// Bytes, with the subtype that says what they mean (0: nothing special).
    Binary(u8, &'a [u8]),
    /// *Old.* No value.
    Undefined,
    /// Twelve bytes that name something.
    ObjectId([u8; 12]),
    /// True or false.
    Boolean(bool),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    DateTime(i64),
    /// Nothing.
    Null,
    /// A pattern and its options.
    Regex(&'a str, &'a str),
    /// *Old.* A name and an identifier.
    Pointer(&'a str, [u8; 12]),
    /// Program text.
    Code(&'a str),
    /// *Old.* Text.
    Symbol(&'a str),
    /// *Old.* Program text and the values of its free names.
    CodeWithScope(&'a str, Document<'a>),
    /// 32-bit integer.
    Int32(i32),
    /// An ordering stamp (seconds in the upper half).
    Timestamp(u64),
    /// 64-bit integer.
    Int64(i64),
    /// IEEE 754-2008 128-bit decimal, as its bytes.
    Decimal([u8; 16]),
    /// Less than everything.
    MinKey,
    /// More than everything.
    MaxKey,
}

/// Whether nested documents are looked into while reading an element.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// They were checked before.
    Done,
    /// Check them; this many levels may still open.
    Levels(usize),
}

impl<'a> Element<'a> {
    /// The type byte of the specification.
    pub const fn type_byte(&self) -> u8 {
        match self {
            Element::Double(_) => 0x01,
            Element::String(_) => 0x02,
            Element::Document(_) => 0x03,
            Element::Array(_) => 0x04,
            Element::Binary(..) => 0x05,
            Element::Undefined => 0x06,
            Element::ObjectId(_) => 0x07,
            Element::Boolean(_) => 0x08,
            Element::DateTime(_) => 0x09,
            Element::Null => 0x0a,
            Element::Regex(..) => 0x0b,
            Element::Pointer(..) => 0x0c,
            Element::Code(_) => 0x0d,
            Element::Symbol(_) => 0x0e,
            Element::CodeWithScope(..) => 0x0f,
            Element::Int32(_) => 0x10,
            Element::Timestamp(_) => 0x11,
            Element::Int64(_) => 0x12,
            Element::Decimal(_) => 0x13,
            Element::MinKey => 0xff,
            Element::MaxKey => 0x7f,
        }
    }

    /// The text of a string.
    pub const fn as_str(&self) -> Option<&'a str> {
        match *self {
            Element::String(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a binary, or of a string: names and arguments are strings when they are UTF-8, else binary.
    pub const fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Element::String(text) => Some(text.as_bytes()),
            Element::Binary(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An integer of either width.
    pub const fn as_int(&self) -> Option<i64> {
        match *self {
            Element::Int32(number) => Some(number as i64),
            Element::Int64(number) => Some(number),
            _ => None,
        }
    }

    /// A boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        match *self {
            Element::Boolean(truth) => Some(truth),
            _ => None,
        }
    }

    /// A document.
    pub const fn as_document(&self) -> Option<Document<'a>> {
        match *self {
            Element::Document(document) => Some(document),
            _ => None,
        }
    }

    /// A list.
    pub const fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Element::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Text or, when it is not UTF-8, binary: how arguments and names travel.
    pub fn text_or_bytes(bytes: &'a [u8]) -> Element<'a> {
        match core::str::from_utf8(bytes) {
            Ok(text) => Element::String(text),
            Err(_) => Element::Binary(0, bytes),
        }
    }

    /// Reads the payload of an element of type `kind` from the front of `bytes`; returns it and what follows.
    pub(crate) fn read(
        kind: u8,
        bytes: &'a [u8],
        check: Check,
    ) -> Result<(Element<'a>, &'a [u8]), Error> {
        Ok(match kind {
            0x01 => {
                fixed(bytes).map(|(raw, rest)| (Element::Double(f64::from_le_bytes(raw)), rest))?
            }
            0x02 => string(bytes).map(|(text, rest)| (Element::String(text), rest))?,
            0x03 => document(bytes, check).map(|(inner, rest)| (Element::Document(inner), rest))?,
            0x04 => document(bytes, check)
                .map(|(inner, rest)| (Element::Array(Array::of(inner)), rest))?,
            0x05 => {
                let (length, rest) = length(bytes)?;
                let (&subtype, rest) = rest.split_first().ok_or(Error::Truncated)?;
                let (payload, rest) = rest.split_at_checked(length).ok_or(Error::BadLength)?;
                (Element::Binary(subtype, payload), rest)
            }
            0x06 => (Element::Undefined, bytes),
            0x07 => fixed(bytes).map(|(raw, rest)| (Element::ObjectId(raw), rest))?,
            0x08 => match bytes.split_first() {
                Some((0, rest)) => (Element::Boolean(false), rest),
                Some((1, rest)) => (Element::Boolean(true), rest),
                Some((&byte, _)) => return Err(Error::BadBoolean(byte)),
                None => return Err(Error::Truncated),
            },
            0x09 => fixed(bytes)
                .map(|(raw, rest)| (Element::DateTime(i64::from_le_bytes(raw)), rest))?,
            0x0a => (Element::Null, bytes),
            0x0b => {
                let (pattern, rest) = c_string(bytes)?;
                let (options, rest) = c_string(rest)?;
                (Element::Regex(pattern, options), rest)
            }
            0x0c => {
                let (name, rest) = string(bytes)?;
                let (raw, rest) = fixed(rest)?;
                (Element::Pointer(name, raw), rest)
            }
            0x0d => string(bytes).map(|(text, rest)| (Element::Code(text), rest))?,
            0x0e => string(bytes).map(|(text, rest)| (Element::Symbol(text), rest))?,
            0x0f => {
                let (total, _) = length(bytes)?;
                let (whole, rest) = bytes.split_at_checked(total).ok_or(Error::BadLength)?;
                let (text, scope) = string(whole.get(4..).ok_or(Error::BadLength)?)?;
                let (scope, after) = document(scope, check)?;
                if !after.is_empty() {
                    return Err(Error::BadLength);
                }
                (Element::CodeWithScope(text, scope), rest)
            }
            0x10 => {
                fixed(bytes).map(|(raw, rest)| (Element::Int32(i32::from_le_bytes(raw)), rest))?
            }
            0x11 => fixed(bytes)
                .map(|(raw, rest)| (Element::Timestamp(u64::from_le_bytes(raw)), rest))?,
            0x12 => {
                fixed(bytes).map(|(raw, rest)| (Element::Int64(i64::from_le_bytes(raw)), rest))?
            }
            0x13 => fixed(bytes).map(|(raw, rest)| (Element::Decimal(raw), rest))?,
            0xff => (Element::MinKey, bytes),
            0x7f => (Element::MaxKey, bytes),
            other => return Err(Error::BadType(other)),
        })
    }
}

/// The next `N` bytes.
fn fixed<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Error> {
    let (raw, rest) = bytes.split_first_chunk::<N>().ok_or(Error::Truncated)?;
    Ok((*raw, rest))
}

/// A length field, which BSON stores as a signed 32-bit number.
pub(crate) fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    let (raw, rest) = fixed(bytes)?;
    let length = usize::try_from(i32::from_le_bytes(raw)).map_err(|_| Error::BadLength)?;
    Ok((length, rest))
}

/// A string with its length in front and a zero byte behind.
fn string(bytes: &[u8]) -> Result<(&str, &[u8]), Error> {
    let (length, rest) = length(bytes)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(Error::BadLength)?;
    match text.split_last() {
        Some((0, text)) => Ok((
            core::str::from_utf8(text).map_err(|_| Error::BadText)?,
            rest,
        )),
        _ => Err(Error::BadLength),
    }
}

/// A string that ends at its first zero byte.
pub(crate) fn c_string(bytes: &[u8]) -> Result<(&str, &[u8]), Error> {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .ok_or(Error::Truncated)?;
    let (text, rest) = bytes.split_at(end);
    let text = core::str::from_utf8(text).map_err(|_| Error::BadText)?;
    Ok((text, rest.get(1..).unwrap_or_default()))
}

/// A document inside the document.
fn document(bytes: &[u8], check: Check) -> Result<(Document<'_>, &[u8]), Error> {
    let (total, _) = length(bytes)?;
    let (whole, rest) = bytes.split_at_checked(total).ok_or(Error::BadLength)?;
    if let Check::Levels(left) = check {
        walk(whole, left.checked_sub(1).ok_or(Error::TooDeep)?)?;
    }
    Ok((Document::trusted(whole), rest))
}

const _: () = assert!(MAX_DEPTH > 0);

impl From<f64> for Element<'_> {
    fn from(number: f64) -> Self {
        Element::Double(number)
    }
}

impl<'a> From<&'a str> for Element<'a> {
    fn from(text: &'a str) -> Self {
        Element::String(text)
    }
}

impl<'a> From<&'a alloc::string::String> for Element<'a> {
    fn from(text: &'a alloc::string::String) -> Self {
        Element::String(text)
    }
}

impl<'a> From<&'a [u8]> for Element<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Element::Binary(0, bytes)
    }
}

impl From<bool> for Element<'_> {
    fn from(truth: bool) -> Self {
        Element::Boolean(truth)
    }
}

impl From<i32> for Element<'_> {
    fn from(number: i32) -> Self {
        Element::Int32(number)
    }
}

impl From<u32> for Element<'_> {
    fn from(number: u32) -> Self {
        Element::Int64(number.into())
    }
}

impl From<i64> for Element<'_> {
    fn from(number: i64) -> Self {
        Element::Int64(number)
    }
}

/// Numbers beyond 2^63 - 1 are kept at that: no counter of the system gets there.
impl From<u64> for Element<'_> {
    fn from(number: u64) -> Self {
        Element::Int64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// As for `u64`.
impl From<usize> for Element<'_> {
    fn from(number: usize) -> Self {
        Element::Int64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<'a> From<Document<'a>> for Element<'a> {
    fn from(document: Document<'a>) -> Self {
        Element::Document(document)
    }
}

impl<'a> From<Array<'a>> for Element<'a> {
    fn from(array: Array<'a>) -> Self {
        Element::Array(array)
    }
}
