//! Out of memory: who has to go.
//!
//! The one idea: memory is given back by ending the process that holds most of it, never by ending the one that
//! happens to ask when there is none. The first process is the last to be chosen.

use crate::process::{Process, Status};
use crate::table;
use alloc::sync::Arc;
use task::Ready;

/// What the process that asked for memory does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// Another process has ended: ask again.
    Retry,
    /// It is the one that has to go, or there is nobody else.
    End,
}

/// Below this share of all memory nobody may make another process: those that are there need it to go on.
const HEADROOM_SHARE: usize = 32;

/// Whether there is memory enough to begin another process.
pub fn allows_another() -> bool {
    let frames = machine::frame::stats();
    machine::frame::heap_room() && frames.free > frames.total / HEADROOM_SHARE
}

/// Ends the process that holds most memory and waits until it is gone.
pub async fn relieve(asking: &Arc<Process>) -> Relief {
    let Some(victim) = largest() else {
        return Relief::End;
    };
    if Arc::ptr_eq(&victim, asking) {
        log::warn!(
            "out of memory: {} ({}) ends, it holds most of it",
            asking.id(),
            asking.name()
        );
        return Relief::End;
    }
    if !victim.is_ending() {
        log::warn!(
            "out of memory: {} ({}) ends, it holds most of it; {} ({}) asked for more",
            victim.id(),
            victim.name(),
            asking.id(),
            asking.name()
        );
        victim.end(Status::Signaled(SIGKILL));
    }
    match victim.ended().wait(Ready::READ, None).await {
        Ok(_) => Relief::Retry,
        // Interrupted: whatever came for the asking process is looked at first, then it faults again.
        Err(_) => Relief::Retry,
    }
}

const SIGKILL: u8 = 9;

fn largest() -> Option<Arc<Process>> {
    let alive = table::all()
        .into_iter()
        .filter(|process| process.status().is_none());
    let weighed = alive.map(|process| {
        let resident = process.space().map_or(0, |space| space.resident());
        (process.id() != 1, resident, process)
    });
    weighed
        .max_by_key(|(ordinary, resident, _)| (*ordinary, *resident))
        .map(|(_, _, process)| process)
}
