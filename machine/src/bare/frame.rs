//! Frames of physical memory: who has how many references to which.
//!
//! The one idea: each frame has one counter. A [`Frame`] is one count; the last to go gives the
//! frame back. Free single frames wait in a small stack of each CPU, everything else in the buddy
//! allocators, one for each zone of memory, so taking one is a load and a store. A CPU takes from its own
//! node as long as there is something, then from the nearest; what is another node's goes back there.

use super::{boot, copy, cpu, layout, node};
use crate::buddy::{Buddy, Node};
use crate::memory::PAGE;
pub use crate::memory::{OutOfFrames, Stats};
use crate::sync::Spin;
use crate::topology::{MOST_ZONES, Zone};
use core::cell::Cell;
use core::num::NonZeroU32;
use core::ops::Range;
use core::sync::atomic::{AtomicIsize, AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};

/// One for each zone.
static BUDDIES: [Spin<Option<Buddy<'static>>>; MOST_ZONES] =
    [const { Spin::new(None) }; MOST_ZONES];
/// How many frames each has, and all together, to be read without the locks.
static FREE_IN: [AtomicUsize; MOST_ZONES] = [const { AtomicUsize::new(0) }; MOST_ZONES];
static BUDDY_FREE: AtomicUsize = AtomicUsize::new(0);
/// Usable frames in each zone.
static TOTAL_IN: [AtomicUsize; MOST_ZONES] = [const { AtomicUsize::new(0) }; MOST_ZONES];
/// One counter for each frame. For a page table it counts the entries in use.
static COUNTS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
static FRAMES: AtomicUsize = AtomicUsize::new(0);
/// Frames of usable memory, the kernel's own image and the initramfs included.
static TOTAL: AtomicUsize = AtomicUsize::new(0);
/// Frames that only the kernel may take.
static RESERVE: AtomicUsize = AtomicUsize::new(256);

/// Free frames that a CPU keeps at hand.
const CACHE: usize = 64;
/// How many move between a CPU and the buddy allocator at a time.
const BATCH: usize = 32;
const BATCH_ORDER: usize = BATCH.trailing_zeros() as usize;

/// One CPU's free frames. Only that CPU changes it; the counts may be read by all.
#[repr(align(64))]
struct Cache {
    free: [Cell<u32>; CACHE],
    len: AtomicUsize,
    /// Frames that became user frames here less those that ceased to be.
    user: AtomicIsize,
    /// The CPU's node; [`ONLY`] if there is just one.
    node: AtomicUsize,
}

/// There is one node, so that nobody needs to ask whose a frame is.
const ONLY: usize = usize::MAX;

// SAFETY: the cells are used by their own CPU alone, which is not interrupted in kernel code.
unsafe impl Sync for Cache {}

static CACHES: [Cache; cpu::MAX] = [const {
    Cache {
        free: [const { Cell::new(0) }; CACHE],
        len: AtomicUsize::new(0),
        user: AtomicIsize::new(0),
        node: AtomicUsize::new(ONLY),
    }
}; cpu::MAX];

impl Cache {
    /// This CPU's.
    #[inline(always)]
    fn here() -> &'static Cache {
        &CACHES[cpu::index() & (cpu::MAX - 1)]
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set_len(&self, len: usize) {
        self.len.store(len, Ordering::Relaxed);
    }

    #[inline(always)]
    fn count_user(&self, change: isize) {
        let user = self.user.load(Ordering::Relaxed);
        self.user.store(user + change, Ordering::Relaxed);
    }
}

/// Gives all usable memory to the allocator, but what is reserved. Runs on the bootstrap tables,
/// so the counters themselves must fit below 4 GiB.
pub(super) fn init() {
    let frames_of = |region: &boot::Region| {
        let start = region.start.div_ceil(PAGE as u64);
        start as usize..(region.end() / PAGE as u64) as usize
    };
    let usable = || boot::info().memory.iter().filter(|region| region.usable);
    let frames = usable()
        .map(|region| frames_of(region).end)
        .max()
        .unwrap_or(0);
    let nodes_bytes = frames * size_of::<Node>();
    let bytes = nodes_bytes + frames * size_of::<AtomicU32>();
    let books = place_books(bytes.div_ceil(PAGE));
    let start = layout::frame(books.start);
    // SAFETY: `place_books` found this memory free, large enough and below 4 GiB; from here on it
    // belongs to these two arrays. Zero is a valid counter.
    let nodes = unsafe {
        for index in 0..frames {
            start.cast::<Node>().add(index).write(Node::TAKEN);
        }
        let counts = start.add(nodes_bytes);
        copy::zero(counts, frames * size_of::<AtomicU32>());
        COUNTS.store(counts.cast(), Ordering::Relaxed);
        core::slice::from_raw_parts_mut(start.cast::<Node>(), frames)
    };
    FRAMES.store(frames, Ordering::Relaxed);

    let mut total = 0;
    let mut rest = nodes;
    for (at, zone) in node::find(usable().map(frames_of), frames)
        .iter()
        .enumerate()
    {
        let (own, others) = rest.split_at_mut(zone.end - zone.start);
        rest = others;
        let mut buddy = Buddy::new(zone.start, own);
        let mut in_zone = 0;
        for region in usable() {
            let region = frames_of(region);
            let region = region.start.max(zone.start)..region.end.min(zone.end);
            in_zone += region.len();
            add_without_holes(&mut buddy, region, &books);
        }
        total += in_zone;
        TOTAL_IN[at].store(in_zone, Ordering::Relaxed);
        FREE_IN[at].store(buddy.free_frames(), Ordering::Relaxed);
        BUDDY_FREE.fetch_add(buddy.free_frames(), Ordering::Relaxed);
        *BUDDIES[at].lock() = Some(buddy);
    }
    TOTAL.store(total, Ordering::Relaxed);
    RESERVE.store((total / 64).max(256), Ordering::Relaxed);
}

/// This CPU takes from its own node from now on.
pub(super) fn init_cpu() {
    if node::all().count() > 1 {
        let node = node::of_cpu(cpu::index());
        Cache::here().node.store(node, Ordering::Relaxed);
    }
}

/// How the memory of one node is used: all of its frames, and those that are free, but for a few that CPUs keep at hand.
pub(super) fn usage_of(node: usize) -> (usize, usize) {
    let zones = node::all().zones().iter().enumerate();
    zones
        .filter(|(_, zone)| zone.node == node)
        .map(|(at, _)| (&TOTAL_IN[at], &FREE_IN[at]))
        .fold((0, 0), |(total, free), (more, less)| {
            (
                total + more.load(Ordering::Relaxed),
                free + less.load(Ordering::Relaxed),
            )
        })
}

/// The reserved ranges and the books themselves, as frame ranges.
fn holes(books: &Range<usize>) -> [Range<usize>; 4] {
    let [a, b, c] = boot::reserved().map(|(start, end)| start / PAGE..end.div_ceil(PAGE));
    [a, b, c, books.clone()]
}

fn add_without_holes(buddy: &mut Buddy<'_>, mut region: Range<usize>, books: &Range<usize>) {
    while !region.is_empty() {
        // The hole that comes first in what is left of the region.
        let hole = holes(books)
            .into_iter()
            .filter(|hole| !hole.is_empty() && hole.start < region.end && hole.end > region.start)
            .min_by_key(|hole| hole.start);
        match hole {
            Some(hole) => {
                buddy.add(region.start..hole.start.max(region.start));
                region.start = hole.end.min(region.end);
            }
            None => {
                buddy.add(region.clone());
                return;
            }
        }
    }
}

/// Finds `frames` frames that nothing lies in, below 4 GiB, as low as possible.
fn place_books(frames: usize) -> Range<usize> {
    const LIMIT: usize = (1 << 32) / PAGE;
    let nowhere = 0..0;
    for region in boot::info().memory.iter().filter(|region| region.usable) {
        let mut start = region.start.div_ceil(PAGE as u64) as usize;
        let end = ((region.end() / PAGE as u64) as usize).min(LIMIT);
        while start + frames <= end {
            let overlap = holes(&nowhere)
                .into_iter()
                .filter(|hole| hole.start < start + frames && hole.end > start)
                .map(|hole| hole.end)
                .max();
            match overlap {
                Some(after) => start = after,
                None => return start..start + frames,
            }
        }
    }
    panic!("no room for the books of physical memory");
}

/// Adds a range of the kernel image that is no longer needed.
///
/// # Safety
/// Nothing refers to these bytes any more.
pub(super) unsafe fn release_boot_memory(physical: Range<usize>) {
    add_row(physical.start / PAGE..physical.end / PAGE);
}

/// How memory is used at this moment.
pub fn stats() -> Stats {
    let total = TOTAL.load(Ordering::Relaxed);
    let free = free_frames();
    let user: isize = CACHES
        .iter()
        .map(|cache| cache.user.load(Ordering::Relaxed))
        .sum();
    let user = usize::try_from(user).unwrap_or(0);
    Stats {
        total,
        free,
        kernel: total.saturating_sub(free + user),
        user,
    }
}

fn free_frames() -> usize {
    let cached: usize = CACHES[..cpu::count()].iter().map(Cache::len).sum();
    BUDDY_FREE.load(Ordering::Relaxed) + cached
}

/// True while kernel objects may still be created: half of the kernel's reserve is still there.
pub fn heap_room() -> bool {
    free_frames() > RESERVE.load(Ordering::Relaxed) / 2
}

/// For whom a frame is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For a user: leaves the reserve alone.
    User,
    /// For the kernel: may take the last one.
    Kernel,
}

