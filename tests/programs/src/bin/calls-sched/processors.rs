//! sched_setaffinity, sched_getaffinity, getcpu.

use test_programs::child::{Gate, become_nobody, passes, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    a_set_can_be_asked,
    one_processor_can_be_chosen,
    the_processor_is_one_of_the_set,
    nobody_may_not_move_others,
    errors,
);

pub fn set() -> [u64; 16] {
    let mut set = [0u64; 16];
    ok!(SYS_sched_getaffinity, 0, 128, &mut set);
    set
}

/// How many processors this program may use.
pub fn count() -> u32 {
    set().iter().map(|word| word.count_ones()).sum()
}

/// The first of the processors.
pub fn first() -> [u64; 16] {
    let first = set().iter().position(|word| *word != 0).unwrap();
    let mut one = [0u64; 16];
    one[first] = set()[first] & set()[first].wrapping_neg();
    one
}

/// Only that one from here on.
pub fn only_one() {
    gives!(0, SYS_sched_setaffinity, 0, 128, &first());
}

fn a_set_can_be_asked() {
    let mut one = [0u64; 1];
    let written = ok!(SYS_sched_getaffinity, 0, 8, &mut one);
    assert_eq!(written, 8);
    assert!(one[0] != 0);
    let written = ok!(SYS_sched_getaffinity, 0, 128, &mut [0u64; 16]);
    assert!((8..=128).contains(&written) && written.is_multiple_of(8));
}

fn one_processor_can_be_chosen() {
    passes(|| {
        only_one();
        assert_eq!(count(), 1);
        passes(|| assert_eq!(count(), 1));
        // What is longer than the kernel knows is cut.
        let mut long = [0u64; 64];
        long[..16].copy_from_slice(&set());
        long[63] = 1;
        gives!(0, SYS_sched_setaffinity, 0, 512, &long);
        assert_eq!(count(), 1);
    });
}

fn the_processor_is_one_of_the_set() {
    passes(|| {
        only_one();
        let (mut cpu, mut node) = (u32::MAX, u32::MAX);
        gives!(0, SYS_getcpu, &mut cpu, &mut node, 0);
        assert!(set()[cpu as usize / 64] >> (cpu % 64) & 1 == 1);
        assert!(node < 1024);
        gives!(0, SYS_getcpu, 0, 0, 0);
        fails!(EFAULT, SYS_getcpu, bad::<u32>(), 0, 0);
    });
}

fn nobody_may_not_move_others() {
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_sched_setaffinity, child.pid, 128, &set());
        ok!(SYS_sched_getaffinity, child.pid, 128, &mut [0u64; 16]);
        gives!(0, SYS_sched_setaffinity, 0, 128, &set());
    });
    gate.open();
    child.passes();
}

fn errors() {
    let set = set();
    fails!(EINVAL, SYS_sched_setaffinity, 0, 128, &[0u64; 16]);
    fails!(EINVAL, SYS_sched_setaffinity, 0, 0, &set);
    fails!(EFAULT, SYS_sched_setaffinity, 0, 128, bad::<u64>());
    fails!(ESRCH, SYS_sched_setaffinity, 999_999_999, 128, &set);
    fails!(EINVAL, SYS_sched_getaffinity, 0, 0, &mut [0u64; 16]);
    fails!(EINVAL, SYS_sched_getaffinity, 0, 12, &mut [0u64; 16]);
    fails!(EFAULT, SYS_sched_getaffinity, 0, 128, bad::<u64>());
    fails!(
        ESRCH,
        SYS_sched_getaffinity,
        999_999_999,
        128,
        &mut [0u64; 16]
    );
}
