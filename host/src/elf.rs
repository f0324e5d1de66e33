//! What the host needs to know of ELF files: whether a program can run in the guest, the kernel's symbols, and the
//! kernel without its debug information.

use anyhow::{Context, Result, bail};
use elf::abi::{EM_X86_64, ET_DYN, ET_EXEC, SHF_EXECINSTR, STT_FUNC, STT_NOTYPE};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::{ElfBytes, ParseError};
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Why a file cannot be the guest's program.
#[derive(Debug)]
pub enum Refusal {
    NotFound,
    Unreadable(io::Error),
    Directory,
    NotExecutable,
    Script,
    NotElf,
    WrongMachine,
    NotAProgram,
    Malformed(ParseError),
}

impl Refusal {
    /// What a shell exits with in this case.
    pub fn status(&self) -> u8 {
        if matches!(self, Refusal::NotFound) {
            127
        } else {
            126
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFound => f.write_str("not found"),
            Refusal::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Refusal::Directory => f.write_str("is a directory"),
            Refusal::NotExecutable => f.write_str("has no execute permission"),
            Refusal::Script => f.write_str("is a script; only ELF programs can be the first program (pass the script to its interpreter)"),
            Refusal::NotElf => f.write_str("is not an ELF file"),
            Refusal::WrongMachine => f.write_str("is not an x86-64 program"),
            Refusal::NotAProgram => f.write_str("is an ELF file, but not an executable program"),
            Refusal::Malformed(error) => write!(f, "is a malformed ELF file: {error}"),
        }
    }
}

/// Checks that the file at `path` is an x86-64 ELF program that this user may execute.
pub fn check_program(path: &Path) -> Result<(), Refusal> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::NotFound,
        _ => Refusal::Unreadable(error),
    })?;
    if metadata.is_dir() {
        return Err(Refusal::Directory);
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(Refusal::NotExecutable);
    }
    let mut file = std::fs::File::open(path).map_err(Refusal::Unreadable)?;
    let mut bytes = Vec::new();
    // The header first: what is no ELF file need not be read whole.
    file.by_ref()
        .take(64)
        .read_to_end(&mut bytes)
        .map_err(Refusal::Unreadable)?;
    if bytes.starts_with(b"#!") {
        return Err(Refusal::Script);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Refusal::NotElf);
    }
    file.read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    check_bytes(bytes)
}

fn check_bytes(mut bytes: Vec<u8>) -> Result<(), Refusal> {
    // No loader looks at the sections (e_shoff), so they may be as wrong as they like.
    if let Some(offset) = bytes.get_mut(0x28..0x30) {
        offset.fill(0);
    }
    // Only little endian is parsed, so a big-endian file is an error of this kind, too.
    let elf = ElfBytes::<LittleEndian>::minimal_parse(&bytes).map_err(|error| match error {
        ParseError::UnsupportedElfEndianness(_) => Refusal::WrongMachine,
        other => Refusal::Malformed(other),
    })?;
    if elf.ehdr.class != Class::ELF64 || elf.ehdr.e_machine != EM_X86_64 {
        return Err(Refusal::WrongMachine);
    }
    if !matches!(elf.ehdr.e_type, ET_EXEC | ET_DYN) || elf.ehdr.e_entry == 0 {
        return Err(Refusal::NotAProgram);
    }
    elf.segments().ok_or(Refusal::NotAProgram)?;
    Ok(())
}

/// The kernel's functions as sorted text lines `<hex address> <demangled name>`: the initramfs file `/boot/symbols`, from
/// which a panic names the places in its trace.
pub fn symbols(kernel: &[u8]) -> Result<String> {
    let elf =
        ElfBytes::<LittleEndian>::minimal_parse(kernel).context("the kernel is no ELF file")?;
    let sections = elf
        .section_headers()
        .context("the kernel has no sections")?;
    let Some((symbols, names)) = elf.symbol_table()? else {
        bail!("the kernel has no symbol table")
    };
    let mut functions = BTreeMap::new();
    for symbol in symbols.iter() {
        let executable = sections
            .get(usize::from(symbol.st_shndx))
            .is_ok_and(|section| section.sh_flags & u64::from(SHF_EXECINSTR) != 0);
        if executable && matches!(symbol.st_symtype(), STT_FUNC | STT_NOTYPE) {
            let name = names.get(symbol.st_name as usize)?;
            if !name.is_empty() {
                functions
                    .entry(symbol.st_value)
                    .or_insert_with(|| format!("{:#}", rustc_demangle::demangle(name)));
            }
        }
    }
    let mut text = String::new();
    for (address, name) in functions {
        writeln!(text, "{address:x} {name}")?;
    }
    Ok(text)
}

