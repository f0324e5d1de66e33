//! Reading an ELF executable's headers into a plan for loading it.
//!
//! The one idea: everything in the file is an allegation. [`plan`] checks each number against the file's
//! length, the user half of the address space and the other segments, so that what comes out can be mapped
//! without a further check. It reads headers only; pages come in later, on demand.
//!
//! Source: System V ABI, chapters 4 and 5 (object files, program loading); x86-64 psABI.

use abi::Error;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use elf::abi as spec;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::ParseAt;
use elf::segment::ProgramHeader;
use machine::paging::Access;
use machine::{PAGE, USER_END};

/// The largest program header table that is accepted, in bytes: Linux's own limit is one 64 KiB table.
const TABLE_LIMIT: usize = 4096 * 4;
/// The longest path of an interpreter, in bytes, with the zero at its end (`PATH_MAX`).
const PATH_LIMIT: u64 = 4096;
const HEADER_SIZE: usize = 64;
const ENTRY_SIZE: usize = 56;

/// One loadable segment, in the program's own addresses (add the base of a position-independent program).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Pages to map, page-aligned; never empty.
    pub pages: Range<usize>,
    /// The part of `pages` that comes from the file, page-aligned; may be empty.
    pub file_pages: Range<usize>,
    /// Where in the file the first page of `file_pages` begins; page-aligned.
    pub file_offset: u64,
    /// First byte after the file's contents: from here to the end of `pages` memory reads as zero.
    pub file_end: usize,
    pub access: Access,
}

/// What a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub segments: Vec<Segment>,
    pub entry: usize,
    /// True when the program runs at any base (`ET_DYN`).
    pub relocatable: bool,
    /// The largest alignment that a segment asks for; a power of two, at least a page.
    pub alignment: usize,
    /// From the first to the last byte of all segments, page-aligned.
    pub span: Range<usize>,
    /// Where the program headers lie in the loaded image, if they are in it.
    pub headers: Option<usize>,
    pub header_count: usize,
    /// The program asks for an executable stack.
    pub executable_stack: bool,
    /// Where in the file a dynamic program names its interpreter: offset and length, as alleged. [`interpreter`] reads it.
    pub interpreter: Option<(u64, u64)>,
}

/// Delivers the bytes of a program file from an offset on, exactly as many as fit.
pub type Reader<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> Result<(), Error>;

/// The size of one program header, as `AT_PHENT` reports it.
pub const PROGRAM_HEADER_SIZE: usize = ENTRY_SIZE;

/// Checks a program of `length` bytes, whose bytes `read` delivers, and plans its loading.
///
/// # Errors
/// [`Error::NotExecutable`] for everything that is not a well-formed x86-64 executable; what `read` returns.
pub fn plan(length: u64, read: Reader<'_>) -> Result<Plan, Error> {
    if length < HEADER_SIZE as u64 {
        return Err(Error::NotExecutable);
    }
    let mut header = [0u8; HEADER_SIZE];
    read(0, &mut header)?;
    let header = file_header(&header)?;
    let table = program_headers(&header, length, read)?;

    let mut plan = Plan {
        segments: Vec::new(),
        entry: header.e_entry as usize,
        relocatable: header.e_type == spec::ET_DYN,
        alignment: PAGE,
        span: Range {
            start: usize::MAX,
            end: 0,
        },
        headers: None,
        header_count: table.len(),
        executable_stack: false,
        interpreter: None,
    };
    for entry in &table {
        match entry.p_type {
            spec::PT_LOAD if entry.p_memsz > 0 => add_segment(&mut plan, entry, &header, length)?,
            // The first one counts, as on Linux.
            spec::PT_INTERP if plan.interpreter.is_none() => {
                plan.interpreter = Some((entry.p_offset, entry.p_filesz));
            }
            spec::PT_GNU_STACK => plan.executable_stack = entry.p_flags & spec::PF_X != 0,
            _ => {}
        }
    }
    if plan.segments.is_empty() {
        return Err(Error::NotExecutable);
    }
    Ok(plan)
}

