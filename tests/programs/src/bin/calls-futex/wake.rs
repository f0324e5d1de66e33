//! FUTEX_WAKE, WAKE_BITSET, REQUEUE, CMP_REQUEUE, WAKE_OP.

use super::lock::{Page, Waiting};
use libc::{
    EAGAIN, FUTEX_CMP_REQUEUE, FUTEX_REQUEUE, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE,
    FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, MREMAP_MAYMOVE, O_RDWR,
};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{Child, spawn, until};
use test_programs::memory::{Mapping, PAGE, Shared, file_page};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    nobody_waits,
    count_is_respected,
    all_are_woken,
    only_this_word,
    bitsets_choose,
    plain_wake_ignores_bitsets,
    different_mappings_of_one_page,
    mapped_files,
    copy_on_write_pages_are_apart,
    requeue_moves_waiters,
    cmp_requeue_compares,
    wake_op,
    wake_op_errors,
    the_woken_come_in_order,
    the_highest_is_woken_first,
    nobody_to_wake_is_one_to_wake,
    at_the_end_of_a_page,
    thread_end_wakes_the_cleartid_word,
);

/// Two words and a count of those that came through, on a shared page.
struct Words {
    a: AtomicU32,
    b: AtomicU32,
    through: AtomicU32,
}

fn waiters(words: &Shared<Words>, count: usize, bits: u32) -> Vec<Child> {
    (0..count)
        .map(|_| {
            spawn(|| {
                gives!(0, SYS_futex, &words.a, FUTEX_WAIT_BITSET, 0, 0, 0, bits);
                words.through.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect()
}

/// Wakes exactly `count`, however late they come to wait.
fn wake(word: &AtomicU32, count: u32) {
    let mut woken = 0;
    until(|| {
        woken += ok!(SYS_futex, word, FUTEX_WAKE, count - woken) as u32;
        woken == count
    });
}

fn nobody_waits() {
    let word = AtomicU32::new(0);
    gives!(0, SYS_futex, &word, FUTEX_WAKE, 1);
    gives!(0, SYS_futex, &word, FUTEX_WAKE, i32::MAX);
    gives!(0, SYS_futex, &word, FUTEX_WAKE_BITSET, 1, 0, 0, 1);
}

fn count_is_respected() {
    let words = Shared::<Words>::new();
    let children = waiters(&words, 6, u32::MAX);
    for n in 1..=6 {
        wake(&words.a, 1);
        until(|| words.through.load(Ordering::SeqCst) == n);
    }
    children.into_iter().for_each(Child::passes);
    gives!(0, SYS_futex, &words.a, FUTEX_WAKE, 1);
}

fn all_are_woken() {
    let words = Shared::<Words>::new();
    let children = waiters(&words, 10, u32::MAX);
    let mut woken = 0;
    until(|| {
        woken += ok!(SYS_futex, &words.a, FUTEX_WAKE, i32::MAX);
        woken == 10
    });
    children.into_iter().for_each(Child::passes);
}

fn only_this_word() {
    let words = Shared::<Words>::new();
    let children = waiters(&words, 1, u32::MAX);
    for _ in 0..50 {
        ok!(SYS_sched_yield);
        gives!(0, SYS_futex, &words.b, FUTEX_WAKE, 1);
    }
    wake(&words.a, 1);
    children.into_iter().for_each(Child::passes);
}

fn bitsets_choose() {
    let words = Shared::<Words>::new();
    let (low, high) = (waiters(&words, 2, 0b01), waiters(&words, 2, 0b10));
    let mut woken = 0;
    until(|| {
        woken += ok!(SYS_futex, &words.a, FUTEX_WAKE_BITSET, i32::MAX, 0, 0, 0b10);
        woken == 2
    });
    high.into_iter().for_each(Child::passes);
    assert_eq!(words.through.load(Ordering::SeqCst), 2);
    gives!(
        0,
        SYS_futex,
        &words.a,
        FUTEX_WAKE_BITSET,
        i32::MAX,
        0,
        0,
        0b1100
    );
    woken = 0;
    until(|| {
        woken += ok!(
            SYS_futex,
            &words.a,
            FUTEX_WAKE_BITSET,
            i32::MAX,
            0,
            0,
            0b101
        );
        woken == 2
    });
    low.into_iter().for_each(Child::passes);
}

fn plain_wake_ignores_bitsets() {
    let words = Shared::<Words>::new();
    let children = waiters(&words, 2, 0b1000);
    wake(&words.a, 2);
    children.into_iter().for_each(Child::passes);
}

/// One page under two addresses is one place.
fn different_mappings_of_one_page() {
    let first = Mapping::shared(PAGE);
    let second = ok!(SYS_mremap, first.address, 0, PAGE, MREMAP_MAYMOVE);
    let child = spawn(|| {
        gives!(0, SYS_futex, first.address, FUTEX_WAIT, 0, 0);
    });
    until(|| ok!(SYS_futex, second, FUTEX_WAKE, 1) == 1);
    child.passes();
}

fn mapped_files() {
    close(file_with(c"f", &[0; 8192]));
    let map = || file_page(open(c"f", O_RDWR), PAGE);
    let child = spawn(|| {
        gives!(0, SYS_futex, map() + 8, FUTEX_WAIT, 0, 0);
    });
    let mine = map();
    until(|| ok!(SYS_futex, mine + 8, FUTEX_WAKE, 1) == 1);
    child.passes();
}

/// After a fork, private memory is two places though the address is one.
fn copy_on_write_pages_are_apart() {
    let page = Mapping::private(PAGE);
    page.set(0, 1);
    let child = spawn(|| {
        fails!(
            ETIMEDOUT,
            SYS_futex,
            page.address,
            FUTEX_WAIT,
            1,
            &timespec(30_000_000)
        );
    });
    for _ in 0..50 {
        ok!(SYS_sched_yield);
        gives!(0, SYS_futex, page.address, FUTEX_WAKE, 1);
    }
    child.passes();
}

fn requeue_moves_waiters() {
    let words = Shared::<Words>::new();
    let children = waiters(&words, 5, u32::MAX);
    let mut moved = 0;
    until(|| {
        moved += ok!(SYS_futex, &words.a, FUTEX_REQUEUE, 0, i32::MAX, &words.b);
        moved == 5
    });
    gives!(0, SYS_futex, &words.a, FUTEX_WAKE, 5);
    gives!(2, SYS_futex, &words.b, FUTEX_WAKE, 2);
    gives!(3, SYS_futex, &words.b, FUTEX_WAKE, i32::MAX);
    children.into_iter().for_each(Child::passes);
}

fn cmp_requeue_compares() {
    let words = Shared::<Words>::new();
    fails!(
        EAGAIN,
        SYS_futex,
        &words.a,
        FUTEX_CMP_REQUEUE,
        1,
        1,
        &words.b,
        7
    );
    gives!(0, SYS_futex, &words.a, FUTEX_CMP_REQUEUE, 1, 1, &words.b, 0);
    let children = waiters(&words, 4, u32::MAX);
    // One wakes, the others move; both count.
    let mut done = 0;
    until(|| {
        done += ok!(
            SYS_futex,
            &words.a,
            FUTEX_CMP_REQUEUE,
            u32::from(done == 0),
            i32::MAX,
            &words.b,
            0
        );
        done == 4
    });
    until(|| words.through.load(Ordering::SeqCst) == 1);
    gives!(3, SYS_futex, &words.b, FUTEX_WAKE, i32::MAX);
    children.into_iter().for_each(Child::passes);
    fails!(
        EINVAL,
        SYS_futex,
        &words.a,
        FUTEX_CMP_REQUEUE,
        -1,
        1,
        &words.b,
        0
    );
    fails!(
        EINVAL,
        SYS_futex,
        &words.a,
        FUTEX_CMP_REQUEUE,
        1,
        -1,
        &words.b,
        0
    );
    fails!(
        EFAULT,
        SYS_futex,
        &words.a,
        FUTEX_CMP_REQUEUE,
        1,
        1,
        bad::<u32>(),
        0
    );
}

/// An operation on the second word and a comparison of its old value, in one.
fn wake_op() {
    let words = Shared::<Words>::new();
    let op = |operation: u32, argument: u32, comparison: u32, against: u32| {
        (operation << 28 | comparison << 24 | argument << 12 | against) as i32
    };
    let run = |encoded: i32| ok!(SYS_futex, &words.a, FUTEX_WAKE_OP, 1, 1, &words.b, encoded);
    words.b.store(5, Ordering::SeqCst);
    // Set to 7 if it was equal to 5; add 3; or with 16; clear bits 1; xor with 1.
    for (operation, argument, expected) in
        [(0, 7, 7), (1, 3, 10), (2, 16, 26), (3, 2, 24), (4, 1, 25)]
    {
        assert_eq!(run(op(operation, argument, 0, 99)), 0);
        assert_eq!(words.b.load(Ordering::SeqCst), expected);
    }
    let children = waiters(&words, 1, u32::MAX);
    until(|| run(op(0, 1, 0, 99)) == 1);
    children.into_iter().for_each(Child::passes);
    // The second word's waiter is woken only if the comparison holds.
    words.b.store(0, Ordering::SeqCst);
    let child = spawn(|| {
        let result = sys!(SYS_futex, &words.b, FUTEX_WAIT, 0, 0);
        assert!(matches!(result, Ok(0) | Err(EAGAIN)), "{result:?}");
    });
    until(|| run(op(1, 0, 0, 0)) == 1 || words.b.load(Ordering::SeqCst) != 0);
    child.passes();
}

fn wake_op_errors() {
    let word = AtomicU32::new(0);
    fails!(
        ENOSYS,
        SYS_futex,
        &word,
        FUTEX_WAKE_OP,
        1,
        1,
        &word,
        0x7000_0000
    );
    fails!(
        ENOSYS,
        SYS_futex,
        &word,
        FUTEX_WAKE_OP,
        1,
        1,
        &word,
        0x0f00_0000
    );
    fails!(
        EFAULT,
        SYS_futex,
        &word,
        FUTEX_WAKE_OP,
        1,
        1,
        bad::<u32>(),
        0
    );
    fails!(
        EINVAL,
        SYS_futex,
        &word,
        FUTEX_WAKE_OP,
        1,
        1,
        std::ptr::from_ref(&word) as usize + 1,
        0
    );
}

/// Waiters of one kind are woken in the order in which they came.
fn the_woken_come_in_order() {
    let words = Shared::<Words>::new();
    let (reader, writer) = pipe();
    let mut children = Vec::new();
    for n in 0..4u8 {
        children.push(spawn(|| {
            gives!(0, SYS_futex, &words.a, FUTEX_WAIT, 0, 0);
            write(writer, &[n]);
        }));
        // It waits for sure once it can be moved there and back.
        until(|| ok!(SYS_futex, &words.a, FUTEX_REQUEUE, 0, i32::MAX, &words.b) == 1);
    }
    for n in 0..4u8 {
        gives!(1, SYS_futex, &words.b, FUTEX_WAKE, 1);
        assert_eq!(read(reader, 1), [n]);
    }
    children.into_iter().for_each(Child::passes);
}

fn at_the_end_of_a_page() {
    let page = Mapping::shared(PAGE);
    let last = page.address + PAGE - 4;
    let child = spawn(|| {
        gives!(0, SYS_futex, last, FUTEX_WAIT, 0, 0);
    });
    until(|| ok!(SYS_futex, last, FUTEX_WAKE, 1) == 1);
    child.passes();
}

/// What the thread library's join waits for.
fn thread_end_wakes_the_cleartid_word() {
    for _ in 0..100 {
        std::thread::spawn(|| ()).join().unwrap();
    }
}

/// Those with a priority come before the others, whoever came first.
fn the_highest_is_woken_first() {
    let page = Shared::<Page>::new();
    let children: Vec<_> = [(1, 0), (2, 10), (3, 0), (4, 30), (5, 10)]
        .map(|(who, priority)| {
            Waiting::new(priority, || {
                gives!(0, SYS_futex, &page.a, FUTEX_WAIT, 0, 0);
                page.note(who);
            })
        })
        .into();
    for woken in 1..=5 {
        gives!(1, SYS_futex, &page.a, FUTEX_WAKE, 1);
        until(|| page.seen().len() == woken);
    }
    children.into_iter().for_each(Waiting::passes);
    assert_eq!(page.seen(), [4, 2, 5, 1, 3]);
}

/// A count of 0, or less, wakes one.
fn nobody_to_wake_is_one_to_wake() {
    for count in [0, -1, i32::MIN] {
        let page = Shared::<Page>::new();
        let children = [(); 2].map(|()| {
            Waiting::new(0, || {
                gives!(0, SYS_futex, &page.a, FUTEX_WAIT, 0, 0);
            })
        });
        gives!(1, SYS_futex, &page.a, FUTEX_WAKE, count);
        gives!(1, SYS_futex, &page.a, FUTEX_WAKE, i32::MAX);
        children.into_iter().for_each(Waiting::passes);
    }
}
