//! The end: a message, a trace with names, and then what the command line wants.

use super::serial::Direct;
use super::{boot, power, trace};
use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

pub use super::trace::set_symbols;

/// The CPU that reports, or [`NOBODY`].
static PANICKING: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

/// Whether the machine is ending already.
pub(super) fn in_progress() -> bool {
    PANICKING.load(Ordering::Relaxed) != NOBODY
}

/// A line on the console, from where nothing else may be used.
pub(super) fn note(message: fmt::Arguments<'_>) {
    let _ = writeln!(Direct, "{message}");
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    match info.location() {
        Some(place) => fatal(format_args!("{} ({place})", info.message()), (0, frame)),
        None => fatal(format_args!("{}", info.message()), (0, frame)),
    }
}

/// Reports and ends. `at` is an instruction (0: none) and the frame pointer there.
pub(super) fn fatal(message: fmt::Arguments<'_>, at: (u64, u64)) -> ! {
    let me = super::cpu::index();
    if let Err(first) = PANICKING.compare_exchange(NOBODY, me, Ordering::SeqCst, Ordering::SeqCst) {
        if first != me {
            // Another CPU reports, and is about to stop this one.
            super::instructions::halt();
        }
        // A second panic while reporting the first: say as little as possible.
        note(format_args!("panic while panicking: {message}"));
        end();
    }
    // Nobody may change, or print, anything meanwhile.
    super::nmi::stop_others();
    match me {
        0 => note(format_args!("\nkernel panic: {message}")),
        _ => note(format_args!("\nkernel panic on CPU {me}: {message}")),
    }
    print_trace(at);
    end()
}

fn end() -> ! {
    if boot::option("test").is_some() {
        power::test_exit(power::PANIC_CODE);
    }
    if let Some(seconds) = boot::option("panic").and_then(|value| value.parse::<u64>().ok())
        && seconds > 0
    {
        super::time::spin(seconds.saturating_mul(1_000_000_000));
        power::reset();
    }
    super::instructions::halt()
}

/// Prints the calls that led here.
fn print_trace(at: (u64, u64)) {
    note(format_args!("trace:"));
    trace::walk(at, |rip| note(format_args!("{}", trace::Place(rip))));
}
