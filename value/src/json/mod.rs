//! Reading extended JSON, canonical and relaxed (see [`text`](crate::text) for writing).
//!
//! The one idea: the syntax is `serde_json`'s, which hands over one thing after the other; here it becomes elements, without a
//! tree in between. An object whose first key is one of [`special`]'s is not a document but another type. At the top such keys
//! mean nothing: a value is always a document.

mod special;

use crate::builder::{Builder, Value, place};
use crate::element::Element;
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

impl Value {
    /// The document that a text is; space around it is allowed.
    ///
    /// # Errors
    /// The text is no JSON, or not one object, or an object with a `$` key is not as it has to be.
    pub fn from_json(text: &str) -> Result<Value, JsonError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Whole.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// The document at the front of a text, and what follows it.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json); [`JsonError::is_incomplete`] when the text ends within the document.
    pub fn from_json_front(text: &str) -> Result<(Value, &str), JsonError> {
        struct One(Value);
        impl<'de> serde::Deserialize<'de> for One {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<One, D::Error> {
                Whole.deserialize(deserializer).map(One)
            }
        }
        let mut reader = serde_json::Deserializer::from_str(text).into_iter::<One>();
        match reader.next() {
            Some(Err(error)) => Err(error.into()),
            Some(Ok(One(value))) => {
                let rest = text.get(reader.byte_offset()..).unwrap_or_default();
                Ok((value, rest))
            }
            None => Err(JsonError {
                incomplete: true,
                ..JsonError::default()
            }),
        }
    }
}

/// Why a text is no document, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonError {
    line: usize,
    column: usize,
    incomplete: bool,
    why: String,
}

impl JsonError {
    /// The line and, in bytes, the column up to which it was read; both count from 1.
    pub fn place(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// Whether the text ended too early, so that more of it might be a document.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.why
        )
    }
}

impl core::error::Error for JsonError {}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> JsonError {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = alloc::format!(" at line {line} column {column}");
        JsonError {
            line,
            column,
            incomplete: error.is_eof(),
            why: text.strip_suffix(&place).unwrap_or(&text).into(),
        }
    }
}

/// Text, borrowed where it has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.into()))
    }
}

/// A document of its own.
struct Whole;

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value, M::Error> {
        let mut builder = Builder::new();
        while let Some(key) = map.next_key_seed(Text)? {
            let slot = Slot {
                builder: &mut builder,
                key: &key,
            };
            map.next_value_seed(slot)?;
        }
        builder.finish().map_err(M::Error::custom)
    }
}

/// An element to be: what comes is written there.
struct Slot<'b> {
    builder: &'b mut Builder,
    key: &'b str,
}

impl Slot<'_> {
    fn put<'e, E: serde::de::Error>(self, element: impl Into<Element<'e>>) -> Result<(), E> {
        self.builder.put(self.key, element);
        self.builder.so_far().map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<(), E> {
        self.put(truth)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        match i32::try_from(number) {
            Ok(number) => self.put(number),
            Err(_) => self.put(number),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            // As far as there are integers; JSON knows numbers only.
            Err(_) => self.put(number as f64),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.put(number)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.put(text)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.put(Element::Null)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        const LIST: u8 = 0x04;
        let start = self.builder.begin(LIST, self.key);
        self.builder.so_far().map_err(S::Error::custom)?;
        let mut digits = [0; 10];
        let mut count = 0;
        loop {
            let slot = Slot {
                builder: self.builder,
                key: place(count, &mut digits),
            };
            if items.next_element_seed(slot)?.is_none() {
                break;
            }
            count += 1;
        }
        start.into_iter().for_each(|start| self.builder.end(start));
        self.builder.so_far().map_err(S::Error::custom)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        const DOCUMENT: u8 = 0x03;
        let mut key = map.next_key_seed(Text)?;
        if let Some(key) = key.as_deref().filter(|key| special::is(key)) {
            return special::read(key, map, self);
        }
        let start = self.builder.begin(DOCUMENT, self.key);
        self.builder.so_far().map_err(M::Error::custom)?;
        while let Some(name) = key {
            if special::is(&name) {
                return Err(M::Error::custom(format_args!("{name} has to stand alone")));
            }
            let slot = Slot {
                builder: self.builder,
                key: &name,
            };
            map.next_value_seed(slot)?;
            key = map.next_key_seed(Text)?;
        }
        start.into_iter().for_each(|start| self.builder.end(start));
        self.builder.so_far().map_err(M::Error::custom)
    }
}
