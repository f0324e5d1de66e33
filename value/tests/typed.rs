//! Types of Rust as values, against the public `bson` crate: the same bytes, and each reads what the other wrote.

mod documents;

use documents::theirs;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use value::{Document, Element, MAX_DEPTH, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    truth: bool,
    small: (i8, u8, i16, u16),
    int: i32,
    natural: u32,
    long: i64,
    large: u64,
    double: f64,
    single: f32,
    letter: char,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    nothing: (),
    some: Option<i32>,
    list: Vec<Inner>,
    map: BTreeMap<String, i64>,
    wrapped: Wrapped,
    unit: Unit,
    shapes: Vec<Shape>,
    #[serde(rename = "other-name")]
    renamed: Box<Option<Inner>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    #[serde(default)]
    a: i32,
    b: Vec<Option<String>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(i32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(i32, i32),
    Box { width: i32, height: i32 },
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Point),
        any::<f64>()
            .prop_filter("equal to itself", |number| !number.is_nan())
            .prop_map(Shape::Circle),
        any::<(i32, i32)>().prop_map(|(a, b)| Shape::Line(a, b)),
        any::<(i32, i32)>().prop_map(|(width, height)| Shape::Box { width, height }),
    ]
}

fn inner() -> impl Strategy<Value = Inner> {
    (
        any::<i32>(),
        prop::collection::vec(any::<Option<String>>(), 0..3),
    )
        .prop_map(|(a, b)| Inner { a, b })
}

prop_compose! {
    fn everything()(
        (truth, small, int, natural, long) in any::<(bool, (i8, u8, i16, u16), i32, u32, i64)>(),
        large in 0..=i64::MAX as u64,
        (double, single) in (-1e300..1e300f64, -1e30..1e30f32),
        (letter, text, bytes, some) in any::<(char, String, Vec<u8>, Option<i32>)>(),
        list in prop::collection::vec(inner(), 0..4),
        map in prop::collection::btree_map("[^\0]{0,6}", any::<i64>(), 0..4),
        wrapped in any::<i32>(),
        shapes in prop::collection::vec(shape(), 0..4),
        renamed in prop::option::of(inner()),
    ) -> Everything {
        Everything {
            truth, small, int, natural, long, large, double, single, letter, text, bytes, nothing: (), some, list, map,
            wrapped: Wrapped(wrapped), unit: Unit, shapes, renamed: Box::new(renamed),
        }
    }
}

proptest! {
    #[test]
    fn both_directions(whole in everything()) {
        let ours = Value::of(&whole).expect("we can write it");
        let theirs = bson::serialize_to_vec(&whole).expect("they can write it");
        prop_assert_eq!(ours.as_bytes(), &theirs[..]);
        let back: Everything = ours.as_document().read().expect("we can read it");
        prop_assert_eq!(&back, &whole);
        let back: Everything = bson::deserialize_from_slice(ours.as_bytes()).expect("they can read it");
        prop_assert_eq!(&back, &whole);
    }

    /// What they accept of bytes that are nearly right, we accept, and get the same from it.
    #[test]
    fn damaged(whole in everything(), changes in prop::collection::vec(any::<(u16, u8)>(), 1..3)) {
        let mut bytes = Value::of(&whole).expect("we can write it").into_bytes();
        for (place, byte) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        let ours = Document::parse(&bytes).ok().and_then(|document| document.read::<Everything>().ok());
        let theirs = bson::deserialize_from_slice::<Everything>(&bytes).ok();
        // Where only one does: they take doubles for integers and more; we take code and symbols for text.
        if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
            prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        }
    }

    /// Elements and documents go through unharmed, whatever their type.
    #[test]
    fn everything_goes_through(theirs in theirs()) {
        #[derive(Serialize, Deserialize)]
        struct Bag<'a> {
            #[serde(borrow)]
            all: BTreeMap<Cow<'a, str>, Element<'a>>,
            #[serde(borrow)]
            list: Vec<Element<'a>>,
            #[serde(borrow)]
            document: Document<'a>,
            own: Value,
        }
        let bytes = theirs.to_vec().expect("they can write it");
        let document = Document::parse(&bytes).expect("we can read it");
        let bag = Bag {
            all: document.iter().map(|(key, element)| (Cow::Borrowed(key), element)).collect(),
            list: document.iter().map(|(_, element)| element).collect(),
            document,
            own: document.into(),
        };
        let value = Value::of(&bag).expect("we can write it");
        let back: Bag<'_> = value.as_document().read().expect("we can read it");
        let text = |element: &Element<'_>| format!("{} {element}", element.type_byte());
        prop_assert_eq!(back.document, document);
        prop_assert_eq!(back.own.as_bytes(), &bytes[..]);
        prop_assert!(back.list.iter().map(text).eq(bag.list.iter().map(text)));
        prop_assert!(back.all.iter().map(|(key, element)| (key, text(element))).eq(bag.all.iter().map(|(key, element)| (key, text(element)))));
        let whole = Value::of(&document).expect("we can write it");
        prop_assert_eq!(whole.as_bytes(), &bytes[..]);
        let whole: Document<'_> = document.read().expect("we can read it");
        prop_assert_eq!(whole, document);
    }
}

