//! Reading: checked bytes, and walks over them.

use crate::element::{Check, Element, c_string, length};
use crate::error::Error;
use core::fmt;

/// Documents inside each other, the outermost counted.
pub const MAX_DEPTH: usize = 32;

/// Bytes of a whole document.
pub const MAX_SIZE: usize = 16 << 20;

/// A document: bytes that are known to be well formed. Copying it copies the borrow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// Length field, elements, final zero byte.
    bytes: &'a [u8],
}

/// A list: a document whose keys do not matter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Array<'a> {
    document: Document<'a>,
}

impl Document<'static> {
    /// The document without elements.
    pub const EMPTY: Document<'static> = Document {
        bytes: &[5, 0, 0, 0, 0],
    };
}

impl<'a> Document<'a> {
    /// Checks `bytes`, which must be one document and nothing more. One pass, no allocation.
    pub fn parse(bytes: &'a [u8]) -> Result<Document<'a>, Error> {
        let (document, rest) = Document::parse_front(bytes)?;
        if rest.is_empty() {
            Ok(document)
        } else {
            Err(Error::Trailing)
        }
    }

    /// Checks the document at the front of `bytes`; returns it and what follows.
    pub fn parse_front(bytes: &'a [u8]) -> Result<(Document<'a>, &'a [u8]), Error> {
        let (total, _) = length(bytes)?;
        if total > MAX_SIZE {
            return Err(Error::TooLarge);
        }
        let (whole, rest) = bytes.split_at_checked(total).ok_or(Error::Truncated)?;
        walk(whole, MAX_DEPTH - 1)?;
        Ok((Document { bytes: whole }, rest))
    }

    /// The length that the first four bytes of a document announce, for reading the rest of it. `None` when it is
    /// impossible or beyond [`MAX_SIZE`].
    pub fn announced(front: [u8; 4]) -> Option<usize> {
        usize::try_from(i32::from_le_bytes(front))
            .ok()
            .filter(|length| (5..=MAX_SIZE).contains(length))
    }

    /// Bytes that were checked, or built, before.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Document<'a> {
        Document { bytes }
    }

    /// The document's bytes, as they are stored or sent.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it has no elements.
    pub const fn is_empty(&self) -> bool {
        self.bytes.len() <= 5
    }

    /// All elements with their keys, in their order.
    pub fn iter(&self) -> Elements<'a> {
        let end = self.bytes.len().saturating_sub(1);
        Elements {
            rest: self.bytes.get(4..end).unwrap_or_default(),
        }
    }

    /// The first element with this key. Takes a walk over the elements before it.
    pub fn get(&self, key: &str) -> Option<Element<'a>> {
        self.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, element)| element)
    }

    /// The text at `key`.
    pub fn string(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// The bytes at `key`, be it binary or text.
    pub fn bytes(&self, key: &str) -> Option<&'a [u8]> {
        self.get(key)?.as_bytes()
    }

    /// The integer at `key`, of either width.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_int()
    }

    /// The integer at `key` if it is not negative.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        self.int(key).and_then(|number| u64::try_from(number).ok())
    }

    /// The boolean at `key`.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// The document at `key`.
    pub fn document(&self, key: &str) -> Option<Document<'a>> {
        self.get(key)?.as_document()
    }

    /// The list at `key`.
    pub fn array(&self, key: &str) -> Option<Array<'a>> {
        self.get(key)?.as_array()
    }
}

impl<'a> Array<'a> {
    pub(crate) const fn of(document: Document<'a>) -> Array<'a> {
        Array { document }
    }

    /// Its items in order.
    pub fn iter(&self) -> Items<'a> {
        Items {
            elements: self.document.iter(),
        }
    }

    /// Whether it has no items.
    pub const fn is_empty(&self) -> bool {
        self.document.is_empty()
    }

    /// Its bytes: those of a document with the keys "0", "1", ...
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.document.bytes
    }
}

impl<'a> IntoIterator for Document<'a> {
    type Item = (&'a str, Element<'a>);
    type IntoIter = Elements<'a>;
    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Element<'a>;
    type IntoIter = Items<'a>;
    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

/// The elements of a document with their keys.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// The next element with all its bytes: type, key and payload.
    #[cfg(feature = "serde")]
    pub(crate) fn next_whole(&mut self) -> Option<(&'a str, Element<'a>, &'a [u8])> {
        let before = self.rest;
        let (key, element) = self.next()?;
        let whole = before.get(..before.len() - self.rest.len())?;
        Some((key, element, whole))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (&'a str, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.rest.split_first()?;
        let (key, rest) = c_string(rest).ok()?;
        let (element, rest) = Element::read(kind, rest, Check::Done).ok()?;
        self.rest = rest;
        Some((key, element))
    }
}

/// The items of a list.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    elements: Elements<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.elements.next().map(|(_, element)| element)
    }
}

/// Checks one whole document inside which `levels` more may be nested.
pub(crate) fn walk(whole: &[u8], levels: usize) -> Result<(), Error> {
    let (total, rest) = length(whole)?;
    if total != whole.len() {
        return Err(Error::BadLength);
    }
    let (&end, mut rest) = rest.split_last().ok_or(Error::BadLength)?;
    if end != 0 {
        return Err(Error::BadLength);
    }
    while let Some((&kind, after)) = rest.split_first() {
        let (_, payload) = c_string(after)?;
        (_, rest) = Element::read(kind, payload, Check::Levels(levels))?;
    }
    Ok(())
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
