//! signalfd(2): blocked signals as something to read.
//!
//! Whose signals are read is whose thread reads: its own, and those of its process. So a process that has such a file
//! from its parent reads its own, and the file hears of the signals of every process that has looked at it.

use super::{check, open};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::{O_CLOEXEC, O_NONBLOCK};
use crate::process::Process;
use crate::signal::queue::{Fields, Info};
use crate::signal::set::{Set, Signal};
use crate::thread::Thread;
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::sync::Spin;
use object::{Sink, Source};
use task::{Readiness, Ready};
use vfs::{Access, File};

/// `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// The open file.
pub struct SignalFile(Arc<Ear>);

/// What is told of signals.
pub struct Ear {
    wanted: AtomicU64,
    readiness: Readiness,
}

impl Ear {
    fn wanted(&self) -> Set {
        Set(self.wanted.load(Ordering::Acquire))
    }
}

/// Those that are told of a process's signals.
#[derive(Default)]
pub struct Ears(Spin<Vec<Weak<Ear>>>);

impl Ears {
    /// A signal came, for the process or one of its threads.
    pub fn tell(&self, signal: Signal) {
        // Hardly anybody listens; and nobody is told under the lock.
        let ears = self.0.lock().clone();
        for ear in ears.iter().filter_map(Weak::upgrade) {
            if ear.wanted().contains(signal) {
                ear.readiness.set(Ready::READ);
            }
        }
    }

    fn add(&self, ear: &Arc<Ear>) -> Result<(), Errno> {
        let mut ears = self.0.lock();
        let known = |other: &Weak<Ear>| core::ptr::eq(other.as_ptr(), Arc::as_ptr(ear));
        if ears.iter().any(known) {
            return Ok(());
        }
        ears.retain(|ear| ear.strong_count() > 0);
        ears.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        ears.push(Arc::downgrade(ear));
        Ok(())
    }
}

pub async fn signalfd(call: &mut Call<'_>, [descriptor, mask, size, ..]: Args) -> Answer {
    signalfd4(call, [descriptor, mask, size, 0, 0, 0]).await
}

pub async fn signalfd4(call: &mut Call<'_>, [descriptor, mask, size, flags, ..]: Args) -> Answer {
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let wanted = Set(call.read::<u64>(mask).await?).without(Set::UNBLOCKABLE);
    let flags = check(flags, O_CLOEXEC | O_NONBLOCK)?;
    if descriptor as i32 != -1 {
        let file = call.file(descriptor)?;
        let signals = file.file_as::<SignalFile>().ok_or(Errno::EINVAL)?;
        signals.0.wanted.store(wanted.0, Ordering::Release);
        // Told, so that whoever waits for it looks again.
        signals.0.readiness.set(Ready::READ);
        return Ok(descriptor as usize);
    }
    let ear = Arc::new(Ear {
        wanted: AtomicU64::new(wanted.0),
        // Something may be pending: the first look finds out.
        readiness: Readiness::new(Ready::READ),
    });
    call.process().ears.add(&ear)?;
    // Writing is refused by the file, not for want of a right to it (as Linux has it).
    open(
        call,
        Arc::new(SignalFile(ear)),
        Access::READ | Access::WRITE,
        flags,
    )
}

/// The thread whose call this is.
fn caller() -> Option<Arc<Thread>> {
    let task = task::current()?;
    let process = Process::by_id(task.tag() as u32)?;
    process.search_threads(|thread| {
        let its = thread.core().task();
        its.is_some_and(|its| Arc::ptr_eq(its, &task))
    })
}

impl SignalFile {
    /// Looks whether something is pending for the caller, and listens for its signals from now on.
    pub fn refresh(&self) {
        let Some(thread) = caller() else { return };
        // Without room the caller is not told; what is pending now it sees.
        let _ = thread.process().ears.add(&self.0);
        // First cleared: what comes after the look is told again.
        self.0.readiness.clear(Ready::READ);
        let own = thread.pending.lock().set();
        let all = thread.process().pending.lock().set().with(own);
        if !all.and(self.0.wanted()).is_empty() {
            self.0.readiness.set(Ready::READ);
        }
    }

    pub fn describe(&self) -> String {
        format!("sigmask:\t{:016x}\n", self.0.wanted().0)
    }

    fn take(&self, thread: &Thread) -> Option<Info> {
        let wanted = self.0.wanted();
        let own = thread.pending.lock().take(wanted);
        own.or_else(|| thread.process().pending.lock().take(wanted))
    }
}

impl File for SignalFile {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if sink.room() < RECORD {
            return Err(Error::Invalid);
        }
        let thread = caller().ok_or(Error::WouldBlock)?;
        let mut done = 0;
        while sink.room() >= RECORD {
            let Some(info) = self.take(&thread) else {
                break;
            };
            let written = sink.put(&record(&info));
            done += written;
            if written < RECORD {
                return if done < RECORD {
                    Err(Error::Fault)
                } else {
                    Ok(done - done % RECORD)
                };
            }
        }
        if done > 0 {
            return Ok(done);
        }
        self.refresh();
        Err(Error::WouldBlock)
    }

    fn try_write(&self, _: u64, _: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        Err(Error::Invalid)
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.readiness)
    }

    fn title(&self) -> String {
        String::from("anon_inode:[signalfd]")
    }
}

fn record(info: &Info) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &u32::from(info.signal).to_le_bytes());
    put(8, &info.code.to_le_bytes());
    match info.fields {
        Fields::Sender { pid, uid, value } => {
            put(12, &pid.to_le_bytes());
            put(16, &uid.to_le_bytes());
            put(44, &(value as u32).to_le_bytes());
            put(48, &value.to_le_bytes());
        }
        Fields::Address(address) => put(72, &address.to_le_bytes()),
        Fields::Child { pid, uid, status } => {
            put(12, &pid.to_le_bytes());
            put(16, &uid.to_le_bytes());
            put(40, &status.to_le_bytes());
        }
        Fields::Timer { id, overrun, value } => {
            put(24, &id.to_le_bytes());
            put(32, &overrun.to_le_bytes());
            put(44, &(value as u32).to_le_bytes());
            put(48, &value.to_le_bytes());
        }
        Fields::None => {}
    }
    bytes
}