fn file_header(bytes: &[u8; HEADER_SIZE]) -> Result<FileHeader<LittleEndian>, Error> {
    let malformed = |_| Error::NotExecutable;
    let ident = parse_ident::<LittleEndian>(bytes).map_err(malformed)?;
    if ident.1 != Class::ELF64 {
        return Err(Error::NotExecutable);
    }
    let tail = bytes.get(spec::EI_NIDENT..).ok_or(Error::NotExecutable)?;
    let header = FileHeader::parse_tail(ident, tail).map_err(malformed)?;
    let executable = header.e_type == spec::ET_EXEC || header.e_type == spec::ET_DYN;
    if !executable || header.e_machine != spec::EM_X86_64 {
        return Err(Error::NotExecutable);
    }
    if usize::from(header.e_phentsize) != ENTRY_SIZE || header.e_phnum == 0 {
        return Err(Error::NotExecutable);
    }
    Ok(header)
}

fn program_headers(
    header: &FileHeader<LittleEndian>,
    length: u64,
    read: Reader<'_>,
) -> Result<Vec<ProgramHeader>, Error> {
    let size = usize::from(header.e_phnum) * ENTRY_SIZE;
    let end = header.e_phoff.checked_add(size as u64);
    if size > TABLE_LIMIT || end.is_none_or(|end| end > length) {
        return Err(Error::NotExecutable);
    }
    let mut bytes = vec![0u8; size];
    read(header.e_phoff, &mut bytes)?;
    let mut at = 0;
    let mut table = Vec::with_capacity(usize::from(header.e_phnum));
    while at < size {
        let entry = ProgramHeader::parse_at(LittleEndian, Class::ELF64, &mut at, &bytes)
            .map_err(|_| Error::NotExecutable)?;
        table.push(entry);
    }
    Ok(table)
}

fn add_segment(
    plan: &mut Plan,
    entry: &ProgramHeader,
    header: &FileHeader<LittleEndian>,
    length: u64,
) -> Result<(), Error> {
    let malformed = Error::NotExecutable;
    let start = entry.p_vaddr as usize;
    let memory_end = start.checked_add(entry.p_memsz as usize).ok_or(malformed)?;
    let in_file = entry
        .p_offset
        .checked_add(entry.p_filesz)
        .is_some_and(|end| end <= length);
    if entry.p_filesz > entry.p_memsz || !in_file || memory_end > USER_END {
        return Err(malformed);
    }
    if entry.p_vaddr % PAGE as u64 != entry.p_offset % PAGE as u64 {
        return Err(malformed);
    }
    if entry.p_align > 1 {
        if !entry.p_align.is_power_of_two() || entry.p_align > 1 << 30 {
            return Err(malformed);
        }
        plan.alignment = plan.alignment.max(entry.p_align as usize);
    }

    let file_end = start + entry.p_filesz as usize;
    let pages = floor(start)..ceiling(memory_end);
    // Segments come in ascending order and never share a page: the psABI promises the first, linkers the second.
    if pages.start < plan.span.end {
        return Err(malformed);
    }
    let file_pages = if entry.p_filesz == 0 {
        pages.start..pages.start
    } else {
        pages.start..ceiling(file_end)
    };

    let headers_here = header.e_phoff >= entry.p_offset
        && header.e_phoff + u64::from(header.e_phnum) * ENTRY_SIZE as u64
            <= entry.p_offset + entry.p_filesz;
    if plan.headers.is_none() && headers_here {
        plan.headers = Some(start + (header.e_phoff - entry.p_offset) as usize);
    }
    plan.span = plan.span.start.min(pages.start)..pages.end;
    plan.segments.push(Segment {
        pages,
        file_pages,
        file_offset: entry.p_offset - entry.p_offset % PAGE as u64,
        file_end,
        access: access(entry.p_flags),
    });
    Ok(())
}

