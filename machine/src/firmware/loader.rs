//! The two ways in which a loader describes the machine: PVH's start information and Multiboot2's
//! tags. Both end up as one [`Found`].
//!
//! The one idea: only what can be followed safely is kept; a structure that lies describes less.

use super::{Memory, u32_at, u64_at};

/// The most ranges of memory that are kept.
pub const MOST_REGIONS: usize = 128;

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub start: u64,
    pub len: u64,
    /// Whether it is memory that the system may use.
    pub usable: bool,
}

impl Region {
    /// An empty range.
    pub const NONE: Region = Region {
        start: 0,
        len: 0,
        usable: false,
    };

    /// The first address after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// What a loader said, in one shape.
pub struct Found<'a> {
    pub command_line: &'a [u8],
    pub loader: &'a [u8],
    /// Physical start and length.
    pub initramfs: Option<(usize, usize)>,
    /// The ACPI root pointer, or where it is.
    pub root: Root<'a>,
    pub regions: [Region; MOST_REGIONS],
    pub count: usize,
}

/// The ACPI root pointer as a loader gives it: nothing, an address, or a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root<'a> {
    Unknown,
    At(usize),
    Copy(&'a [u8]),
}

impl<'a> Found<'a> {
    fn nothing() -> Found<'a> {
        Found {
            command_line: &[],
            loader: &[],
            initramfs: None,
            root: Root::Unknown,
            regions: [Region::NONE; MOST_REGIONS],
            count: 0,
        }
    }

    fn add(&mut self, start: u64, len: u64, kind: u32) {
        const MEMORY: u32 = 1;
        if let Some(region) = self.regions.get_mut(self.count)
            && len != 0
        {
            *region = Region {
                start,
                len,
                usable: kind == MEMORY,
            };
            self.count += 1;
        }
    }
}

const LONGEST_STRING: usize = 4096;

/// The text at an address, up to its zero or to where nothing can be read.
fn string<'a>(memory: &Memory<'a>, start: usize) -> &'a [u8] {
    let ends = |at: usize| matches!(memory(at, 1), [] | [0]);
    let len = (0..LONGEST_STRING).find(|index| ends(start.saturating_add(*index)));
    memory(start, len.unwrap_or(LONGEST_STRING))
}

/// Reads `hvm_start_info` (Xen, `public/arch-x86/hvm/start_info.h`).
pub fn pvh<'a>(memory: &Memory<'a>, at: usize) -> Found<'a> {
    const MAGIC: u32 = 0x336e_c578;
    let mut found = Found::nothing();
    let info = memory(at, 56);
    if u32_at(info, 0) != MAGIC {
        return found;
    }
    let version = u32_at(info, 4);
    let modules = u32_at(info, 12);
    if modules > 0 {
        let module = memory(u64_at(info, 16) as usize, 32);
        found.initramfs = range(memory, u64_at(module, 0), u64_at(module, 8));
    }
    found.command_line = string(memory, u64_at(info, 24) as usize);
    if u64_at(info, 32) != 0 {
        found.root = Root::At(u64_at(info, 32) as usize);
    }
    found.loader = b"PVH";
    if version >= 1 {
        let entries = memory(u64_at(info, 40) as usize, u32_at(info, 48) as usize * 24);
        for entry in entries.chunks_exact(24) {
            found.add(u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16));
        }
    }
    found
}

/// Reads the boot information (Multiboot2 specification 1.6, section 3.6).
pub fn multiboot2<'a>(memory: &Memory<'a>, at: usize) -> Found<'a> {
    const END: u32 = 0;
    const COMMAND_LINE: u32 = 1;
    const LOADER: u32 = 2;
    const MODULE: u32 = 3;
    const MEMORY_MAP: u32 = 6;
    const ACPI_OLD: u32 = 14;
    const ACPI_NEW: u32 = 15;

    let mut found = Found::nothing();
    let info = memory(at, u32_at(memory(at, 8), 0) as usize);
    let mut offset = 8;
    while let Some(tag) = info.get(offset..)
        && tag.len() >= 8
    {
        let (kind, size) = (u32_at(tag, 0), u32_at(tag, 4) as usize);
        if kind == END || size < 8 {
            break;
        }
        let body = tag.get(8..size).unwrap_or(&[]);
        match kind {
            COMMAND_LINE => found.command_line = until_zero(body),
            LOADER => found.loader = until_zero(body),
            MODULE if found.initramfs.is_none() => {
                let (start, end) = (u64::from(u32_at(body, 0)), u64::from(u32_at(body, 4)));
                found.initramfs = range(memory, start, end.saturating_sub(start));
            }
            MEMORY_MAP => {
                let entry_size = (u32_at(body, 0) as usize).max(24);
                for entry in body.get(8..).unwrap_or(&[]).chunks_exact(entry_size) {
                    found.add(u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16));
                }
            }
            ACPI_OLD if found.root != Root::Unknown => {}
            ACPI_OLD | ACPI_NEW => found.root = Root::Copy(body),
            _ => {}
        }
        offset += size.next_multiple_of(8);
    }
    found
}

