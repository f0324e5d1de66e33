//! Checks of the machine by itself, at boot, when the command line says `selftest`.
//!
//! The one idea: they use the public interface as the kernel will, and take back all that they used,
//! so a boot with them ends up like one without.

mod memory;
mod storm;
mod threads;

pub use storm::storm;

use super::frame::{self, Frame};
use super::paging::{Access, PageTable};
use super::user::UserContext;
use super::{boot, panic};
use crate::memory::PAGE;
use core::arch::global_asm;

global_asm!(include_str!("programs.s"));

unsafe extern "C" {
    static selftest_programs: u8;
    static selftest_programs_end: u8;
}

const READ_WRITE: Access = Access::READ.union(Access::WRITE);
const READ_EXECUTE: Access = Access::READ.union(Access::EXECUTE);

/// Runs the checks if the command line asks for them. Panics at the first that fails.
pub fn run() {
    if boot::option("selftest").is_none() {
        return;
    }
    let checks: [(&str, fn()); 14] = [
        ("frames", memory::frames),
        ("heap", memory::heap),
        ("paging", memory::paging),
        ("paging against a model", memory::paging_model),
        ("copies", memory::copies),
        ("words", memory::words),
        ("copy-on-write", memory::copy_on_write),
        ("system calls", threads::calls),
        ("faults", threads::faults),
        ("flags and segments", threads::flags_and_segments),
        ("vector state", threads::vectors),
        ("preemption", threads::preemption),
        ("waiting", threads::waiting),
        ("clock and entropy", threads::clock),
    ];
    // What is made once and stays: the current root's frame, per-CPU lists. Which slabs these lists hold on to is as
    // it stays after the second time only.
    for _ in 0..2 {
        for (_, check) in checks {
            check();
        }
    }
    let before = frame::stats();
    for (name, check) in checks {
        check();
        panic::note(format_args!("selftest: {name} ok"));
    }
    assert_eq!(frame::stats().user, before.user, "user frames came back");
    assert!(
        frame::stats().kernel <= before.kernel,
        "kernel frames came back"
    );
    panic::note(format_args!("selftest: all ok"));
}

fn programs() -> &'static [u8] {
    let start = &raw const selftest_programs;
    let len = (&raw const selftest_programs_end).addr() - start.addr();
    // SAFETY: the bytes between the two labels are in read-only data.
    unsafe { core::slice::from_raw_parts(start, len) }
}

const CODE: usize = 0x40_0000;
const DATA: usize = 0x7fff_0000_0000;

/// A space with the programs, and two pages of data (the stack grows down from their end).
fn space() -> PageTable {
    let mut table = PageTable::new().expect("frames");
    let code = Frame::zeroed().expect("frames");
    code.write(0, programs());
    table.map(CODE, code, READ_EXECUTE).expect("frames");
    for page in [DATA, DATA + PAGE] {
        let frame = Frame::zeroed().expect("frames");
        table.map(page, frame, READ_WRITE).expect("frames");
    }
    table
}

fn thread(program: usize) -> UserContext {
    UserContext::new(CODE + program, DATA + 2 * PAGE).expect("frames")
}
