//! Extended JSON, both forms and both directions, against the public `bson` crate.
//!
//! Where the two differ on purpose:
//! - A document is at most 32 levels deep here.
//! - A key that is there twice stays there twice; `serde_json`'s map keeps the last.
//! - At the top, keys like `$oid` are keys here as there, but a value of that type alone is no document.
//! - Options of a pattern stay as they are; there they are sorted.
//! - Keys with zero bytes are refused here when they are read, there when they are written.
//! - Doubles in the canonical form are the shortest text, `1e300`; there they are written out.
//! - A moment has three digits behind the second, there as many as it needs. Leap seconds are refused here.
//! - `$scope` without `$code` is an error here, there a document. No digits at all are a decimal zero there.
//! - Doubles that are too small to be normal have no type in their canonical form.
//! - Before 1970, what is less than a millisecond is dropped here, and rounded up there.
//! - Too many digits of a decimal number are refused here and there, but dropped here if they are zeros.
//! - The sign of a NaN is lost here.

mod documents;

use bson::{Bson, Document as Theirs};
use documents::theirs;
use proptest::prelude::*;
use serde_json::Value as Json;
use value::{Document, Value};

/// A double of the canonical form.
fn number(json: &Json) -> Option<f64> {
    let text = json.get("$numberDouble")?.as_str()?;
    text.parse().ok()
}

