//! Moving bytes, and reaching user memory without ever trusting an address.
//!
//! The one idea: a copy to or from user memory runs under an exception table. The processor finds
//! out whether the page is there; a fault ends the copy at the byte that faulted, and the caller hears of it.

use super::cpu::Block;
use super::frame::Frame;
use super::paging::Root;
use crate::features::features;
pub use crate::memory::CopyFault;
use crate::memory::USER_END;
use core::arch::global_asm;
use core::mem::offset_of;
use core::ops::Range;

global_asm!(include_str!("copy.s"), smap = const offset_of!(Block, smap));

unsafe extern "C" {
    fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8;
    fn machine_zero_page(page: *mut u8);
    fn machine_user_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    fn machine_user_zero(to: *mut u8, len: usize) -> usize;
    fn machine_user_load_u32(from: usize) -> Word;
    fn machine_user_load_u64(from: usize) -> Word;
    fn machine_user_store_u32(to: usize, value: u32) -> Word;
    fn machine_user_store_u64(to: usize, value: u64) -> Word;
    fn machine_user_compare_exchange_u32(at: usize, old: u32, new: u32) -> Word;
    static fixups_start: [usize; 2];
    static fixups_end: [usize; 2];
}

/// What the routines for words return, in two registers.
#[repr(C)]
struct Word {
    value: u64,
    faulted: u64,
}

impl Word {
    #[inline(always)]
    fn check(self, address: usize, write: bool) -> Result<u64, CopyFault> {
        match self.faulted as u32 {
            0 => Ok(self.value),
            _ => Err(no_word(address, write)),
        }
    }
}

fn no_word(address: usize, write: bool) -> CopyFault {
    CopyFault {
        done: 0,
        address,
        write,
    }
}

/// From how many bytes on `rep movsb` and `rep stosb` are used.
#[unsafe(no_mangle)]
// SAFETY: the name is used by the assembly beside this file alone.
static mut string_threshold: usize = usize::MAX;

/// Chooses the way of copying for this processor.
pub(super) fn init() {
    let features = features();
    let threshold = match () {
        () if features.emulated => usize::MAX,
        () if features.fsrm => 128,
        () if features.erms => 1024,
        () => usize::MAX,
    };
    set_threshold(threshold);
}

/// Uses string instructions from `bytes` bytes on. Returns what it was before.
pub(super) fn set_threshold(bytes: usize) -> usize {
    // SAFETY: an aligned word that the assembly reads whole; any value is right, some are slow.
    unsafe {
        let before = (&raw const string_threshold).read();
        (&raw mut string_threshold).write(bytes);
        before
    }
}

/// Where to go on after a fault of the instruction at `rip`, if it is one that may fault.
pub(super) fn fixup(rip: usize) -> Option<usize> {
    let Range { start, end } = &raw const fixups_start..&raw const fixups_end;
    let len = (end.addr() - start.addr()) / size_of::<[usize; 2]>();
    // SAFETY: the linker script puts the table of address pairs between the two symbols.
    let table = unsafe { core::slice::from_raw_parts(start, len) };
    table.iter().find(|[at, _]| *at == rip).map(|[_, to]| *to)
}

/// Copies bytes that others may be writing at the same time (user frames, device memory).
///
/// # Safety
/// Both ranges are mapped kernel memory, and they do not overlap.
#[inline]
pub(super) unsafe fn bytes(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: as the caller promises; the routine is assembly, so the compiler assumes nothing
    // about the bytes.
    unsafe { memcpy(to, from, len) };
}

/// Clears bytes.
///
/// # Safety
/// The range is mapped kernel memory that nobody has a reference into.
#[inline]
pub(super) unsafe fn zero(to: *mut u8, len: usize) {
    // SAFETY: as the caller promises.
    unsafe { memset(to, 0, len) };
}

/// Clears a page.
///
/// # Safety
/// As [`zero`], for a whole aligned page.
#[inline]
pub(super) unsafe fn zero_page(page: *mut u8) {
    // SAFETY: as the caller promises.
    unsafe { machine_zero_page(page) };
}

/// How many of `len` bytes at `address` users may name at all.
#[inline(always)]
fn allowed(address: usize, len: usize) -> usize {
    len.min(USER_END.saturating_sub(address))
}

#[inline(always)]
fn outcome(address: usize, len: usize, done: usize, write: bool) -> Result<(), CopyFault> {
    if done == len {
        return Ok(());
    }
    Err(CopyFault {
        done,
        address: address.wrapping_add(done),
        write,
    })
}

impl Root {
    /// Copies from user memory.
    #[inline]
    pub fn copy_in(&self, address: usize, into: &mut [u8]) -> Result<(), CopyFault> {
        // SAFETY: the destination is the caller's slice.
        unsafe { self.copy_from_user(address, into.as_mut_ptr(), into.len()) }
    }

    /// Copies to user memory.
    #[inline]
    pub fn copy_out(&self, address: usize, from: &[u8]) -> Result<(), CopyFault> {
        // SAFETY: the source is the caller's slice.
        unsafe { self.copy_to_user(address, from.as_ptr(), from.len()) }
    }

