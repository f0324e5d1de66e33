//! The x87, SSE and AVX state of user threads.
//!
//! The one idea: the kernel never touches these registers, so they stay a thread's own until another
//! thread goes to user mode on the same CPU. Each CPU knows the *owner* of what is loaded, and each state
//! knows the CPU that has it. Whoever needs it on another CPU asks that one to save it (`nmi.rs`), which
//! only happens to a thread that moved and that nobody has followed; threads that stay pay nothing.

use super::cpu::{self, block};
use super::frame;
use super::instructions::{read_cr0, read_cr4, write_cr0, write_cr4};
use super::nmi;
use crate::features::features;
use crate::memory::OutOfFrames;
use crate::sync::Once;
use crate::trap::Invalid;
use alloc::alloc::{Layout, alloc, dealloc};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Legacy region of 512 bytes and header of 64 (Intel SDM volume 1, section 13.4).
const LEGACY: usize = 512;
const HEADER: usize = 64;
const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
const ALIGNMENT: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Fxsave,
    Xsave,
    Xsaveopt,
}

/// How this machine's processors save their vector state.
#[derive(Debug)]
struct Format {
    way: Way,
    /// State components that are on (XCR0).
    components: u64,
    /// Bytes in an image.
    size: usize,
    mxcsr_mask: u32,
    /// Where the components from 2 on lie: offset and length.
    extended: [(usize, usize); 8],
}

static FORMAT: Once<Format> = Once::new();

fn format() -> &'static Format {
    FORMAT.get_or_init(|| Format {
        way: Way::Fxsave,
        components: 3,
        size: LEGACY,
        mxcsr_mask: 0xffbf,
        extended: [(0, 0); 8],
    })
}

/// Turns the units on for this CPU, and finds out the format on the first.
pub fn init() {
    const MONITOR: u64 = 1 << 1;
    const EMULATE: u64 = 1 << 2;
    const TASK_SWITCHED: u64 = 1 << 3;
    const FXSR: u64 = 1 << 9;
    const EXCEPTIONS: u64 = 1 << 10;
    const XSAVE: u64 = 1 << 18;
    const AVX512: u64 = 0xe0;

    let features = features();
    let mut components = 3;
    // SAFETY: x86-64 processors have FXSR and SSE, the others are asked for. XCR0 gets only what
    // CPUID allows, in the combinations that the processor takes.
    unsafe {
        write_cr0((read_cr0() | MONITOR) & !EMULATE & !TASK_SWITCHED);
        let xsave = if features.xsave { XSAVE } else { 0 };
        write_cr4(read_cr4() | FXSR | EXCEPTIONS | xsave);
        if features.xsave {
            let leaf = __cpuid_count(0xd, 0);
            let possible = u64::from(leaf.edx) << 32 | u64::from(leaf.eax);
            components |= if features.avx { possible & 4 } else { 0 };
            if features.avx512 && components & 4 != 0 && possible & AVX512 == AVX512 {
                components |= AVX512;
            }
            asm!("xsetbv", in("ecx") 0, in("eax") components as u32,
                in("edx") (components >> 32) as u32, options(nomem, nostack, preserves_flags));
        }
    }
    FORMAT.get_or_init(|| {
        let mut extended = [(0, 0); 8];
        let mut size = LEGACY;
        if features.xsave {
            size = (__cpuid_count(0xd, 0).ebx as usize).max(LEGACY + HEADER);
            for (component, place) in extended.iter_mut().enumerate().skip(2) {
                if components >> component & 1 != 0 {
                    let leaf = __cpuid_count(0xd, component as u32);
                    *place = (leaf.ebx as usize, leaf.eax as usize);
                }
            }
        }
        Format {
            way: match () {
                () if features.xsaveopt => Way::Xsaveopt,
                () if features.xsave => Way::Xsave,
                () => Way::Fxsave,
            },
            components,
            size,
            mxcsr_mask: mxcsr_mask(),
            extended,
        }
    });
}

fn mxcsr_mask() -> u32 {
    #[repr(C, align(16))]
    struct Image([u8; LEGACY]);
    let mut image = Image([0; LEGACY]);
    // SAFETY: the image is 512 bytes, aligned.
    unsafe { asm!("fxsave64 [{}]", in(reg) &mut image, options(nostack, preserves_flags)) };
    let at = MXCSR_MASK;
    match u32::from_le_bytes([
        image.0[at],
        image.0[at + 1],
        image.0[at + 2],
        image.0[at + 3],
    ]) {
        0 => 0xffbf,
        mask => mask,
    }
}

/// Bytes in an image.
pub fn size() -> usize {
    format().size
}

