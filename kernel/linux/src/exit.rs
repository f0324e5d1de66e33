//! exit(2), exit_group(2), and what a thread leaves behind.

use crate::call::{Args, Call};
use crate::errno::Answer;
use crate::futex;
use crate::thread::Thread;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use memory::Space;
use process::{Flow, Status};

/// exit(2): this thread ends.
pub fn exit(call: &mut Call<'_>, [status, ..]: Args) -> Answer {
    call.flow = Flow::Exit(Status::Exited((status & 0xff) as i32));
    Ok(0)
}

/// exit_group(2): the process ends.
pub fn exit_group(call: &mut Call<'_>, [status, ..]: Args) -> Answer {
    let status = Status::Exited((status & 0xff) as i32);
    let thread = call.thread.core();
    thread.process().end_by(thread, status);
    call.flow = Flow::Exit(status);
    Ok(0)
}

/// What the thread leaves to others: locks that it owns, and the word that joiners wait on.
pub fn leave(thread: &Arc<Thread>, space: &Arc<Space>) {
    futex::robust::release(thread, space);
    futex::pi::leave(thread);
    clear_child_tid(thread, space);
}

/// The same, for a thread that goes on in another address space.
pub fn leave_memory(thread: &Arc<Thread>, space: &Arc<Space>) {
    futex::robust::release(thread, space);
    futex::pi::release(thread);
    clear_child_tid(thread, space);
}

fn clear_child_tid(thread: &Thread, space: &Arc<Space>) {
    let clear = thread.clear_child_tid.swap(0, Ordering::Relaxed) as usize;
    // Only if somebody else can still see the memory: the process has it, this thread, and who else?
    let shared = Arc::strong_count(space) > 2;
    // A wrong address harms the thread alone.
    if clear != 0 && shared && memory::store_user(space, clear, &0u32).is_ok() {
        futex::wake_at(space, clear);
    }
}
