//! What user mode is made of as the kernel sees it: its registers, and why it came back.

/// The general registers of a user thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
}

/// Why user mode came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A `syscall` instruction.
    Call,
    /// An exception.
    Fault(Fault),
    /// An interrupt; its handlers have already run.
    Interrupt,
}

/// An exception that user mode caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The vector, 0 to 31 (Intel SDM volume 3, table 6-1).
    pub vector: u8,
    /// The error code, or 0 where the exception has none.
    pub code: u64,
    /// For a page fault (vector 14) the address from CR2; else 0.
    pub address: u64,
}

/// A vector state image that the processor would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;