/// What is in front of an image, as large as the image's alignment.
#[repr(align(64))]
struct Header {
    /// The CPU that has the state in its registers, or [`SAVED`]. Set by that CPU, when it loads; cleared by
    /// the same one, after it has saved. So whoever owns the state and reads `SAVED` has all of it in the image.
    at: AtomicUsize,
}

const SAVED: usize = usize::MAX;

/// One thread's state: in its image, or in the registers of the CPU that has it.
pub struct VectorState {
    /// The image follows.
    header: NonNull<Header>,
}

// SAFETY: header and image are owned; what is in a CPU's registers is fetched before it is used elsewhere.
unsafe impl Send for VectorState {}
// SAFETY: nothing changes through a shared reference.
unsafe impl Sync for VectorState {}

fn layout() -> Layout {
    let size = size_of::<Header>() + size().next_multiple_of(ALIGNMENT);
    Layout::from_size_align(size, ALIGNMENT).expect("the size of an image is small")
}

impl VectorState {
    /// The state of a new thread.
    pub fn new() -> Result<VectorState, OutOfFrames> {
        if !frame::heap_room() {
            return Err(OutOfFrames);
        }
        // SAFETY: the layout is not empty.
        let header = NonNull::new(unsafe { alloc(layout()) }).ok_or(OutOfFrames)?;
        let header = header.cast::<Header>();
        let at = AtomicUsize::new(SAVED);
        // SAFETY: just allocated, with room and alignment for a header.
        unsafe { header.write(Header { at }) };
        let mut state = VectorState { header };
        state.reset();
        Ok(state)
    }

    fn address(&self) -> usize {
        self.header.addr().get()
    }

    fn pointer(&self) -> *mut u8 {
        // SAFETY: the allocation has an image behind the header.
        unsafe { self.header.as_ptr().add(1).cast() }
    }

    fn at(&self) -> &AtomicUsize {
        // SAFETY: written in `new`; the CPU that has the state may use it at the same time, by atomics.
        unsafe { &self.header.as_ref().at }
    }

    /// Whether the state is in this CPU's registers.
    #[inline(always)]
    fn is_loaded(&self) -> bool {
        block().vector_owner.load(Ordering::Relaxed) == self.address()
    }

    /// The state is in no CPU's registers any more; what was there is lost.
    fn disown(&self) {
        self.fetch();
        if self.is_loaded() {
            block().vector_owner.store(0, Ordering::Relaxed);
            self.at().store(SAVED, Ordering::Relaxed);
        }
    }

