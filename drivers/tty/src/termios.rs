//! The settings of a terminal.
//!
//! The one idea: POSIX names the flags and leaves their values open; the values here are those of Linux on x86, so that
//! a Linux program's settings need no translation. Meaning: termios(3), POSIX chapter 11.

bitflags::bitflags! {
    /// What happens to bytes that come in.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Input: u32 {
        /// A break is ignored.
        const IGNBRK = 0o000001;
        /// A break interrupts.
        const BRKINT = 0o000002;
        /// Bytes with bad parity are ignored.
        const IGNPAR = 0o000004;
        /// Bytes with bad parity are marked; 0xff is doubled.
        const PARMRK = 0o000010;
        /// Parity is checked.
        const INPCK = 0o000020;
        /// The eighth bit is cleared.
        const ISTRIP = 0o000040;
        /// New line becomes carriage return.
        const INLCR = 0o000100;
        /// Carriage return is ignored.
        const IGNCR = 0o000200;
        /// Carriage return becomes new line.
        const ICRNL = 0o000400;
        /// Letters become small.
        const IUCLC = 0o001000;
        /// VSTOP and VSTART stop and start the output.
        const IXON = 0o002000;
        /// Any byte starts the output.
        const IXANY = 0o004000;
        /// VSTOP and VSTART are sent when the input is nearly full.
        const IXOFF = 0o010000;
        /// The bell rings when a line is full.
        const IMAXBEL = 0o020000;
        /// The input is UTF-8: erasing erases whole characters.
        const IUTF8 = 0o040000;
        const _ = !0;
    }

    /// What happens to bytes that go out.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Output: u32 {
        /// Anything below happens at all.
        const OPOST = 0o000001;
        /// Letters become large.
        const OLCUC = 0o000002;
        /// New line becomes carriage return and new line.
        const ONLCR = 0o000004;
        /// Carriage return becomes new line.
        const OCRNL = 0o000010;
        /// No carriage return where the line is empty.
        const ONOCR = 0o000020;
        /// New line also returns to the first column.
        const ONLRET = 0o000040;
        /// Tabs become spaces.
        const XTABS = 0o014000;
        const _ = !0;
    }

    /// Speed and frame of the line. A line that has none keeps what it is told.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Control: u32 {
        /// 38400 bits per second.
        const B38400 = 0o000017;
        /// 8 bits in a byte.
        const CS8 = 0o000060;
        /// It receives.
        const CREAD = 0o000200;
        /// The line hangs up when the last user closes it.
        const HUPCL = 0o002000;
        /// Modem lines are ignored.
        const CLOCAL = 0o004000;
        const _ = !0;
    }

    /// Editing, echo and signals.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Local: u32 {
        /// VINTR, VQUIT and VSUSP send signals.
        const ISIG = 0o000001;
        /// Input comes line by line and can be edited.
        const ICANON = 0o000002;
        /// Input is shown.
        const ECHO = 0o000010;
        /// VERASE removes the character from the screen.
        const ECHOE = 0o000020;
        /// VKILL is followed by a new line.
        const ECHOK = 0o000040;
        /// New line is shown even without ECHO.
        const ECHONL = 0o000100;
        /// Signals leave what was typed and what was written alone.
        const NOFLSH = 0o000200;
        /// Writers in the background are stopped.
        const TOSTOP = 0o000400;
        /// Control characters are shown as `^X`.
        const ECHOCTL = 0o001000;
        /// VKILL removes the line from the screen.
        const ECHOKE = 0o004000;
        /// VLNEXT, VWERASE, VREPRINT and VEOL2 work.
        const IEXTEN = 0o100000;
        const _ = !0;
    }
}

/// Places of the special characters.
pub mod index {
    pub const VINTR: usize = 0;
    pub const VQUIT: usize = 1;
    pub const VERASE: usize = 2;
    pub const VKILL: usize = 3;
    pub const VEOF: usize = 4;
    pub const VTIME: usize = 5;
    pub const VMIN: usize = 6;
    pub const VSTART: usize = 8;
    pub const VSTOP: usize = 9;
    pub const VSUSP: usize = 10;
    pub const VEOL: usize = 11;
    pub const VREPRINT: usize = 12;
    pub const VWERASE: usize = 14;
    pub const VLNEXT: usize = 15;
    pub const VEOL2: usize = 16;
}

/// How many special characters there are.
pub const CHARACTERS: usize = 19;

/// All settings of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios {
    pub input: Input,
    pub output: Output,
    pub control: Control,
    pub local: Local,
    /// The number of the line discipline; 0 is the only one.
    pub line: u8,
    /// The special characters, by [`index`]. 0 switches one off.
    pub characters: [u8; CHARACTERS],
    /// Bits per second.
    pub input_speed: u32,
    /// Bits per second.
    pub output_speed: u32,
}

impl Default for Termios {
    /// What a terminal starts with: lines, echo, signals, UTF-8.
    fn default() -> Termios {
        let mut characters = [0; CHARACTERS];
        let initial = [
            (index::VINTR, 0x03),
            (index::VQUIT, 0x1c),
            (index::VERASE, 0x7f),
            (index::VKILL, 0x15),
            (index::VEOF, 0x04),
            (index::VMIN, 1),
            (index::VSTART, 0x11),
            (index::VSTOP, 0x13),
            (index::VSUSP, 0x1a),
            (index::VREPRINT, 0x12),
            (index::VWERASE, 0x17),
            (index::VLNEXT, 0x16),
        ];
        for (place, character) in initial {
            characters[place] = character;
        }
        Termios {
            input: Input::ICRNL | Input::IXON | Input::IUTF8,
            output: Output::OPOST | Output::ONLCR,
            control: Control::B38400 | Control::CS8 | Control::CREAD | Control::HUPCL,
            local: Local::ISIG
                | Local::ICANON
                | Local::ECHO
                | Local::ECHOE
                | Local::ECHOK
                | Local::ECHOCTL
                | Local::ECHOKE
                | Local::IEXTEN,
            line: 0,
            characters,
            input_speed: 38400,
            output_speed: 38400,
        }
    }
}

impl Termios {
    /// Whether `byte` is the special character at `place`, and that one is switched on.
    #[inline]
    pub fn is(&self, byte: u8, place: usize) -> bool {
        byte != 0 && self.characters.get(place) == Some(&byte)
    }

    /// Line by line.
    #[inline]
    pub fn canonical(&self) -> bool {
        self.local.contains(Local::ICANON)
    }

    /// The special character at `place`.
    #[inline]
    pub fn character(&self, place: usize) -> u8 {
        self.characters.get(place).copied().unwrap_or(0)
    }
}
