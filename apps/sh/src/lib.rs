//! The logic of the shell, without the system: what a line means, and how it is typed.
//!
//! Everything here is text in and text out, so it is tested on the host. The program in `main.rs` connects it with
//! handles and processes.
//!
//! Language:
//! - [`word`]: words, quotes and variables as written; [`token`]: a line cut into words and operators
//! - [`syntax`]: commands, pipelines and lists; [`expand`]: words into the arguments they stand for
//! - [`pattern`]: `*`, `?` and `[...]`
//!
//! Typing:
//! - [`keys`]: bytes into keys; [`mod@line`]: the line being typed; [`editor`]: what keys do to it
//! - [`history`], [`complete`], and [`screen`]: what the terminal has to show
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod complete;
pub mod editor;
pub mod expand;
pub mod history;
pub mod keys;
pub mod line;
pub mod pattern;
pub mod screen;
pub mod syntax;
pub mod token;
pub mod word;
