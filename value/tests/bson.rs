//! Both directions against the public `bson` crate, and bytes from nowhere.

mod documents;

use bson::{Bson, Document as Theirs};
use documents::theirs;
use proptest::prelude::*;
use value::{Array, ArrayBuilder, Builder, Document, Element, Error, MAX_DEPTH, Pretty, Value};

/// Writes what is read, so that reading is compared as a whole.
fn copy(from: Document<'_>, to: &mut Builder) {
    for (key, element) in from {
        match element {
            Element::Document(inner) => to.document(key, |to| copy(inner, to)),
            Element::Array(inner) => to.array(key, |to| copy_items(inner, to)),
            other => to.put(key, other),
        };
    }
}

fn copy_items(from: Array<'_>, to: &mut ArrayBuilder<'_>) {
    for element in from {
        match element {
            Element::Document(inner) => to.document(|to| copy(inner, to)),
            Element::Array(inner) => to.array(|to| copy_items(inner, to)),
            other => to.push(other),
        };
    }
}

fn compare(ours: Element<'_>, theirs: &Bson) -> Result<(), TestCaseError> {
    match (ours, theirs) {
        (Element::Double(a), Bson::Double(b)) => prop_assert_eq!(a.to_bits(), b.to_bits()),
        (Element::String(a), Bson::String(b)) => prop_assert_eq!(a, b),
        (Element::Boolean(a), Bson::Boolean(b)) => prop_assert_eq!(a, *b),
        (Element::Int32(a), Bson::Int32(b)) => prop_assert_eq!(a, *b),
        (Element::Int64(a), Bson::Int64(b)) => prop_assert_eq!(a, *b),
        (Element::DateTime(a), Bson::DateTime(b)) => prop_assert_eq!(a, b.timestamp_millis()),
        (Element::Timestamp(a), Bson::Timestamp(b)) => {
            prop_assert_eq!(a, u64::from(b.time) << 32 | u64::from(b.increment));
        }
        (Element::ObjectId(a), Bson::ObjectId(b)) => prop_assert_eq!(a, b.bytes()),
        (Element::Decimal(a), Bson::Decimal128(b)) => prop_assert_eq!(a, b.bytes()),
        (Element::Code(a), Bson::JavaScriptCode(b)) | (Element::Symbol(a), Bson::Symbol(b)) => {
            prop_assert_eq!(a, b)
        }
        (Element::Binary(kind, a), Bson::Binary(b)) => {
            prop_assert_eq!(kind, u8::from(b.subtype));
            prop_assert_eq!(a, &b.bytes[..]);
        }
        (Element::Regex(pattern, options), Bson::RegularExpression(b)) => {
            prop_assert_eq!(pattern, b.pattern.as_str());
            prop_assert_eq!(options, b.options.as_str());
        }
        (Element::Null, Bson::Null)
        | (Element::Undefined, Bson::Undefined)
        | (Element::MinKey, Bson::MinKey)
        | (Element::MaxKey, Bson::MaxKey) => {}
        (Element::Array(a), Bson::Array(b)) => {
            prop_assert_eq!(a.iter().count(), b.len());
            a.iter().zip(b).try_for_each(|(a, b)| compare(a, b))?;
        }
        (Element::Document(a), Bson::Document(b)) => compare_documents(a, b)?,
        (Element::CodeWithScope(code, scope), Bson::JavaScriptCodeWithScope(b)) => {
            prop_assert_eq!(code, &b.code);
            compare_documents(scope, &b.scope)?;
        }
        (ours, theirs) => prop_assert!(false, "{ours:?} is not {theirs:?}"),
    }
    Ok(())
}

fn compare_documents(ours: Document<'_>, theirs: &Theirs) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.iter().count(), theirs.len());
    for ((key, a), (name, b)) in ours.iter().zip(theirs) {
        prop_assert_eq!(key, name);
        compare(a, b)?;
        prop_assert_eq!(
            ours.get(key).map(|found| found.type_byte()),
            Some(a.type_byte())
        );
    }
    Ok(())
}

proptest! {
    /// What they write, we read as they meant it; what we write of it, they read as the same; the bytes are the same.
    #[test]
    fn both_directions(theirs in theirs()) {
        let bytes = theirs.to_vec().expect("they can write it");
        let ours = Document::parse(&bytes).expect("we can read it");
        compare_documents(ours, &theirs)?;
        let written = Value::build(|builder| copy(ours, builder)).expect("we can write it");
        prop_assert_eq!(written.as_bytes(), &bytes[..]);
        let back = Theirs::from_reader(written.as_bytes()).expect("they can read it");
        prop_assert_eq!(back.to_vec().expect("they can write it again"), bytes);
    }

    /// Whole documents put into others are the same as elements written one by one.
    #[test]
    fn documents_are_embedded_whole(theirs in theirs()) {
        let bytes = theirs.to_vec().expect("they can write it");
        let inner = Document::parse(&bytes).expect("we can read it");
        let whole = Value::build(|builder| { builder.put("inner", inner); }).expect("it fits");
        prop_assert_eq!(Document::parse(whole.as_bytes()).map(|outer| outer.document("inner")), Ok(Some(inner)));
    }

    /// Random bytes never panic, whatever is done with them, and never parse into something that cannot be walked.
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        poke(&bytes);
    }

    /// Real documents with a few bytes changed or cut off get deeper into the reader.
    #[test]
    fn damaged_documents(theirs in theirs(), changes in prop::collection::vec(any::<(u16, u8)>(), 1..4), cut in any::<u16>()) {
        let mut bytes = theirs.to_vec().expect("they can write it");
        for (place, byte) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        alike(&bytes);
        poke(&bytes);
        poke(&bytes[..usize::from(cut) % bytes.len()]);
    }

    /// The text form is one line unless asked otherwise, and holds no control characters.
    #[test]
    fn text_is_clean(theirs in theirs()) {
        let bytes = theirs.to_vec().expect("they can write it");
        let ours = Document::parse(&bytes).expect("we can read it");
        prop_assert!(!ours.to_string().chars().any(char::is_control));
        prop_assert!(!Pretty(ours).to_string().chars().any(|c| c.is_control() && c != '\n'));
    }
}

