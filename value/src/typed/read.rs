//! Reading: serde's deserializer over a checked document.

use super::Error;
use super::own::{DOCUMENT, ELEMENT};
use crate::document::{Document, Elements};
use crate::element::Element;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor, value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

/// A whole document.
pub(super) struct Whole<'de>(pub Document<'de>);

/// One element of a document or list.
pub(super) struct Slot<'de> {
    element: Element<'de>,
    /// Type, key and payload.
    whole: &'de [u8],
}

impl<'de> Deserializer<'de> for Whole<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields::of(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            DOCUMENT => visitor.visit_borrowed_bytes(self.0.as_bytes()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Variant::of(self.0)?)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for Slot<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.element {
            Element::Double(number) => visitor.visit_f64(number),
            Element::String(text) | Element::Code(text) | Element::Symbol(text) => {
                visitor.visit_borrowed_str(text)
            }
            Element::Document(document) => visitor.visit_map(Fields::of(document)),
            Element::Array(list) => visitor.visit_seq(Items {
                elements: Document::trusted(list.as_bytes()).iter(),
                place: 0,
            }),
            Element::Binary(_, bytes) => visitor.visit_borrowed_bytes(bytes),
            Element::ObjectId(_) => visitor.visit_borrowed_bytes(self.tail(12)),
            Element::Decimal(_) => visitor.visit_borrowed_bytes(self.tail(16)),
            Element::Boolean(truth) => visitor.visit_bool(truth),
            Element::Int32(number) => visitor.visit_i32(number),
            Element::Int64(number) | Element::DateTime(number) => visitor.visit_i64(number),
            Element::Timestamp(number) => visitor.visit_u64(number),
            Element::Null | Element::Undefined => visitor.visit_unit(),
            Element::Regex(..)
            | Element::Pointer(..)
            | Element::CodeWithScope(..)
            | Element::MinKey
            | Element::MaxKey => Err(Error::invalid_type(
                Unexpected::Other("a type that only goes through as an element"),
                &visitor,
            )),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.element {
            Element::Null | Element::Undefined => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.element {
            Element::String(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (name, self.element) {
            (ELEMENT, _) => visitor.visit_borrowed_bytes(self.whole),
            (DOCUMENT, Element::Document(document)) => {
                visitor.visit_borrowed_bytes(document.as_bytes())
            }
            (DOCUMENT, _) => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.element {
            Element::String(name) => visitor.visit_enum(name.into_deserializer()),
            Element::Document(document) => visitor.visit_enum(Variant::of(document)?),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple tuple_struct map
        struct identifier
    }
}

impl<'de> Slot<'de> {
    /// The last bytes of the payload.
    fn tail(&self, length: usize) -> &'de [u8] {
        let start = self.whole.len().saturating_sub(length);
        self.whole.get(start..).unwrap_or_default()
    }
}

/// The elements of a document, for maps and structures.
struct Fields<'de> {
    elements: Elements<'de>,
    next: Option<(&'de str, Slot<'de>)>,
}

impl<'de> Fields<'de> {
    fn of(document: Document<'de>) -> Fields<'de> {
        Fields {
            elements: document.iter(),
            next: None,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, element, whole)) = self.elements.next_whole() else {
            return Ok(None);
        };
        self.next = Some((key, Slot { element, whole }));
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(key));
        name.map(Some).map_err(|error| error.within(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let next = self.next.take();
        let (key, slot) = next.ok_or_else(|| Error::custom("a value was read before its key"))?;
        seed.deserialize(slot).map_err(|error| error.within(key))
    }
}

/// The items of a list.
struct Items<'de> {
    elements: Elements<'de>,
    place: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((_, element, whole)) = self.elements.next_whole() else {
            return Ok(None);
        };
        let place = self.place;
        self.place += 1;
        let item = seed.deserialize(Slot { element, whole });
        item.map(Some).map_err(|error| error.within(place))
    }
}

/// A variant with content.
struct Variant<'de> {
    name: &'de str,
    content: Slot<'de>,
}

impl<'de> Variant<'de> {
    fn of(document: Document<'de>) -> Result<Variant<'de>, Error> {
        let mut elements = document.iter();
        match (elements.next_whole(), elements.next()) {
            (Some((name, element, whole)), None) => Ok(Variant {
                name,
                content: Slot { element, whole },
            }),
            _ => Err(Error::custom(
                "one of several: wants one element and no more",
            )),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Slot<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Slot<'de>), Error> {
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.name))?;
        Ok((name, self.content))
    }
}

impl<'de> VariantAccess<'de> for Slot<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.element {
            Element::Null => Ok(()),
            _ => Err(Error::custom("this one has no content")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }
}
