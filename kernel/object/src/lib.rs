//! Handles and the objects behind them.
//!
//! - [`io`]: where read bytes go and written bytes come from.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod io;

pub use io::{Sink, SliceSink, SliceSource, Source};
