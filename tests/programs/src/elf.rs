//! Program files made by hand: the header, the program headers, and what follows them.

/// `e_type`: at fixed addresses, or anywhere.
pub const FIXED: u16 = 2;
pub const ANYWHERE: u16 = 3;

/// `p_type`.
pub const LOAD: u32 = 1;
pub const INTERPRETER: u32 = 3;

/// `p_flags` of code, and of data.
pub const READ_EXECUTE: u32 = 5;
pub const READ_WRITE: u32 = 6;

/// Where the code of a file with so many program headers begins.
pub const fn code_at(headers: usize) -> u64 {
    64 + 56 * headers as u64
}

/// One program header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub in_file: u64,
    pub in_memory: u64,
}

impl Header {
    /// A segment of the file's first bytes.
    pub const fn load(flags: u32, address: u64, in_file: u64, in_memory: u64) -> Header {
        Header {
            kind: LOAD,
            flags,
            offset: 0,
            address,
            in_file,
            in_memory,
        }
    }
}

/// A file of this type with these headers, and `rest` behind them.
pub fn file(kind: u16, entry: u64, headers: &[Header], rest: &[u8]) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend(kind.to_le_bytes());
    // The machine is x86-64, the version 1.
    elf.extend(b"\x3e\0\x01\0\0\0");
    for word in [entry, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0]);
    elf.extend((headers.len() as u16).to_le_bytes());
    elf.extend([0; 6]);
    for header in headers {
        elf.extend(header.kind.to_le_bytes());
        elf.extend(header.flags.to_le_bytes());
        for word in [
            header.offset,
            header.address,
            header.address,
            header.in_file,
            header.in_memory,
            0x1000,
        ] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf.extend(rest);
    elf
}

/// A program of one segment: all of the file at `base`, and the code its first bytes behind the headers.
pub fn program(kind: u16, base: u64, code: &[u8]) -> Vec<u8> {
    let size = code_at(1) + code.len() as u64;
    let all = Header::load(READ_EXECUTE, base, size, size);
    file(kind, base + code_at(1), &[all], code)
}
