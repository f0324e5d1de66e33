//! Messages between programs.
//!
//! A channel is a bounded queue of messages with two ends: any number of handles to its [`Sender`], and its
//! [`Receiver`]. A message is a value and handles. One that asks ([`Question`]) carries the way back as well: a
//! [`Reply`], which takes one answer.
//!
//! - `message`: what travels
//! - [`queue`](channel): the queue and its ends
//! - `reply`: questions and their answers
//!
//! The one idea: handles belong to the queue while they are in it. They leave the sender's table in the same instant in
//! which the message is in the queue, so a message that is refused has taken nothing, and nothing is ever in two places.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod message;
mod queue;
mod reply;
#[cfg(test)]
mod tests;

pub use message::{Message, Room, Shape};
pub use queue::{Farewell, Limits, Received, Receiver, Sender, channel};
pub use reply::{Question, Reply};
