//! Interrupt handlers that are tasks: the interrupt itself only wakes.
//!
//! The one idea: what a handler does then competes like everything else, with a priority, and keeps no interrupt out. For
//! interrupts that come once for each thing that happens (messages, edges): a line that stays up until it is served would
//! come again before the task has its turn.

use crate::policy::Class;
use crate::{Terms, WaitQueue, executor};
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, Ordering};
use machine::irq::Handler;

/// As Linux gives to its own.
pub const HANDLER_PRIORITY: u8 = 50;

/// It has interrupted since the work was begun last.
const PENDING: u8 = 1;
/// The handler was dropped.
const CLOSED: u8 = 2;

struct Bell {
    state: AtomicU8,
    queue: WaitQueue,
}

impl Bell {
    fn ring(&self, what: u8) {
        self.state.fetch_or(what, Ordering::AcqRel);
        self.queue.wake_one();
    }
}

/// Rings when it is dropped: the handler was disconnected.
struct Owner(Arc<Bell>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.ring(CLOSED);
    }
}

/// A handler that has `work` done by a task of this name and priority (1 to 99). However often it interrupts meanwhile,
/// the work is done once more. The task ends when the handler is dropped, after what was pending.
///
/// # Errors
/// [`Error::NoMemory`].
pub fn threaded(
    name: &str,
    priority: u8,
    mut work: impl FnMut() + Send + 'static,
) -> Result<Handler, Error> {
    let bell = Arc::new(Bell {
        state: AtomicU8::new(0),
        queue: WaitQueue::new(),
    });
    let terms = Terms {
        class: Class::Realtime {
            priority,
            rotates: false,
        },
        ..Terms::ordinary()
    };
    let waiting = bell.clone();
    executor::spawn_with(name, terms, async move {
        loop {
            let state = waiting
                .queue
                .wait_until(|| {
                    let state = waiting.state.fetch_and(!PENDING, Ordering::AcqRel);
                    (state != 0).then_some(state)
                })
                .await;
            match state {
                Ok(state) if state & PENDING != 0 => work(),
                _ => return,
            }
        }
    })?;
    let owner = Owner(bell);
    Ok(Arc::new(move || owner.0.ring(PENDING)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run_until_idle, spawn};
    use core::sync::atomic::AtomicU32;
    use machine::host::irq;
    use machine::sync::Spin;

    #[test]
    fn the_interrupt_wakes_and_the_task_works() {
        let done = Arc::new(AtomicU32::new(0));
        let order = Arc::new(Spin::new(Vec::new()));
        let (counted, noted) = (done.clone(), order.clone());
        let handler = threaded("irq/test", HANDLER_PRIORITY, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            noted.lock().push("handler");
        });
        let guard = irq::legacy(5, "test", handler.unwrap());
        run_until_idle();
        let noted = order.clone();
        spawn("ordinary", async move { noted.lock().push("ordinary") }).unwrap();
        irq::raise(5);
        irq::raise(5);
        assert_eq!(done.load(Ordering::SeqCst), 0, "not in the interrupt");
        run_until_idle();
        assert_eq!(done.load(Ordering::SeqCst), 1, "both at once");
        assert_eq!(*order.lock(), ["handler", "ordinary"], "by priority");
        irq::raise(5);
        let alive = Arc::strong_count(&done);
        drop(guard);
        run_until_idle();
        assert_eq!(done.load(Ordering::SeqCst), 2, "what was pending");
        assert_eq!(Arc::strong_count(&done), alive - 1, "the task has ended");
    }
}
