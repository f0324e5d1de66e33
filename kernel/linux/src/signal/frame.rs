//! The frame that a handler finds on its stack, and the way back.
//!
//! Layout of `struct rt_sigframe`: return address, `ucontext_t`, `siginfo_t`; above it the XSAVE image, aligned to
//! 64 bytes and marked as Linux marks it, so that programs which look into it find what they expect.
//!
//! Source: Linux `arch/x86/include/uapi/asm/{sigcontext,ucontext}.h`; x86-64 psABI (red zone, stack alignment).

use super::action::{self, Action};
use super::queue::{Fields, Info};
use super::set::Set;
use crate::errno::Errno;
use crate::thread::Thread;
use alloc::sync::Arc;
use machine::user::UserContext;
use memory::Space;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const RED_ZONE: u64 = 128;
const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Where in the legacy area software may leave its marks (`sw_reserved`).
const SOFTWARE_BYTES: usize = 464;
/// The legacy area alone, and the first header word of an XSAVE image.
const LEGACY_SIZE: usize = 512;
const USER_CS: u16 = 0x33;
const USER_SS: u16 = 0x2b;
/// The flags that a handler may not start with: direction, trap, resume.
const CLEARED_FLAGS: u64 = (1 << 10) | (1 << 8) | (1 << 16);
/// The flags that sigreturn takes from the frame (Linux `FIX_EFLAGS`).
const RESTORED_FLAGS: u64 =
    0x0004_0000 | 0x0001_0000 | 0x800 | 0x400 | 0x100 | 0x80 | 0x40 | 0x10 | 4 | 1;

/// `stack_t`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Stack {
    pub pointer: u64,
    pub flags: u32,
    pub padding: u32,
    pub size: u64,
}

pub const SS_ONSTACK: u32 = 1;
pub const SS_DISABLE: u32 = 2;
/// The stack is taken away while a handler runs on it, so that another use of it cannot overwrite what is there.
pub const SS_AUTODISARM: u32 = 1 << 31;

/// `struct sigcontext`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Context {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    eflags: u64,
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    error: u64,
    trap: u64,
    old_mask: u64,
    cr2: u64,
    vector_state: u64,
    reserved: [u64; 8],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Frame {
    return_address: u64,
    flags: u64,
    link: u64,
    stack: Stack,
    context: Context,
    mask: u64,
    info: [u8; 128],
}

/// Writes the frame and points the registers at the handler.
///
/// # Errors
/// `EFAULT` when the stack cannot take the frame: the process then dies of SIGSEGV.
pub fn push(
    thread: &Arc<Thread>,
    space: &Arc<Space>,
    context: &mut UserContext,
    info: &Info,
    action: &Action,
    mask_after: Set,
) -> Result<(), Errno> {
    let registers = context.registers;
    let alternate = thread.alternate_stack();
    let inside = on_stack(&alternate, registers.rsp);
    let switch =
        action.flags & action::SA_ONSTACK != 0 && alternate.flags & SS_DISABLE == 0 && !inside;
    let top = if switch {
        alternate.pointer.wrapping_add(alternate.size)
    } else {
        registers.rsp.wrapping_sub(RED_ZONE)
    };

    let image = context.vector_image();
    let is_extended = image.len() > LEGACY_SIZE;
    let image_size = image.len() + if is_extended { 4 } else { 0 };
    let image_at = top.wrapping_sub(image_size as u64) & !63;
    // At the handler's entry rsp + 8 is a multiple of 16, as after a call.
    let frame_at = (image_at.wrapping_sub(size_of::<Frame>() as u64) & !15).wrapping_sub(8);
    if inside && !on_stack(&alternate, frame_at) {
        return Err(Errno::EFAULT);
    }

    let frame = Frame {
        return_address: action.restorer,
        flags: UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | if is_extended { UC_FP_XSTATE } else { 0 },
        link: 0,
        stack: Stack { ..alternate },
        context: Context {
            r8: registers.r8,
            r9: registers.r9,
            r10: registers.r10,
            r11: registers.r11,
            r12: registers.r12,
            r13: registers.r13,
            r14: registers.r14,
            r15: registers.r15,
            rdi: registers.rdi,
            rsi: registers.rsi,
            rbp: registers.rbp,
            rbx: registers.rbx,
            rdx: registers.rdx,
            rax: registers.rax,
            rcx: registers.rcx,
            rsp: registers.rsp,
            rip: registers.rip,
            eflags: registers.rflags,
            cs: USER_CS,
            ss: USER_SS,
            error: thread.last_fault().code,
            trap: u64::from(thread.last_fault().vector),
            old_mask: mask_after.0,
            cr2: thread.last_fault().address,
            vector_state: image_at,
            ..Context::default()
        },
        mask: mask_after.0,
        info: info.to_bytes(),
    };
    memory::store_user(space, image_at as usize, image)?;
    if is_extended {
        memory::store_user(space, image_at as usize + SOFTWARE_BYTES, &Marks::of(image))?;
        memory::store_user(space, image_at as usize + image.len(), &FP_XSTATE_MAGIC2)?;
    }
    memory::store_user(space, frame_at as usize, &frame)?;

    if alternate.flags & SS_AUTODISARM != 0 {
        thread.set_alternate_stack(Stack {
            flags: SS_DISABLE,
            ..Stack::default()
        });
    }
    let registers = &mut context.registers;
    registers.rsp = frame_at;
    registers.rip = action.handler;
    registers.rdi = u64::from(info.signal);
    registers.rsi = frame_at + core::mem::offset_of!(Frame, info) as u64;
    registers.rdx = frame_at + core::mem::offset_of!(Frame, flags) as u64;
    registers.rax = 0;
    registers.rflags &= !CLEARED_FLAGS;
    Ok(())
}

