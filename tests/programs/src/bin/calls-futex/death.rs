//! Owners that die: the kernel hands their locks over, with or without a robust list.

use super::lock::{DIED, Page, WAITERS, Waiting, lock, priority, unlock};
use libc::{FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAKE, SIGKILL};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use test_programs::child::{exec_helper, fork, spawn, until};
use test_programs::memory::Shared;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    the_next_one_hears_of_it,
    one_after_the_other_dies,
    a_killed_owner,
    a_list_names_locks_that_nobody_waits_for,
    a_list_names_locks_that_somebody_waits_for,
    what_was_about_to_be_locked,
    a_bad_list_ends_at_its_first_fault,
    a_list_in_copied_memory,
    a_new_program_owns_nothing,
    a_thread_dies,
);

fn the_next_one_hears_of_it() {
    let page = Shared::<Page>::new();
    let owner = Waiting::new(0, || {
        lock(&page.a);
        gives!(0, SYS_futex, &page.b, FUTEX_WAIT, 0, 0);
    });
    let waiters = [20, 10].map(|priority| {
        Waiting::new(priority, || {
            lock(&page.a);
            page.note(page.a.load(SeqCst) ^ pid() as u32);
            unlock(&page.a);
        })
    });
    assert_eq!(priority(owner.pid), -21);
    gives!(1, SYS_futex, &page.b, FUTEX_WAKE, 1);
    owner.passes();
    waiters.into_iter().for_each(Waiting::passes);
    // Unlocking takes the bit away.
    assert_eq!(page.seen(), [WAITERS | DIED, WAITERS]);
    assert_eq!(page.a.load(SeqCst), 0);
}

fn one_after_the_other_dies() {
    let page = Shared::<Page>::new();
    lock(&page.a);
    let children = [3, 2, 1].map(|priority| {
        Waiting::new(priority, || {
            lock(&page.a);
            page.note(page.a.load(SeqCst) ^ pid() as u32);
        })
    });
    unlock(&page.a);
    let last = children[2].pid as u32;
    children.into_iter().for_each(Waiting::passes);
    assert_eq!(page.seen(), [WAITERS, WAITERS | DIED, WAITERS | DIED]);
    // Nobody waited for the last one, and it had no list.
    assert_eq!(page.a.load(SeqCst), last | WAITERS | DIED);
    fails!(ESRCH, SYS_futex, &page.a, libc::FUTEX_LOCK_PI, 0, 0);
}

/// Waits for a lock, and is told by it that its owner died.
fn inherits(word: &AtomicU32) {
    lock(word);
    assert_eq!(word.load(SeqCst), pid() as u32 | WAITERS | DIED);
    unlock(word);
}

fn a_killed_owner() {
    let page = Shared::<Page>::new();
    let owner = Waiting::new(0, || {
        lock(&page.a);
        lock(&page.b);
        gives!(0, SYS_futex, &page.c, FUTEX_WAIT, 0, 0);
    });
    let waiters = [&page.a, &page.b].map(|word| Waiting::new(5, || inherits(word)));
    owner.child.signal(SIGKILL);
    owner.child.wait();
    waiters.into_iter().for_each(Waiting::passes);
}

/// One entry of a list, as get_robust_list(2) describes it.
#[repr(C)]
#[derive(Default)]
struct Entry {
    next: AtomicU64,
    word: AtomicU32,
    _unused: AtomicU32,
}

/// The list of a thread and its entries, which the test links.
#[repr(C)]
#[derive(Default)]
struct List {
    next: AtomicU64,
    offset: AtomicU64,
    pending: AtomicU64,
    entries: [Entry; 4],
}

const OFFSET: u64 = 8;

impl List {
    /// The first `count` entries are in the list; `inherits`: so marked.
    fn link(&self, count: usize, inherits: bool) {
        let head = (&raw const *self) as u64;
        let address = |entry: &Entry| (&raw const *entry) as u64 | u64::from(inherits);
        let chain = self.entries[..count].iter().map(address).chain([head]);
        let links = [&self.next].into_iter();
        let links = links.chain(self.entries.iter().map(|entry| &entry.next));
        for (link, to) in links.zip(chain) {
            link.store(to, SeqCst);
        }
        self.offset.store(OFFSET, SeqCst);
    }

    fn register(&self) {
        gives!(0, SYS_set_robust_list, &raw const *self, 24);
    }

    fn words(&self) -> [u32; 4] {
        [0, 1, 2, 3].map(|at| self.entries[at].word.load(SeqCst))
    }
}

fn a_list_names_locks_that_nobody_waits_for() {
    let list = Shared::<List>::new();
    for inherits in [false, true] {
        list.link(3, inherits);
        spawn(|| {
            list.register();
            let me = pid() as u32;
            list.entries[0].word.store(me, SeqCst);
            list.entries[1].word.store(me | WAITERS | DIED, SeqCst);
            // Somebody else's, and one that is not in the list.
            list.entries[2].word.store(1, SeqCst);
            list.entries[3].word.store(me, SeqCst);
        })
        .passes();
        let [first, second, third, fourth] = list.words();
        assert_eq!([first, second, third], [DIED, WAITERS | DIED, 1]);
        assert_ne!(fourth & DIED, DIED);
    }
    lock(&list.entries[0].word);
    assert_eq!(list.words()[0], pid() as u32 | DIED);
    unlock(&list.entries[0].word);
}

