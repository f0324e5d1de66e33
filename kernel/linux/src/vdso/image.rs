//! The shared object around the code: what a C library needs to find a function by name and version (gABI chapters 4
//! and 5, symbol versions in the LSB's core specification).
//!
//! The one idea: it is built at boot from the list of functions, so nothing in it can differ from the code.

use alloc::vec::Vec;
use machine::PAGE;
use machine::vdso::CODE;
use process::elf::PROGRAM_HEADER_SIZE;

const HEADER_SIZE: usize = 64;
const SECTION_HEADER_SIZE: usize = 64;
const SYMBOL_SIZE: usize = 24;

/// Name of the object, and the version of all that it has.
const SONAME: &str = "linux-vdso.so.1";
const VERSION: &str = "LINUX_2.6";
/// Numbers of the two versions: that of the object itself, and that of the functions.
const OWN: u16 = 1;
const FUNCTIONS: u16 = 2;

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const READ: u32 = 4;
const EXECUTE: u32 = 1;

/// `DT_*`.
mod tag {
    pub const NULL: u64 = 0;
    pub const HASH: u64 = 4;
    pub const STRTAB: u64 = 5;
    pub const SYMTAB: u64 = 6;
    pub const STRSZ: u64 = 10;
    pub const SYMENT: u64 = 11;
    pub const SONAME: u64 = 14;
    pub const VERSYM: u64 = 0x6fff_fff0;
    pub const VERDEF: u64 = 0x6fff_fffc;
    pub const VERDEFNUM: u64 = 0x6fff_fffd;
}

/// `SHT_*`.
mod kind {
    pub const PROGBITS: u32 = 1;
    pub const STRTAB: u32 = 3;
    pub const HASH: u32 = 5;
    pub const DYNAMIC: u32 = 6;
    pub const DYNSYM: u32 = 11;
    pub const VERDEF: u32 = 0x6fff_fffd;
    pub const VERSYM: u32 = 0x6fff_ffff;
}

/// The sections, in the order of their headers.
const STRINGS: u32 = 2;
const SYMBOLS: u32 = 3;
const TEXT: u16 = 7;

/// One section: what its header says.
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    offset: usize,
    len: usize,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

/// Bytes with little-endian numbers.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, value: u16) -> &mut Bytes {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Bytes {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Bytes {
        self.0.extend(value.to_le_bytes());
        self
    }
}

/// Strings, each ended by a zero; the first is empty.
struct Strings(Vec<u8>);

impl Strings {
    fn new() -> Strings {
        Strings(alloc::vec![0])
    }

    fn put(&mut self, string: &str) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend(string.bytes());
        self.0.push(0);
        at
    }
}

