//! The kernel's own half of every address space: its image, the direct map, device windows.
//!
//! The one idea: the top-level entries of this half are made once, at boot, and copied into each
//! new address space, so that the kernel never has to look for what user space it is in.

use super::boot;
use super::frame::{self, Purpose};
use super::instructions::{invlpg, write_cr3};
use super::layout::{self, DEVICES, DEVICES_END, KERNEL_STACK, SMALL_STACK, Stacks};
use super::table::{Entry, LARGE, NO_CACHE, Table, WRITABLE, WRITE_THROUGH, no_execute};
use crate::features::features;
use crate::memory::{OutOfFrames, PAGE};
use crate::sync::Spin;
use core::sync::atomic::{AtomicU32, Ordering};

static TOP: AtomicU32 = AtomicU32::new(0);
/// The next free address for a device window.
static NEXT_DEVICE: Spin<usize> = Spin::new(DEVICES);

/// The kernel's own top-level table, whose user half is empty.
pub fn top() -> Table {
    Table(TOP.load(Ordering::Relaxed))
}

/// Builds the kernel's tables and leaves the bootstrap ones. Panics without memory.
pub fn init() {
    build().unwrap_or_else(|OutOfFrames| panic!("no memory for the kernel's page tables"));
    // SAFETY: the new tables map all that runs and is in use now: image, stack, direct map.
    unsafe { write_cr3(u64::from(top().0) << 12) };
    super::cpu::block().root.store(top().0, Ordering::Relaxed);
    let tables = layout::start_of_boot_tables()..layout::end_of_boot_tables();
    // SAFETY: the processor uses the new tables, and nothing else was in there.
    unsafe {
        frame::release_boot_memory(layout::physical(tables.start)..layout::physical(tables.end));
    }
}

/// Makes the kernel's tables this CPU's, as [`init`] did for the first.
pub fn load() {
    frame::count(top().0).fetch_add(1, Ordering::Relaxed);
    super::cpu::block().root.store(top().0, Ordering::SeqCst);
    // SAFETY: these tables map all that kernel code uses, this CPU's stacks included.
    unsafe { write_cr3(u64::from(top().0) << 12) };
}

fn build() -> Result<(), OutOfFrames> {
    let top = Table::new(Purpose::Kernel)?;
    // One count for the boot CPU and one for ever.
    frame::count(top.0).store(2, Ordering::Relaxed);
    TOP.store(top.0, Ordering::Relaxed);
    // The device range's second level is there from the start: all spaces share it.
    top.next_or_new(super::table::index(DEVICES, 4), 0, Purpose::Kernel, true)?;
    map_image()?;
    let image = layout::physical(layout::start_of_image())
        ..layout::physical(layout::start_of_boot_tables());
    for region in boot::info().memory.iter().filter(|region| region.usable) {
        let start = (region.start as usize).next_multiple_of(PAGE);
        let end = region.end() as usize & !(PAGE - 1);
        // The image is reached through its own addresses only, so that its text stays read-only.
        map_direct(start, end.min(image.start))?;
        map_direct(start.max(image.end), end)?;
    }
    Ok(())
}

/// The image, page by page: text executable, read-only data neither, data writable, guards absent.
fn map_image() -> Result<(), OutOfFrames> {
    let guards = layout::guards();
    for page in (layout::start_of_image()..layout::start_of_boot_tables()).step_by(PAGE) {
        if guards.contains(&page) {
            continue;
        }
        let flags = match page {
            _ if page < layout::end_of_text() => 0,
            _ if page < layout::end_of_rodata() => no_execute(),
            _ => no_execute() | WRITABLE,
        };
        map(page, layout::physical(page), 1, flags)?;
    }
    Ok(())
}