#[test]
fn text_and_bytes_are_borrowed() {
    #[derive(Serialize, Deserialize)]
    struct Lines<'a> {
        text: &'a str,
        bytes: &'a [u8],
        name: &'a [u8],
    }
    let value = Value::build(|builder| {
        builder
            .put("text", "abc")
            .put("bytes", &[0xffu8][..])
            .put("name", "def");
    })
    .unwrap();
    let lines: Lines<'_> = value.as_document().read().unwrap();
    assert_eq!(
        (lines.text, lines.bytes, lines.name),
        ("abc", &[0xff][..], &b"def"[..])
    );
    let range = value.as_bytes().as_ptr_range();
    assert!(range.contains(&lines.text.as_ptr()) && range.contains(&lines.name.as_ptr()));
}

#[test]
fn errors_name_the_field() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Outer {
        list: Vec<Inner>,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Inner {
        number: u8,
    }
    let read = |value: &Value| value.as_document().read::<Outer>().unwrap_err().to_string();
    let list = |fill: fn(&mut value::Builder)| {
        let value = Value::build(|builder| {
            builder.array("list", |list| {
                list.document(|entry| {
                    entry.put("number", 1);
                });
                list.document(fill);
            });
        });
        value.unwrap()
    };
    assert_eq!(
        read(&list(|entry| {
            entry.put("number", "x");
        })),
        "list.1.number: invalid type: string \"x\", expected u8"
    );
    assert_eq!(
        read(&list(|entry| {
            entry.put("number", 256);
        })),
        "list.1.number: invalid value: integer `256`, expected u8"
    );
    assert_eq!(read(&list(|_| {})), "list.1: missing field `number`");
    assert_eq!(read(&Value::default()), "missing field `list`");
    let large = BTreeMap::from([("a", BTreeMap::from([("b", u64::MAX)]))]);
    let error = Value::of(&large).unwrap_err();
    assert_eq!(
        (error.field(), error.to_string().as_str()),
        ("a.b", "a.b: a number of more than 63 bits")
    );
}

#[test]
fn what_is_no_document() {
    assert!(Value::of(&5).is_err());
    assert!(Value::of("text").is_err());
    assert!(Value::of(&vec![1, 2]).is_err());
    assert!(Value::of(&BTreeMap::from([(1, 2)])).is_err());
    assert!(Value::of(&BTreeMap::from([("a\0", 2)])).is_err());
    assert_eq!(
        Value::of(&Shape::Circle(1.5))
            .unwrap()
            .as_document()
            .to_string(),
        r#"{"Circle": 1.5}"#
    );
}

#[test]
fn depth_has_a_limit() {
    #[derive(Serialize, Deserialize)]
    struct Nest {
        inner: Option<Box<Nest>>,
    }
    let nest = |levels| {
        (1..levels).fold(Nest { inner: None }, |inner, _| Nest {
            inner: Some(Box::new(inner)),
        })
    };
    let deepest = Value::of(&nest(MAX_DEPTH)).unwrap();
    assert!(deepest.as_document().read::<Nest>().is_ok());
    let error = Value::of(&nest(MAX_DEPTH + 1)).unwrap_err().to_string();
    assert!(
        error.ends_with("documents are nested too deeply"),
        "{error}"
    );
    assert!(Value::of(&nest(10_000)).is_err());
}
