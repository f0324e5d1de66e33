//! Mappings for tests. One idea: a place in memory that faults in a known way is an ordinary mapping with a closed page
//! behind it, so "the buffer crosses into bad memory" can be said exactly.

use std::ops::Deref;
use std::ptr::NonNull;

pub const PAGE: usize = 4096;

/// An anonymous mapping that is unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    pub address: usize,
    pub len: usize,
}

impl Mapping {
    pub fn new(len: usize, protection: i32, flags: i32) -> Mapping {
        let address = ok!(
            SYS_mmap,
            0,
            len,
            protection,
            flags | libc::MAP_ANONYMOUS,
            -1,
            0
        );
        Mapping { address, len }
    }
    /// Private, readable and writable.
    pub fn private(len: usize) -> Mapping {
        Mapping::new(len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE)
    }
    /// Shared with children forked later.
    pub fn shared(len: usize) -> Mapping {
        Mapping::new(len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)
    }
    pub fn at(&self, offset: usize) -> *mut u8 {
        (self.address + offset) as *mut u8
    }
    pub fn protect(&self, offset: usize, len: usize, protection: i32) {
        ok!(SYS_mprotect, self.at(offset), len, protection);
    }
    pub fn get(&self, offset: usize) -> u8 {
        peek(self.address + offset)
    }
    pub fn set(&self, offset: usize, value: u8) {
        poke(self.address + offset, value);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let _ = sys!(SYS_munmap, self.address, self.len);
    }
}

/// Maps a page of a file, shared and for writing; never unmapped.
pub fn file_page(fd: usize, offset: usize) -> usize {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    ok!(SYS_mmap, 0, PAGE, protection, libc::MAP_SHARED, fd, offset)
}

/// What sysinfo(2) tells.
pub fn sysinfo() -> libc::sysinfo {
    // SAFETY: all-zero bytes are a valid `sysinfo`.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    ok!(SYS_sysinfo, &mut info);
    info
}

/// Free memory in bytes.
pub fn free() -> u64 {
    let info = sysinfo();
    info.freeram * u64::from(info.mem_unit)
}

/// Reads a byte wherever it is: the fault, if there is one, is what the test wants.
pub fn peek(address: usize) -> u8 {
    // SAFETY: a volatile read has no other effect than the fault that the test expects or not.
    unsafe { (address as *const u8).read_volatile() }
}

/// Writes a byte wherever it is.
pub fn poke(address: usize, value: u8) {
    // SAFETY: tests only poke mappings of their own, or addresses where the fault is the point.
    unsafe { (address as *mut u8).write_volatile(value) }
}

/// Whether a byte could be read, asked without faulting: the kernel is made to read it.
pub fn readable(address: usize) -> bool {
    let (reader, writer) = crate::raw::short::pipe();
    let result = sys!(SYS_write, writer, address, 1);
    crate::raw::short::close(reader);
    crate::raw::short::close(writer);
    result == Ok(1)
}

/// Whether a byte could be written, asked the same way; it keeps its value if it could be read.
pub fn writable(address: usize) -> bool {
    let (reader, writer) = crate::raw::short::pipe();
    let value = if readable(address) { peek(address) } else { 0 };
    crate::raw::short::write(writer, &[value]);
    let result = sys!(SYS_read, reader, address, 1);
    crate::raw::short::close(reader);
    crate::raw::short::close(writer);
    result == Ok(1)
}

/// Two pages of which the second is closed: `ending(n)` is a place with exactly `n` good bytes before the fault.
#[derive(Debug)]
pub struct Cliff(Mapping);

impl Cliff {
    #[expect(clippy::new_without_default, reason = "a cliff maps pages")]
    pub fn new() -> Cliff {
        let pages = Mapping::private(2 * PAGE);
        pages.protect(PAGE, PAGE, libc::PROT_NONE);
        Cliff(pages)
    }
    pub fn ending(&self, good: usize) -> *mut u8 {
        self.0.at(PAGE - good)
    }
    /// The first byte that faults.
    pub fn edge(&self) -> usize {
        self.0.address + PAGE
    }
    /// Puts bytes so that they end at the edge.
    pub fn put(&self, bytes: &[u8]) -> *mut u8 {
        for (i, byte) in bytes.iter().enumerate() {
            self.0.set(PAGE - bytes.len() + i, *byte);
        }
        self.ending(bytes.len())
    }
}

/// A zeroed value on a shared page of its own, seen by this process and the children it forks.
#[derive(Debug)]
pub struct Shared<T>(NonNull<T>);

impl<T> Shared<T> {
    /// `T` must be made of atomics: all-zero bytes are its first value. Never unmapped: the test's process ends soon.
    #[expect(clippy::new_without_default, reason = "it maps a page")]
    pub fn new() -> Shared<T> {
        let mapping = Mapping::shared(size_of::<T>().next_multiple_of(PAGE));
        let address = mapping.address as *mut T;
        std::mem::forget(mapping);
        Shared(NonNull::new(address).expect("a mapping is never at zero"))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the page is mapped for good, page-aligned, zeroed, and `T` is valid as zeros by the contract of `new`.
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: it is a plain reference to `T`.
unsafe impl<T: Sync> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for Shared<T> {}
