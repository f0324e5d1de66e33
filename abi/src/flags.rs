//! Flags of `open`, `map` and `protect`.

bitflags::bitflags! {
    /// How `open` goes about it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct OpenFlags: u32 {
        /// Make it if it is not there. Needs [`crate::Rights::CREATE`] on the handle it is opened through.
        const CREATE = 1 << 0;
        /// With `CREATE`: `Exists` if it is there.
        const EXCLUSIVE = 1 << 1;
        /// Cut an existing file to length 0. Needs `WRITE`.
        const TRUNCATE = 1 << 2;
        /// Every write goes to the end.
        const APPEND = 1 << 3;
        /// It must be a directory; with `CREATE`, make a directory.
        const DIRECTORY = 1 << 4;
        /// Open a symbolic link itself and not what it names.
        const NO_FOLLOW = 1 << 5;
        /// Reads and writes answer `WouldBlock` and do not wait.
        const NON_BLOCKING = 1 << 6;
    }

    /// What `map` and `protect` give: access, and how `map` places and shares.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Mapping: u32 {
        /// Loads are allowed.
        const READ = 1 << 0;
        /// Stores are allowed.
        const WRITE = 1 << 1;
        /// Instructions are fetched from it. Never together with `WRITE`.
        const EXECUTE = 1 << 2;
        /// Stores are seen by everybody who maps the same memory (else: a private copy on write).
        const SHARED = 1 << 8;
        /// Exactly at the address given; `Exists` if something is mapped there.
        const FIXED = 1 << 9;
    }
}
