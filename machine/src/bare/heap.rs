//! The kernel heap: slabs of equal objects for small things, rows of frames for large ones.
//!
//! The one idea: the size class follows from the layout alone, so a slab needs no map to be found:
//! its header is at the start of the naturally aligned block that holds the object. Each CPU keeps
//! a short list of free objects of each class, so that most calls take no lock.

use super::{cpu, frame, layout};
use crate::memory::PAGE;
use crate::sync::Spin;
use alloc::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// Object sizes. Each is aligned to its largest power-of-two divisor.
const CLASSES: [u16; 22] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024, 1280,
    1536, 2048,
];
const LARGEST: usize = 2048;
const COUNT: usize = CLASSES.len();

/// Class of each size, in steps of 16.
const BY_SIZE: [u8; LARGEST / 16 + 1] = {
    let mut table = [0; LARGEST / 16 + 1];
    let mut step = 0;
    let mut class = 0;
    while step < table.len() {
        while (CLASSES[class] as usize) < step * 16 {
            class += 1;
        }
        table[step] = class as u8;
        step += 1;
    }
    table
};

/// At the start of each slab.
#[repr(C)]
struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    /// Free objects, linked through their first word.
    free: *mut Object,
    used: u32,
}

struct Object {
    next: *mut Object,
}

/// The slabs of one class that have a free object.
struct Class {
    partial: *mut Slab,
    /// Slabs without a used object among them.
    empty: usize,
}

// SAFETY: the pointers lead into the direct map, which all CPUs share, and the lock around a
// `Class` covers everything that they lead to.
unsafe impl Send for Class {}

static SLABS: [Spin<Class>; COUNT] = [const {
    Spin::new(Class {
        partial: null_mut(),
        empty: 0,
    })
}; COUNT];

/// Free objects that a CPU keeps of one class.
struct Magazine {
    head: Cell<*mut Object>,
    len: Cell<u32>,
}

/// One CPU's part of the heap. Only that CPU changes it; `used` may be read by all.
#[repr(align(64))]
struct Local {
    magazines: [Magazine; COUNT],
    /// Bytes given out here less those that came back here.
    used: AtomicIsize,
}

// SAFETY: the magazines are used by their own CPU alone, which is not interrupted in kernel code.
unsafe impl Sync for Local {}

static LOCAL: [Local; cpu::MAX] = [const {
    Local {
        magazines: [const {
            Magazine {
                head: Cell::new(null_mut()),
                len: Cell::new(0),
            }
        }; COUNT],
        used: AtomicIsize::new(0),
    }
}; cpu::MAX];

impl Local {
    /// This CPU's.
    #[inline(always)]
    fn here() -> &'static Local {
        &LOCAL[cpu::index() & (cpu::MAX - 1)]
    }

    #[inline(always)]
    fn count(&self, change: isize) {
        let used = self.used.load(Ordering::Relaxed);
        self.used.store(used + change, Ordering::Relaxed);
    }
}

static SLAB_FRAMES: AtomicUsize = AtomicUsize::new(0);
static LARGE_FRAMES: AtomicUsize = AtomicUsize::new(0);

/// How the kernel heap is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes in objects that are in use, rounded up to their class or to whole frames.
    pub used: usize,
    /// Frames that slabs take, free objects included.
    pub slabs: usize,
    /// Frames of objects too large for slabs.
    pub large: usize,
}

/// How the kernel heap is used at this moment.
pub fn stats() -> Stats {
    let used: isize = LOCAL
        .iter()
        .map(|local| local.used.load(Ordering::Relaxed))
        .sum();
    Stats {
        used: usize::try_from(used).unwrap_or(0),
        slabs: SLAB_FRAMES.load(Ordering::Relaxed),
        large: LARGE_FRAMES.load(Ordering::Relaxed),
    }
}

