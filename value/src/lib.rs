//! Structured values: BSON 1.1 documents (<https://bsonspec.org/spec.html>).
//!
//! Everything larger than a number that crosses a border in Helve is a value. The one idea: a [`Document`] is a slice
//! of bytes that was checked once, when it came in; from then on it is read in place, without allocation and without
//! errors. A [`Builder`] writes one; a [`Value`] owns one. Bytes from anywhere may be given to [`Document::parse`]:
//! depth and size are limited and it never panics.
//!
//! Documents print themselves as extended JSON. Feature `serde`: types of Rust as values ([`typed`]). Feature `json`: extended
//! JSON is read as well ([`Value::from_json`]).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod builder;
pub mod bvalue;
mod decimal;
mod document;
mod element;
mod error;
#[cfg(feature = "json")]
mod json;
mod moment;
mod text;
#[cfg(feature = "serde")]
pub mod typed;

pub use builder::{ArrayBuilder, Builder, Value};
pub use document::{Array, Document, Elements, Items, MAX_DEPTH, MAX_SIZE};
pub use element::Element;
pub use error::Error;
#[cfg(feature = "json")]
pub use json::JsonError;
pub use text::{Canonical, Pretty};
