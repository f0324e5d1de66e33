//! Writing: a builder that appends elements to a vector, and the value that owns the result.

use crate::document::{Document, MAX_DEPTH, MAX_SIZE};
use crate::element::Element;
use crate::error::Error;
use alloc::vec::Vec;
use core::fmt;

/// A document that owns its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    bytes: Vec<u8>,
}

impl Value {
    /// Builds a value: `Value::build(|b| { b.put("name", "sh").put("id", 7); })`. `TooLarge`, `TooDeep` and `BadKey`
    /// are the only errors.
    pub fn build(fill: impl FnOnce(&mut Builder)) -> Result<Value, Error> {
        let mut builder = Builder::new();
        fill(&mut builder);
        builder.finish()
    }

    /// Takes over bytes after checking them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Value, Error> {
        Document::parse(&bytes)?;
        Ok(Value { bytes })
    }

    /// The document in it.
    pub fn as_document(&self) -> Document<'_> {
        Document::trusted(&self.bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives up the bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The empty document.
impl Default for Value {
    fn default() -> Value {
        Document::EMPTY.into()
    }
}

impl From<Document<'_>> for Value {
    fn from(document: Document<'_>) -> Value {
        Value {
            bytes: document.as_bytes().into(),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_document(), f)
    }
}

/// Writes one document, element by element. The first error is kept and comes out of [`Builder::finish`]; after it,
/// nothing more is written.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    depth: usize,
    failed: Option<Error>,
}

impl Builder {
    /// A builder of a document that has no elements yet.
    pub fn new() -> Builder {
        Builder {
            bytes: Vec::from([0; 4]),
            depth: 1,
            failed: None,
        }
    }

