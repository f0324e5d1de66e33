//! What the boot loader tells: memory map, command line, initramfs.
//!
//! The one idea: everything the loader left in memory is read here, once, through the bootstrap
//! page tables (which map the first 4 GiB), and what is kept lies in the kernel image or in memory
//! that the frame allocator never gets.

use super::layout;
use crate::firmware::acpi::{self, Acpi};
pub use crate::firmware::loader::Region;
use crate::firmware::loader::{Found, MOST_REGIONS, multiboot2, pvh};
use crate::memory::PAGE;
use crate::sync::Once;
use core::cell::UnsafeCell;

/// How the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Pvh,
    Multiboot2,
}

/// What the kernel was started with.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    pub command_line: &'static str,
    pub initramfs: &'static [u8],
    pub loader: &'static str,
    pub protocol: Protocol,
    /// Sorted, without overlaps.
    pub memory: &'static [Region],
}

static INFO: Once<Info> = Once::new();
static EMPTY: Info = Info {
    command_line: "",
    initramfs: &[],
    loader: "",
    protocol: Protocol::Pvh,
    memory: &[],
};

/// What this machine was started with.
pub fn info() -> &'static Info {
    INFO.get().unwrap_or(&EMPTY)
}

/// Whether `word` stands on the command line, alone or as `word=...`; gives what follows the `=`.
pub(super) fn option(word: &str) -> Option<&'static str> {
    info()
        .command_line
        .split_ascii_whitespace()
        .find_map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name == word).then_some(value)
        })
}

const LONGEST_TEXT: usize = 4096;

/// Room in the kernel image for what is kept of the loader's words.
struct Kept(UnsafeCell<Room>);

struct Room {
    command_line: [u8; LONGEST_TEXT],
    loader: [u8; 64],
    memory: [Region; MOST_REGIONS],
}

// SAFETY: written once by `read` on the boot CPU before anything else runs, then only read.
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(UnsafeCell::new(Room {
    command_line: [0; LONGEST_TEXT],
    loader: [0; 64],
    memory: [Region::NONE; MOST_REGIONS],
}));
static ACPI: Once<Option<Acpi>> = Once::new();

unsafe extern "C" {
    static boot_protocol: u32;
    static boot_information: u32;
}

/// What the firmware's tables say, if it has them.
pub(super) fn acpi() -> Option<&'static Acpi> {
    ACPI.get()?.as_ref()
}

/// The bytes at a physical address; none when they are not all below 4 GiB.
fn bytes(start: usize, len: usize) -> &'static [u8] {
    const MAPPED: usize = 1 << 32;
    match start.checked_add(len) {
        Some(end) if end <= MAPPED && start != 0 => {
            // SAFETY: the first 4 GiB are mapped at the direct map until the kernel's own tables
            // are loaded, and only `read` below, which runs before that, uses this. Nothing writes
            // there meanwhile. What is not RAM reads as some value.
            unsafe { core::slice::from_raw_parts(layout::direct(start), len) }
        }
        _ => &[],
    }
}

/// Reads what the loader and the firmware left. Panics when there is no memory map: nothing can run without.
pub(super) fn read() {
    // SAFETY: the entry code wrote both before any Rust ran.
    let (protocol, at) = unsafe { (boot_protocol, boot_information as usize) };
    let (protocol, found) = match protocol {
        1 => (Protocol::Pvh, pvh(&bytes, at)),
        _ => (Protocol::Multiboot2, multiboot2(&bytes, at)),
    };
    // SAFETY: only the boot CPU runs, and only here, once: nobody else has a reference.
    let room = unsafe { &mut *KEPT.0.get() };
    let Found {
        command_line,
        loader,
        initramfs,
        root,
        regions,
        count,
    } = found;
    let _ = ACPI.set(acpi::read(&bytes, root));
    let memory = &mut room.memory[..count];
    memory.copy_from_slice(&regions[..count]);
    memory.sort_unstable_by_key(|region| region.start);
    let _ = INFO.set(Info {
        command_line: keep(&mut room.command_line, command_line),
        initramfs: initramfs.map_or(&[], |(start, len)| {
            // SAFETY: the loader put the module into memory, where it stays: the frame allocator
            // leaves it out. The direct map shows it at this address before and after.
            unsafe { core::slice::from_raw_parts(layout::direct(start), len) }
        }),
        loader: keep(&mut room.loader, loader),
        protocol,
        memory,
    });
    assert!(
        info().memory.iter().any(|region| region.usable),
        "the loader gave no memory map"
    );
}

fn keep<'a>(room: &'a mut [u8], text: &[u8]) -> &'a str {
    let len = text.len().min(room.len());
    let room = &mut room[..len];
    room.copy_from_slice(&text[..len]);
    match core::str::from_utf8(room) {
        Ok(_) => {}
        Err(_) => room
            .iter_mut()
            .filter(|byte| !byte.is_ascii())
            .for_each(|byte| *byte = b'?'),
    }
    core::str::from_utf8(room).unwrap_or("")
}

/// Physical ranges that hold something and are not to be given away: the first megabyte (firmware
/// data, and where other CPUs start), the kernel, the initramfs.
pub(super) fn reserved() -> [(usize, usize); 3] {
    let image = (
        layout::physical(layout::start_of_image()),
        layout::physical(layout::end_of_image()),
    );
    let initramfs = info().initramfs;
    let start = if initramfs.is_empty() {
        0
    } else {
        initramfs.as_ptr().addr() - layout::DIRECT
    };
    [
        (0, 1 << 20),
        image,
        (start, (start + initramfs.len()).next_multiple_of(PAGE)),
    ]
}