fn a_list_names_locks_that_somebody_waits_for() {
    let (list, page) = (Shared::<List>::new(), Shared::<Page>::new());
    list.link(2, true);
    let owner = Waiting::new(0, || {
        list.register();
        lock(&list.entries[0].word);
        lock(&list.entries[1].word);
        gives!(0, SYS_futex, &page.a, FUTEX_WAIT, 0, 0);
    });
    let waiters = [0, 1].map(|at| {
        let word = &list.entries[at].word;
        Waiting::new(0, || inherits(word))
    });
    owner.child.signal(SIGKILL);
    owner.child.wait();
    waiters.into_iter().for_each(Waiting::passes);
    assert_eq!(list.words(), [0; 4]);
}

fn what_was_about_to_be_locked() {
    let list = Shared::<List>::new();
    list.link(0, false);
    let entry = &list.entries[0];
    for inherits in [0, 1] {
        list.pending
            .store((&raw const *entry) as u64 | inherits, SeqCst);
        spawn(|| {
            list.register();
            entry.word.store(pid() as u32, SeqCst);
        })
        .passes();
        assert_eq!(entry.word.load(SeqCst), DIED);
    }
    // It was let go, but whoever waits was not woken yet.
    list.pending.store((&raw const *entry) as u64, SeqCst);
    entry.word.store(0, SeqCst);
    let waiter = Waiting::new(0, || {
        gives!(0, SYS_futex, &entry.word, FUTEX_WAIT, 0, 0);
    });
    spawn(|| list.register()).passes();
    waiter.passes();
}

fn a_bad_list_ends_at_its_first_fault() {
    let list = Shared::<List>::new();
    let me_in = |at: usize| list.entries[at].word.store(pid() as u32, SeqCst);
    list.link(3, false);
    // Not aligned: nothing after it is looked at.
    list.entries[0]
        .next
        .store((&raw const list.entries[1]) as u64 + 2, SeqCst);
    spawn(|| {
        list.register();
        [0, 1, 2].into_iter().for_each(me_in);
    })
    .passes();
    assert_eq!(list.words().map(|word| word & DIED), [DIED, 0, 0, 0]);
    // In a circle.
    list.link(3, false);
    list.entries[2]
        .next
        .store((&raw const list.entries[0]) as u64, SeqCst);
    spawn(|| {
        list.register();
        [0, 1, 2].into_iter().for_each(me_in);
    })
    .passes();
    assert_eq!(list.words(), [DIED, DIED, DIED, 0]);
}

/// After a fork the words of both processes lie on the same frames, until somebody writes.
fn a_list_in_copied_memory() {
    let list = Box::leak(Box::<List>::default());
    let list: &List = list;
    let done = Shared::<Page>::new();
    list.link(1, false);
    let word = &list.entries[0].word;
    let killed = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            list.register();
            word.store(ok!(SYS_gettid) as u32, SeqCst);
            killed.store(1, SeqCst);
            ok!(SYS_futex, &killed, FUTEX_WAKE, 1);
            while done.a.load(SeqCst) == 0 {
                let _ = test_programs::sys!(SYS_futex, &done.a, FUTEX_WAIT, 0, 0);
            }
        });
        while killed.load(SeqCst) == 0 {
            let _ = test_programs::sys!(SYS_futex, &killed, FUTEX_WAIT, 0, 0);
        }
        let child = fork(|| {
            gives!(0, SYS_futex, &done.b, FUTEX_WAIT, 0, 0);
            0
        });
        until(|| super::lock::asleep(child.pid));
        done.a.store(1, SeqCst);
        ok!(SYS_futex, &done.a, FUTEX_WAKE, 1);
        until(|| word.load(SeqCst) == DIED);
        gives!(1, SYS_futex, &done.b, FUTEX_WAKE, 1);
        child.passes();
    });
}

fn a_new_program_owns_nothing() {
    let (list, page) = (Shared::<List>::new(), Shared::<Page>::new());
    list.link(1, false);
    let owner = fork(|| {
        list.register();
        list.entries[0].word.store(pid() as u32, SeqCst);
        lock(&page.a);
        gives!(0, SYS_futex, &page.b, FUTEX_WAIT, 0, 0);
        exec_helper(&["stay"], &[])
    });
    until(|| super::lock::asleep(owner.pid));
    let waiter = Waiting::new(0, || {
        lock(&page.a);
        assert_eq!(page.a.load(SeqCst), pid() as u32 | WAITERS | DIED);
        unlock(&page.a);
    });
    gives!(1, SYS_futex, &page.b, FUTEX_WAKE, 1);
    waiter.passes();
    assert_eq!(list.words()[0], DIED);
    // It lives on, and can own nothing by its old words.
    page.a.store(owner.pid as u32, SeqCst);
    fails!(EPERM, SYS_futex, &page.a, FUTEX_UNLOCK_PI, 0, 0);
    owner.signal(SIGKILL);
    owner.wait();
}

/// The process lives on, and the lock is its own memory.
fn a_thread_dies() {
    const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;
    let (word, turn) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            gives!(0, SYS_futex, &word, libc::FUTEX_LOCK_PI | PRIVATE, 0, 0);
            turn.store(1, SeqCst);
            until(|| word.load(SeqCst) & WAITERS != 0);
        });
        until(|| turn.load(SeqCst) == 1);
        gives!(0, SYS_futex, &word, libc::FUTEX_LOCK_PI | PRIVATE, 0, 0);
        let me = ok!(SYS_gettid) as u32;
        assert_eq!(word.load(SeqCst), me | WAITERS | DIED);
        gives!(0, SYS_futex, &word, FUTEX_UNLOCK_PI | PRIVATE, 0, 0);
    });
}

pub const HELPERS: &[test_programs::harness::Helper] = &[("stay", stay)];

/// Another program, that does nothing.
fn stay(_: &[String]) -> i32 {
    loop {
        let _ = test_programs::sys!(SYS_pause);
    }
}
