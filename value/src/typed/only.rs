//! A serializer that takes one thing only: the text of a key, or the bytes of an element or document.

use super::Error;
use super::own;
use super::write::Slot;
use crate::document::Document;
use alloc::string::String;
use serde::Serialize;
use serde::ser::{Error as _, Impossible, Serializer};

/// What is wanted, and where it goes.
pub(super) enum Only<'b> {
    Key(&'b mut String),
    Element(Slot<'b>),
    Document(Slot<'b>),
}

impl Only<'_> {
    fn refuse<T>(&self) -> Result<T, Error> {
        Err(Error::custom(match self {
            Only::Key(_) => "a key that is no text",
            _ => "an element that is not its bytes",
        }))
    }
}

macro_rules! refuse {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(fn $name(self, $(_: $argument),*) -> Result<$result, Error> {
            self.refuse()
        })*
    };
}

impl Serializer for Only<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        match self {
            Only::Key(key) => {
                key.push_str(text);
                Ok(())
            }
            other => other.refuse(),
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Only::Element(slot) => slot.put(own::element(bytes)?),
            Only::Document(slot) => slot.put_document(Document::parse(bytes)?),
            key => key.refuse(),
        }
    }

    fn serialize_char(self, character: char) -> Result<(), Error> {
        self.serialize_str(character.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit_variant(self, _: &str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        self.refuse()
    }

    refuse! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