/// Takes one free frame; its contents are unspecified, its counter is 0.
#[inline]
pub(super) fn take(purpose: Purpose) -> Result<u32, OutOfFrames> {
    let cache = Cache::here();
    match cache.len().checked_sub(1) {
        Some(len) => {
            cache.set_len(len);
            Ok(cache.free[len].get())
        }
        None => refill(cache, purpose),
    }
}

#[cold]
fn refill(cache: &Cache, purpose: Purpose) -> Result<u32, OutOfFrames> {
    let reserve = RESERVE.load(Ordering::Relaxed);
    if purpose == Purpose::User && BUDDY_FREE.load(Ordering::Relaxed) < reserve + BATCH {
        return Err(OutOfFrames);
    }
    let Some(first) = allocate(BATCH_ORDER) else {
        return allocate(0).map(|frame| frame as u32).ok_or(OutOfFrames);
    };
    // The lowest goes first, so that neighbours in time are neighbours in memory.
    for index in 1..BATCH {
        cache.free[BATCH - 1 - index].set((first + index) as u32);
    }
    cache.set_len(BATCH - 1);
    Ok(first as u32)
}

/// Takes a block from the nearest node that has one.
fn allocate(order: usize) -> Option<usize> {
    let all = node::all();
    let zones = all.zones();
    let take = |at: usize| with_buddy(at, |buddy| buddy.allocate(order));
    match Cache::here().node.load(Ordering::Relaxed) {
        ONLY => (0..zones.len()).find_map(take),
        own => all.nearest(own)[..all.count()].iter().find_map(|near| {
            let here = |at: &usize| zones[*at].node == usize::from(*near);
            (0..zones.len()).filter(here).find_map(take)
        }),
    }
}

