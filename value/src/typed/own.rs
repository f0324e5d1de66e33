//! Elements and documents as parts of typed values: they go through as they are.
//!
//! The one idea: under a name that only this crate's reader and writer know, an element is its bytes as they stand in a
//! document, type, key and payload. They are checked on both ways: a name is no proof.

use crate::builder::{Builder, Value};
use crate::document::{Document, MAX_DEPTH};
use crate::element::{Check, Element, c_string};
use core::fmt;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

/// The name under which an element goes.
pub(super) const ELEMENT: &str = "$value::Element";

/// The name under which a document goes: its bytes.
pub(super) const DOCUMENT: &str = "$value::Document";

/// Bytes as bytes.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The element that these bytes are: type, key and payload.
pub(super) fn element(whole: &[u8]) -> Result<Element<'_>, crate::Error> {
    let (&kind, rest) = whole.split_first().ok_or(crate::Error::Truncated)?;
    let (_, payload) = c_string(rest)?;
    match Element::read(kind, payload, Check::Levels(MAX_DEPTH - 1))? {
        (element, []) => Ok(element),
        _ => Err(crate::Error::Trailing),
    }
}

impl Serialize for Element<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut builder = Builder::new();
        builder.put("", *self);
        let value = builder.finish().map_err(S::Error::custom)?;
        let bytes = value.as_bytes();
        let whole = bytes.get(4..bytes.len() - 1).unwrap_or_default();
        serializer.serialize_newtype_struct(ELEMENT, &Bytes(whole))
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DOCUMENT, &Bytes(self.as_bytes()))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_document().serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Element<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an element of a document")
            }

            fn visit_borrowed_bytes<E: de::Error>(
                self,
                whole: &'de [u8],
            ) -> Result<Element<'de>, E> {
                element(whole).map_err(E::custom)
            }
        }
        deserializer.deserialize_newtype_struct(ELEMENT, Whole)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Document<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document")
            }

            fn visit_borrowed_bytes<E: de::Error>(
                self,
                bytes: &'de [u8],
            ) -> Result<Document<'de>, E> {
                Document::parse(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_newtype_struct(DOCUMENT, Whole)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer).map(Value::from)
    }
}
