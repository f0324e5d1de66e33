//! `struct termios`: a terminal's settings as Linux programs see them.
//!
//! Source: Linux `include/uapi/asm-generic/termbits.h`.

use tty::termios::{CHARACTERS, Control, Input, Local, Output};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kernel's `struct termios`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Termios {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    line: u8,
    characters: [u8; CHARACTERS],
}

const CBAUD: u32 = 0o010_017;
/// Speeds by their code; the codes from 16 on have the bit `CBAUDEX`.
const SPEEDS: [u32; 31] = [
    0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400, 57_600,
    115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
    2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

fn code_of(speed: u32) -> u32 {
    let index = SPEEDS
        .iter()
        .position(|&known| known == speed)
        .unwrap_or(15) as u32;
    if index < 16 {
        index
    } else {
        0o010_001 + (index - 16)
    }
}

fn speed_of(code: u32) -> u32 {
    let code = code & CBAUD;
    let index = if code < 16 { code } else { 15 + (code & 15) };
    SPEEDS.get(index as usize).copied().unwrap_or(38_400)
}

impl From<tty::Termios> for Termios {
    fn from(from: tty::Termios) -> Termios {
        Termios {
            input: from.input.bits(),
            output: from.output.bits(),
            control: from.control.bits() & !CBAUD | code_of(from.output_speed),
            local: from.local.bits(),
            line: from.line,
            characters: from.characters,
        }
    }
}

impl From<Termios> for tty::Termios {
    fn from(from: Termios) -> tty::Termios {
        tty::Termios {
            input: Input::from_bits_retain(from.input),
            output: Output::from_bits_retain(from.output),
            control: Control::from_bits_retain(from.control),
            local: Local::from_bits_retain(from.local),
            line: from.line,
            characters: from.characters,
            input_speed: speed_of(from.control),
            output_speed: speed_of(from.control),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_has_its_size_and_the_settings_survive() {
        assert_eq!(size_of::<Termios>(), 36);
        let settings = tty::Termios::default();
        assert_eq!(tty::Termios::from(Termios::from(settings)), settings);
    }

    #[test]
    fn speeds_have_their_codes() {
        assert_eq!(code_of(38_400), 0o17);
        assert_eq!(code_of(57_600), 0o010_001);
        assert_eq!(code_of(115_200), 0o010_002);
        for speed in SPEEDS {
            assert_eq!(speed_of(code_of(speed)), speed);
        }
    }
}
