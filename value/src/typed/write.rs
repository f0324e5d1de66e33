//! Writing: serde's serializer into a [`Builder`].

use super::Error;
use super::only::Only;
use super::own::{DOCUMENT, ELEMENT};
use crate::builder::{Builder, place};
use crate::document::Document;
use crate::element::Element;
use alloc::string::String;
use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

const DOCUMENT_TYPE: u8 = 0x03;
const LIST_TYPE: u8 = 0x04;

/// Where something is to be written: the whole document, or an element of one.
pub(super) struct Slot<'b> {
    builder: &'b mut Builder,
    key: Option<&'b str>,
}

/// A document or list that is being written.
pub(super) struct Open<'b> {
    builder: &'b mut Builder,
    /// Where it began, and before it the document of its variant. None: the whole document.
    starts: [Option<usize>; 2],
    /// The items of a list so far.
    count: u32,
    /// The key that waits for its value.
    key: String,
}

impl<'b> Slot<'b> {
    pub fn whole(builder: &'b mut Builder) -> Slot<'b> {
        Slot { builder, key: None }
    }

    /// A document as it is; the elements of one that is the whole.
    pub fn put_document(self, document: Document<'_>) -> Result<(), Error> {
        if self.key.is_some() {
            return self.put(document);
        }
        for (key, element) in document {
            self.builder.put(key, element);
        }
        Ok(self.builder.so_far()?)
    }

    pub fn put<'e>(self, element: impl Into<Element<'e>>) -> Result<(), Error> {
        let Some(key) = self.key else {
            return Err(Error::custom("only a document can be a value of its own"));
        };
        self.builder.put(key, element);
        Ok(self.builder.so_far()?)
    }

    fn open(self, kind: u8) -> Result<Open<'b>, Error> {
        let start = match self.key {
            Some(key) => self.builder.begin(kind, key),
            None if kind == LIST_TYPE => {
                return Err(Error::custom("only a document can be a value of its own"));
            }
            None => None,
        };
        self.builder.so_far()?;
        Ok(Open {
            builder: self.builder,
            starts: [start, None],
            count: 0,
            key: String::new(),
        })
    }

    /// A document with one element, which is a document or list.
    fn open_variant(self, variant: &str, kind: u8) -> Result<Open<'b>, Error> {
        let outer = self.open(DOCUMENT_TYPE)?;
        let inner = outer.builder.begin(kind, variant);
        outer.builder.so_far()?;
        Ok(Open {
            starts: [inner, outer.starts[0]],
            ..outer
        })
    }
}

impl Open<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        let slot = Slot {
            builder: self.builder,
            key: Some(key),
        };
        value.serialize(slot).map_err(|error| error.within(key))
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let mut digits = [0; 10];
        let key = place(self.count, &mut digits);
        self.count += 1;
        self.field(key, value)
    }

    fn close(self) -> Result<(), Error> {
        for start in self.starts.into_iter().flatten() {
            self.builder.end(start);
        }
        Ok(self.builder.so_far()?)
    }
}

impl<'b> Serializer for Slot<'b> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'b>;
    type SerializeTuple = Open<'b>;
    type SerializeTupleStruct = Open<'b>;
    type SerializeTupleVariant = Open<'b>;
    type SerializeMap = Open<'b>;
    type SerializeStruct = Open<'b>;
    type SerializeStructVariant = Open<'b>;

    fn serialize_bool(self, truth: bool) -> Result<(), Error> {
        self.put(truth)
    }

    fn serialize_i8(self, number: i8) -> Result<(), Error> {
        self.put(i32::from(number))
    }

    fn serialize_i16(self, number: i16) -> Result<(), Error> {
        self.put(i32::from(number))
    }

    fn serialize_i32(self, number: i32) -> Result<(), Error> {
        self.put(number)
    }

    fn serialize_i64(self, number: i64) -> Result<(), Error> {
        self.put(number)
    }

    fn serialize_u8(self, number: u8) -> Result<(), Error> {
        self.put(i32::from(number))
    }

    fn serialize_u16(self, number: u16) -> Result<(), Error> {
        self.put(i32::from(number))
    }

    fn serialize_u32(self, number: u32) -> Result<(), Error> {
        self.put(number)
    }

    fn serialize_u64(self, number: u64) -> Result<(), Error> {
        match i64::try_from(number) {
            Ok(number) => self.put(number),
            Err(_) => Err(Error::custom("a number of more than 63 bits")),
        }
    }

    fn serialize_f32(self, number: f32) -> Result<(), Error> {
        self.put(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Result<(), Error> {
        self.put(number)
    }

    fn serialize_char(self, character: char) -> Result<(), Error> {
        self.put(&*character.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.put(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.put(bytes)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.put(Element::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.put(Element::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.put(Element::Null)
    }

    fn serialize_unit_variant(self, _: &str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.put(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        match name {
            ELEMENT => value.serialize(Only::Element(self)),
            DOCUMENT => value.serialize(Only::Document(self)),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut open = self.open(DOCUMENT_TYPE)?;
        open.field(variant, value)?;
        open.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'b>, Error> {
        self.open(LIST_TYPE)
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'b>, Error> {
        self.open(LIST_TYPE)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'b>, Error> {
        self.open(LIST_TYPE)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'b>, Error> {
        self.open_variant(variant, LIST_TYPE)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'b>, Error> {
        self.open(DOCUMENT_TYPE)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'b>, Error> {
        self.open(DOCUMENT_TYPE)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'b>, Error> {
        self.open_variant(variant, DOCUMENT_TYPE)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl SerializeSeq for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTuple for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTupleStruct for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTupleVariant for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStruct for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStructVariant for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.field(key, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key.clear();
        key.serialize(Only::Key(&mut self.key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = core::mem::take(&mut self.key);
        self.field(&key, value)?;
        // Its room is used again.
        self.key = key;
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}