/// Gives one frame back. Its counter must be 0.
#[inline]
pub(super) fn give(frame: u32) {
    debug_assert!(
        count(frame).load(Ordering::Relaxed) == 0,
        "a frame in use is given back"
    );
    let cache = Cache::here();
    let own = cache.node.load(Ordering::Relaxed);
    if own != ONLY && node::all().of_frame(frame as usize) != own {
        return give_to_zone(frame);
    }
    if cache.len() == CACHE {
        drain(cache);
    }
    let len = cache.len();
    if cfg!(debug_assertions) {
        let twice = cache.free[..len].iter().any(|free| free.get() == frame);
        assert!(!twice, "a frame is freed once");
    }
    cache.free[len].set(frame);
    cache.set_len(len + 1);
}

/// Moves the frames that waited longest to the buddy allocator.
#[cold]
fn drain(cache: &Cache) {
    for slot in &cache.free[..BATCH] {
        give_to_zone(slot.get());
    }
    for index in BATCH..CACHE {
        cache.free[index - BATCH].set(cache.free[index].get());
    }
    cache.set_len(CACHE - BATCH);
}

/// Gives one frame back to the zone that it lies in.
#[cold]
fn give_to_zone(frame: u32) {
    let frame = frame as usize;
    with_buddy(zone_of(frame).0, |buddy| {
        buddy.free(frame, 0);
        Some(())
    });
}

