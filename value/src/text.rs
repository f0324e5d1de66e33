//! The text form, for people and for other programs: extended JSON, version 2.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>. The *relaxed* form, which
//! `Display` gives, has plain numbers where JSON has numbers, and moments as text; types that JSON has not are objects with a
//! `$` key. The *canonical* form says the type of every number. The sign and content of a NaN are lost in both.

use crate::document::{Array, Document};
use crate::element::Element;
use crate::{decimal, moment};
use core::fmt::{self, Write};

/// Prints a document over several lines, two spaces for each level: `println!("{}", Pretty(document))`.
#[derive(Clone, Copy, Debug)]
pub struct Pretty<'a>(pub Document<'a>);

/// Prints a document in the canonical form, on one line.
#[derive(Clone, Copy, Debug)]
pub struct Canonical<'a>(pub Document<'a>);

impl<'a> Document<'a> {
    /// The document over several lines when it is printed.
    pub fn pretty(&self) -> Pretty<'a> {
        Pretty(*self)
    }

    /// The document in the canonical form when it is printed.
    pub fn canonical(&self) -> Canonical<'a> {
        Canonical(*self)
    }
}

impl fmt::Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(f, Form::Relaxed).document(self.0, Some(0))
    }
}

impl fmt::Display for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(f, Form::Canonical).document(self.0, None)
    }
}

impl fmt::Display for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(f, Form::Relaxed).document(*self, None)
    }
}

impl fmt::Display for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(f, Form::Relaxed).array(*self, None)
    }
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(f, Form::Relaxed).element(*self, None)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Relaxed,
    Canonical,
}

/// The level of indentation, or none for one line.
type Level = Option<usize>;

/// Where it is written to, and how.
struct Text<'w, W>(&'w mut W, Form);

impl<W: Write> Text<'_, W> {
    fn document(&mut self, document: Document<'_>, level: Level) -> fmt::Result {
        let items = document.iter();
        self.list(('{', '}'), items, level, |text, (key, item), level| {
            quoted(text.0, key)?;
            text.0.write_str(": ")?;
            text.element(item, level)
        })
    }

    fn array(&mut self, array: Array<'_>, level: Level) -> fmt::Result {
        self.list(('[', ']'), array.iter(), level, Self::element)
    }

    /// Brackets, commas, and line ends where there is a level.
    fn list<T>(
        &mut self,
        (open, close): (char, char),
        items: impl Iterator<Item = T>,
        level: Level,
        mut print: impl FnMut(&mut Self, T, Level) -> fmt::Result,
    ) -> fmt::Result {
        self.0.write_char(open)?;
        let mut any = false;
        for item in items {
            if any {
                self.0.write_str(if level.is_some() { "," } else { ", " })?;
            }
            any = true;
            let inner = level.map(|depth| depth + 1);
            self.new_line(inner)?;
            print(self, item, inner)?;
        }
        if any {
            self.new_line(level)?;
        }
        self.0.write_char(close)
    }

    fn new_line(&mut self, level: Level) -> fmt::Result {
        let Some(depth) = level else { return Ok(()) };
        self.0.write_char('\n')?;
        (0..depth).try_for_each(|_| self.0.write_str("  "))
    }

    /// A number as it is, or under a key that says its type.
    fn number(&mut self, key: &str, number: impl fmt::Display) -> fmt::Result {
        match self.1 {
            Form::Relaxed => write!(self.0, "{number}"),
            Form::Canonical => write!(self.0, r#"{{"{key}": "{number}"}}"#),
        }
    }

    fn double(&mut self, number: f64) -> fmt::Result {
        let word = match number {
            _ if number.is_nan() => "NaN",
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => return self.number("$numberDouble", format_args!("{number:?}")),
        };
        write!(self.0, r#"{{"$numberDouble": "{word}"}}"#)
    }

    /// Text under a key.
    fn named(&mut self, key: &str, text: &str) -> fmt::Result {
        write!(self.0, r#"{{"{key}": "#)?;
        quoted(self.0, text)?;
        self.0.write_char('}')
    }

    fn element(&mut self, item: Element<'_>, level: Level) -> fmt::Result {
        match item {
            Element::Double(number) => self.double(number),
            Element::String(text) => quoted(self.0, text),
            Element::Document(inner) => self.document(inner, level),
            Element::Array(inner) => self.array(inner, level),
            Element::Binary(subtype, bytes) => {
                self.0.write_str(r#"{"$binary": {"base64": ""#)?;
                base64(self.0, bytes)?;
                write!(self.0, r#"", "subType": "{subtype:02x}"}}}}"#)
            }
            Element::Undefined => self.0.write_str(r#"{"$undefined": true}"#),
            Element::ObjectId(raw) => object_id(self.0, raw),
            Element::Boolean(truth) => write!(self.0, "{truth}"),
            Element::DateTime(moment)
                if self.1 == Form::Relaxed && moment::WRITTEN.contains(&moment) =>
            {
                self.0.write_str(r#"{"$date": ""#)?;
                moment::write(self.0, moment)?;
                self.0.write_str("\"}")
            }
            Element::DateTime(moment) => {
                write!(self.0, r#"{{"$date": {{"$numberLong": "{moment}"}}}}"#)
            }
            Element::Null => self.0.write_str("null"),
            Element::Regex(pattern, options) => {
                self.0.write_str(r#"{"$regularExpression": {"pattern": "#)?;
                quoted(self.0, pattern)?;
                self.0.write_str(r#", "options": "#)?;
                quoted(self.0, options)?;
                self.0.write_str("}}")
            }
            Element::Pointer(name, raw) => {
                self.0.write_str(r#"{"$dbPointer": {"$ref": "#)?;
                quoted(self.0, name)?;
                self.0.write_str(r#", "$id": "#)?;
                object_id(self.0, raw)?;
                self.0.write_str("}}")
            }
            Element::Code(text) => self.named("$code", text),
            Element::Symbol(text) => self.named("$symbol", text),
            Element::CodeWithScope(text, scope) => {
                self.0.write_str(r#"{"$code": "#)?;
                quoted(self.0, text)?;
                self.0.write_str(r#", "$scope": "#)?;
                self.document(scope, None)?;
                self.0.write_char('}')
            }
            Element::Int32(number) => self.number("$numberInt", number),
            Element::Int64(number) => self.number("$numberLong", number),
            Element::Timestamp(stamp) => {
                let (time, increment) = (stamp >> 32, stamp & 0xffff_ffff);
                write!(
                    self.0,
                    r#"{{"$timestamp": {{"t": {time}, "i": {increment}}}}}"#
                )
            }
            Element::Decimal(raw) => {
                self.0.write_str(r#"{"$numberDecimal": ""#)?;
                decimal::write(self.0, raw)?;
                self.0.write_str("\"}")
            }
            Element::MinKey => self.0.write_str(r#"{"$minKey": 1}"#),
            Element::MaxKey => self.0.write_str(r#"{"$maxKey": 1}"#),
        }
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
