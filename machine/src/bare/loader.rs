//! The two ways in which a loader describes the machine: PVH's start information and Multiboot2's
//! tags. Both end up as one [`Found`].
//!
//! The one idea: the structures come from outside, so every address and length is checked against
//! the 4 GiB that the bootstrap tables map before it is followed.

use super::boot::{MOST_REGIONS, Region};
use super::layout;

/// What a loader said, in one shape.
pub struct Found {
    pub command_line: &'static [u8],
    pub loader: &'static [u8],
    /// Physical start and length.
    pub initramfs: Option<(usize, usize)>,
    pub rsdp: Option<usize>,
    pub regions: [Region; MOST_REGIONS],
    pub count: usize,
}

impl Found {
    fn nothing() -> Found {
        Found {
            command_line: &[],
            loader: &[],
            initramfs: None,
            rsdp: None,
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

const MAPPED: usize = 1 << 32;
const LONGEST_STRING: usize = 4096;

/// The bytes at a physical address; empty when they are not all below 4 GiB.
pub fn bytes(start: usize, len: usize) -> &'static [u8] {
    match start.checked_add(len) {
        Some(end) if end <= MAPPED && start != 0 => {
            // SAFETY: the first 4 GiB are mapped at the direct map until the kernel's own tables
            // are loaded, and only boot code, which runs before that, calls this. Nothing writes there
            // meanwhile. What is not RAM reads as some value.
            unsafe { core::slice::from_raw_parts(layout::direct(start), len) }
        }
        _ => &[],
    }
}

fn string(start: usize) -> &'static [u8] {
    let text = bytes(start, LONGEST_STRING.min(MAPPED.saturating_sub(start)));
    &text[..text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len())]
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(word) => u32::from_le_bytes([word[0], word[1], word[2], word[3]]),
        None => 0,
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Reads `hvm_start_info` (Xen, `public/arch-x86/hvm/start_info.h`).
pub fn pvh(at: usize) -> Found {
    const MAGIC: u32 = 0x336e_c578;
    let mut found = Found::nothing();
    let info = bytes(at, 56);
    if u32_at(info, 0) != MAGIC {
        return found;
    }
    let version = u32_at(info, 4);
    let modules = u32_at(info, 12);
    if modules > 0 {
        let module = bytes(u64_at(info, 16) as usize, 32);
        found.initramfs = range(u64_at(module, 0), u64_at(module, 8));
    }
    found.command_line = string(u64_at(info, 24) as usize);
    found.rsdp = Some(u64_at(info, 32) as usize).filter(|&address| address != 0);
    found.loader = b"PVH";
    if version >= 1 {
        let entries = bytes(u64_at(info, 40) as usize, u32_at(info, 48) as usize * 24);
        for entry in entries.chunks_exact(24) {
            found.add(u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16));
        }
    }
    found
}

/// Reads the boot information (Multiboot2 specification 1.6, section 3.6).
pub fn multiboot2(at: usize) -> Found {
    const END: u32 = 0;
    const COMMAND_LINE: u32 = 1;
    const LOADER: u32 = 2;
    const MODULE: u32 = 3;
    const MEMORY_MAP: u32 = 6;
    const ACPI_OLD: u32 = 14;
    const ACPI_NEW: u32 = 15;

    let mut found = Found::nothing();
    let info = bytes(at, u32_at(bytes(at, 8), 0) as usize);
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
                found.initramfs = range(start, end.saturating_sub(start));
            }
            MEMORY_MAP => {
                let entry_size = (u32_at(body, 0) as usize).max(24);
                for entry in body.get(8..).unwrap_or(&[]).chunks_exact(entry_size) {
                    found.add(u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16));
                }
            }
            ACPI_OLD if found.rsdp.is_some() => {}
            ACPI_OLD | ACPI_NEW => found.rsdp = Some(body.as_ptr().addr() - layout::DIRECT),
            _ => {}
        }
        offset += size.next_multiple_of(8);
    }
    found
}

fn until_zero(body: &'static [u8]) -> &'static [u8] {
    &body[..body
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(body.len())]
}

fn range(start: u64, len: u64) -> Option<(usize, usize)> {
    let (start, len) = (start as usize, len as usize);
    (len > 0 && !bytes(start, len).is_empty()).then_some((start, len))
}