/// The file without what no loader reads: everything after the last segment, and the section headers.
pub fn strip(file: &[u8]) -> Result<Vec<u8>> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).context("no ELF file")?;
    if elf.ehdr.class != Class::ELF64 {
        bail!("no 64-bit ELF file");
    }
    let headers = elf.ehdr.e_phoff + u64::from(elf.ehdr.e_phentsize) * u64::from(elf.ehdr.e_phnum);
    let segments = elf.segments().context("no program headers")?;
    let end = segments
        .iter()
        .map(|segment| segment.p_offset + segment.p_filesz)
        .fold(headers, u64::max);
    let mut stripped = file
        .get(..end as usize)
        .context("a segment lies beyond the end of the file")?
        .to_vec();
    // e_shoff, and e_shnum with e_shstrndx (ELF-64, figure "File Header").
    stripped[0x28..0x30].fill(0);
    stripped[0x3c..0x40].fill(0);
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smallest program: header and one PT_LOAD.
    fn program(e_type: u16, machine: u16) -> Vec<u8> {
        let size = 64 + 56u64;
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        bytes.resize(16, 0);
        bytes.extend(e_type.to_le_bytes());
        bytes.extend(machine.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(0x401000u64.to_le_bytes()); // e_entry
        bytes.extend(64u64.to_le_bytes()); // e_phoff
        bytes.extend((size + 4096).to_le_bytes()); // e_shoff, wrong
        bytes.extend(0u32.to_le_bytes());
        for half in [64u16, 56, 1, 64, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(5u32.to_le_bytes());
        for word in [0, 0x401000, 0x401000, size, size, 1] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn programs_pass() {
        assert!(check_bytes(program(2, 62)).is_ok());
        assert!(check_bytes(program(3, 62)).is_ok());
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        assert!(matches!(
            check_bytes(program(1, 62)),
            Err(Refusal::NotAProgram)
        ));
        assert!(matches!(
            check_bytes(program(2, 183)),
            Err(Refusal::WrongMachine)
        ));
        assert_eq!(
            check_program(Path::new("/no/such/file"))
                .unwrap_err()
                .status(),
            127
        );
        assert!(matches!(
            check_program(Path::new("/")),
            Err(Refusal::Directory)
        ));
        assert!(matches!(
            check_program(Path::new("/etc/passwd")),
            Err(Refusal::NotExecutable)
        ));
    }

    #[test]
    fn every_cut_is_an_answer() {
        let whole = program(3, 62);
        for length in 4..whole.len() {
            assert!(check_bytes(whole[..length].to_vec()).is_err(), "{length}");
        }
    }

    #[test]
    fn this_test_program_passes() {
        assert!(check_program(&std::env::current_exe().unwrap()).is_ok());
    }

    #[test]
    fn strip_keeps_segments_and_drops_the_rest() {
        let mut file = program(2, 62);
        file[0x28..0x30].fill(0);
        let kept = file.len();
        file.extend([0xaa; 300]);
        let stripped = strip(&file).unwrap();
        assert_eq!(stripped.len(), kept);
        assert_eq!(stripped[0x28..0x30], [0; 8]);
        assert!(check_bytes(stripped).is_ok());
    }

    #[test]
    fn symbols_of_this_program() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let text = symbols(&own).unwrap();
        assert!(
            text.lines()
                .any(|line| line.ends_with("host::elf::symbols")),
            "no symbol of this crate"
        );
        let addresses: Vec<u64> = text
            .lines()
            .map(|line| u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap())
            .collect();
        assert!(addresses.is_sorted());
    }
}
