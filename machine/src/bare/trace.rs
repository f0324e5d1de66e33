//! The calls that led somewhere: by the chain of frame pointers, with names where the symbols are known.

use super::layout;
use crate::PAGE;
use crate::firmware::symbols;
use crate::sync::Once;
use core::fmt;

static SYMBOLS: Once<&'static [u8]> = Once::new();

/// Gives the symbols: text lines of a hexadecimal address, a space and a name, sorted by address. What does not parse is
/// not found.
pub fn set_symbols(table: &'static [u8]) {
    let _ = SYMBOLS.set(table);
}

/// How many calls are followed.
pub const DEEPEST: usize = 48;

/// Follows the calls of this CPU from an instruction (0: none) and the frame pointer there.
pub fn walk((rip, mut frame): (u64, u64), mut each: impl FnMut(u64)) {
    if rip != 0 {
        each(rip);
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
        each(back - 1);
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

/// An address of the kernel, with its name if it has one.
pub struct Place(pub u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place(rip) = *self;
        match SYMBOLS.get().and_then(|table| symbols::find(table, rip)) {
            Some((start, name)) => write!(f, "  {rip:016x}  {name} + {:#x}", rip - start),
            None => write!(f, "  {rip:016x}"),
        }
    }
}