/// How many objects of a class move between a CPU and the slabs at a time.
const fn batch(class: usize) -> u32 {
    match CLASSES[class] {
        0..=128 => 32,
        129..=512 => 16,
        _ => 4,
    }
}

/// Frames in a slab of a class.
const fn slab_frames(class: usize) -> usize {
    match CLASSES[class] {
        0..=256 => 1,
        257..=640 => 2,
        _ => 4,
    }
}

/// The alignment of a class's objects, and of the first in its slab.
const fn alignment(class: usize) -> usize {
    1 << CLASSES[class].trailing_zeros()
}

const fn first_offset(class: usize) -> usize {
    size_of::<Slab>().next_multiple_of(alignment(class))
}

/// The class that serves a layout; `None` when only whole frames do.
#[inline(always)]
fn class_of(layout: &Layout) -> Option<usize> {
    if layout.size() > LARGEST {
        return None;
    }
    let mut class = BY_SIZE[layout.size().div_ceil(16)] as usize;
    if layout.align() > 16 {
        while class < COUNT && alignment(class) < layout.align() {
            class += 1;
        }
        if class == COUNT {
            return None;
        }
    }
    Some(class)
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: objects are disjoint parts of frames that the frame allocator gave to the heap; a class's
// objects are at least as large and aligned as the layouts that map to it; `dealloc` finds the same
// class from the same layout.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(&layout) else {
            return large(&layout);
        };
        let local = Local::here();
        let magazine = &local.magazines[class];
        let mut object = magazine.head.get();
        if object.is_null() {
            object = refill(class, magazine);
            if object.is_null() {
                return null_mut();
            }
        }
        // SAFETY: objects in a magazine are free memory of this class, linked by first words.
        magazine.head.set(unsafe { (*object).next });
        magazine.len.set(magazine.len.get() - 1);
        local.count(CLASSES[class] as isize);
        object.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(class) = class_of(&layout) else {
            return free_large(pointer, &layout);
        };
        let local = Local::here();
        let magazine = &local.magazines[class];
        let object = pointer.cast::<Object>();
        // SAFETY: the caller gives the object back, so its memory is the heap's again.
        unsafe { (*object).next = magazine.head.get() };
        magazine.head.set(object);
        magazine.len.set(magazine.len.get() + 1);
        local.count(-(CLASSES[class] as isize));
        if magazine.len.get() > 2 * batch(class) {
            drain(class, magazine);
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's new size is valid with this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let same = match (class_of(&layout), class_of(&new_layout)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => frames_of(&layout) == frames_of(&new_layout),
            _ => false,
        };
        if same {
            return pointer;
        }
        // SAFETY: the old object has the smaller of both sizes at least, and the new one is another.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(pointer, new, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
            new
        }
    }
}

fn frames_of(layout: &Layout) -> usize {
    let frames = layout.size().div_ceil(PAGE).max(1);
    // The buddy allocator aligns a row to its size rounded up to a power of two.
    if layout.align() > PAGE {
        frames.max(layout.align() / PAGE).next_power_of_two()
    } else {
        frames
    }
}

#[cold]
fn large(layout: &Layout) -> *mut u8 {
    let frames = frames_of(layout);
    let Ok(first) = frame::take_row(frames) else {
        return null_mut();
    };
    LARGE_FRAMES.fetch_add(frames, Ordering::Relaxed);
    Local::here().count((frames * PAGE) as isize);
    layout::frame(first)
}

#[cold]
fn free_large(pointer: *mut u8, layout: &Layout) {
    let frames = frames_of(layout);
    LARGE_FRAMES.fetch_sub(frames, Ordering::Relaxed);
    Local::here().count(-((frames * PAGE) as isize));
    frame::give_row((pointer.addr() - layout::DIRECT) / PAGE, frames);
}

