//! brk(2).

use libc::{MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE, PROT_READ, PROT_WRITE, SIGSEGV};
use test_programs::child::{dies_of, passes};
use test_programs::memory::{PAGE, peek, poke, readable};
use test_programs::{gives, ok};

test_programs::tests!(
    zero_asks,
    moves_up,
    fresh_memory_is_zero,
    moves_down_and_frees,
    any_byte_counts,
    refusal_gives_the_old,
    below_the_start_is_refused,
    stops_before_other_mappings,
    a_big_step,
    fork_copies_it,
    heap_is_not_executable,
);

fn now() -> usize {
    ok!(SYS_brk, 0)
}

fn set(to: usize) -> usize {
    ok!(SYS_brk, to)
}

/// The C library's heap is in use: all tests move the end above it, and put it back.
fn page_end() -> usize {
    let end = now().next_multiple_of(PAGE);
    assert_eq!(set(end), end);
    end
}

fn zero_asks() {
    let end = now();
    assert!(end > 0x1_0000);
    assert_eq!((now(), set(1)), (end, end));
}

fn moves_up() {
    let end = page_end();
    for step in [PAGE, 10 * PAGE, 3 * PAGE] {
        assert_eq!(set(end + step), end + step);
        poke(end + step - 1, 1);
    }
    assert_eq!(set(end), end);
}

fn fresh_memory_is_zero() {
    let end = page_end();
    for _ in 0..3 {
        assert_eq!(set(end + 5 * PAGE), end + 5 * PAGE);
        assert!((0..5 * PAGE).step_by(8).all(|at| peek(end + at) == 0));
        (0..5 * PAGE).step_by(8).for_each(|at| poke(end + at, 0xff));
        assert_eq!(set(end), end);
    }
}

fn moves_down_and_frees() {
    let end = page_end();
    set(end + 4 * PAGE);
    poke(end + 3 * PAGE, 1);
    set(end + 2 * PAGE);
    assert!(readable(end + PAGE) && !readable(end + 3 * PAGE));
    dies_of(SIGSEGV, || assert_eq!(peek(end + 3 * PAGE), 1));
    set(end);
}

/// The end need not be at a page; the last page is there in full.
fn any_byte_counts() {
    let end = page_end();
    assert_eq!(set(end + 1), end + 1);
    poke(end + PAGE - 1, 1);
    assert!(!readable(end + PAGE));
    assert_eq!(set(end + PAGE + 7), end + PAGE + 7);
    assert_eq!(peek(end + PAGE - 1), 1);
    set(end);
}

fn refusal_gives_the_old() {
    let end = now();
    for wrong in [usize::MAX, 0xffff_8000_0000_0000, 0x7fff_ffff_f000, 1 << 60] {
        gives!(end, SYS_brk, wrong);
    }
}

fn below_the_start_is_refused() {
    let end = now();
    gives!(end, SYS_brk, 0x1000);
    gives!(end, SYS_brk, end - (1 << 40));
}

fn stops_before_other_mappings() {
    passes(|| {
        let end = page_end();
        let wall = end + 16 * PAGE;
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        gives!(
            wall,
            SYS_mmap,
            wall,
            PAGE,
            PROT_READ | PROT_WRITE,
            flags,
            -1,
            0
        );
        poke(wall, 7);
        assert_eq!(set(end + 32 * PAGE), end);
        assert_eq!(peek(wall), 7);
        assert_eq!(set(end + 8 * PAGE), end + 8 * PAGE);
    });
}

fn a_big_step() {
    passes(|| {
        let end = page_end();
        assert_eq!(set(end + (256 << 20)), end + (256 << 20));
        poke(end + (200 << 20), 1);
        assert_eq!(peek(end + (255 << 20)), 0);
    });
}

fn fork_copies_it() {
    let end = page_end();
    set(end + PAGE);
    poke(end, 1);
    passes(|| {
        assert_eq!((now(), peek(end)), (end + PAGE, 1));
        poke(end, 2);
        set(end);
    });
    assert_eq!(peek(end), 1);
    set(end);
}

fn heap_is_not_executable() {
    let end = page_end();
    set(end + PAGE);
    poke(end, 0xc3);
    dies_of(SIGSEGV, || {
        // SAFETY: the page holds a `ret`; it must not run.
        let function: extern "C" fn() = unsafe { std::mem::transmute(end) };
        function();
    });
    set(end);
}
