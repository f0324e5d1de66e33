//! Memory: what programs see of it.
//!
//! - `object`: memory objects, the pages of files and of shared memory (`pages`: the tree of them);
//! - `space`: address spaces, what is where and how it changes: `mappings` (the ordered map),
//!   `fault` (pages on demand, copy-on-write), `fork`, `remap`, `heap` (`brk`), `look` (questions),
//!   `surrender` (giving memory away);
//! - `cursor`: a user's buffer as a sink or source of bytes;
//! - `copy`: values and strings to and from user memory.
//!
//! The one idea: an address space is a plain ordered map of promises ("here are zeros", "here is
//! that file"), and the page table only caches them. Every page in it can be dropped and made
//! again, but for private pages that were written.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod copy;
mod cursor;
mod fault;
mod fork;
mod heap;
mod look;
mod mappings;
mod object;
mod pages;
mod remap;
mod space;
mod surrender;
mod truncate;
mod writers;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use copy::{
    c_string, c_string_now, copy_in, copy_in_vec, copy_out, load_bytes, load_user, peek, read_user,
    store_user, write_user, zero_user,
};
pub use cursor::{Segment, UserSink, UserSource};
pub use fault::Need;
pub use machine::paging::{Access, CopyFault, Root};
pub use mappings::{AtFork, Kind, MIN_ADDRESS, MMAP_BASE, MappingInfo, STACK_GUARD};
pub use object::Object;
pub use remap::Remap;
pub use space::{Advice, Backing, Limits, MapRequest, Placement, Space};
pub use writers::{Running, Writing};