/// rt_sigreturn(2): everything goes back to what the frame says; gives the new `rax`.
///
/// # Errors
/// `EFAULT` when the frame cannot be read or holds an impossible vector state.
pub fn pop(
    thread: &Arc<Thread>,
    space: &Arc<Space>,
    context: &mut UserContext,
) -> Result<usize, Errno> {
    // The handler's `ret` has taken the return address.
    let frame_at = context.registers.rsp.wrapping_sub(8) as usize;
    let frame: Frame = memory::load_user(space, frame_at)?;
    let from = &frame.context;
    if from.vector_state != 0 {
        let fill =
            |image: &mut [u8]| memory::load_bytes(space, from.vector_state as usize, image).is_ok();
        context
            .replace_vector_state(fill)
            .map_err(|_| Errno::EFAULT)?;
    }
    let flags = context.registers.rflags;
    let registers = &mut context.registers;
    registers.r8 = from.r8;
    registers.r9 = from.r9;
    registers.r10 = from.r10;
    registers.r11 = from.r11;
    registers.r12 = from.r12;
    registers.r13 = from.r13;
    registers.r14 = from.r14;
    registers.r15 = from.r15;
    registers.rdi = from.rdi;
    registers.rsi = from.rsi;
    registers.rbp = from.rbp;
    registers.rbx = from.rbx;
    registers.rdx = from.rdx;
    registers.rcx = from.rcx;
    registers.rsp = from.rsp;
    registers.rip = from.rip;
    registers.rflags = (flags & !RESTORED_FLAGS) | (from.eflags & RESTORED_FLAGS);
    thread.set_mask(Set(frame.mask).without(Set::UNBLOCKABLE));
    thread.restore_alternate_stack(&frame.stack);
    Ok(from.rax as usize)
}

/// The marks in an XSAVE image (`struct _fpx_sw_bytes`): size and features, where user code looks for them.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Marks {
    magic: u32,
    /// Bytes of the image and of the second magic number behind it.
    extended_size: u32,
    features: u64,
    image_size: u32,
    padding: [u32; 7],
}

impl Marks {
    /// Those of an image with a header behind its legacy area.
    fn of(image: &[u8]) -> Marks {
        let features = image
            .get(LEGACY_SIZE..LEGACY_SIZE + 8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        Marks {
            magic: FP_XSTATE_MAGIC1,
            extended_size: image.len() as u32 + 4,
            features,
            image_size: image.len() as u32,
            padding: [0; 7],
        }
    }
}

pub fn on_stack(stack: &Stack, pointer: u64) -> bool {
    stack.flags & (SS_DISABLE | SS_AUTODISARM) == 0
        && pointer > stack.pointer
        && pointer - stack.pointer <= stack.size
}

/// The flags that sigaltstack(2) reports.
pub fn stack_flags(stack: &Stack, pointer: u64) -> u32 {
    let mode = if stack.size == 0 || stack.flags & SS_DISABLE != 0 {
        SS_DISABLE
    } else if on_stack(stack, pointer) {
        SS_ONSTACK
    } else {
        0
    };
    mode | stack.flags & SS_AUTODISARM
}

impl Info {
    /// `siginfo_t` as bytes.
    pub fn to_bytes(self) -> [u8; 128] {
        let mut bytes = [0u8; 128];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &i32::from(self.signal).to_le_bytes());
        put(8, &self.code.to_le_bytes());
        match self.fields {
            Fields::Sender { pid, uid, value } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
                put(24, &value.to_le_bytes());
            }
            Fields::Address(address) => put(16, &address.to_le_bytes()),
            Fields::Child { pid, uid, status } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
                put(24, &status.to_le_bytes());
            }
            Fields::Timer { id, overrun, value } => {
                put(16, &id.to_le_bytes());
                put(20, &overrun.to_le_bytes());
                put(24, &value.to_le_bytes());
            }
            Fields::None => {}
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_the_layout_that_programs_expect() {
        assert_eq!(size_of::<Context>(), 256);
        assert_eq!(SOFTWARE_BYTES + size_of::<Marks>(), LEGACY_SIZE);
        assert_eq!(core::mem::offset_of!(Frame, flags), 8);
        assert_eq!(core::mem::offset_of!(Frame, context), 8 + 40);
        assert_eq!(core::mem::offset_of!(Frame, mask), 8 + 40 + 256);
        assert_eq!(core::mem::offset_of!(Frame, info), 8 + 40 + 256 + 8);
    }
}