    /// Makes sure that no other CPU has the state.
    #[inline]
    fn fetch(&self) {
        let at = self.at().load(Ordering::Acquire);
        if at != SAVED && at != cpu::index() {
            nmi::fetch_vector(at, self.address(), || {
                self.at().load(Ordering::Acquire) == SAVED
            });
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the image is allocated with this size, and initialised since `reset`.
        unsafe { core::slice::from_raw_parts_mut(self.pointer(), size()) }
    }

    /// Back to the start: all registers zero, exceptions masked.
    pub fn reset(&mut self) {
        self.disown();
        // SAFETY: the image is allocated with this size.
        unsafe { self.pointer().write_bytes(0, size()) };
        let bytes = self.bytes();
        bytes[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        bytes[MXCSR..MXCSR + 4].copy_from_slice(&0x1f80_u32.to_le_bytes());
    }

    /// Puts the state into this CPU's registers, saving what belongs to another thread.
    #[inline(always)]
    pub fn load(&mut self) {
        if !self.is_loaded() {
            self.exchange();
        }
    }

    #[cold]
    fn exchange(&mut self) {
        self.fetch();
        // In one step, so that either this or the handler of `give_up` saves the owner, not both.
        let owner = block().vector_owner.swap(0, Ordering::Relaxed);
        if owner != 0 {
            // SAFETY: an owner is alive: dropping a state disowns it, which waits for `SAVED`.
            unsafe { save_owner(owner) };
        }
        // SAFETY: the image is valid: it was saved by the processor, made by `reset`, or checked
        // by `replace`.
        unsafe { restore(self.pointer().addr()) };
        self.at().store(cpu::index(), Ordering::Relaxed);
        block()
            .vector_owner
            .store(self.address(), Ordering::Relaxed);
    }

    /// A copy of the state as it is now.
    pub fn duplicate(&mut self) -> Result<VectorState, OutOfFrames> {
        let mut copy = VectorState::new()?;
        self.store();
        copy.bytes().copy_from_slice(self.bytes());
        Ok(copy)
    }

    /// Brings the image up to date; the registers stay loaded.
    fn store(&mut self) {
        self.fetch();
        if self.is_loaded() {
            // Plain XSAVE: the image may be looked at, so all of it must be written.
            let way = if format().way == Way::Fxsave {
                Way::Fxsave
            } else {
                Way::Xsave
            };
            // SAFETY: this image, and the registers are its own.
            unsafe { save(self.pointer().addr(), way) };
        }
    }

    /// The image as it is now, complete: components in their initial state are written out.
    pub fn image(&mut self) -> &[u8] {
        self.store();
        let image = self.bytes();
        let Format {
            way: Way::Xsave | Way::Xsaveopt,
            components,
            extended,
            ..
        } = format()
        else {
            return image;
        };
        let present = u64_at(image, LEGACY);
        if present & 1 == 0 {
            image[..MXCSR].fill(0);
            image[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
            image[32..160].fill(0);
        }
        if present & 2 == 0 {
            image[160..416].fill(0);
        }
        for (component, &(offset, len)) in extended.iter().enumerate() {
            if components & !present & 1 << component != 0 {
                image[offset..offset + len].fill(0);
            }
        }
        // Being in the initial state and holding its values are the same to the processor.
        image[LEGACY..LEGACY + 8].copy_from_slice(&components.to_le_bytes());
        image
    }

    /// Replaces the image by what `fill` puts there. If it fails, or the processor would not take it, the state is
    /// that of a new thread.
    pub fn replace(&mut self, fill: impl FnOnce(&mut [u8]) -> bool) -> Result<(), Invalid> {
        self.disown();
        let image = self.bytes();
        if fill(image) && is_acceptable(image) {
            return Ok(());
        }
        self.reset();
        Err(Invalid)
    }
}

/// Whether the processor takes an image of full size (Intel SDM volume 1, 13.8.2).
fn is_acceptable(image: &[u8]) -> bool {
    let format = format();
    if u64_at(image, MXCSR) as u32 & !format.mxcsr_mask != 0 {
        return false;
    }
    format.way == Way::Fxsave
        || u64_at(image, LEGACY) & !format.components == 0
            && image[LEGACY + 8..LEGACY + HEADER]
                .iter()
                .all(|&byte| byte == 0)
}

fn u64_at(image: &[u8], at: usize) -> u64 {
    image[at..at + 8]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Drop for VectorState {
    fn drop(&mut self) {
        self.disown();
        // SAFETY: allocated in `new` with the same layout; no CPU's registers belong to it.
        unsafe { dealloc(self.header.as_ptr().cast(), layout()) };
    }
}

/// Saves this CPU's registers for `state`, if they are its; another CPU waits for that. Called by the handler
/// of non-maskable interrupts, at any moment.
pub(super) fn give_up(state: usize) {
    let owner = &block().vector_owner;
    if owner.load(Ordering::Relaxed) == state {
        owner.store(0, Ordering::Relaxed);
        // SAFETY: it is alive, as somebody waits for it; and the registers are its, because the owner is set
        // after they are loaded and taken back before they are saved.
        unsafe { save_owner(state) };
    }
    // If not, `exchange` was interrupted and is about to save it, or has done so.
}

/// # Safety
/// `owner` is the address of a live state's header, this CPU's registers are its, and this CPU does not
/// remember it as its owner any more.
unsafe fn save_owner(owner: usize) {
    let header = owner as *const Header;
    // SAFETY: the image follows the header. It is this CPU's until it says that it has saved.
    unsafe {
        save(header.add(1).addr(), format().way);
        (*header).at.store(SAVED, Ordering::Release);
    }
}

/// # Safety
/// `image` is a whole image of this format, and the registers are to go there.
unsafe fn save(image: usize, way: Way) {
    // SAFETY: as the caller promises. All components that are on are saved.
    unsafe {
        match way {
            Way::Fxsave => asm!("fxsave64 [{}]", in(reg) image, options(nostack, preserves_flags)),
            Way::Xsave => asm!("xsave64 [{}]", in(reg) image, in("eax") -1, in("edx") -1,
                options(nostack, preserves_flags)),
            Way::Xsaveopt => asm!("xsaveopt64 [{}]", in(reg) image, in("eax") -1, in("edx") -1,
                options(nostack, preserves_flags)),
        }
    }
}

/// # Safety
/// `image` is a whole, valid image of this format.
unsafe fn restore(image: usize) {
    // SAFETY: as the caller promises. The kernel itself uses none of these registers.
    unsafe {
        match format().way {
            Way::Fxsave => {
                asm!("fxrstor64 [{}]", in(reg) image, options(nostack, readonly, preserves_flags));
            }
            _ => asm!("xrstor64 [{}]", in(reg) image, in("eax") -1, in("edx") -1,
                options(nostack, readonly, preserves_flags)),
        }
    }
}
