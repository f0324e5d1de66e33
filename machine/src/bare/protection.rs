//! The protections that a processor offers to a kernel, turned on.

use super::instructions::{read_cr0, read_cr4, write_cr0, write_cr4};
use crate::features::features;

/// Turns on the protections of this CPU: write protection in ring 0, global pages, no execution
/// and no access of user pages by the kernel, no descriptor table reads by users; and lets it report hardware errors.
pub fn init() {
    let features = features();
    let mut cr4 = read_cr4();
    for (has, bit) in [
        (features.machine_check, 6),
        (features.global_pages, 7),
        (features.umip, 11),
        (features.smep, 20),
        (features.smap, 21),
    ] {
        cr4 |= u64::from(has) << bit;
    }
    // SAFETY: the processor has each of these features, and no kernel page is a user page. CR0.WP
    // is set since entry; it is set again for other CPUs.
    unsafe {
        write_cr4(cr4);
        write_cr0(read_cr0() | 1 << 16);
    }
    super::cpu::block().smap.set(u32::from(features.smap));
}
