//! `probe` on the command line: does this (virtual) computer truly run the kernel? (docs/exec.md)

use machine::PAGE;
use machine::frame::Frame;
use machine::paging::{Access, PageTable};
use machine::user::{Trap, UserContext};

/// Where the one instruction goes.
const ADDRESS: usize = 0x10_0000;
/// `syscall`.
const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
/// What the host waits for.
const ANSWER: &[u8] = b"helve: probe ok\n";

/// Enters user mode once, says so, and leaves through the test device.
pub fn run() -> ! {
    if enters_user_mode() == Some(true) {
        machine::serial::write(ANSWER);
        machine::power::test_exit(0);
    }
    machine::power::test_exit(1)
}

fn enters_user_mode() -> Option<bool> {
    let mut table = PageTable::new().ok()?;
    let code = Frame::zeroed().ok()?;
    code.write(0, &INSTRUCTION);
    table
        .map(ADDRESS, code, Access::READ | Access::EXECUTE)
        .ok()?;
    let mut user = UserContext::new(ADDRESS, ADDRESS + PAGE).ok()?;
    // An interrupt may come first; the instruction is still to be run then.
    for _ in 0..8 {
        match user.enter(&table.root()) {
            Trap::Call => return Some(true),
            Trap::Interrupt => {}
            Trap::Fault(_) => return Some(false),
        }
    }
    Some(false)
}
