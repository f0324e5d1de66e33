//! Everything unsafe of the runtime: the call instruction, the entry, the heap, the panic handler.
//!
//! The one idea: a native call can only write where it is told to, so a call that is given a Rust slice, or no memory
//! at all, is safe. `map` is safe because the kernel never gives out memory that is in use. Only taking memory away is
//! not: `unmap` and `protect`.
#![allow(unsafe_code)]

use abi::{
    Call, Error, Event, Events, MOST_HANDLES, Mapping, Number, OpenFlags, Passed, Passing,
    Received, Rights, encode,
};
use alloc::vec::Vec;
use core::ptr::NonNull;
use value::Document;

/// The instruction. Registers as [`abi::Call`] says.
///
/// # Safety
/// The arguments must keep the kernel to memory that the caller may give away.
unsafe fn call(call: Call, arguments: [u64; 6]) -> Result<u64, Error> {
    let [a, b, c, d, e, f] = arguments;
    let raw: u64;
    // SAFETY: the kernel keeps all registers but these; the caller answers for the memory.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") encode(call) => raw,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    Error::from_raw(raw)
}

/// A call whose only pointers are to borrowed slices, or which has none.
fn safe(number: Call, arguments: [u64; 6]) -> Result<u64, Error> {
    // SAFETY: the functions below give addresses and lengths of slices that they hold borrowed, mutably where the
    // kernel writes.
    unsafe { call(number, arguments) }
}

fn at<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn room<T>(slice: &mut [T]) -> u64 {
    slice.as_mut_ptr() as u64
}

fn handle(raw: u64) -> Result<Number, Error> {
    u32::try_from(raw).map(Number).map_err(|_| Error::Range)
}

pub fn registry(name: &str) -> Result<Number, Error> {
    safe(
        Call::Registry,
        [at(name.as_bytes()), name.len() as u64, 0, 0, 0, 0],
    )
    .and_then(handle)
}

pub fn open(from: Number, path: &str, rights: Rights, flags: OpenFlags) -> Result<Number, Error> {
    let path = path.as_bytes();
    safe(
        Call::Open,
        [
            from.0.into(),
            at(path),
            path.len() as u64,
            rights.bits().into(),
            flags.bits().into(),
            0,
        ],
    )
    .and_then(handle)
}

pub fn close(number: Number) -> Result<(), Error> {
    safe(Call::Close, [number.0.into(), 0, 0, 0, 0, 0]).map(drop)
}

pub fn duplicate(number: Number, rights: Rights) -> Result<Number, Error> {
    safe(
        Call::Duplicate,
        [number.0.into(), rights.bits().into(), 0, 0, 0, 0],
    )
    .and_then(handle)
}

pub fn inspect(number: Number, reply: &mut [u8]) -> Result<usize, Error> {
    safe(
        Call::Inspect,
        [number.0.into(), room(reply), reply.len() as u64, 0, 0, 0],
    )
    .map(|length| length as usize)
}

pub fn read(number: Number, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
    let count = safe(
        Call::Read,
        [
            number.0.into(),
            offset,
            room(buffer),
            buffer.len() as u64,
            0,
            0,
        ],
    )?;
    Ok((count as usize).min(buffer.len()))
}

pub fn write(number: Number, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
    let count = safe(
        Call::Write,
        [number.0.into(), offset, at(bytes), bytes.len() as u64, 0, 0],
    )?;
    Ok((count as usize).min(bytes.len()))
}

pub fn insert(number: Number, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
    let count = safe(
        Call::Insert,
        [number.0.into(), offset, at(bytes), bytes.len() as u64, 0, 0],
    )?;
    Ok((count as usize).min(bytes.len()))
}

pub fn erase(number: Number, offset: u64, length: u64) -> Result<u64, Error> {
    safe(Call::Erase, [number.0.into(), offset, length, 0, 0, 0])
}

pub fn request(
    number: Number,
    verb: &str,
    argument: Document<'_>,
    reply: &mut [u8],
) -> Result<usize, Error> {
    let verb = verb.as_bytes();
    safe(
        Call::Request,
        [
            number.0.into(),
            at(verb),
            verb.len() as u64,
            at(argument.as_bytes()),
            room(reply),
            reply.len() as u64,
        ],
    )
    .map(|length| length as usize)
}

/// The handles of one message: those that are sent, and then those that came.
#[derive(Debug)]
pub struct Records {
    bytes: [[u8; Passed::SIZE]; MOST_HANDLES + 1],
    count: usize,
}