/// Takes `frames` frames in a row for the kernel and returns the first. The row is aligned to its
/// length rounded up to a power of two.
pub(super) fn take_row(frames: usize) -> Result<usize, OutOfFrames> {
    if frames == 1 {
        return take(Purpose::Kernel).map(|frame| frame as usize);
    }
    let order = frames.next_power_of_two().trailing_zeros() as usize;
    if order >= crate::buddy::ORDERS {
        return Err(OutOfFrames);
    }
    let first = allocate(order).ok_or(OutOfFrames)?;
    add_row(first + frames..first + (1 << order));
    Ok(first)
}

/// Gives a row of frames back.
pub(super) fn give_row(first: usize, frames: usize) {
    if frames == 1 {
        return give(first as u32);
    }
    add_row(first..first + frames);
}

/// Makes frames in a row free, each in its zone.
fn add_row(mut row: Range<usize>) {
    while !row.is_empty() {
        let (at, zone) = zone_of(row.start);
        let part = row.start..row.end.min(zone.end);
        if part.is_empty() {
            return;
        }
        row.start = part.end;
        with_buddy(at, |buddy| {
            buddy.add(part);
            Some(())
        });
    }
}

/// The zone that a frame lies in, and its place among the zones.
fn zone_of(frame: usize) -> (usize, Zone) {
    let zones = node::all().zones();
    let at = zones.iter().position(|zone| frame < zone.end);
    let at = at.unwrap_or(0);
    (at, zones[at])
}

/// Works on the buddy allocator of a zone; `None` before it is there.
fn with_buddy<R>(zone: usize, work: impl FnOnce(&mut Buddy<'static>) -> Option<R>) -> Option<R> {
    let mut buddy = BUDDIES[zone].lock();
    let buddy = buddy.as_mut()?;
    let before = buddy.free_frames();
    let result = work(buddy);
    let after = buddy.free_frames();
    FREE_IN[zone].store(after, Ordering::Relaxed);
    BUDDY_FREE.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    result
}

/// The counter of a frame.
#[inline(always)]
pub(super) fn count(frame: u32) -> &'static AtomicU32 {
    debug_assert!(
        (frame as usize) < FRAMES.load(Ordering::Relaxed),
        "not a frame of memory"
    );
    // SAFETY: frame numbers come from the allocator, so they are below the length of the array,
    // which lives for ever.
    unsafe { &*COUNTS.load(Ordering::Relaxed).add(frame as usize) }
}

/// A counted reference to one 4 KiB frame that users may see. `Clone` counts up, `Drop` counts
/// down and frees the last.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame(NonZeroU32);

impl Frame {
    /// A frame full of zeros.
    #[inline]
    pub fn zeroed() -> Result<Frame, OutOfFrames> {
        let frame = Frame::dirty()?;
        // SAFETY: the frame was just taken: nobody else refers to it.
        unsafe { copy::zero_page(frame.address()) };
        Ok(frame)
    }

