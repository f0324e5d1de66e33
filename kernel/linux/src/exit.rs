//! exit(2), exit_group(2), and what a thread leaves behind.

use crate::call::{Args, Call};
use crate::errno::Answer;
use crate::futex;
use crate::robust;
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

/// Futexes that the thread promised to let go of, and the word that joiners wait on.
pub fn leave(thread: &Arc<Thread>, space: &Arc<Space>) {
    robust::release(thread, space);
    let clear = thread.clear_child_tid.swap(0, Ordering::Relaxed) as usize;
    // Only if somebody else can still see the memory; a wrong address harms the thread alone.
    if clear != 0 && space.root().store_u32(clear, 0).is_ok() {
        futex::wake_at(space, clear, 1, true);
    }
}