impl Records {
    /// Those to be sent.
    ///
    /// # Errors
    /// `Limit` for too many.
    pub fn new(list: &[Passed]) -> Result<Records, Error> {
        if list.len() > MOST_HANDLES {
            return Err(Error::Limit);
        }
        let mut bytes = [[0; Passed::SIZE]; MOST_HANDLES + 1];
        for (record, passed) in bytes.iter_mut().zip(list) {
            *record = passed.to_bytes();
        }
        let count = list.len();
        Ok(Records { bytes, count })
    }

    /// The first of those that came.
    pub fn first(&self, count: usize) -> Vec<Passed> {
        let came = self.bytes.iter().take(count);
        came.filter_map(Passed::from_bytes).collect()
    }
}

pub fn send(
    number: Number,
    message: Document<'_>,
    handles: &Records,
    deadline: u64,
) -> Result<(), Error> {
    safe(
        Call::Send,
        [
            number.0.into(),
            at(message.as_bytes()),
            at(&handles.bytes),
            handles.count as u64,
            deadline,
            0,
        ],
    )
    .map(drop)
}

pub fn receive(
    number: Number,
    buffer: &mut [u8],
    handles: &mut Records,
    deadline: u64,
) -> Result<Received, Error> {
    safe(
        Call::Receive,
        [
            number.0.into(),
            room(buffer),
            buffer.len() as u64,
            room(&mut handles.bytes),
            handles.bytes.len() as u64,
            deadline,
        ],
    )
    .map(Received::from_raw)
}

pub fn call_channel(
    number: Number,
    message: Document<'_>,
    answer: &mut [u8],
    handles: &mut Records,
    deadline: u64,
) -> Result<Received, Error> {
    let passing = Passing {
        count: handles.count as u32,
        room: handles.bytes.len() as u32,
        handles: room(&mut handles.bytes),
    };
    let passing = passing.to_bytes();
    safe(
        Call::Call,
        [
            number.0.into(),
            at(message.as_bytes()),
            room(answer),
            answer.len() as u64,
            at(&passing),
            deadline,
        ],
    )
    .map(Received::from_raw)
}

/// Memory at an address of the kernel's choice: nothing that is in use is touched.
pub fn map(
    space: Number,
    memory: Number,
    length: usize,
    mapping: Mapping,
    offset: u64,
) -> Result<usize, Error> {
    let mapping = mapping - Mapping::FIXED;
    safe(
        Call::Map,
        [
            space.0.into(),
            memory.0.into(),
            0,
            length as u64,
            mapping.bits().into(),
            offset,
        ],
    )
    .map(|address| address as usize)
}

/// Takes memory away.
///
/// # Safety
/// Nobody may use the range any more.
pub unsafe fn unmap(space: Number, address: usize, length: usize) -> Result<(), Error> {
    // SAFETY: passed on to the caller.
    unsafe {
        call(
            Call::Unmap,
            [space.0.into(), address as u64, length as u64, 0, 0, 0],
        )
    }
    .map(drop)
}

/// A mapping of memory that only its owner can reach. Dropping it takes it out of the address space.
#[derive(Debug)]
pub struct Region {
    space: Number,
    address: NonNull<u8>,
    length: usize,
}

impl Region {
    /// Maps `length` bytes of `memory`, which has as many. For [`crate::Arena`] alone, which knows that nobody else has the
    /// memory: the kernel made it for this handle, or said so when it came, and the handle is given to nobody as long as
    /// the region is there.
    pub(crate) fn new(memory: Number, length: usize) -> Result<Region, Error> {
        let space = crate::start::handle("space").ok_or(Error::NotFound)?;
        let mapping = Mapping::READ | Mapping::WRITE | Mapping::SHARED;
        let address = map(space, memory, length, mapping, 0)?;
        let address = NonNull::new(address as *mut u8).ok_or(Error::Fault)?;
        Ok(Region {
            space,
            address,
            length,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they are mapped as long as the region is there, initialised by the kernel, and nobody else has them.
        unsafe { core::slice::from_raw_parts(self.address.as_ptr(), self.length) }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the region is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.address.as_ptr(), self.length) }
    }
}

// SAFETY: it owns its bytes, like a box.
unsafe impl Send for Region {}
// SAFETY: shared, it only gives them to be read.
unsafe impl Sync for Region {}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: nobody borrows the bytes any more. It cannot fail for what was mapped as a whole.
        let _ = unsafe { unmap(self.space, self.address.as_ptr().addr(), self.length) };
    }
}

/// Changes what may be done with memory.
///
/// # Safety
/// Nobody may use the range in a way that the new access forbids.
pub unsafe fn protect(
    space: Number,
    address: usize,
    length: usize,
    mapping: Mapping,
) -> Result<(), Error> {
    let bits = mapping.bits().into();
    // SAFETY: passed on to the caller.
    unsafe {
        call(
            Call::Protect,
            [space.0.into(), address as u64, length as u64, bits, 0, 0],
        )
    }
    .map(drop)
}