/// The hash function of `DT_HASH` and of versions.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// The image with this code, whose functions begin at these places in it; a whole page. `None` if it does not fit.
pub fn build(code: &[u8], functions: &[(&'static str, usize)]) -> Option<Vec<u8>> {
    let mut strings = Strings::new();
    let soname = strings.put(SONAME);
    let version = strings.put(VERSION);

    let mut symbols = Bytes(alloc::vec![0; SYMBOL_SIZE]);
    for (index, (name, at)) in functions.iter().enumerate() {
        const GLOBAL_FUNCTION: u8 = 1 << 4 | 2;
        let end = functions.get(index + 1).map_or(code.len(), |next| next.1);
        symbols.u32(strings.put(name));
        symbols.0.extend([GLOBAL_FUNCTION, 0]);
        symbols.u16(TEXT).u64((CODE + at) as u64);
        symbols.u64(end.checked_sub(*at)? as u64);
    }

    // One chain through all: there are few.
    let count = functions.len() as u32 + 1;
    let mut table = Bytes::default();
    table.u32(1).u32(count).u32(count - 1).u32(0);
    for index in 1..count {
        table.u32(index - 1);
    }

    let mut versions = Bytes::default();
    versions.u16(0);
    for _ in functions {
        versions.u16(FUNCTIONS);
    }

    let mut definitions = Bytes::default();
    for (index, flags, name, text, next) in [
        (OWN, 1, soname, SONAME, 28),
        (FUNCTIONS, 0, version, VERSION, 0),
    ] {
        definitions.u16(1).u16(flags).u16(index).u16(1);
        definitions.u32(hash(text)).u32(20).u32(next);
        definitions.u32(name).u32(0);
    }

    let mut image = Bytes(alloc::vec![0; HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE]);
    let mut sections = Vec::new();
    let mut add = |name, kind, bytes: &[u8], link, info, entry| {
        let offset = image.0.len();
        image.0.extend(bytes);
        image.0.resize(image.0.len().next_multiple_of(8), 0);
        const ALLOCATED: u64 = 2;
        sections.push(Section {
            name,
            kind,
            flags: ALLOCATED,
            offset,
            len: bytes.len(),
            link,
            info,
            align: 8,
            entry,
        });
        offset as u64
    };
    let table_at = add(".hash", kind::HASH, &table.0, SYMBOLS, 0, 4);
    let strings_at = add(".dynstr", kind::STRTAB, &strings.0, 0, 0, 0);
    let symbols_at = add(
        ".dynsym",
        kind::DYNSYM,
        &symbols.0,
        STRINGS,
        1,
        SYMBOL_SIZE as u64,
    );
    let versions_at = add(".gnu.version", kind::VERSYM, &versions.0, SYMBOLS, 0, 2);
    let definitions_at = add(
        ".gnu.version_d",
        kind::VERDEF,
        &definitions.0,
        STRINGS,
        2,
        0,
    );
    let mut dynamic = Bytes::default();
    for (tag, value) in [
        (tag::SONAME, u64::from(soname)),
        (tag::HASH, table_at),
        (tag::STRTAB, strings_at),
        (tag::SYMTAB, symbols_at),
        (tag::STRSZ, strings.0.len() as u64),
        (tag::SYMENT, SYMBOL_SIZE as u64),
        (tag::VERSYM, versions_at),
        (tag::VERDEF, definitions_at),
        (tag::VERDEFNUM, 2),
        (tag::NULL, 0),
    ] {
        dynamic.u64(tag).u64(value);
    }
    let dynamic_at = add(".dynamic", kind::DYNAMIC, &dynamic.0, STRINGS, 0, 16);

    image.0.resize(CODE.max(image.0.len()), 0);
    if image.0.len() > CODE {
        return None;
    }
    image.0.extend(code);
    const ALLOCATED_CODE: u64 = 2 | 4;
    sections.push(Section {
        name: ".text",
        kind: kind::PROGBITS,
        flags: ALLOCATED_CODE,
        offset: CODE,
        len: code.len(),
        link: 0,
        info: 0,
        align: 16,
        entry: 0,
    });
    let section_headers = put_sections(&mut image, sections);
    if image.0.len() > PAGE {
        return None;
    }
    image.0.resize(PAGE, 0);

    let mut headers = Bytes::default();
    headers.0.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let (shared_object, x86_64) = (3, 62);
    headers.u16(shared_object).u16(x86_64).u32(1);
    headers
        .u64(0)
        .u64(HEADER_SIZE as u64)
        .u64(section_headers.at);
    headers.u32(0).u16(HEADER_SIZE as u16);
    headers.u16(PROGRAM_HEADER_SIZE as u16).u16(2);
    headers.u16(SECTION_HEADER_SIZE as u16);
    headers
        .u16(section_headers.count)
        .u16(section_headers.count - 1);
    let page = PAGE as u64;
    segment(&mut headers, LOAD, READ | EXECUTE, 0, page, page);
    segment(
        &mut headers,
        DYNAMIC,
        READ,
        dynamic_at,
        dynamic.0.len() as u64,
        8,
    );
    image
        .0
        .get_mut(..headers.0.len())?
        .copy_from_slice(&headers.0);
    Some(image.0)
}

fn segment(headers: &mut Bytes, kind: u32, flags: u32, at: u64, len: u64, align: u64) {
    headers.u32(kind).u32(flags);
    headers.u64(at).u64(at).u64(at);
    headers.u64(len).u64(len).u64(align);
}

struct SectionHeaders {
    at: u64,
    count: u16,
}

/// Appends the sections' names and headers.
fn put_sections(image: &mut Bytes, mut sections: Vec<Section>) -> SectionHeaders {
    let mut names = Strings::new();
    let mut numbers: Vec<u32> = sections
        .iter()
        .map(|section| names.put(section.name))
        .collect();
    numbers.push(names.put(".shstrtab"));
    sections.push(Section {
        name: ".shstrtab",
        kind: kind::STRTAB,
        flags: 0,
        offset: image.0.len(),
        len: names.0.len(),
        link: 0,
        info: 0,
        align: 1,
        entry: 0,
    });
    image.0.extend(&names.0);
    image.0.resize(image.0.len().next_multiple_of(8), 0);
    let at = image.0.len() as u64;
    image.0.resize(image.0.len() + SECTION_HEADER_SIZE, 0);
    for (section, number) in sections.iter().zip(numbers) {
        let address = if section.flags == 0 {
            0
        } else {
            section.offset
        };
        image.u32(number).u32(section.kind).u64(section.flags);
        image.u64(address as u64).u64(section.offset as u64);
        image
            .u64(section.len as u64)
            .u32(section.link)
            .u32(section.info);
        image.u64(section.align).u64(section.entry);
    }
    SectionHeaders {
        at,
        count: sections.len() as u16 + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let functions: Vec<_> = machine::vdso::functions().collect();
        build(machine::vdso::code(), &functions).unwrap()
    }

    fn number<const N: usize>(image: &[u8], at: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&image[at as usize..at as usize + N]);
        u64::from_le_bytes(bytes)
    }

    fn string(image: &[u8], at: u64) -> &str {
        let bytes = image[at as usize..].split(|byte| *byte == 0).next();
        core::str::from_utf8(bytes.unwrap()).unwrap()
    }

    /// Looks a function up as musl does (`__vdsosym`): from the program headers on, with version.
    fn find(image: &[u8], name: &str, version: &str) -> Option<u64> {
        let headers = number::<8>(image, 32);
        let count = number::<2>(image, 56);
        let of_kind = |wanted: u32| {
            (0..count)
                .map(|index| headers + index * 56)
                .find(|at| number::<4>(image, *at) == u64::from(wanted))
        };
        let load = of_kind(LOAD)?;
        assert_eq!(number::<8>(image, load + 8), number::<8>(image, load + 16));
        let mut dynamic = number::<8>(image, of_kind(DYNAMIC)? + 8);
        let mut tags = std::collections::HashMap::new();
        while number::<8>(image, dynamic) != tag::NULL {
            tags.insert(number::<8>(image, dynamic), number::<8>(image, dynamic + 8));
            dynamic += 16;
        }
        let strings = tags[&tag::STRTAB];
        let count = number::<4>(image, tags[&tag::HASH] + 4);
        (0..count).find_map(|index| {
            let symbol = tags[&tag::SYMTAB] + index * SYMBOL_SIZE as u64;
            let its_name = string(image, strings + number::<4>(image, symbol));
            let defined = number::<2>(image, symbol + 6) != 0;
            let its_version = number::<2>(image, tags[&tag::VERSYM] + 2 * index);
            let mut definition = tags[&tag::VERDEF];
            while number::<2>(image, definition + 4) != its_version {
                match number::<4>(image, definition + 16) {
                    0 => return None,
                    next => definition += next,
                }
            }
            let text = number::<4>(image, definition + number::<4>(image, definition + 12));
            let right = string(image, strings + text) == version
                && number::<2>(image, definition + 2) & 1 == 0
                && number::<4>(image, definition + 8) == u64::from(hash(version));
            (defined && its_name == name && right).then(|| number::<8>(image, symbol + 8))
        })
    }

    #[test]
    fn a_library_finds_each_function_where_its_code_is() {
        let image = image();
        assert_eq!(image.len(), PAGE);
        for (name, at) in machine::vdso::functions() {
            let place = find(&image, name, VERSION).unwrap();
            assert_eq!(place, (CODE + at) as u64, "{name}");
        }
        let code = machine::vdso::code();
        assert_eq!(&image[CODE..CODE + code.len()], code);
        assert_eq!(find(&image, "__vdso_time", "LINUX_2.5"), None);
        assert_eq!(find(&image, "__vdso_nothing", VERSION), None);
    }

    /// `HELVE_VDSO=FILE cargo test -p linux vdso && readelf -aW FILE`
    #[test]
    fn for_other_readers() {
        if let Ok(path) = std::env::var("HELVE_VDSO") {
            std::fs::write(path, image()).unwrap();
        }
    }

    #[test]
    fn every_name_is_on_the_one_chain() {
        let image = image();
        let at = number::<8>(&image, 40) + SECTION_HEADER_SIZE as u64;
        let table = number::<8>(&image, at + 24);
        let count = number::<4>(&image, table + 4);
        let mut seen = 0;
        let mut next = number::<4>(&image, table + 8);
        while next != 0 {
            seen += 1;
            next = number::<4>(&image, table + 12 + 4 * next);
        }
        assert_eq!(seen, count - 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(build(&[0; PAGE], &[]), None);
        assert_eq!(build(&[0; 16], &[("late", 17)]), None);
        let many = [("a_function_with_a_rather_long_name", 0); 50];
        assert_eq!(build(&[0; 16], &many), None);
    }

    #[test]
    fn the_hash_is_that_of_the_specification() {
        assert_eq!(hash("LINUX_2.6"), 0x03ae_75f6);
        assert_eq!(hash(""), 0);
    }
}
