//! Very many threads of one process that sleep until they are called. Each has a stack of a few pages and no
//! thread-local storage of its own, so what they cost is nearly all the kernel's.

use crate::memory::{Mapping, PAGE};
use crate::raw::errno_name;
use libc::{
    CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SIGHAND, CLONE_SYSVSEM,
    CLONE_THREAD, CLONE_VM, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE, c_void,
};
use std::sync::atomic::{AtomicU32, Ordering};

/// Of each thread. Only the uppermost page is touched.
const STACK: usize = 2 * PAGE;

const SLEEP: u32 = 0;
const ANSWER: u32 = 1;
const END: u32 = 2;

/// What a thread and its caller share.
#[derive(Default)]
struct Seat {
    order: AtomicU32,
    answers: AtomicU32,
    /// Its number, 0 once it has ended.
    thread: AtomicU32,
}

pub struct Crowd {
    seats: Vec<Seat>,
    stacks: Mapping,
    present: usize,
}

impl Crowd {
    /// Room for `limit` threads.
    pub fn with_room(limit: usize) -> Crowd {
        Crowd {
            seats: (0..limit).map(|_| Seat::default()).collect(),
            stacks: Mapping::private(limit * STACK),
            present: 0,
        }
    }

    /// One thread more.
    ///
    /// # Errors
    /// The name of the error of clone(2).
    pub fn join(&mut self) -> Result<(), String> {
        let seat = &self.seats[self.present];
        let flags = CLONE_VM
            | CLONE_FS
            | CLONE_FILES
            | CLONE_SIGHAND
            | CLONE_THREAD
            | CLONE_SYSVSEM
            | CLONE_PARENT_SETTID
            | CLONE_CHILD_CLEARTID;
        let top: *mut c_void = self.stacks.at((self.present + 1) * STACK - 64).cast();
        let number = seat.thread.as_ptr();
        let argument = (&raw const *seat).cast_mut().cast::<c_void>();
        let tls = std::ptr::null_mut::<c_void>();
        // SAFETY: the stack is this thread's alone; the seat outlives it, as `drop` waits for its end.
        let made = unsafe { libc::clone(sit, top, flags, argument, number, tls, number) };
        if made < 0 {
            return Err(errno_name(
                std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
            ));
        }
        self.present += 1;
        Ok(())
    }

    pub fn present(&self) -> usize {
        self.present
    }

    /// Wakes one, and waits for its answer.
    pub fn call(&self, index: usize) {
        let seat = &self.seats[index];
        let answers = seat.answers.load(Ordering::Acquire);
        order(seat, ANSWER);
        wait_while(&seat.answers, answers);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let present = &self.seats[..self.present];
        for seat in present {
            order(seat, END);
        }
        for seat in present {
            while let number @ 1.. = seat.thread.load(Ordering::Acquire) {
                // The kernel's own wake-up is not a private one.
                let _ = sys!(SYS_futex, &seat.thread, FUTEX_WAIT, number, 0);
            }
        }
    }
}

fn order(seat: &Seat, what: u32) {
    seat.order.store(what, Ordering::Release);
    ok!(SYS_futex, &seat.order, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

fn wait_while(word: &AtomicU32, value: u32) {
    while word.load(Ordering::Acquire) == value {
        let _ = sys!(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, 0);
    }
}

/// The life of a thread.
extern "C" fn sit(seat: *mut c_void) -> i32 {
    // SAFETY: `join` gave a seat that outlives the thread.
    let seat = unsafe { &*seat.cast::<Seat>() };
    loop {
        wait_while(&seat.order, SLEEP);
        if seat.order.swap(SLEEP, Ordering::AcqRel) == END {
            return 0;
        }
        seat.answers.fetch_add(1, Ordering::Release);
        let _ = sys!(SYS_futex, &seat.answers, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
    }
}