/// Both accept bytes, or neither does; but for the old binary subtype, in which they look for a second length.
fn alike(bytes: &[u8]) {
    let theirs = Theirs::from_reader(bytes);
    match (Document::parse(bytes), theirs) {
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) if error.to_string().contains("old binary subtype") => {}
        (ours, theirs) => panic!("{:?}, but {:?}: {bytes:?}", ours.err(), theirs.err()),
    }
}

fn poke(bytes: &[u8]) {
    if let Ok((document, rest)) = Document::parse_front(bytes) {
        assert_eq!(document.as_bytes().len() + rest.len(), bytes.len());
        let _ = document.to_string();
        // Everything was walked: writing it again gives the same length, as no element was skipped.
        let keys_kept =
            Value::build(|builder| copy(document, builder)).expect("what is read can be written");
        assert_eq!(
            keys_kept.as_document().iter().count(),
            document.iter().count()
        );
    }
}

#[test]
fn nesting_has_a_limit() {
    fn nest(builder: &mut Builder, levels: usize) {
        if levels > 0 {
            builder.document("d", |inner| nest(inner, levels - 1));
        }
    }
    let deepest = Value::build(|builder| nest(builder, MAX_DEPTH - 1)).expect("allowed");
    assert!(Document::parse(deepest.as_bytes()).is_ok());
    assert_eq!(
        Value::build(|builder| nest(builder, MAX_DEPTH)),
        Err(Error::TooDeep)
    );
    assert_eq!(
        Value::build(|builder| {
            builder.put("one more", deepest.as_document());
        }),
        Err(Error::TooDeep)
    );
    let mut bytes = deepest.into_bytes();
    for _ in 0..1000 {
        let length = (bytes.len() + 8) as i32;
        bytes.splice(0..0, length.to_le_bytes().into_iter().chain([3, b'd', 0]));
        bytes.push(0);
    }
    assert_eq!(Document::parse(&bytes), Err(Error::TooDeep));
}

#[test]
fn the_specification_s_examples() {
    // https://bsonspec.org/faq.html
    let hello = b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00";
    let document = Document::parse(hello).expect("well formed");
    assert_eq!(document.string("hello"), Some("world"));
    assert_eq!(document.to_string(), r#"{"hello": "world"}"#);
    let awesome = b"\x31\x00\x00\x00\x04BSON\x00\x26\x00\x00\x00\x020\x00\x08\x00\x00\x00awesome\x00\x011\x00\x33\x33\x33\x33\x33\x33\x14\x40\x102\x00\xc2\x07\x00\x00\x00\x00";
    let document = Document::parse(awesome).expect("well formed");
    assert_eq!(document.to_string(), r#"{"BSON": ["awesome", 5.05, 1986]}"#);
    let built = Value::build(|builder| {
        builder.array("BSON", |array| {
            array.push("awesome").push(5.05).push(1986);
        });
    });
    assert_eq!(built.map(Value::into_bytes).as_deref(), Ok(&awesome[..]));
}

#[test]
fn clear_errors() {
    assert_eq!(Document::parse(b""), Err(Error::Truncated));
    assert_eq!(Document::parse(b"\x05\0\0\0"), Err(Error::Truncated));
    assert_eq!(Document::parse(b"\x04\0\0\0\0"), Err(Error::BadLength));
    assert_eq!(
        Document::parse(b"\xff\xff\xff\xff\0"),
        Err(Error::BadLength)
    );
    assert_eq!(Document::parse(b"\x05\0\0\0\0\0"), Err(Error::Trailing));
    assert_eq!(
        Document::parse(b"\x08\0\0\0\x42a\0\0"),
        Err(Error::BadType(0x42))
    );
    assert_eq!(
        Document::parse(b"\x09\0\0\0\x08a\0\x02\0"),
        Err(Error::BadBoolean(2))
    );
    assert_eq!(Document::parse(&[0, 0, 0, 0x7f]), Err(Error::TooLarge));
    let key = Value::build(|builder| {
        builder.put("a\0b", 1);
    });
    assert_eq!(key, Err(Error::BadKey));
}