pub fn wait(
    number: Number,
    deadline: u64,
    events: &mut [Event],
    interest: Events,
) -> Result<usize, Error> {
    let count = safe(
        Call::Wait,
        [
            number.0.into(),
            deadline,
            room(events),
            events.len() as u64,
            interest.bits().into(),
            0,
        ],
    )?;
    Ok((count as usize).min(events.len()))
}

pub fn watch(port: Number, number: Number, interest: Events, key: u64) -> Result<(), Error> {
    safe(
        Call::Watch,
        [
            port.0.into(),
            number.0.into(),
            interest.bits().into(),
            key,
            0,
            0,
        ],
    )
    .map(drop)
}

pub fn start(process: Number, program: Number, plan: Document<'_>) -> Result<(), Error> {
    safe(
        Call::Start,
        [
            process.0.into(),
            program.0.into(),
            at(plan.as_bytes()),
            0,
            0,
            0,
        ],
    )
    .map(drop)
}

pub fn exit(thread: Number, status: u8) -> ! {
    loop {
        let _ = safe(Call::Exit, [thread.0.into(), status.into(), 0, 0, 0, 0]);
    }
}

pub fn yield_now(thread: Number) -> Result<(), Error> {
    safe(Call::Yield, [thread.0.into(), 0, 0, 0, 0, 0]).map(drop)
}

/// Declares the function that is the program: it takes nothing and returns the exit status as `u8`. (Not named `main`,
/// which is what a host program gets.)
#[macro_export]
macro_rules! program {
    ($program:path) => {
        #[cfg(panic = "abort")]
        #[allow(unsafe_code)]
        // SAFETY: there is one program in a program.
        #[unsafe(no_mangle)]
        extern "Rust" fn helve_main() -> u8 {
            $program()
        }

        #[cfg(not(panic = "abort"))]
        fn main() -> std::process::ExitCode {
            std::process::ExitCode::from($program())
        }
    };
}

/// [`start_block`] in a slice that looks like a starting program's stack, for the tests.
#[cfg(test)]
fn start_block_in(stack: &[u64]) -> Option<&'static [u8]> {
    // SAFETY: the tests write what a kernel would.
    unsafe { start_block(stack.as_ptr()) }
}

/// Finds the start block from the stack a program starts with (System V ABI, AMD64 supplement, section 3.4.1).
///
/// # Safety
/// `stack` is the stack pointer at entry.
#[cfg(any(test, all(panic = "abort", feature = "runtime")))]
unsafe fn start_block(stack: *const u64) -> Option<&'static [u8]> {
    // SAFETY: argument count, arguments and a zero, environment and a zero, then pairs up to a pair with type 0.
    unsafe {
        let mut place = stack.add(*stack as usize + 2);
        while *place != 0 {
            place = place.add(1);
        }
        place = place.add(1);
        while *place != 0 {
            let (kind, content) = (*place, *place.add(1));
            if kind == abi::AUXILIARY {
                let length = (content as *const u32).read_unaligned() as usize;
                return Some(core::slice::from_raw_parts(content as *const u8, length));
            }
            place = place.add(2);
        }
    }
    None
}

// Tests run with these in place of the C library's.
#[cfg(any(test, all(panic = "abort", feature = "runtime")))]
core::arch::global_asm!(include_str!("memory.s"));

#[cfg(all(panic = "abort", feature = "runtime"))]
mod runtime {
    use super::*;
    use core::alloc::Layout;
    use talc::base::{Talc, binning::Binning};
    use talc::source::Source;

    // The mark of a native program: a note with the version of the start block that it understands.
    core::arch::global_asm!(
        ".pushsection .note.helve, \"a\", @note",
        ".balign 4",
        ".long 6, 4, 1",
        ".asciz \"Helve\"",
        ".balign 4",
        ".long 1",
        ".popsection",
    );

    // The first instruction: the stack pointer is the only thing a program is given.
    core::arch::global_asm!(
        ".globl _start",
        "_start:",
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {begin}",
        "ud2",
        begin = sym begin,
    );

    unsafe extern "Rust" {
        fn helve_main() -> u8;
    }

    extern "C" fn begin(stack: *const u64) -> ! {
        // SAFETY: `_start` passes the stack pointer of entry.
        match unsafe { start_block(stack) } {
            // SAFETY: the program defines it, with this signature (`program!`).
            Some(block) if crate::start::begin(block) => crate::exit(unsafe { helve_main() }),
            _ => foreign(),
        }
    }

