//! The end: a message, a trace with names, and then what the command line wants.

use super::serial::Direct;
use super::{boot, layout, power};
use crate::PAGE;
use crate::firmware::symbols;
use crate::sync::Once;
use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

static SYMBOLS: Once<&'static [u8]> = Once::new();
/// The CPU that reports, or [`NOBODY`].
static PANICKING: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

/// Gives the symbols for backtraces: text lines of a hexadecimal address, a space and a name, sorted
/// by address. What does not parse is not found.
pub fn set_symbols(table: &'static [u8]) {
    let _ = SYMBOLS.set(table);
}

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
    trace(at);
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

/// Prints the calls that led here, by the chain of frame pointers.
fn trace((rip, mut frame): (u64, u64)) {
    const DEEPEST: usize = 48;
    note(format_args!("trace:"));
    if rip != 0 {
        line(rip);
    }
    for _ in 0..DEEPEST {
        // A frame lies in one of this CPU's stacks, aligned.
        if !frame.is_multiple_of(8) || !readable(frame as usize) {
            break;
        }
        // SAFETY: the two words lie in one mapped page of the kernel, as was just checked.
        let [next, back] = unsafe { *(frame as *const [u64; 2]) };
        if back == 0 {
            break;
        }
        // The call is before the address that it returns to.
        line(back - 1);
        if next <= frame {
            break;
        }
        frame = next;
    }
}

/// Whether a stack frame can be read there: in the image, or on this CPU's own stacks.
fn readable(frame: usize) -> bool {
    let cpu = super::cpu::index();
    let page = frame & !(PAGE - 1);
    let own = layout::STACKS + cpu * layout::STACKS_OF_CPU;
    let in_own = cpu > 0 && (own..layout::stacks(cpu).small[2]).contains(&frame);
    let in_image = (layout::end_of_rodata()..layout::end_of_image()).contains(&frame)
        && !layout::guards().contains(&page);
    page == (frame + 15) & !(PAGE - 1) && (in_image || in_own && !layout::in_guard(cpu, frame))
}

fn line(rip: u64) {
    match SYMBOLS.get().and_then(|table| symbols::find(table, rip)) {
        Some((start, name)) => note(format_args!("  {rip:016x}  {name} + {:#x}", rip - start)),
        None => note(format_args!("  {rip:016x}")),
    }
}
