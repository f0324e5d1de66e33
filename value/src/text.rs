//! The text form, for people: extended JSON (relaxed, version 2) on one line, or indented.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>. Integers of both
//! widths are plain numbers; types that JSON has not are objects with one `$` key.

use crate::document::{Array, Document};
use crate::element::Element;
use core::fmt::{self, Write};

/// Prints a document over several lines, two spaces for each level: `println!("{}", Pretty(document))`.
#[derive(Clone, Copy, Debug)]
pub struct Pretty<'a>(pub Document<'a>);

impl<'a> Document<'a> {
    /// The document over several lines when it is printed.
    pub fn pretty(&self) -> Pretty<'a> {
        Pretty(*self)
    }
}

impl fmt::Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        document(f, self.0, Some(0))
    }
}

impl fmt::Display for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        document(f, *self, None)
    }
}

impl fmt::Display for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        array(f, *self, None)
    }
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        element(f, *self, None)
    }
}

/// The level of indentation, or none for one line.
type Level = Option<usize>;

fn document(f: &mut impl Write, document: Document<'_>, level: Level) -> fmt::Result {
    list(
        f,
        ('{', '}'),
        document.iter(),
        level,
        |f, (key, item), level| {
            quoted(f, key)?;
            f.write_str(": ")?;
            element(f, item, level)
        },
    )
}

fn array(f: &mut impl Write, array: Array<'_>, level: Level) -> fmt::Result {
    list(f, ('[', ']'), array.iter(), level, element)
}

/// Brackets, commas, and line ends where there is a level.
fn list<W: Write, T>(
    f: &mut W,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    level: Level,
    mut print: impl FnMut(&mut W, T, Level) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    let mut any = false;
    for item in items {
        if any {
            f.write_str(if level.is_some() { "," } else { ", " })?;
        }
        any = true;
        let inner = level.map(|depth| depth + 1);
        new_line(f, inner)?;
        print(f, item, inner)?;
    }
    if any {
        new_line(f, level)?;
    }
    f.write_char(close)
}

fn new_line(f: &mut impl Write, level: Level) -> fmt::Result {
    let Some(depth) = level else { return Ok(()) };
    f.write_char('\n')?;
    (0..depth).try_for_each(|_| f.write_str("  "))
}

fn element(f: &mut impl Write, item: Element<'_>, level: Level) -> fmt::Result {
    match item {
        Element::Double(number) if number.is_nan() => f.write_str(r#"{"$numberDouble": "NaN"}"#),
        Element::Double(number) if number.is_infinite() => {
            let sign = if number < 0.0 { "-" } else { "" };
            write!(f, r#"{{"$numberDouble": "{sign}Infinity"}}"#)
        }
        Element::Double(number) => write!(f, "{number:?}"),
        Element::String(text) => quoted(f, text),
        Element::Document(inner) => document(f, inner, level),
        Element::Array(inner) => array(f, inner, level),
        Element::Binary(subtype, bytes) => {
            f.write_str(r#"{"$binary": {"base64": ""#)?;
            base64(f, bytes)?;
            write!(f, r#"", "subType": "{subtype:02x}"}}}}"#)
        }
        Element::Undefined => f.write_str(r#"{"$undefined": true}"#),
        Element::ObjectId(raw) => object_id(f, raw),
        Element::Boolean(truth) => write!(f, "{truth}"),
        Element::DateTime(milliseconds) => {
            write!(f, r#"{{"$date": {{"$numberLong": "{milliseconds}"}}}}"#)
        }
        Element::Null => f.write_str("null"),
        Element::Regex(pattern, options) => {
            f.write_str(r#"{"$regularExpression": {"pattern": "#)?;
            quoted(f, pattern)?;
            f.write_str(r#", "options": "#)?;
            quoted(f, options)?;
            f.write_str("}}")
        }
        Element::Pointer(name, raw) => {
            f.write_str(r#"{"$dbPointer": {"$ref": "#)?;
            quoted(f, name)?;
            f.write_str(r#", "$id": "#)?;
            object_id(f, raw)?;
            f.write_str("}}")
        }
        Element::Code(text) => {
            f.write_str(r#"{"$code": "#)?;
            quoted(f, text)?;
            f.write_char('}')
        }
        Element::Symbol(text) => {
            f.write_str(r#"{"$symbol": "#)?;
            quoted(f, text)?;
            f.write_char('}')
        }
        Element::CodeWithScope(text, scope) => {
            f.write_str(r#"{"$code": "#)?;
            quoted(f, text)?;
            f.write_str(r#", "$scope": "#)?;
            document(f, scope, None)?;
            f.write_char('}')
        }
        Element::Int32(number) => write!(f, "{number}"),
        Element::Int64(number) => write!(f, "{number}"),
        Element::Timestamp(stamp) => {
            write!(
                f,
                r#"{{"$timestamp": {{"t": {}, "i": {}}}}}"#,
                stamp >> 32,
                stamp & 0xffff_ffff
            )
        }
        Element::Decimal(raw) => write!(
            f,
            r#"{{"$decimal128Bits": "{:#034x}"}}"#,
            u128::from_le_bytes(raw)
        ),
        Element::MinKey => f.write_str(r#"{"$minKey": 1}"#),
        Element::MaxKey => f.write_str(r#"{"$maxKey": 1}"#),
    }
}

/// A JSON string. Control characters are escaped, so a value cannot steer the terminal it is shown on.
fn quoted(f: &mut impl Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if control.is_control() => write!(f, "\\u{:04x}", control as u32)?,
            plain => f.write_char(plain)?,
        }
    }
    f.write_char('"')
}

fn object_id(f: &mut impl Write, raw: [u8; 12]) -> fmt::Result {
    f.write_str(r#"{"$oid": ""#)?;
    raw.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
    f.write_str("\"}")
}

/// RFC 4648, section 4.
fn base64(f: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, place| {
            bits << 8 | u32::from(group.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            f.write_char(if place > group.len() {
                '='
            } else {
                letter as char
            })?;
        }
    }
    Ok(())
}