    /// A frame with any contents: overwrite all of it before anybody sees it.
    #[inline]
    pub fn dirty() -> Result<Frame, OutOfFrames> {
        let number = NonZeroU32::new(take(Purpose::User)?).ok_or(OutOfFrames)?;
        count(number.get()).store(1, Ordering::Relaxed);
        Cache::here().count_user(1);
        Ok(Frame(number))
    }

    /// The count that a page table entry held becomes a `Frame` again.
    ///
    /// # Safety
    /// `number` comes from [`Frame::into_number`], once.
    #[inline(always)]
    pub(super) unsafe fn from_number(number: u32) -> Frame {
        // SAFETY: it was in a `Frame`, so it is not zero.
        Frame(unsafe { NonZeroU32::new_unchecked(number) })
    }

    /// Hands this count over to the caller.
    #[inline(always)]
    pub(super) fn into_number(self) -> u32 {
        let number = self.0.get();
        core::mem::forget(self);
        number
    }

    #[inline(always)]
    fn address(&self) -> *mut u8 {
        layout::frame(self.number())
    }

    /// Whether this is the only reference.
    #[inline]
    pub fn is_unique(&self) -> bool {
        count(self.0.get()).load(Ordering::Acquire) == 1
    }

    /// Copies out of the frame. Panics when `offset + into.len()` passes the frame's end.
    #[inline]
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `at` checked the range, and a slice never overlaps a user's frame.
        unsafe { copy::bytes(into.as_mut_ptr(), from, into.len()) };
    }

    /// Copies into the frame. Panics when `offset + from.len()` passes the frame's end.
    #[inline]
    pub fn write(&self, offset: usize, from: &[u8]) {
        let to = self.at(offset, from.len());
        // SAFETY: as in `read`. Users may look on: they see some mixture, as with any write.
        unsafe { copy::bytes(to, from.as_ptr(), from.len()) };
    }

    /// Clears a range of the frame. Panics when it passes the frame's end.
    pub fn fill_zero(&self, range: Range<usize>) {
        let to = self.at(range.start, range.len());
        // SAFETY: `at` checked the range.
        unsafe { copy::zero(to, range.len()) };
    }

    /// Makes this frame's contents those of `other`.
    pub fn copy_from(&self, other: &Frame) {
        if self.0 != other.0 {
            // SAFETY: two different whole frames.
            unsafe { copy::bytes(self.address(), other.address(), PAGE) };
        }
    }

    /// The frame's physical number (address divided by [`PAGE`](crate::PAGE)).
    #[inline]
    pub fn number(&self) -> usize {
        self.0.get() as usize
    }

    /// The address in the direct map of `len` bytes at `offset`. Panics when they pass the end.
    #[inline]
    pub(super) fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(
            offset <= PAGE && len <= PAGE - offset,
            "the bytes lie in one frame"
        );
        self.address().wrapping_add(offset)
    }
}

impl Clone for Frame {
    #[inline]
    fn clone(&self) -> Frame {
        hold(self.0.get());
        Frame(self.0)
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        release(self.0.get());
    }
}

/// Counts one more reference to a user frame.
#[inline(always)]
pub(super) fn hold(frame: u32) {
    let old = count(frame).fetch_add(1, Ordering::Relaxed);
    // Far more than page tables could hold in any memory; a wrap would free a frame in use.
    assert!(
        old != 0 && old < u32::MAX / 2,
        "a frame's count is out of bounds"
    );
}

/// Counts one reference less to a user frame, and frees it after the last.
#[inline(always)]
pub(super) fn release(frame: u32) {
    let old = count(frame).fetch_sub(1, Ordering::Release);
    if old <= 1 {
        last_release(frame, old);
    }
}

fn last_release(frame: u32, old: u32) {
    assert!(old == 1, "a frame is freed once");
    fence(Ordering::Acquire);
    Cache::here().count_user(-1);
    give(frame);
}
