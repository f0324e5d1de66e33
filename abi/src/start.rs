//! How a program learns what it was given.
//!
//! A program of any kind starts with the stack that Linux defines: argument count, arguments, environment and the
//! auxiliary vector. One more entry of that vector, [`AUXILIARY`], holds the address of the *start block*: a BSON
//! document on the same stack with the fields below. A Linux program does not look at it unless it wants to; a native
//! program looks at nothing else.
//!
//! The value that the parent hands to `start` has the same fields; there the numbers in `handles` are the parent's.
//! Each named handle is copied into the child (it needs `TRANSFER`), and the kernel adds `process`, `thread` and
//! `space` for the child itself.

/// Type of the entry in the auxiliary vector whose value is the address of the start block ("HELV").
pub const AUXILIARY: u64 = 0x4845_4c56;

/// Names of the fields of the start block, and of the value given to `start`.
pub mod field {
    /// Array of strings (or binary, when not UTF-8): the arguments, the first being the program's name.
    pub const ARGUMENTS: &str = "arguments";
    /// Document of strings (or binary): the environment.
    pub const ENVIRONMENT: &str = "environment";
    /// Document of 32-bit integers: handle numbers by name (`in`, `out`, `err`, `process`, `thread`, `space`, ...).
    pub const HANDLES: &str = "handles";
    /// Document of 32-bit integers, only in the parent's value: the registries the child may name. Without this
    /// field it gets those of its parent.
    pub const REGISTRIES: &str = "registries";
    /// String: the directory that relative paths of the `file:` registry start from.
    pub const DIRECTORY: &str = "directory";
    /// Only in the parent's value. `true`: the child leads a group of its own, which a terminal can interrupt as a
    /// whole; a 32-bit integer: it joins the group that the process with this number leads. Without it, the child is
    /// in its parent's group.
    pub const GROUP: &str = "group";
    /// Only in the parent's value: a handle to the share of the CPUs that the child starts in. Without it, the child is
    /// in its parent's.
    pub const SHARE: &str = "share";
}
