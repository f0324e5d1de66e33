//! A document of a hundred fields, written and read, here and by the public `bson` crate: `cargo bench -q -p value --bench documents`.
//!
//! Each row is the least of many rounds, so that what else the machine does counts little.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use value::{Document, Element, Value};

const ROUNDS: u32 = 2_000;

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    id: i64,
    name: &'a str,
    size: u32,
    ready: bool,
}

type Table<'a> = BTreeMap<String, Record<'a>>;

fn least(mut run: impl FnMut()) -> Duration {
    let one = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..ROUNDS).map(one).min().unwrap_or_default()
}

fn row(what: &str, ours: Duration, theirs: Duration) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("{what:<44} {ours:>10.2?} {theirs:>10.2?}   {ratio:.2}");
}

fn main() {
    println!("{:<44} {:>10} {:>10}   ratio", "", "value", "bson");
    let keys: Vec<String> = (0..100).map(|number| format!("field-{number}")).collect();
    let build = || {
        Value::build(|builder| {
            for (number, key) in keys.iter().enumerate() {
                match number % 4 {
                    0 => builder.put(key, number as i64),
                    1 => builder.put(key, "some text of usual length"),
                    2 => builder.put(key, number % 8 == 2),
                    _ => builder.put(key, number as f64 / 3.0),
                };
            }
        })
        .expect("small")
    };
    let their_build = || {
        let mut document = bson::Document::new();
        for (number, key) in keys.iter().enumerate() {
            match number % 4 {
                0 => document.insert(key, number as i64),
                1 => document.insert(key, "some text of usual length"),
                2 => document.insert(key, number % 8 == 2),
                _ => document.insert(key, number as f64 / 3.0),
            };
        }
        document.to_vec().expect("small")
    };
    let bytes = build().into_bytes();
    assert_eq!(bytes, their_build());
    row(
        "100 fields: write",
        least(|| drop(black_box(build()))),
        least(|| drop(black_box(their_build()))),
    );
    let sum = |(_, element): (&str, Element<'_>)| match element {
        Element::Int64(number) => number,
        Element::String(text) => text.len() as i64,
        _ => 1,
    };
    row(
        "100 fields: check, read all",
        least(|| {
            let document = Document::parse(black_box(&bytes)).expect("well formed");
            black_box(document.iter().map(sum).sum::<i64>());
        }),
        least(|| {
            let document = bson::Document::from_reader(black_box(&bytes[..])).expect("well formed");
            let sum = |(_, value): (&String, &bson::Bson)| match value {
                bson::Bson::Int64(number) => *number,
                bson::Bson::String(text) => text.len() as i64,
                _ => 1,
            };
            black_box(document.iter().map(sum).sum::<i64>());
        }),
    );
    let table: Table<'_> = (0..25)
        .map(|id| {
            let record = Record {
                id,
                name: "some text of usual length",
                size: 7,
                ready: true,
            };
            (format!("record-{id}"), record)
        })
        .collect();
    let bytes = Value::of(&table).expect("small").into_bytes();
    assert_eq!(bytes, bson::serialize_to_vec(&table).expect("small"));
    row(
        "25 structures of 4 fields, derived: write",
        least(|| drop(black_box(Value::of(black_box(&table)).expect("small")))),
        least(|| {
            drop(black_box(
                bson::serialize_to_vec(black_box(&table)).expect("small"),
            ))
        }),
    );
    row(
        "25 structures of 4 fields, derived: read",
        least(|| {
            let document = Document::parse(black_box(&bytes)).expect("well formed");
            drop(black_box(document.read::<Table<'_>>().expect("it fits")));
        }),
        least(|| {
            let table = bson::deserialize_from_slice::<Table<'_>>(black_box(&bytes));
            drop(black_box(table.expect("it fits")));
        }),
    );
    let document = Document::parse(&bytes).expect("well formed");
    let text = document.to_string();
    let theirs = bson::Document::from_reader(&bytes[..]).expect("well formed");
    row(
        "the same as extended JSON: write",
        least(|| drop(black_box(document.to_string()))),
        least(|| {
            let json = bson::Bson::Document(theirs.clone()).into_relaxed_extjson();
            drop(black_box(json.to_string()));
        }),
    );
    row(
        "the same as extended JSON: read",
        least(|| {
            drop(black_box(
                Value::from_json(black_box(&text)).expect("well formed"),
            ))
        }),
        least(|| {
            let json: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(black_box(&text)).expect("well formed");
            let document = bson::Document::try_from(json).expect("well formed");
            drop(black_box(document.to_vec().expect("small")));
        }),
    );
}
