//! Not getting on, on purpose.

use super::SECOND;
use crate::command_line::CommandLine;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::cpu;
use machine::sync::Spin;
use task::Terms;

/// In nanoseconds; longer than a test's limit.
const STALL: u64 = 8 * SECOND;

/// `selftest=stall` and others on the command line: the last CPU does not get on for a while, so that a test sees what
/// comes of it. With `stall-soft` it lets interrupts in; with `stall-lock` it holds a lock, for which the first one waits.
pub fn stall(line: CommandLine<'_>) {
    static LOCK: Spin<()> = Spin::new(());
    static IS_LOCKED: AtomicBool = AtomicBool::new(false);
    let (lets_in, locks) = match line.value("selftest") {
        Some("stall") => (false, false),
        Some("stall-soft") => (true, false),
        Some("stall-lock") => (false, true),
        _ => return,
    };
    // Without memory there is no stall, and the test fails.
    let _ = task::spawn_with("stall", only(cpu::count() - 1), async move {
        let end = task::clock::now().saturating_add(STALL);
        let guard = locks.then(|| LOCK.lock());
        IS_LOCKED.store(locks, Ordering::Release);
        while task::clock::now() < end {
            if lets_in {
                machine::irq::window();
            }
            core::hint::spin_loop();
        }
        drop(guard);
    });
    if locks {
        let _ = task::spawn_with("wait", only(0), async {
            while !IS_LOCKED.load(Ordering::Acquire) {
                task::yield_now().await;
            }
            drop(LOCK.lock());
        });
    }
}

/// Where a task is to run.
fn only(cpu: usize) -> Terms {
    Terms {
        affinity: 1 << cpu,
        ..Terms::ordinary()
    }
}