fn until_zero(body: &[u8]) -> &[u8] {
    body.split(|&byte| byte == 0).next().unwrap_or(&[])
}

/// A module that can be read.
fn range(memory: &Memory<'_>, start: u64, len: u64) -> Option<(usize, usize)> {
    let (start, len) = (start as usize, len as usize);
    (len > 0 && memory(start, len).len() == len).then_some((start, len))
}

#[cfg(test)]
mod tests {
    use super::super::image::{Image, words};
    use super::*;
    use proptest::prelude::*;

    fn pvh_image() -> Image {
        let mut image = Image::default();
        let mut start = words(&[(4, 0x336e_c578), (4, 1), (4, 0), (4, 1)]);
        start.extend(words(&[
            (8, 0x2000),
            (8, 0x3000),
            (8, 0xf_5000),
            (8, 0x4000),
            (4, 2),
            (4, 0),
        ]));
        image.put(0x1000, start);
        image.put(0x2000, words(&[(8, 0x10_0000), (8, 5), (8, 0), (8, 0)]));
        image.put(0x3000, b"quiet init=/bin/sh\0".to_vec());
        image.put(
            0x4000,
            words(&[
                (8, 0),
                (8, 0x9_fc00),
                (4, 1),
                (4, 0),
                (8, 0xf_0000),
                (8, 0x1_0000),
                (4, 2),
                (4, 0),
            ]),
        );
        image.put(0x10_0000, b"hello".to_vec());
        image
    }

    fn multiboot2_image() -> Image {
        let mut tags = Vec::new();
        let mut tag = |kind: u64, body: &[u8]| {
            tags.extend(words(&[(4, kind), (4, 8 + body.len() as u64)]));
            tags.extend(body);
            tags.resize(tags.len().next_multiple_of(8), 0);
        };
        tag(1, b"a b=c\0");
        tag(2, b"GRUB 2\0");
        tag(3, &words(&[(4, 0x10_0000), (4, 0x10_0005), (1, 0)]));
        tag(
            6,
            &words(&[
                (4, 24),
                (4, 0),
                (8, 0x10_0000),
                (8, 0x100_0000),
                (4, 1),
                (4, 0),
            ]),
        );
        tag(15, b"RSD PTR and so on");
        tag(14, b"the old one");
        tag(0, b"");
        let mut info = words(&[(4, 8 + tags.len() as u64), (4, 0)]);
        info.extend(tags);
        let mut image = Image::default();
        image.put(0x9000, info);
        image.put(0x10_0000, b"hello".to_vec());
        image
    }

    #[test]
    fn pvh_start_information() {
        let image = pvh_image();
        let read = |at, len| image.read(at, len);
        let found = pvh(&read, 0x1000);
        assert_eq!(found.command_line, b"quiet init=/bin/sh");
        assert_eq!(found.initramfs, Some((0x10_0000, 5)));
        assert_eq!(found.root, Root::At(0xf_5000));
        assert_eq!(found.count, 2);
        assert!(found.regions[0].usable && !found.regions[1].usable);
        assert_eq!(found.regions[1].end(), 0x10_0000);
        assert_eq!(pvh(&read, 0x2000).count, 0);
    }

    #[test]
    fn multiboot2_tags() {
        let image = multiboot2_image();
        let read = |at, len| image.read(at, len);
        let found = multiboot2(&read, 0x9000);
        assert_eq!(
            (found.command_line, found.loader),
            (&b"a b=c"[..], &b"GRUB 2"[..])
        );
        assert_eq!(found.initramfs, Some((0x10_0000, 5)));
        assert_eq!(found.root, Root::Copy(b"RSD PTR and so on"));
        assert_eq!((found.count, found.regions[0].len), (1, 0x100_0000));
        assert_eq!(multiboot2(&read, 0).count, 0);
    }

    proptest! {
        #[test]
        fn what_is_spoilt_is_survived(
            multiboot in any::<bool>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut image = if multiboot { multiboot2_image() } else { pvh_image() };
            for (piece, at, value) in changes {
                let keys: Vec<usize> = image.0.keys().copied().collect();
                if let Some(bytes) = image.0.get_mut(piece.get(&keys)) {
                    *at.get_mut(bytes) = value;
                }
            }
            let read = |at, len| image.read(at, len);
            let found = if multiboot { multiboot2(&read, 0x9000) } else { pvh(&read, 0x1000) };
            prop_assert!(found.count <= MOST_REGIONS);
            if let Some((start, len)) = found.initramfs {
                prop_assert_eq!(image.read(start, len).len(), len);
            }
        }
    }
}