/// The path of the interpreter that the program names; `None` if it needs none.
///
/// # Errors
/// [`Error::NotExecutable`] when that is no string in the file, or one longer than a path can be; what `read` returns.
pub fn interpreter(plan: &Plan, length: u64, read: Reader<'_>) -> Result<Option<Vec<u8>>, Error> {
    let Some((offset, size)) = plan.interpreter else {
        return Ok(None);
    };
    let in_file = offset.checked_add(size).is_some_and(|end| end <= length);
    if !(2..=PATH_LIMIT).contains(&size) || !in_file {
        return Err(Error::NotExecutable);
    }
    let mut path = vec![0u8; size as usize];
    read(offset, &mut path)?;
    if path.last() != Some(&0) {
        return Err(Error::NotExecutable);
    }
    // Linux takes the bytes up to the first zero.
    let end = path.iter().position(|&byte| byte == 0);
    path.truncate(end.unwrap_or_default());
    Ok(Some(path))
}

fn access(flags: u32) -> Access {
    let mut access = Access::empty();
    access.set(Access::READ, flags & spec::PF_R != 0);
    access.set(Access::WRITE, flags & spec::PF_W != 0);
    access.set(Access::EXECUTE, flags & spec::PF_X != 0);
    access
}

fn floor(address: usize) -> usize {
    address & !(PAGE - 1)
}