    /// Nobody gave this program a start block, so it has no handle: it is not on Helve, or was started by somebody who
    /// takes it for a Linux program. It says so with Linux calls (write, exit_group), the only ones it may have.
    fn foreign() -> ! {
        let text = "this is a native Helve program: it was started without handles\n";
        // SAFETY: `write` reads the text; `exit_group` does not return, and if it does the program traps.
        unsafe {
            core::arch::asm!("syscall", inlateout("rax") 1u64 => _, in("rdi") 2, in("rsi") text.as_ptr(),
                in("rdx") text.len(), lateout("rcx") _, lateout("r11") _, options(nostack));
            core::arch::asm!("syscall", "ud2", in("rax") 231u64, in("rdi") 126, options(noreturn, nostack));
        }
    }

    /// Gets memory for the heap by the quarter MiB, or more for larger wishes.
    #[derive(Debug)]
    struct Mapped;

    const STEP: usize = 256 << 10;

    // SAFETY: it claims fresh mappings only, and allocates nothing itself.
    unsafe impl Source for Mapped {
        fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
            let wish = layout
                .size()
                .checked_add(layout.align())
                .and_then(|size| size.checked_add(4096))
                .ok_or(())?;
            let length = wish.checked_next_multiple_of(STEP).ok_or(())?;
            let space = crate::start::handle("space").ok_or(())?;
            let address = map(
                space,
                Number::NONE,
                length,
                Mapping::READ | Mapping::WRITE,
                0,
            )
            .map_err(drop)?;
            // SAFETY: `length` bytes that nobody else knows, for as long as the program runs.
            unsafe { talc.claim(address as *mut u8, length) }
                .map(drop)
                .ok_or(())
        }
    }

    #[global_allocator]
    static HEAP: talc::TalcLock<spin::Mutex<()>, Mapped> = talc::TalcLock::new(Mapped);

    #[panic_handler]
    fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
        crate::io::error(format_args!(
            "{}: {info}\n",
            crate::environment::program_name()
        ));
        crate::exit(101)
    }

    // Names that the precompiled libraries mention, though nothing unwinds here.

    // SAFETY: nothing else defines it, and it is never called.
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}

    // SAFETY: as above.
    #[unsafe(no_mangle)]
    extern "C" fn _Unwind_Resume() -> ! {
        crate::exit(101)
    }
}

/// Lets a program with another runtime (a Linux program) use this library too: give it what `getauxval(AUXILIARY)`
/// says. Returns false when it was given no handles.
///
/// # Safety
/// `block` is 0 or the value of [`abi::AUXILIARY`] in the auxiliary vector.
pub unsafe fn enter(block: usize) -> bool {
    if block == 0 {
        return false;
    }
    // SAFETY: the kernel put a start block there, for as long as the program runs.
    let block = unsafe {
        let length = (block as *const u32).read_unaligned() as usize;
        core::slice::from_raw_parts(block as *const u8, length)
    };
    crate::start::begin(block)
}

/// The memory functions as safe ones, for the tests.
#[cfg(test)]
mod memory {
    use core::ffi::{CStr, c_void};

    unsafe extern "C" {
        fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
        fn memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
        fn memset(to: *mut c_void, byte: i32, count: usize) -> *mut c_void;
        fn memcmp(one: *const c_void, other: *const c_void, count: usize) -> i32;
        fn strlen(text: *const core::ffi::c_char) -> usize;
    }

    /// Moves bytes within a slice.
    pub fn moved(bytes: &mut [u8], from: usize, to: usize, count: usize) {
        assert!(from.max(to) + count <= bytes.len());
        let place = bytes.as_mut_ptr();
        // SAFETY: both ranges lie in the slice; they may overlap.
        let answer = unsafe { memmove(place.add(to).cast(), place.add(from).cast(), count) };
        assert_eq!(answer, place.wrapping_add(to).cast());
    }

    /// Copies bytes from one slice to another.
    pub fn copied(into: &mut [u8], from: &[u8]) {
        assert_eq!(into.len(), from.len());
        // SAFETY: both are as long, and a mutable slice overlaps no other.
        unsafe { memcpy(into.as_mut_ptr().cast(), from.as_ptr().cast(), from.len()) };
    }

    /// Fills a slice with the low byte of `byte`.
    pub fn filled(bytes: &mut [u8], byte: i32) {
        // SAFETY: as long as the slice.
        unsafe { memset(bytes.as_mut_ptr().cast(), byte, bytes.len()) };
    }

    /// The order of two slices of one length.
    pub fn compared(one: &[u8], other: &[u8]) -> i32 {
        assert_eq!(one.len(), other.len());
        // SAFETY: both are as long.
        unsafe { memcmp(one.as_ptr().cast(), other.as_ptr().cast(), one.len()) }
    }

    /// The length of a text.
    pub fn length(text: &CStr) -> usize {
        // SAFETY: it ends with a zero byte.
        unsafe { strlen(text.as_ptr()) }
    }
}

#[cfg(test)]
mod tests;