/// Whether two texts of documents say the same, whatever the order of the bytes in numbers and moments.
fn same(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Object(_), Json::Number(b)) => number(ours) == b.as_f64(),
        (Json::Object(a), Json::Object(b)) => {
            if let (1, Some(a), Some(b)) = (a.len(), number(ours), number(theirs)) {
                return a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            }
            let options = |map: &serde_json::Map<String, Json>| {
                let text = map.get("options")?.as_str()?;
                let mut letters: Vec<char> = text.chars().collect();
                letters.sort_unstable();
                Some((map.get("pattern")?.clone(), letters))
            };
            if let (2, Some(a), Some(b)) = (a.len(), options(a), options(b)) {
                return a == b;
            }
            let moment = |map: &serde_json::Map<String, Json>| {
                let text = map.get("$date")?.as_str()?;
                bson::DateTime::parse_rfc3339_str(text).ok()
            };
            if let (1, Some(a), Some(b)) = (a.len(), moment(a), moment(b)) {
                return a == b;
            }
            a.len() == b.len()
                && a.iter()
                    .all(|(key, item)| b.get(key).is_some_and(|other| same(item, other)))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// What they make of a text.
fn their_reading(text: &str) -> Option<Theirs> {
    let Ok(Json::Object(map)) = serde_json::from_str::<Json>(text) else {
        return None;
    };
    Theirs::try_from(map).ok()
}

/// Without what the two keep differently: NaNs are all one.
fn plain(value: &mut Bson) {
    match value {
        Bson::Double(number) if number.is_nan() => *number = f64::NAN,
        Bson::Decimal128(number) if number.to_string() == "NaN" => {
            *number = "NaN".parse().expect("it is one");
        }
        // What is no number of 34 digits is a zero.
        Bson::Decimal128(number) => *number = number.to_string().parse().expect("a number"),
        Bson::Array(items) => items.iter_mut().for_each(plain),
        Bson::Document(document) => document.iter_mut().for_each(|(_, item)| plain(item)),
        Bson::JavaScriptCodeWithScope(code) => {
            code.scope.iter_mut().for_each(|(_, item)| plain(item));
        }
        _ => {}
    }
}

/// Documents in which no key means a type of its own.
fn plain_keys() -> impl Strategy<Value = Theirs> {
    fn rename(document: Theirs) -> Theirs {
        let pairs = document.into_iter();
        pairs
            .map(|(key, value)| (key.replace('$', "S"), inner(value)))
            .collect()
    }
    fn inner(value: Bson) -> Bson {
        match value {
            Bson::Array(items) => Bson::Array(items.into_iter().map(inner).collect()),
            Bson::Document(document) => Bson::Document(rename(document)),
            Bson::JavaScriptCodeWithScope(mut code) => {
                code.scope = rename(code.scope);
                Bson::JavaScriptCodeWithScope(code)
            }
            other => other,
        }
    }
    theirs().prop_map(rename)
}

proptest! {
    /// Both forms say what theirs say.
    #[test]
    fn what_we_write_is_what_they_write(theirs in theirs()) {
        let bytes = theirs.to_vec().expect("they can write it");
        let ours = Document::parse(&bytes).expect("we can read it");
        let whole = Bson::Document(theirs);
        let (relaxed, canonical) = (ours.to_string(), ours.canonical().to_string());
        prop_assert!(same(&json(&relaxed), &whole.clone().into_relaxed_extjson()), "{relaxed}");
        prop_assert!(same(&json(&ours.pretty().to_string()), &json(&relaxed)), "{relaxed}");
        prop_assert!(same(&json(&canonical), &whole.into_canonical_extjson()), "{canonical}");
    }

    /// The canonical form keeps everything; we and they read it alike.
    #[test]
    fn the_canonical_form_keeps_everything(theirs in plain_keys()) {
        let mut whole = Bson::Document(theirs.clone());
        plain(&mut whole);
        let expected = whole.as_document().expect("it is one").to_vec().expect("they can write it");
        let bytes = theirs.to_vec().expect("they can write it");
        let ours = Document::parse(&bytes).expect("we can read it").canonical().to_string();
        let back = Value::from_json(&ours).map_err(|error| TestCaseError::fail(format!("{error}: {ours}")))?;
        prop_assert_eq!(back.as_bytes(), &expected[..], "{}", ours);
        let mut read = Bson::Document(their_reading(&ours).expect("they can read it"));
        plain(&mut read);
        prop_assert_eq!(&read, &whole);
        // And what they write.
        let text = Bson::Document(theirs).into_canonical_extjson().to_string();
        let back = Value::from_json(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        let (back, whole) = (json(&back.as_document().canonical().to_string()), whole.into_canonical_extjson());
        prop_assert!(same(&back, &whole), "{back} is not {whole}");
    }

    /// The relaxed form is read by both in the same way.
    #[test]
    fn the_relaxed_form_is_read_alike(theirs in plain_keys()) {
        let bytes = theirs.to_vec().expect("they can write it");
        let ours = Document::parse(&bytes).expect("we can read it").to_string();
        let theirs = Bson::Document(theirs).into_relaxed_extjson().to_string();
        for text in [ours, theirs] {
            let ours = Value::from_json(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            let mut theirs = Bson::Document(their_reading(&text).expect("they can read it"));
            plain(&mut theirs);
            let theirs = theirs.into_canonical_extjson();
            prop_assert!(same(&json(&ours.as_document().canonical().to_string()), &theirs), "{text}");
        }
    }

    /// Text from nowhere never panics.
    #[test]
    fn random_text(text in any::<String>()) {
        let _ = Value::from_json(&text);
    }

    /// Text that is nearly right is accepted by both or by neither, and then it is the same.
    #[test]
    fn damaged_text(theirs in theirs(), canonical in any::<bool>(), changes in prop::collection::vec((any::<u16>(), "[-+0-9a-zA-Z$:{}\\[\\]\",. \\\\]"), 1..4)) {
        let bytes = theirs.to_vec().expect("they can write it");
        let ours = Document::parse(&bytes).expect("we can read it");
        let text = if canonical { ours.canonical().to_string() } else { ours.to_string() };
        let mut characters: Vec<char> = text.chars().collect();
        for (place, by) in changes {
            let place = usize::from(place) % characters.len();
            characters.splice(place..=place, by.chars());
        }
        alike(&characters.into_iter().collect::<String>())?;
    }

    /// Objects with `$` keys and contents of all sorts.
    #[test]
    fn special_objects(
        keys in prop::collection::vec(prop::sample::select(SPECIAL), 1..3),
        contents in prop::collection::vec(prop::sample::select(CONTENTS), 3),
    ) {
        prop_assume!(keys.first() != keys.get(1));
        let fields: Vec<String> = keys.iter().zip(&contents).map(|(key, content)| format!(r#""{key}": {content}"#)).collect();
        alike(&format!(r#"{{"a": {{{}}}}}"#, fields.join(", ")))?;
    }

    /// Decimal numbers are written and read as theirs.
    #[test]
    fn decimals(raw in any::<[u8; 16]>(), text in "[-+]?[0-9]{0,36}(\\.[0-9]{0,36})?([eE][-+]?[0-9]{1,5})?") {
        let theirs = bson::Decimal128::from_bytes(raw);
        let ours = Value::build(|builder| { builder.put("", value::Element::Decimal(raw)); }).expect("small");
        prop_assert_eq!(ours.as_document().to_string(), format!(r#"{{"": {{"$numberDecimal": "{theirs}"}}}}"#));
        let read = Value::from_json(&format!(r#"{{"": {{"$numberDecimal": "{text}"}}}}"#)).ok();
        let read = read.as_ref().and_then(|value| value.as_document().get(""));
        let theirs = text.parse::<bson::Decimal128>().ok();
        match (read, theirs) {
            (Some(value::Element::Decimal(ours)), Some(theirs)) => prop_assert_eq!(ours, theirs.bytes(), "{}", text),
            (None, None) => {}
            // They drop or keep zeros at the ends in other ways; the number is the same or refused.
            (ours, theirs) => prop_assert!(has_room_for_argument(&text), "{text}: {ours:?} {theirs:?}"),
        }
    }

    /// Moments are written and read as theirs.
    #[test]
    fn moments(moment in -100_000_000_000_000i64..300_000_000_000_000) {
        let ours = Value::build(|builder| { builder.put("", value::Element::DateTime(moment)); }).expect("small");
        let text = ours.as_document().to_string();
        let theirs = Bson::DateTime(bson::DateTime::from_millis(moment)).into_relaxed_extjson();
        prop_assert!(same(&json(&text)[""], &theirs), "{text} {theirs}");
        let back = Value::from_json(&text).expect("we wrote it");
        prop_assert_eq!(back, ours);
    }

    #[test]
    fn texts_of_moments(
        (year, month, day) in (1970u16..=9999, 0u8..14, 0u8..33), (hour, minute, second) in (0u8..25, 0u8..61, 0u8..60),
        part in "(\\.[0-9]{0,9})?", zone in "Z|z|[-+][0-2][0-9]:[0-6][0-9]|",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}{zone}");
        let read = Value::from_json(&format!(r#"{{"": {{"$date": "{text}"}}}}"#)).ok();
        let read = read.as_ref().and_then(|value| value.as_document().get(""));
        let theirs = bson::DateTime::parse_rfc3339_str(&text).ok();
        let theirs = theirs.map(|moment| value::Element::DateTime(moment.timestamp_millis()));
        prop_assert_eq!(read, theirs, "{}", text);
    }
}

/// Digits beyond the 34 that there are, or an exponent beyond those that there are.
fn has_room_for_argument(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let is_empty = !mantissa.contains(|character: char| character.is_ascii_digit());
    is_empty || digits > 34 || text.contains(['e', 'E'])
}

const SPECIAL: &[&str] = &[
    "$oid",
    "$symbol",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$code",
    "$scope",
    "$timestamp",
    "$regularExpression",
    "$dbPointer",
    "$date",
    "$minKey",
    "$maxKey",
    "$undefined",
    "$ref",
    "plain",
];

const CONTENTS: &[&str] = &[
    "1",
    "0",
    "-1",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "1.5",
    r#""1""#,
    r#""-7""#,
    r#""1.25""#,
    r#""Infinity""#,
    r#""0123456789abcdefABCDEF01""#,
    r#""NaN""#,
    r#""x""#,
    r#""99999999999""#,
    r#"{"$oid": "0123456789abcdefABCDEF01"}"#,
    r#"{"$numberLong": "5"}"#,
    r#"{"base64": "QUI=", "subType": "00"}"#,
    r#"{"subType": "ff", "base64": "QUJD"}"#,
    r#"{"base64": "QUJ=", "subType": "00"}"#,
    r#"{"base64": "QUI", "subType": "00"}"#,
    r#"{"base64": "", "subType": "0"}"#,
    r#"{"t": 1, "i": 4294967295}"#,
    r#"{"t": 1, "i": 4294967296}"#,
    r#"{"t": 1}"#,
    r#"{"pattern": "a", "options": "im"}"#,
    r#"{"$ref": "a", "$id": {"$oid": "0123456789abcdefABCDEF01"}}"#,
    r#""2012-12-24T12:15:30.501Z""#,
    r#""73ffd264-44b3-4c69-90e8-e7d1dfc035d4""#,
    r#""73ffd26444b34c6990e8e7d1dfc035d4""#,
    r#"{"a": {"$minKey": 1}}"#,
];

/// Both read it as the same, or neither reads it, or it is one of the differences above.
fn alike(text: &str) -> Result<(), TestCaseError> {
    match (Value::from_json(text), their_reading(text)) {
        (Ok(ours), Some(theirs)) => {
            let ours = ours.as_document().canonical().to_string();
            // A key twice: they have less.
            let mut read = Bson::Document(their_reading(&ours).unwrap_or(theirs));
            plain(&mut read);
            prop_assert!(same(&json(&ours), &read.into_canonical_extjson()), "{text}");
        }
        (Err(_), None) => {}
        (Err(error), Some(theirs)) => {
            let why = error.to_string();
            // A key twice, a zero byte, or a `$uuid` without hyphens; and numbers that need rounding.
            if text.contains("$scope") {
                return Ok(());
            }
            let known = [
                "zero byte",
                "stand alone",
                "duplicate",
                "$uuid",
                "34 decimal",
                "nothing beside it",
            ];
            prop_assert!(
                known.iter().any(|known| why.contains(known)),
                "{text}: {error}, but {theirs}"
            );
        }
        (Ok(ours), None) => {
            prop_assert!(
                text.contains("$numberDecimal") || text.contains("$scope"),
                "{text}: {ours:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn errors_say_where() {
    let wrong = |text: &str| Value::from_json(text).unwrap_err().to_string();
    assert_eq!(
        wrong("{\"a\": 1,\n \"b\": {\"$oid\": \"12\"}}"),
        "line 2, column 20: $oid is not 24 hexadecimal digits"
    );
    assert_eq!(
        wrong("[1]"),
        "line 1, column 0: invalid type: sequence, expected an object"
    );
    assert_eq!(wrong("{\"a\": }"), "line 1, column 7: expected value");
    assert_eq!(wrong("{} {}"), "line 1, column 4: trailing characters");
    assert_eq!(
        wrong(r#"{"a": {"b": 1, "$date": 5}}"#),
        "line 1, column 22: $date has to stand alone"
    );
    let deep = "{\"a\":".repeat(40) + "1" + &"}".repeat(40);
    assert!(
        wrong(&deep).ends_with("documents are nested too deeply"),
        "{}",
        wrong(&deep)
    );
    assert!(wrong(r#"{"a\u0000b": 1}"#).ends_with("a key contains a zero byte"));
}

#[test]
fn one_after_the_other() {
    let text = " {\"a\": 1}\n{\"b\": [2]} {\"c\"";
    let (first, rest) = Value::from_json_front(text).unwrap();
    assert_eq!(first.as_document().to_string(), r#"{"a": 1}"#);
    let (second, rest) = Value::from_json_front(rest).unwrap();
    assert_eq!(second.as_document().to_string(), r#"{"b": [2]}"#);
    assert!(Value::from_json_front(rest).unwrap_err().is_incomplete());
    assert!(Value::from_json_front("  ").unwrap_err().is_incomplete());
    assert!(!Value::from_json_front("{]").unwrap_err().is_incomplete());
}

#[test]
fn moments_are_text_from_1970_to_9999() {
    let shown = |moment| {
        let value = Value::build(|builder| {
            builder.put("d", value::Element::DateTime(moment));
        });
        value.unwrap().as_document().to_string()
    };
    assert_eq!(shown(0), r#"{"d": {"$date": "1970-01-01T00:00:00Z"}}"#);
    assert_eq!(
        shown(1_356_351_330_501),
        r#"{"d": {"$date": "2012-12-24T12:15:30.501Z"}}"#
    );
    assert_eq!(shown(-1), r#"{"d": {"$date": {"$numberLong": "-1"}}}"#);
    assert_eq!(
        shown(253_402_300_799_999),
        r#"{"d": {"$date": "9999-12-31T23:59:59.999Z"}}"#
    );
    assert_eq!(
        shown(253_402_300_800_000),
        r#"{"d": {"$date": {"$numberLong": "253402300800000"}}}"#
    );
}
