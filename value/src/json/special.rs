//! Objects that stand for types that JSON has not: `{"$oid": "..."}` and its like.

use super::{Slot, Text, Whole};
use crate::builder::Value;
use crate::element::Element;
use crate::{decimal, moment};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// Whether an object with this key is a type of its own.
pub(super) fn is(key: &str) -> bool {
    matches!(
        key,
        "$oid"
            | "$symbol"
            | "$numberInt"
            | "$numberLong"
            | "$numberDouble"
            | "$numberDecimal"
            | "$binary"
            | "$uuid"
            | "$code"
            | "$scope"
            | "$timestamp"
            | "$regularExpression"
            | "$dbPointer"
            | "$date"
            | "$minKey"
            | "$maxKey"
            | "$undefined"
    )
}

/// Reads the rest of an object that began with `key`, one of these.
pub(super) fn read<'de, M: MapAccess<'de>>(
    key: &str,
    mut map: M,
    slot: Slot<'_>,
) -> Result<(), M::Error> {
    let wrong = |what: &str| M::Error::custom(format_args!("{key} is not {what}"));
    let mut text = || map.next_value_seed(Text);
    match key {
        "$oid" => {
            let id = hex(&text()?).ok_or_else(|| wrong("24 hexadecimal digits"))?;
            slot.put(Element::ObjectId(id))?;
        }
        "$symbol" => slot.put(Element::Symbol(&text()?))?,
        "$numberInt" => {
            let number = text()?.parse();
            slot.put(Element::Int32(
                number.map_err(|_| wrong("a number of 32 bits"))?,
            ))?;
        }
        "$numberLong" => {
            let number = text()?.parse();
            slot.put(Element::Int64(
                number.map_err(|_| wrong("a number of 64 bits"))?,
            ))?;
        }
        "$numberDouble" => {
            let number = text()?.parse();
            slot.put(Element::Double(number.map_err(|_| wrong("a number"))?))?;
        }
        "$numberDecimal" => {
            let number = decimal::parse(&text()?);
            let number = number.ok_or_else(|| wrong("a number of 34 decimal digits"))?;
            slot.put(Element::Decimal(number))?;
        }
        "$uuid" => {
            const UUID: u8 = 4;
            let bytes = uuid(&text()?).ok_or_else(|| wrong("a UUID"))?;
            slot.put(Element::Binary(UUID, &bytes))?;
        }
        "$binary" => {
            let body: Binary<'de> = map.next_value()?;
            let subtype: Option<[u8; 1]> = hex(&body.subtype);
            let [subtype] = subtype.ok_or_else(|| wrong("of a subtype of two digits"))?;
            let bytes = base64(&body.base64).ok_or_else(|| wrong("base64"))?;
            slot.put(Element::Binary(subtype, &bytes))?;
        }
        "$timestamp" => {
            let Timestamp { t, i } = map.next_value()?;
            slot.put(Element::Timestamp(u64::from(t) << 32 | u64::from(i)))?;
        }
        "$regularExpression" => {
            let body: Regex<'de> = map.next_value()?;
            slot.put(Element::Regex(&body.pattern, &body.options))?;
        }
        "$dbPointer" => {
            let body: Pointer<'de> = map.next_value()?;
            let id = hex(&body.id.oid).ok_or_else(|| wrong("with an id of 24 digits"))?;
            slot.put(Element::Pointer(&body.name, id))?;
        }
        "$date" => {
            let Moment(moment) = map.next_value()?;
            slot.put(Element::DateTime(moment))?;
        }
        "$minKey" | "$maxKey" => {
            if map.next_value::<u8>()? != 1 {
                return Err(wrong("1"));
            }
            slot.put(match key {
                "$minKey" => Element::MinKey,
                _ => Element::MaxKey,
            })?;
        }
        "$undefined" => {
            if !map.next_value::<bool>()? {
                return Err(wrong("true"));
            }
            slot.put(Element::Undefined)?;
        }
        _ => return code(key, map, slot),
    }
    end(key, &mut map)
}