    /// Appends an element. A key may be used again; readers find the first.
    pub fn put<'e>(&mut self, key: &str, element: impl Into<Element<'e>>) -> &mut Builder {
        let element = element.into();
        if self.header(element.type_byte(), key) {
            self.payload(element);
            self.measure();
        }
        self
    }

    /// Appends a document that `fill` writes.
    pub fn document(&mut self, key: &str, fill: impl FnOnce(&mut Builder)) -> &mut Builder {
        self.nested(0x03, key, fill)
    }

    /// Appends a list that `fill` writes.
    pub fn array(&mut self, key: &str, fill: impl FnOnce(&mut ArrayBuilder<'_>)) -> &mut Builder {
        self.nested(0x04, key, |inner| {
            fill(&mut ArrayBuilder {
                builder: inner,
                count: 0,
            })
        })
    }

    /// The finished value.
    pub fn finish(mut self) -> Result<Value, Error> {
        self.close(0);
        match self.failed {
            None => Ok(Value { bytes: self.bytes }),
            Some(error) => Err(error),
        }
    }

    fn nested(&mut self, kind: u8, key: &str, fill: impl FnOnce(&mut Builder)) -> &mut Builder {
        if let Some(start) = self.begin(kind, key) {
            fill(self);
            self.end(start);
        }
        self
    }

    /// Begins a document or list inside, which [`end`](Self::end) ends; not if there is an error, old or new.
    pub(crate) fn begin(&mut self, kind: u8, key: &str) -> Option<usize> {
        if self.depth == MAX_DEPTH {
            self.fail(Error::TooDeep);
        }
        if !self.header(kind, key) {
            return None;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.depth += 1;
        Some(start)
    }

    /// Ends the innermost document or list that began at `start`.
    pub(crate) fn end(&mut self, start: usize) {
        self.depth -= 1;
        self.close(start);
    }

    /// The error that [`finish`](Self::finish) will give, if there is one by now.
    #[cfg(feature = "serde")]
    pub(crate) fn so_far(&self) -> Result<(), Error> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Type byte and key. False when there is an error, old or new.
    fn header(&mut self, kind: u8, key: &str) -> bool {
        if key.as_bytes().contains(&0) {
            self.fail(Error::BadKey);
        }
        if self.failed.is_some() {
            return false;
        }
        self.bytes.push(kind);
        self.c_string(key);
        true
    }

    fn payload(&mut self, element: Element<'_>) {
        match element {
            Element::Double(number) => self.raw(&number.to_le_bytes()),
            Element::String(text) | Element::Code(text) | Element::Symbol(text) => {
                self.string(text)
            }
            Element::Document(document) => self.inner(document),
            Element::Array(array) => self.inner(Document::trusted(array.as_bytes())),
            Element::Binary(subtype, bytes) => {
                self.length(bytes.len());
                self.bytes.push(subtype);
                self.raw(bytes);
            }
            Element::Undefined | Element::Null | Element::MinKey | Element::MaxKey => {}
            Element::ObjectId(raw) => self.raw(&raw),
            Element::Boolean(truth) => self.bytes.push(truth.into()),
            Element::DateTime(number) | Element::Int64(number) => self.raw(&number.to_le_bytes()),
            Element::Regex(pattern, options) => {
                if pattern.as_bytes().contains(&0) || options.as_bytes().contains(&0) {
                    return self.fail(Error::BadKey);
                }
                self.c_string(pattern);
                self.c_string(options);
            }
            Element::Pointer(name, raw) => {
                self.string(name);
                self.raw(&raw);
            }
            Element::CodeWithScope(text, scope) => {
                let start = self.bytes.len();
                self.raw(&[0; 4]);
                self.string(text);
                self.inner(scope);
                self.patch(start);
            }
            Element::Int32(number) => self.raw(&number.to_le_bytes()),
            Element::Timestamp(number) => self.raw(&number.to_le_bytes()),
            Element::Decimal(raw) => self.raw(&raw),
        }
    }

    /// A finished document is copied in, after a check that it does not nest too deeply here.
    fn inner(&mut self, document: Document<'_>) {
        match crate::document::walk(
            document.as_bytes(),
            MAX_DEPTH.saturating_sub(self.depth + 1),
        ) {
            Ok(()) if self.depth < MAX_DEPTH => self.raw(document.as_bytes()),
            _ => self.fail(Error::TooDeep),
        }
    }

    fn string(&mut self, text: &str) {
        self.length(text.len().saturating_add(1));
        self.c_string(text);
    }

    fn c_string(&mut self, text: &str) {
        self.raw(text.as_bytes());
        self.bytes.push(0);
    }

    fn raw(&mut self, bytes: &[u8]) {
        if bytes.len() > MAX_SIZE {
            return self.fail(Error::TooLarge);
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn length(&mut self, length: usize) {
        match i32::try_from(length) {
            Ok(length) => self.raw(&length.to_le_bytes()),
            Err(_) => self.fail(Error::TooLarge),
        }
    }

    /// Ends the document that starts at `start`.
    fn close(&mut self, start: usize) {
        self.bytes.push(0);
        self.patch(start);
        self.measure();
    }

    /// Writes the length of everything since `start` to `start`.
    fn patch(&mut self, start: usize) {
        let length = self.bytes.len() - start;
        match (i32::try_from(length), self.bytes.get_mut(start..start + 4)) {
            (Ok(length), Some(field)) => field.copy_from_slice(&length.to_le_bytes()),
            _ => self.fail(Error::TooLarge),
        }
    }

    fn measure(&mut self) {
        if self.bytes.len() > MAX_SIZE {
            self.fail(Error::TooLarge);
        }
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

/// Writes the items of a list.
#[derive(Debug)]
pub struct ArrayBuilder<'b> {
    builder: &'b mut Builder,
    count: u32,
}

impl ArrayBuilder<'_> {
    /// Appends an item.
    pub fn push<'e>(&mut self, element: impl Into<Element<'e>>) -> &mut Self {
        let mut digits = [0; 10];
        let key = place(self.next(), &mut digits);
        self.builder.put(key, element);
        self
    }

    /// Appends a document that `fill` writes.
    pub fn document(&mut self, fill: impl FnOnce(&mut Builder)) -> &mut Self {
        let mut digits = [0; 10];
        let key = place(self.next(), &mut digits);
        self.builder.document(key, fill);
        self
    }

    /// Appends a list that `fill` writes.
    pub fn array(&mut self, fill: impl FnOnce(&mut ArrayBuilder<'_>)) -> &mut Self {
        let mut digits = [0; 10];
        let key = place(self.next(), &mut digits);
        self.builder.array(key, fill);
        self
    }

    fn next(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }
}

/// The key of an item in a list: "0", "1", ... without the heap.
pub(crate) fn place(mut number: u32, digits: &mut [u8; 10]) -> &str {
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits
        .get(start..)
        .and_then(|text| core::str::from_utf8(text).ok())
        .unwrap_or_default()
}
