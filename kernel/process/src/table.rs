//! The numbers by which processes and threads are known.
//!
//! Processes and threads share one number space, as Linux has it: the first thread of a process bears its
//! process's number. Numbers are given in ascending order and begin again at the low end, so a number is not
//! reused soon.

use crate::process::Process;
use crate::thread::Thread;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry::Vacant;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use machine::sync::Spin;

/// The first number after the greatest one, as `/proc/sys/kernel/pid_max` reports it.
/// Linux's greatest value on 64-bit machines; what limits the number of threads is memory.
pub const LIMIT: u32 = 4_194_304;
/// After the first round, numbers below this are left to those who took them at boot.
const LOW: u32 = 300;

enum Entry {
    Reserved,
    Process(Arc<Process>),
    Thread(Weak<Thread>),
}

struct Numbers {
    next: u32,
    /// How many were given since boot.
    given: u64,
    entries: BTreeMap<u32, Entry>,
}

static NUMBERS: Spin<Numbers> = Spin::new(Numbers {
    next: 1,
    given: 0,
    entries: BTreeMap::new(),
});

/// Takes a free number. Cost: O(log n) unless nearly all numbers are taken.
pub(crate) fn reserve() -> Result<u32, Error> {
    let mut numbers = NUMBERS.lock();
    if numbers.entries.len() >= (LIMIT - LOW) as usize {
        return Err(Error::Limit);
    }
    loop {
        let candidate = numbers.next;
        numbers.next = if candidate + 1 >= LIMIT {
            LOW
        } else {
            candidate + 1
        };
        if let Vacant(place) = numbers.entries.entry(candidate) {
            place.insert(Entry::Reserved);
            numbers.given += 1;
            return Ok(candidate);
        }
    }
}

/// How many processes and threads have been made since boot.
pub fn made() -> u64 {
    NUMBERS.lock().given
}

pub(crate) fn enter(id: u32, process: &Arc<Process>) {
    NUMBERS
        .lock()
        .entries
        .insert(id, Entry::Process(process.clone()));
}

pub(crate) fn enter_thread(id: u32, thread: &Arc<Thread>) {
    NUMBERS
        .lock()
        .entries
        .insert(id, Entry::Thread(Arc::downgrade(thread)));
}

pub(crate) fn leave(id: u32) {
    // Dropped after the lock is gone: the last reference of a process may free much.
    let entry = NUMBERS.lock().entries.remove(&id);
    drop(entry);
}

/// The process with this number, ended ones included as long as their number is taken.
pub fn find(id: u32) -> Option<Arc<Process>> {
    match NUMBERS.lock().entries.get(&id)? {
        Entry::Process(process) => Some(process.clone()),
        Entry::Thread(_) | Entry::Reserved => None,
    }
}

/// The thread with this number.
pub fn find_thread(id: u32) -> Option<Arc<Thread>> {
    let process = match NUMBERS.lock().entries.get(&id)? {
        Entry::Thread(thread) => return thread.upgrade(),
        Entry::Process(process) => process.clone(),
        Entry::Reserved => return None,
    };
    process.find_thread(id)
}

/// The first process: it inherits those whose parent has ended.
pub fn init() -> Option<Arc<Process>> {
    find(1)
}

/// All processes, in order of number.
pub fn all() -> Vec<Arc<Process>> {
    let numbers = NUMBERS.lock();
    let processes = numbers.entries.values().filter_map(|entry| match entry {
        Entry::Process(process) => Some(process.clone()),
        Entry::Thread(_) | Entry::Reserved => None,
    });
    processes.collect()
}

/// How many numbers of processes and threads are taken.
pub fn count() -> usize {
    NUMBERS.lock().entries.len()
}
