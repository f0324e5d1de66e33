//! Local sockets: connections between programs of one machine (unix(7)).
//!
//! - [`Socket`]: an open end, a [`vfs::File`]; [`Endpoint`]: what others see of it
//! - `transfer`: sending and receiving; [`queue`]: what waits to be received
//! - [`ancillary`]: files and credentials that travel beside the bytes; [`flight`]: where the files are meanwhile
//! - `connect`: names and connections; [`name`]: what sockets are known by
//!
//! The one idea: nothing here waits. What cannot be done now answers `WouldBlock`, and a [`task::Readiness`] tells when
//! to try again, as for every file.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ancillary;
mod connect;
mod endpoint;
pub mod flight;
pub mod name;
pub mod queue;
mod socket;
#[cfg(test)]
mod tests;
mod transfer;

pub use ancillary::{Credentials, Files, Sent};
pub use endpoint::{Endpoint, Kind, Maker};
pub use name::{Name, Scope};
pub use queue::{Cargo, Look, Received};
pub use socket::{Shutdown, Socket};
