//! The words of memory that both back ends share: page size, access, and what can go wrong.

use bitflags::bitflags;

/// Bytes in a page and in a frame.
pub const PAGE: usize = 4096;

/// The first address that no user may name: one page below the canonical hole, so that a `syscall`
/// instruction at the very end can never return to a non-canonical address.
pub const USER_END: usize = 0x7fff_ffff_f000;

bitflags! {
    /// What user mode may do with a page. Empty: the page is kept, but every access faults.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Access: u8 {
        const READ = 1;
        const WRITE = 2;
        const EXECUTE = 4;
    }
}

/// No frame is left (or none outside the kernel's reserve).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

/// A copy to or from user memory met a page that is not there or does not allow it.
///
/// An address at or above [`USER_END`], or a misaligned atomic access, is the same error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFault {
    /// Bytes copied before the fault; the caller goes on from there.
    pub done: usize,
    /// The address that faulted.
    pub address: usize,
    /// Whether the copy wanted to write there.
    pub write: bool,
}

/// Frames of the machine, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames under the allocator's care.
    pub total: usize,
    /// Frames that are free.
    pub free: usize,
    /// Frames held by the kernel: heap, page tables, DMA, its own image.
    pub kernel: usize,
    /// Frames held by [`crate::frame::Frame`] guards.
    pub user: usize,
}

/// How the memory of one node is used, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// All that is usable.
    pub total: usize,
    /// Not in use, but for a few that CPUs keep at hand.
    pub free: usize,
}
