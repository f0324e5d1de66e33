//! The native calls: numbers, registers, arguments.
//!
//! A native call is a `syscall` with bit 31 set in `rax`. Arguments are in the registers that Linux calls use: `rdi`,
//! `rsi`, `rdx`, `r10`, `r8`, `r9`. The result is in `rax`: a value, or a negative error code ([`crate::Error`]).
//! `rcx` and `r11` are lost, every other register is kept. Every call but the first takes a handle first.

/// Set in `rax` when a call is native.
pub const NATIVE: u64 = 1 << 31;

/// Offset of `read` and `write`: at the object's own position, which moves on. Streams have no other.
pub const NEXT: u64 = u64::MAX;

/// Offset of `write`: at the end, wherever that is.
pub const END: u64 = u64::MAX - 1;

/// Deadline of `wait`: none.
pub const NEVER: u64 = u64::MAX;

/// The number of a handle in the table of one process: index and generation, with bit 31 clear. A closed number is
/// not used again while stale copies of it could be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Number(pub u32);

impl Number {
    /// No handle. Never valid in a table; some calls take it to mean "none".
    pub const NONE: Number = Number(u32::MAX);
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The native calls. There are no others.
        ///
        /// In the descriptions `ptr, len` are two registers, `value` is one: the address of a BSON document, which
        /// begins with its own length; 0 stands for the empty document. A reply buffer that is too small is left
        /// alone and the length that is needed is returned: ask again (verbs with large replies are pure questions).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Call {
            $($(#[$doc])* $name = $number,)*
        }

        impl Call {
            /// Every call, in the order of the numbers.
            pub const ALL: &'static [Call] = &[$(Call::$name,)*];

            /// The call with this number (without bit 31).
            pub const fn from_number(number: u32) -> Option<Call> {
                match number {
                    $($number => Some(Call::$name),)*
                    _ => None,
                }
            }

            /// The name that documentation and tracers use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Call::$name => $text,)*
                }
            }
        }
    };
}

calls! {
    /// `registry(ptr, len) -> handle`: a handle to the registry of that name (`file`, without the colon) in the
    /// process's own namespace. `NotFound` if it was given none of that name.
    Registry = 0, "registry";
    /// `open(handle, ptr, len, rights, flags) -> handle`: the object at a path inside a registry, or below an object.
    /// `rights` are [`crate::Rights`], `flags` [`crate::OpenFlags`].
    Open = 1, "open";
    /// `close(handle)`: the number is void from now on.
    Close = 2, "close";
    /// `duplicate(handle, rights) -> handle`: a second handle with these rights, which must be a subset. Needs
    /// `DUPLICATE`.
    Duplicate = 3, "duplicate";
    /// `inspect(handle, buffer, capacity) -> length`: a value with kind, rights, references, verbs, and what the
    /// object tells about itself. Needs `INSPECT` for all but kind and rights.
    Inspect = 4, "inspect";
    /// `read(handle, offset, buffer, len) -> count`: bytes; 0 is the end. On a directory: whole entries, each a value.
    /// `offset` may be [`NEXT`]. Needs `READ` (a directory: `LIST`).
    Read = 5, "read";
    /// `write(handle, offset, buffer, len) -> count`. `offset` may be [`NEXT`] or [`END`]. Needs `WRITE`.
    Write = 6, "write";
    /// `insert(handle, offset, buffer, len) -> count`: bytes in the middle; what follows moves up. Needs `WRITE`.
    Insert = 7, "insert";
    /// `erase(handle, offset, len) -> count`: bytes out of the middle; what follows moves down. Needs `WRITE`.
    Erase = 8, "erase";
    /// `send(handle, value, handles, count, deadline)`: one message. `handles` are `count` records ([`crate::Passed`]).
    /// Waits for room until `deadline` (nanoseconds since boot, [`NEVER`] for none; 0: not at all, `WouldBlock`). To a
    /// reply handle it sends the answer, and closes it. Needs `WRITE`, and `TRANSFER` on what is passed on.
    Send = 9, "send";
    /// `receive(handle, buffer, capacity, handles, count, deadline) -> received`: one message; see
    /// [`crate::Received`]. `handles` has room for `count` records ([`crate::Passed`]). One that needs more room stays
    /// where it is. Needs `READ`.
    Receive = 10, "receive";
    /// `call(handle, value, buffer, capacity, passing, deadline) -> received`: a message and its answer in one switch.
    /// `passing` is the address of a [`crate::Passing`], or 0: no handles either way. Needs `WRITE`.
    Call = 11, "call";
    /// `request(handle, ptr, len, value, buffer, capacity) -> length`: the verb named by `ptr, len` with an argument;
    /// the reply goes to the buffer. Each verb says which right it needs. `NotFound` if the kind has no such verb.
    Request = 12, "request";
    /// `map(space, memory, address, len, mapping, offset) -> address`: memory into an address space. `memory` may be
    /// [`Number::NONE`]: fresh zeroes. `address` is a wish unless [`crate::Mapping::FIXED`]. Needs `MAP` on both.
    Map = 13, "map";
    /// `unmap(space, address, len)`. Needs `MAP`.
    Unmap = 14, "unmap";
    /// `protect(space, address, len, mapping)`: only the access bits of [`crate::Mapping`] count. Needs `MAP`.
    Protect = 15, "protect";
    /// `wait(handle, deadline, events, capacity, interest) -> count`: waits for a port, or for one object to be ready
    /// for `interest` ([`crate::Events`]), and writes [`crate::Event`] records. 0: the deadline passed (nanoseconds
    /// since boot, [`NEVER`] for none). With [`Number::NONE`] it only sleeps. Needs `SIGNAL` or `READ`.
    Wait = 16, "wait";
    /// `watch(port, handle, interest, key)`: reports the object through the port from now on; no interest ends it.
    Watch = 17, "watch";
    /// `start(process, program, value)`: fills a new process (opened in `process:` with `CREATE`) with a program (a
    /// file handle with `EXECUTE`) and runs it. The value says what it is given: see [`crate::field`].
    Start = 18, "start";
    /// `exit(thread, status)`: ends the thread; the last one ends its process with this status (0 to 255). With a
    /// process handle: ends all its threads. Needs `SIGNAL`.
    Exit = 19, "exit";
    /// `yield(thread)`: lets others run. Only the calling thread's own handle.
    Yield = 20, "yield";
    /// `submit(ring)`: calls queued in shared memory.
    Submit = 21, "submit";
}

/// What to put in `rax`.
pub const fn encode(call: Call) -> u64 {
    NATIVE | call as u32 as u64
}

/// The call in `rax`, if bit 31 is set and the number exists. Bits 32 to 63 must be clear.
pub const fn decode(rax: u64) -> Option<Call> {
    if rax >> 31 != 1 {
        return None;
    }
    Call::from_number((rax & !NATIVE) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for (place, &call) in Call::ALL.iter().enumerate() {
            assert_eq!(call as usize, place);
            assert_eq!(decode(encode(call)), Some(call));
        }
    }

    #[test]
    fn foreign_numbers_are_refused() {
        for rax in [
            0,
            1,
            231,
            NATIVE - 1,
            NATIVE | 22,
            NATIVE << 1,
            u64::MAX,
            NATIVE | 1 << 32,
        ] {
            assert_eq!(decode(rax), None);
        }
    }
}
