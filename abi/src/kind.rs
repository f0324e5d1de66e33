//! The kinds of objects. A handle's kind never changes, and says which calls and verbs make sense.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What an object is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $code,)*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The word that `inspect` and listings use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$name => $text,)*
                }
            }

            /// The kind with this code, if there is one.
            pub const fn from_code(code: u16) -> Option<Kind> {
                match code {
                    $($code => Some(Kind::$name),)*
                    _ => None,
                }
            }

            /// The kind with this word, if there is one.
            pub fn from_name(name: &str) -> Option<Kind> {
                Kind::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}

kinds! {
    /// A place where objects are found by path.
    Registry = 1, "registry";
    /// A process.
    Process = 2, "process";
    /// A thread of a process.
    Thread = 3, "thread";
    /// Bytes with positions.
    File = 4, "file";
    /// Names of files and directories.
    Directory = 5, "directory";
    /// A symbolic link itself.
    Link = 6, "link";
    /// A device: bytes, verbs, or both.
    Device = 7, "device";
    /// One end of a byte stream between processes.
    Pipe = 8, "pipe";
    /// One end of a network or local connection.
    Socket = 9, "socket";
    /// One end of a message channel.
    Channel = 10, "channel";
    /// Memory that can be mapped.
    Memory = 11, "memory";
    /// An address space.
    Space = 12, "space";
    /// Waits for many objects at once.
    Port = 13, "port";
    /// Something that happens, and that hooks can follow.
    Event = 14, "event";
    /// Records in time order.
    Log = 15, "log";
    /// A named variable.
    Variable = 16, "variable";
    /// A driver.
    Driver = 17, "driver";
    /// A clock that fires.
    Timer = 18, "timer";
    /// Something is looked at more closely while it is open.
    Measurement = 19, "measurement";
    /// A part of the CPUs that programs are started in.
    Share = 20, "share";
    /// The way back to whoever made a `call`: takes one answer.
    Reply = 21, "reply";
    /// What was lent can be taken back with it.
    Lease = 22, "lease";
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind as u16), Some(kind));
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
    }
}
