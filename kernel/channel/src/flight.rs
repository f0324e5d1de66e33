//! Receivers that wait in queues.
//!
//! The one idea: a receiver that waits in a queue may be the only way to that queue; then nobody can ever receive it,
//! and counting references alone would keep both for ever. So all receivers in flight are known here, and how often each
//! is in flight. One whose references are all from flight can be reached only through the queue that it is in; so what
//! is in queues of receivers that can be reached is reached, and what is left is emptied. (Linux does the same for
//! sockets: `net/unix/garbage.c`.) The table's lock is held whenever handles enter or leave a queue, so a count is never half
//! done. Messages without handles do not come by here.

use crate::message::Message;
use crate::queue::Receiver;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use machine::sync::{Spin, SpinGuard};
use object::Handle;

/// Handles of all kinds that may be in flight at a time.
pub const HANDLES_MAX: usize = 1 << 16;
/// Receivers in flight before senders look for unreachable ones.
const RECEIVERS_FEW: usize = 64;

struct Table {
    handles: usize,
    receivers: BTreeMap<usize, Entry>,
    /// Receivers in flight that make the next sender look for unreachable ones.
    due: usize,
    /// Ends closed since somebody looked.
    closed: usize,
}

struct Entry {
    /// How often it is in flight.
    count: usize,
    receiver: Weak<Receiver>,
    /// How often it is in a queue that can be reached for all that is known yet.
    outside: usize,
    reached: bool,
}

static TABLE: Spin<Table> = Spin::new(Table {
    handles: 0,
    receivers: BTreeMap::new(),
    due: RECEIVERS_FEW,
    closed: 0,
});
/// Receivers in flight, to be looked at without the lock.
static RECEIVERS: AtomicUsize = AtomicUsize::new(0);

/// Leave to move handles in and out of queues.
pub(crate) struct Flight(SpinGuard<'static, Table>);

/// Waits for leave. Taken before the lock of any queue.
pub(crate) fn enter() -> Flight {
    Flight(TABLE.lock())
}

/// Handles in flight now, in all channels together.
pub fn handles() -> usize {
    TABLE.lock().handles
}

fn key(receiver: &Arc<Receiver>) -> usize {
    Arc::as_ptr(receiver).addr()
}

impl Flight {
    /// Whether so many handles more may be in flight.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn admit(&self, handles: usize) -> Result<(), Error> {
        if self.0.handles + handles > HANDLES_MAX {
            Err(Error::Limit)
        } else {
            Ok(())
        }
    }

    /// Counts handles in that enter a queue.
    pub fn depart(&mut self, handles: &[Handle]) {
        self.0.handles += handles.len();
        for receiver in handles.iter().filter_map(Handle::downcast::<Receiver>) {
            let fresh = || Entry {
                count: 0,
                receiver: Arc::downgrade(&receiver),
                outside: 0,
                reached: false,
            };
            let receivers = &mut self.0.receivers;
            receivers.entry(key(&receiver)).or_insert_with(fresh).count += 1;
        }
        RECEIVERS.store(self.0.receivers.len(), Ordering::Relaxed);
    }

    /// Counts handles out that left a queue.
    pub fn arrive(&mut self, handles: &[Handle]) {
        self.0.handles = self.0.handles.saturating_sub(handles.len());
        for receiver in handles.iter().filter_map(Handle::downcast::<Receiver>) {
            let key = key(&receiver);
            if let Some(entry) = self.0.receivers.get_mut(&key) {
                entry.count -= 1;
                if entry.count == 0 {
                    self.0.receivers.remove(&key);
                }
            }
        }
        RECEIVERS.store(self.0.receivers.len(), Ordering::Relaxed);
    }

    /// Takes the messages out of all receivers that nobody can reach.
    fn sweep(&mut self) -> Vec<Message> {
        let receivers = &mut self.0.receivers;
        let mut hidden = Vec::new();
        let mut reached = Vec::new();
        for entry in receivers.values_mut() {
            entry.outside = entry.count;
            entry.reached = entry.receiver.strong_count() > entry.count;
            let found = entry.receiver.upgrade();
            match entry.reached {
                true => reached.extend(found),
                false => hidden.extend(found),
            }
        }
        for receiver in &hidden {
            each_within(receiver, |key| {
                if let Some(entry) = receivers.get_mut(&key) {
                    entry.outside = entry.outside.saturating_sub(1);
                }
            });
        }
        for receiver in &hidden {
            if let Some(entry) = receivers.get_mut(&key(receiver))
                && entry.outside > 0
            {
                entry.reached = true;
                reached.push(receiver.clone());
            }
        }
        while let Some(receiver) = reached.pop() {
            each_within(&receiver, |key| {
                if let Some(entry) = receivers.get_mut(&key)
                    && !entry.reached
                {
                    entry.reached = true;
                    reached.extend(entry.receiver.upgrade());
                }
            });
        }
        let lost = |receiver: &Arc<Receiver>| {
            let entry = receivers.get(&key(receiver));
            entry.is_some_and(|entry| !entry.reached)
        };
        hidden.retain(lost);
        let mut messages = Vec::new();
        for receiver in &hidden {
            receiver.strip(self, &mut messages);
        }
        let left = self.0.receivers.len();
        (self.0.due, self.0.closed) = (RECEIVERS_FEW + 2 * left, 0);
        // These may be the last references: they go with the messages, without the lock.
        let handles = hidden
            .into_iter()
            .map(|it| Handle::new(it, abi::Rights::empty()));
        messages.push(Message {
            handles: handles.collect(),
            ..Message::default()
        });
        messages
    }
}

/// Calls `visit` with the key of every receiver in this one's queue, as often as it is there.
fn each_within(receiver: &Receiver, mut visit: impl FnMut(usize)) {
    receiver.visit(&mut |handle| {
        if let Some(inner) = handle.downcast_ref::<Receiver>() {
            visit(core::ptr::from_ref(inner).addr());
        }
    });
}

/// Called before handles are sent.
pub(crate) fn before_sending() {
    if RECEIVERS.load(Ordering::Relaxed) < RECEIVERS_FEW {
        return;
    }
    let mut flight = enter();
    if flight.0.receivers.len() >= flight.0.due {
        let messages = flight.sweep();
        drop(flight);
        bury(messages);
    }
}

/// Called after a handle to an end was closed, an end was dropped, or a process has let go of all its handles: then
/// something may have become unreachable. Looks each time while few receivers are in flight, and else so seldom that each
/// close costs the same.
pub fn after_closing() {
    if RECEIVERS.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut flight = enter();
    flight.0.closed += 1;
    if flight.0.closed * 4 >= flight.0.receivers.len() {
        let messages = flight.sweep();
        drop(flight);
        bury(messages);
    }
}

struct Grave {
    messages: Vec<Message>,
    busy: bool,
}

static GRAVE: Spin<Grave> = Spin::new(Grave {
    messages: Vec::new(),
    busy: false,
});

/// Lets go of messages that nobody received. One after another and never one inside the other: a receiver in a receiver
/// in a receiver must not need a stack as deep.
pub(crate) fn bury(mut messages: Vec<Message>) {
    if messages.is_empty() {
        return;
    }
    let mut grave = GRAVE.lock();
    grave.messages.append(&mut messages);
    if grave.busy {
        return;
    }
    grave.busy = true;
    while let Some(message) = grave.messages.pop() {
        drop(grave);
        drop(message);
        grave = GRAVE.lock();
    }
    grave.busy = false;
    grave.messages = Vec::new();
}
