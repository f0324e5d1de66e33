//! Documents of the public `bson` crate, of all types.

use bson::spec::BinarySubtype;
use bson::{Bson, Document as Theirs};
use proptest::prelude::*;

pub fn key() -> impl Strategy<Value = String> {
    "[^\0]{0,8}"
}

fn leaf() -> impl Strategy<Value = Bson> {
    prop_oneof![
        any::<f64>().prop_map(Bson::Double),
        any::<String>().prop_map(Bson::String),
        any::<bool>().prop_map(Bson::Boolean),
        Just(Bson::Null),
        Just(Bson::Undefined),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<i64>()
            .prop_map(|milliseconds| Bson::DateTime(bson::DateTime::from_millis(milliseconds))),
        any::<(u32, u32)>()
            .prop_map(|(time, increment)| Bson::Timestamp(bson::Timestamp { time, increment })),
        any::<[u8; 12]>().prop_map(|raw| Bson::ObjectId(bson::oid::ObjectId::from_bytes(raw))),
        any::<[u8; 16]>().prop_map(|raw| Bson::Decimal128(bson::Decimal128::from_bytes(raw))),
        any::<String>().prop_map(Bson::JavaScriptCode),
        any::<String>().prop_map(Bson::Symbol),
        (
            any::<u8>().prop_filter("2 has an inner length", |kind| *kind != 2),
            any::<Vec<u8>>()
        )
            .prop_map(|(kind, bytes)| Bson::Binary(bson::Binary {
                subtype: BinarySubtype::from(kind),
                bytes
            })),
        // The options of a pattern are kept in alphabetical order by the other crate.
        (key(), "i?m?s?x?").prop_map(|(pattern, options)| Bson::RegularExpression(bson::Regex {
            pattern: pattern.try_into().expect("no zero byte"),
            options: options.try_into().expect("no zero byte"),
        })),
    ]
}

fn tree() -> impl Strategy<Value = Bson> {
    leaf().prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Bson::Array),
            prop::collection::vec((key(), inner.clone()), 0..6)
                .prop_map(|pairs| Bson::Document(pairs.into_iter().collect())),
            (any::<String>(), prop::collection::vec((key(), inner), 0..4)).prop_map(
                |(code, pairs)| {
                    Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
                        code,
                        scope: pairs.into_iter().collect(),
                    })
                }
            ),
        ]
    })
}

pub fn theirs() -> impl Strategy<Value = Theirs> {
    prop::collection::vec((key(), tree()), 0..8).prop_map(|pairs| pairs.into_iter().collect())
}