    /// Copies `len` bytes of `frame`, from `offset` on, to user memory. Panics when they pass the
    /// frame's end.
    #[inline]
    pub fn copy_out_frame(
        &self,
        address: usize,
        frame: &Frame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        // SAFETY: `at` checks the range; the direct map has the frame.
        unsafe { self.copy_to_user(address, frame.at(offset, len), len) }
    }

    /// Copies `len` bytes of user memory into `frame`, from `offset` on. Panics when they pass the
    /// frame's end.
    #[inline]
    pub fn copy_in_frame(
        &self,
        address: usize,
        frame: &Frame,
        offset: usize,
        len: usize,
    ) -> Result<(), CopyFault> {
        // SAFETY: `at` checks the range; the direct map has the frame.
        unsafe { self.copy_from_user(address, frame.at(offset, len), len) }
    }

    /// # Safety
    /// `into` has room for `len` bytes of kernel memory.
    #[inline]
    unsafe fn copy_from_user(
        &self,
        address: usize,
        into: *mut u8,
        len: usize,
    ) -> Result<(), CopyFault> {
        let count = allowed(address, len);
        self.activate();
        // SAFETY: the user side lies below USER_END and may fault under the exception table; the
        // kernel side has room, says the caller.
        let left = unsafe { machine_user_copy(into, address as *const u8, count) };
        outcome(address, len, count - left, false)
    }

    /// # Safety
    /// `from` has `len` bytes of kernel memory.
    #[inline]
    unsafe fn copy_to_user(
        &self,
        address: usize,
        from: *const u8,
        len: usize,
    ) -> Result<(), CopyFault> {
        let count = allowed(address, len);
        self.activate();
        // SAFETY: as in `copy_from_user`.
        let left = unsafe { machine_user_copy(address as *mut u8, from, count) };
        outcome(address, len, count - left, true)
    }

    /// Clears user memory.
    pub fn zero_out(&self, address: usize, len: usize) -> Result<(), CopyFault> {
        let count = allowed(address, len);
        self.activate();
        // SAFETY: the range lies below USER_END and may fault under the exception table.
        let left = unsafe { machine_user_zero(address as *mut u8, count) };
        outcome(address, len, count - left, true)
    }

    /// Makes this space current for a word of `size` bytes, if users may have one there.
    #[inline(always)]
    fn word(&self, address: usize, size: usize, write: bool) -> Result<(), CopyFault> {
        if !address.is_multiple_of(size) || address >= USER_END {
            return Err(no_word(address, write));
        }
        self.activate();
        Ok(())
    }

    /// Reads an aligned word in one step.
    #[inline]
    pub fn load_u32(&self, address: usize) -> Result<u32, CopyFault> {
        self.word(address, 4, false)?;
        // SAFETY: a user address under the exception table.
        let word = unsafe { machine_user_load_u32(address) };
        word.check(address, false).map(|value| value as u32)
    }

    /// Writes an aligned word in one step.
    #[inline]
    pub fn store_u32(&self, address: usize, value: u32) -> Result<(), CopyFault> {
        self.word(address, 4, true)?;
        // SAFETY: a user address under the exception table.
        let word = unsafe { machine_user_store_u32(address, value) };
        word.check(address, true).map(drop)
    }

    /// Reads an aligned double word in one step.
    #[inline]
    pub fn load_u64(&self, address: usize) -> Result<u64, CopyFault> {
        self.word(address, 8, false)?;
        // SAFETY: a user address under the exception table.
        let word = unsafe { machine_user_load_u64(address) };
        word.check(address, false)
    }

    /// Writes an aligned double word in one step.
    #[inline]
    pub fn store_u64(&self, address: usize, value: u64) -> Result<(), CopyFault> {
        self.word(address, 8, true)?;
        // SAFETY: a user address under the exception table.
        let word = unsafe { machine_user_store_u64(address, value) };
        word.check(address, true).map(drop)
    }

    /// Writes `new` if the word is `old`. `Ok(Ok(old))` when it did, `Ok(Err(seen))` when not.
    #[inline]
    pub fn compare_exchange_u32(
        &self,
        address: usize,
        old: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, CopyFault> {
        self.word(address, 4, true)?;
        // SAFETY: a user address under the exception table.
        let word = unsafe { machine_user_compare_exchange_u32(address, old, new) };
        let seen = word.check(address, true)? as u32;
        Ok(if seen == old { Ok(old) } else { Err(seen) })
    }

    /// Replaces the word by `f` of it in one step. Returns the old word.
    pub fn update_u32(&self, address: usize, f: impl Fn(u32) -> u32) -> Result<u32, CopyFault> {
        let writes = |fault| CopyFault {
            write: true,
            ..fault
        };
        let mut old = self.load_u32(address).map_err(writes)?;
        loop {
            match self.compare_exchange_u32(address, old, f(old))? {
                Ok(old) => return Ok(old),
                Err(seen) => old = seen,
            }
        }
    }
}
