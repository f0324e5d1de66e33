//! What the tests of locks share: words on a page, children that wait, and what `/proc` says of them.

use libc::{FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, SCHED_FIFO};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use test_programs::child::{Child, spawn, until};
use test_programs::gives;

pub const WAITERS: u32 = 0x8000_0000;
pub const DIED: u32 = 0x4000_0000;

/// Words to lock, and a list of who did something.
pub struct Page {
    pub a: AtomicU32,
    pub b: AtomicU32,
    pub c: AtomicU32,
    count: AtomicUsize,
    list: [AtomicU32; 64],
}

impl Page {
    pub fn note(&self, who: u32) {
        self.list[self.count.fetch_add(1, SeqCst)].store(who, SeqCst);
    }

    pub fn seen(&self) -> Vec<u32> {
        let list = &self.list[..self.count.load(SeqCst)];
        list.iter().map(|who| who.load(SeqCst)).collect()
    }
}

pub fn lock(word: &AtomicU32) {
    gives!(0, SYS_futex, word, FUTEX_LOCK_PI, 0, 0);
}

pub fn unlock(word: &AtomicU32) {
    gives!(0, SYS_futex, word, FUTEX_UNLOCK_PI, 0, 0);
}

pub fn become_fifo(priority: i32) {
    gives!(0, SYS_sched_setscheduler, 0, SCHED_FIFO, &priority);
}

/// A child that waits in a call.
pub struct Waiting {
    pub child: Child,
}

impl Waiting {
    /// Of this priority (0: an ordinary one); its life must come to a wait that only others end.
    pub fn new(priority: i32, life: impl FnOnce()) -> Waiting {
        let child = spawn(|| {
            if priority > 0 {
                become_fifo(priority);
            }
            life();
        });
        until(|| asleep(child.pid));
        Waiting { child }
    }

    pub fn passes(self) {
        self.child.passes();
    }
}

impl Deref for Waiting {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.child
    }
}

/// A field of `/proc/PID/stat` by its number in proc(5).
fn field(pid: i32, number: usize) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(") ").unwrap();
    rest.split_whitespace().nth(number - 3).unwrap().to_string()
}

/// `R`, `S`, `Z` and so on.
pub fn state(pid: i32) -> char {
    field(pid, 3).chars().next().unwrap()
}

pub fn asleep(pid: i32) -> bool {
    state(pid) == 'S'
}

/// As the scheduler has it now: −1 minus a real-time priority, 20 and more for others.
pub fn priority(pid: i32) -> i32 {
    field(pid, 18).parse().unwrap()
}
