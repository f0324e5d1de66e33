//! get_mempolicy of a program that never set a policy.

use test_programs::raw::short::*;
use test_programs::{fails, gives};

test_programs::tests!(
    the_policy_is_the_default,
    the_first_node_is_allowed,
    a_page_has_a_node,
    errors
);

const F_NODE: i32 = 1;
const F_ADDR: i32 = 2;
const F_MEMS_ALLOWED: i32 = 4;

fn the_policy_is_the_default() {
    let (mut mode, mut nodes) = (7u32, [u64::MAX; 17]);
    gives!(0, SYS_get_mempolicy, &mut mode, &mut nodes, 1024, 0, 0);
    assert_eq!((mode, nodes[0], nodes[15], nodes[16]), (0, 0, 0, u64::MAX));
    gives!(0, SYS_get_mempolicy, 0, 0, 0, 0, 0);
}

fn the_first_node_is_allowed() {
    let mut nodes = [0u64; 16];
    gives!(0, SYS_get_mempolicy, 0, &mut nodes, 1024, 0, F_MEMS_ALLOWED);
    assert_eq!(nodes[0] & 1, 1);
}

fn a_page_has_a_node() {
    let mut node = u32::MAX;
    gives!(
        0,
        SYS_get_mempolicy,
        &mut node,
        0,
        0,
        &raw const node as usize,
        F_NODE | F_ADDR
    );
    assert!(node < 1024);
    let mut mode = 7u32;
    gives!(
        0,
        SYS_get_mempolicy,
        &mut mode,
        0,
        0,
        &raw const node as usize,
        F_ADDR
    );
    assert_eq!(mode, 0);
}

fn errors() {
    let mut mode = 0u32;
    let mut nodes = [0u64; 16];
    let here = &raw const nodes as usize;
    fails!(EINVAL, SYS_get_mempolicy, &mut mode, 0, 0, 0, 8);
    fails!(EINVAL, SYS_get_mempolicy, &mut mode, 0, 0, 0, F_NODE);
    fails!(EINVAL, SYS_get_mempolicy, &mut mode, 0, 0, here, 0);
    fails!(
        EINVAL,
        SYS_get_mempolicy,
        0,
        &mut nodes,
        1024,
        here,
        F_MEMS_ALLOWED | F_ADDR
    );
    fails!(EINVAL, SYS_get_mempolicy, 0, &mut nodes, 0, 0, 0);
    fails!(
        EFAULT,
        SYS_get_mempolicy,
        &mut mode,
        0,
        0,
        bad::<u8>(),
        F_ADDR
    );
    fails!(EFAULT, SYS_get_mempolicy, bad::<u32>(), 0, 0, 0, 0);
    fails!(EFAULT, SYS_get_mempolicy, 0, bad::<u64>(), 1024, 0, 0);
}