fn map_direct(mut start: usize, end: usize) -> Result<(), OutOfFrames> {
    while start < end {
        let fits = |size: usize| start.is_multiple_of(size) && end - start >= size;
        let level = match () {
            () if features().gigabyte_pages && fits(1 << 30) => 3,
            () if fits(1 << 21) => 2,
            () => 1,
        };
        map(
            layout::DIRECT + start,
            start,
            level,
            no_execute() | WRITABLE,
        )?;
        start += 1 << super::table::shift(level);
    }
    Ok(())
}

/// Maps one page of a level's size: 4 KiB, 2 MiB, 1 GiB.
fn map(address: usize, physical: usize, level: u32, flags: u64) -> Result<(), OutOfFrames> {
    let mut table = top();
    for above in (level + 1..=4).rev() {
        let index = super::table::index(address, above);
        table = table.next_or_new(index, 0, Purpose::Kernel, above == 4)?;
    }
    let large = if level > 1 { LARGE } else { 0 };
    table.fill(
        super::table::index(address, level),
        Entry::kernel(physical, flags | large),
    );
    Ok(())
}

/// Maps registers of devices at a fresh address, uncached. `start` and `len` are whole pages.
pub fn map_window(start: usize, len: usize) -> Result<usize, OutOfFrames> {
    let mut next = NEXT_DEVICE.lock();
    // A page between two windows stays empty.
    if DEVICES_END - *next < len + PAGE {
        return Err(OutOfFrames);
    }
    let flags = NO_CACHE | WRITE_THROUGH | no_execute() | WRITABLE;
    let address = *next;
    *next += len + PAGE;
    for offset in (0..len).step_by(PAGE) {
        map(address + offset, start + offset, 1, flags)?;
    }
    Ok(address)
}

/// Makes the stacks of a CPU. Their guard pages stay unmapped.
pub fn map_stacks(cpu: usize) -> Result<(), OutOfFrames> {
    let Stacks { kernel, small } = layout::stacks(cpu);
    let parts = [
        (kernel, KERNEL_STACK),
        (small[0], SMALL_STACK),
        (small[1], SMALL_STACK),
        (small[2], SMALL_STACK),
    ];
    let pages: usize = parts.iter().map(|(_, len)| len / PAGE).sum();
    let first = frame::take_row(pages)?;
    let _guard = NEXT_DEVICE.lock();
    let mut next = first;
    for (top, len) in parts {
        for page in (top - len..top).step_by(PAGE) {
            // A table that is missing half-way means that there is no memory at all: what is mapped
            // already stays, and its CPU is not started.
            map(page, next * PAGE, 1, no_execute() | WRITABLE)?;
            next += 1;
        }
    }
    Ok(())
}

/// Takes a window's pages away. Its addresses are not used again, so what other CPUs remember of them
/// does no harm.
pub fn unmap_window(address: usize, len: usize) {
    let _guard = NEXT_DEVICE.lock();
    for page in (address..address + len).step_by(PAGE) {
        let mut table = Some(top());
        for level in [4, 3, 2] {
            table = table.and_then(|table| table.next(super::table::index(page, level)));
        }
        if let Some(table) = table
            && table.get(super::table::index(page, 1)).is_present()
        {
            // The tables themselves stay: they are few, and shared by all address spaces.
            let _last = table.clear(super::table::index(page, 1));
            invlpg(page);
        }
    }
}

/// The top-level entries of the kernel's half.
fn kernel_half() -> [usize; 3] {
    [256, super::table::index(DEVICES, 4), 511]
}

/// Fills the kernel half of a new address space's top-level table.
pub fn copy_kernel_half(into: Table) {
    for index in kernel_half() {
        into.set(index, top().get(index));
    }
}

/// The same, for a table that is no frame of the allocator's.
///
/// # Safety
/// `table` is a page that nobody else uses.
pub unsafe fn copy_kernel_half_to(table: *mut u64) {
    for index in kernel_half() {
        // SAFETY: a table has 512 entries, and this one is the caller's.
        unsafe { table.add(index).write(top().get(index).0) };
    }
}
