//! Terminals.
//!
//! - [`termios`]: the settings;
//! - [`discipline`]: from typed bytes to lines, echo and signals (pure); `editing`: the line being edited;
//! - [`output`]: from written bytes to what the line gets (pure);
//! - [`line`]: what a terminal stands between;
//! - [`terminal`]: all of it together, as a file;
//! - [`signal`]: the signals a terminal sends;
//! - `verbs`: what native programs ask of it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod discipline;
#[cfg(test)]
mod discipline_tests;
mod editing;
pub mod line;
pub mod output;
pub mod signal;
pub mod terminal;
#[cfg(test)]
mod terminal_tests;
pub mod termios;
mod verbs;

pub use discipline::{Effect, LineDiscipline};
pub use line::{Jobs, Line};
pub use output::Output;
pub use terminal::{Flush, Terminal, Tty, WindowSize};
pub use termios::Termios;
