//! What a handle lets its holder do. Rights on a handle only ever shrink.

bitflags::bitflags! {
    /// The rights of a handle. An operation names the rights it needs; a handle without them answers `Denied`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u32 {
        /// Read bytes.
        const READ = 1 << 0;
        /// Write, insert, erase and cut bytes.
        const WRITE = 1 << 1;
        /// Run it as a program, or map it for execution.
        const EXECUTE = 1 << 2;
        /// Map it into an address space, or change an address space.
        const MAP = 1 << 3;
        /// List the entries of a directory or registry, and open what is below it.
        const LIST = 1 << 4;
        /// Make new entries in it.
        const CREATE = 1 << 5;
        /// Remove it, or entries in it.
        const DELETE = 1 << 6;
        /// Copy the handle within the process.
        const DUPLICATE = 1 << 7;
        /// Hand the handle to another process.
        const TRANSFER = 1 << 8;
        /// Wait for it, signal it, wake its waiters, end it.
        const SIGNAL = 1 << 9;
        /// Describe it.
        const INSPECT = 1 << 10;
        /// Change its settings: verbs that concern more than the caller.
        const ADMINISTER = 1 << 11;
    }
}

impl Rights {
    /// Look, but change nothing.
    pub const LOOK: Rights = Rights::READ
        .union(Rights::LIST)
        .union(Rights::INSPECT)
        .union(Rights::DUPLICATE)
        .union(Rights::TRANSFER);
    /// What a program opens a byte stream with.
    pub const STREAM: Rights = Rights::READ
        .union(Rights::WRITE)
        .union(Rights::INSPECT)
        .union(Rights::SIGNAL)
        .union(Rights::DUPLICATE)
        .union(Rights::TRANSFER);
}