/// Fills an empty magazine. Returns its head, or null when memory is out.
#[cold]
fn refill(class: usize, magazine: &Magazine) -> *mut Object {
    let mut slabs = SLABS[class].lock();
    while magazine.len.get() < batch(class) {
        let slab = match slabs.partial {
            slab if !slab.is_null() => slab,
            _ if magazine.len.get() > 0 => break,
            _ => match new_slab(class) {
                slab if !slab.is_null() => {
                    slabs.link(slab);
                    slabs.empty += 1;
                    slab
                }
                _ => return null_mut(),
            },
        };
        // SAFETY: slabs in the partial list are live headers with at least one free object, under
        // this class's lock.
        unsafe {
            let object = (*slab).free;
            (*slab).free = (*object).next;
            if (*slab).used == 0 {
                slabs.empty -= 1;
            }
            (*slab).used += 1;
            if (*slab).free.is_null() {
                slabs.unlink(slab);
            }
            (*object).next = magazine.head.get();
            magazine.head.set(object);
        }
        magazine.len.set(magazine.len.get() + 1);
    }
    magazine.head.get()
}

/// Gives a batch of a magazine's objects back to their slabs.
#[cold]
fn drain(class: usize, magazine: &Magazine) {
    let mut slabs = SLABS[class].lock();
    let size = slab_frames(class) * PAGE;
    for _ in 0..batch(class) {
        let object = magazine.head.get();
        // SAFETY: the magazine has more objects than a batch. An object's slab starts at the
        // multiple of the slab's size below it: rows of frames are aligned so.
        unsafe {
            magazine.head.set((*object).next);
            magazine.len.set(magazine.len.get() - 1);
            let slab = object
                .map_addr(|address| address & !(size - 1))
                .cast::<Slab>();
            let was_full = (*slab).free.is_null();
            (*object).next = (*slab).free;
            (*slab).free = object;
            (*slab).used -= 1;
            if was_full {
                slabs.link(slab);
            }
            if (*slab).used == 0 {
                // One empty slab stays, so that a program at the edge does not swing.
                if slabs.empty > 0 {
                    slabs.unlink(slab);
                    let frames = slab_frames(class);
                    SLAB_FRAMES.fetch_sub(frames, Ordering::Relaxed);
                    frame::give_row((slab.addr() - layout::DIRECT) / PAGE, frames);
                } else {
                    slabs.empty += 1;
                }
            }
        }
    }
}

/// A slab of free objects, lowest address first.
fn new_slab(class: usize) -> *mut Slab {
    let frames = slab_frames(class);
    let Ok(first) = frame::take_row(frames) else {
        return null_mut();
    };
    SLAB_FRAMES.fetch_add(frames, Ordering::Relaxed);
    let start = layout::frame(first);
    let size = CLASSES[class] as usize;
    let slab = start.cast::<Slab>();
    let objects = (frames * PAGE - first_offset(class)) / size;
    let mut free = null_mut();
    for index in (0..objects).rev() {
        // SAFETY: the object lies inside the row that was just taken, aligned by its class.
        unsafe {
            let object = start
                .add(first_offset(class) + index * size)
                .cast::<Object>();
            object.write(Object { next: free });
            free = object;
        }
    }
    // SAFETY: the row starts with room for the header.
    unsafe {
        slab.write(Slab {
            next: null_mut(),
            previous: null_mut(),
            free,
            used: 0,
        });
    }
    slab
}

impl Class {
    /// Puts a slab first in the list.
    fn link(&mut self, slab: *mut Slab) {
        // SAFETY: the slab and the list's first are live headers under this class's lock.
        unsafe {
            (*slab).previous = null_mut();
            (*slab).next = self.partial;
            if !self.partial.is_null() {
                (*self.partial).previous = slab;
            }
        }
        self.partial = slab;
    }

    fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: the slab is in the list, so its neighbours are live headers under the lock.
        unsafe {
            let Slab { next, previous, .. } = *slab;
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.partial = next;
            } else {
                (*previous).next = next;
            }
        }
    }
}
