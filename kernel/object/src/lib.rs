//! Objects, and the handles that are the only authority over them.
//!
//! - [`io`]: where read bytes go and written bytes come from
//! - [`object`](Object): what everything that a handle can name answers to
//! - [`verb`](Verb): what an object can be asked for, with types
//! - [`handle`](Handle): an object and what may be done with it
//! - [`lease`](Lease): what is lent can be taken back
//! - [`table`](Table): a process's handles by number
//! - [`namespace`](Namespace): the registries that a process can name
//! - [`registry`](Registry): a place where objects are found by name
//! - [`links`](Links): such a place that programs make
//! - [`records`](Records): lists of values through `read`
//! - [`flight`]: handles in what handles are needed to reach, and what nobody can reach any more
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod flight;
mod handle;
mod holder;
pub mod io;
mod lease;
#[cfg(test)]
mod lease_tests;
mod links;
#[cfg(test)]
mod links_tests;
mod namespace;
mod object;
mod records;
mod registry;
mod slots;
mod table;
mod verb;
#[cfg(test)]
mod verb_tests;

pub use abi::{Kind, Number, OpenFlags, Rights};
pub use handle::Handle;
pub use holder::{HANDLES_MAX, Holder, IN_FLIGHT};
pub use io::{Sink, SliceSink, SliceSource, Source};
pub use lease::{Lease, Tenure};
pub use links::Links;
pub use namespace::Namespace;
pub use object::{Given, Object, Opened, Reply};
pub use records::Records;
pub use registry::{Registry, first_name};
pub use table::{Look, Pass, Table};
pub use verb::{Field, Type, Verb};