/// `$code`, and `$scope` before or behind it or not at all.
fn code<'de, M: MapAccess<'de>>(key: &str, mut map: M, slot: Slot<'_>) -> Result<(), M::Error> {
    let mut code: Option<Cow<'de, str>> = None;
    let mut scope: Option<Value> = None;
    let mut next = Some(Cow::Borrowed(key));
    while let Some(name) = next {
        match &*name {
            "$code" if code.is_none() => code = Some(map.next_value_seed(Text)?),
            "$scope" if scope.is_none() => scope = Some(map.next_value_seed(Whole)?),
            _ => return Err(M::Error::custom("$code has nothing beside it but $scope")),
        }
        next = map.next_key_seed(Text)?;
    }
    let code = code.ok_or_else(|| M::Error::missing_field("$code"))?;
    match &scope {
        Some(scope) => slot.put(Element::CodeWithScope(&code, scope.as_document())),
        None => slot.put(Element::Code(&code)),
    }
}

fn end<'de, M: MapAccess<'de>>(key: &str, map: &mut M) -> Result<(), M::Error> {
    match map.next_key_seed(Text)? {
        None => Ok(()),
        Some(_) => Err(M::Error::custom(format_args!("{key} has to stand alone"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary<'a> {
    #[serde(borrow)]
    base64: Cow<'a, str>,
    #[serde(borrow, rename = "subType")]
    subtype: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timestamp {
    t: u32,
    i: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Regex<'a> {
    #[serde(borrow)]
    pattern: Cow<'a, str>,
    #[serde(borrow)]
    options: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer<'a> {
    #[serde(borrow, rename = "$ref")]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "$id")]
    id: ObjectId<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectId<'a> {
    #[serde(borrow, rename = "$oid")]
    oid: Cow<'a, str>,
}

/// Milliseconds since 1970: as text of a date, as text of a number, or as a number.
struct Moment(i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date, or milliseconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
                let moment = moment::parse(text).map(Moment);
                moment.ok_or_else(|| E::custom("$date is not a date and time of RFC 3339"))
            }

            fn visit_i64<E: Error>(self, milliseconds: i64) -> Result<Moment, E> {
                Ok(Moment(milliseconds))
            }

            fn visit_u64<E: Error>(self, milliseconds: u64) -> Result<Moment, E> {
                let milliseconds = i64::try_from(milliseconds).map(Moment);
                milliseconds.map_err(|_| E::custom("$date is too large"))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Moment, M::Error> {
                match map.next_key_seed(Text)?.as_deref() {
                    Some("$numberLong") => {}
                    _ => return Err(M::Error::missing_field("$numberLong")),
                }
                let milliseconds = map.next_value_seed(Text)?.parse().map(Moment);
                end("$numberLong", &mut map)?;
                milliseconds.map_err(|_| M::Error::custom("$numberLong is not a number of 64 bits"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Just so many bytes.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// 32 digits, with the four hyphens in their places.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = alloc::string::String::new();
    let parts = text.split('-');
    for (part, length) in parts.clone().zip([8, 4, 4, 4, 12]) {
        if part.len() != length {
            return None;
        }
        digits.push_str(part);
    }
    if parts.count() != 5 {
        return None;
    }
    hex(&digits)
}

/// RFC 4648, section 4, with its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let letter = |byte: u8| {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    let (groups, []) = text.as_bytes().as_chunks::<4>() else {
        return None;
    };
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (place, group) in groups.iter().enumerate() {
        let padding = match group {
            _ if place + 1 < groups.len() => 0,
            [.., b'=', b'='] => 2,
            [.., b'='] => 1,
            _ => 0,
        };
        let mut bits = 0;
        for byte in group.iter().take(4 - padding) {
            bits = bits << 6 | letter(*byte)?;
        }
        bits <<= 6 * padding;
        let [_, whole @ ..] = bits.to_be_bytes();
        let (kept, dropped) = whole.split_at_checked(3 - padding)?;
        if dropped.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}