/// Rounds up to a page; `address` is at most `USER_END`, so this cannot overflow.
fn ceiling(address: usize) -> usize {
    (address + PAGE - 1) & !(PAGE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(bytes: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<(), Error> {
        |offset, into| {
            let from = bytes
                .get(offset as usize..)
                .and_then(|rest| rest.get(..into.len()));
            into.copy_from_slice(from.ok_or(Error::Io)?);
            Ok(())
        }
    }

    fn plan_of(bytes: &[u8]) -> Result<Plan, Error> {
        plan(bytes.len() as u64, &mut reader(bytes))
    }

    fn interpreter_of(bytes: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        interpreter(&plan_of(bytes)?, bytes.len() as u64, &mut reader(bytes))
    }

    /// A program of two segments: text with the headers, then data with 0x2000 bytes of zero after it.
    fn small_program() -> Vec<u8> {
        let mut bytes = vec![0u8; 0x1800];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(16, &2u16.to_le_bytes());
        put(18, &62u16.to_le_bytes());
        put(20, &1u32.to_le_bytes());
        put(24, &0x40_1000u64.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(52, &64u16.to_le_bytes());
        put(54, &56u16.to_le_bytes());
        put(56, &2u16.to_le_bytes());
        let mut segment =
            |at: usize, flags: u32, offset: u64, address: u64, filed: u64, memory: u64| {
                put(at, &1u32.to_le_bytes());
                put(at + 4, &flags.to_le_bytes());
                for (index, field) in [offset, address, address, filed, memory, 0x1000]
                    .into_iter()
                    .enumerate()
                {
                    put(at + 8 + index * 8, &field.to_le_bytes());
                }
            };
        segment(64, 5, 0, 0x40_0000, 0x1100, 0x1100);
        segment(120, 6, 0x1100, 0x40_2100, 0x700, 0x2700);
        bytes
    }

    #[test]
    fn plans_text_and_data() {
        let plan = plan_of(&small_program()).unwrap();
        assert_eq!(plan.entry, 0x40_1000);
        assert_eq!(plan.headers, Some(0x40_0040));
        assert_eq!(plan.span, 0x40_0000..0x40_5000);
        let data = &plan.segments[1];
        assert_eq!(data.pages, 0x40_2000..0x40_5000);
        assert_eq!(data.file_pages, 0x40_2000..0x40_3000);
        assert_eq!((data.file_offset, data.file_end), (0x1000, 0x40_2800));
        assert_eq!(data.access, Access::READ | Access::WRITE);
    }

    #[test]
    fn refuses_a_program_cut_anywhere_before_its_last_byte() {
        let program = small_program();
        for length in 0..program.len() {
            assert_eq!(
                plan_of(&program[..length]),
                Err(Error::NotExecutable),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn refuses_segments_in_the_kernel_half_or_overlapping() {
        for (at, value) in [
            (136, u64::MAX - 0xfff),
            (136, 0x40_0100),
            (136, 0x7fff_ffff_f100),
            (160, u64::MAX),
        ] {
            let mut program = small_program();
            program[at..at + 8].copy_from_slice(&value.to_le_bytes());
            assert_eq!(
                plan_of(&program),
                Err(Error::NotExecutable),
                "{at} {value:#x}"
            );
        }
    }

    /// The small program, with more headers that name interpreters; they stand in its text.
    fn dynamic_program(names: &[&[u8]]) -> Vec<u8> {
        let mut bytes = small_program();
        bytes[56..58].copy_from_slice(&(2 + names.len() as u16).to_le_bytes());
        let mut place = 0x700;
        for (index, name) in names.iter().enumerate() {
            let at = 176 + index * ENTRY_SIZE;
            bytes[at..at + 4].copy_from_slice(&3u32.to_le_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&(place as u64).to_le_bytes());
            bytes[at + 32..at + 40].copy_from_slice(&(name.len() as u64).to_le_bytes());
            bytes[place..place + name.len()].copy_from_slice(name);
            place += name.len();
        }
        bytes
    }

    #[test]
    fn the_interpreter_is_the_first_string_of_the_first_header() {
        let named = |names: &[&[u8]]| interpreter_of(&dynamic_program(names));
        assert_eq!(named(&[]), Ok(None));
        assert_eq!(named(&[b"/ld.so\0"]), Ok(Some(b"/ld.so".to_vec())));
        assert_eq!(named(&[b"a\0", b"b\0"]), Ok(Some(b"a".to_vec())));
        assert_eq!(named(&[b"a\0b\0"]), Ok(Some(b"a".to_vec())));
        assert_eq!(named(&[b"\0\0"]), Ok(Some(Vec::new())));
        for bad in [&b""[..], b"\0", b"no end", &[b'a'; 4097]] {
            assert_eq!(named(&[bad]), Err(Error::NotExecutable), "{bad:?}");
        }
        // The headers are sound nevertheless: an interpreter that asks for another one is not asked.
        assert!(plan_of(&dynamic_program(&[b"no end"])).is_ok());
    }

    proptest! {
        #[test]
        fn any_interpreter_is_refused_or_a_part_of_the_file(offset: u64, size in prop_oneof![0u64..5000, any::<u64>()], near in any::<bool>()) {
            let mut program = dynamic_program(&[b"/lib/ld.so\0"]);
            let offset = if near { offset % 0x1900 } else { offset };
            program[184..192].copy_from_slice(&offset.to_le_bytes());
            program[208..216].copy_from_slice(&size.to_le_bytes());
            if let Ok(Some(path)) = interpreter_of(&program) {
                prop_assert!((path.len() as u64) < size && !path.contains(&0));
                prop_assert_eq!(&program[offset as usize..][..path.len()], path);
            }
        }

        #[test]
        fn any_change_is_refused_or_stays_in_bounds(changes in prop::collection::vec((0usize..176, any::<u8>()), 1..8)) {
            let mut program = small_program();
            for (at, byte) in changes {
                program[at] = byte;
            }
            if let Ok(plan) = plan_of(&program) {
                let mut end = 0;
                for segment in &plan.segments {
                    prop_assert!(segment.pages.start >= end && segment.pages.end <= ceiling(USER_END));
                    prop_assert!(segment.file_pages.end <= segment.pages.end);
                    prop_assert!(!segment.pages.is_empty());
                    end = segment.pages.end;
                }
            }
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = plan_of(&bytes);
        }
    }
}
