//! Files that are events: epoll(7), eventfd(2), signalfd(2), timerfd_create(2).
//!
//! - [`epoll`]: many files in one wait
//! - [`counter`]: eventfd, a number that is waited for
//! - [`signals`]: signalfd, signals as something to read
//! - [`timer`]: timerfd, a timer that is waited for; [`settings`]: which of them the wall clock's setting cancels

pub mod counter;
pub mod epoll;
mod settings;
pub mod signals;
pub mod timer;
#[cfg(test)]
mod timer_tests;

use crate::call::Call;
use crate::errno::{Answer, Errno};
use crate::open::{O_CLOEXEC, O_NONBLOCK};
use alloc::string::String;
use alloc::sync::Arc;
use vfs::{Access, Description, File, OpenFlags};

/// Opens a file that no path leads to. `flags`: `O_CLOEXEC` and `O_NONBLOCK`, under whatever name the call has them.
fn open(call: &Call<'_>, file: Arc<dyn File>, access: Access, flags: u64) -> Answer {
    let status = if flags & O_NONBLOCK != 0 {
        OpenFlags::NON_BLOCKING
    } else {
        OpenFlags::empty()
    };
    let file = Description::nameless(file, None, access, status);
    let descriptors = call.process().descriptors();
    descriptors.insert(file, flags & O_CLOEXEC != 0, 0)
}

/// Whether [`refresh`] does anything for this file.
#[inline]
pub fn refreshes(file: &Description) -> bool {
    file.inode().is_none()
        && (file.file_as::<epoll::Epoll>().is_some()
            || file.file_as::<signals::SignalFile>().is_some())
}

/// Before somebody looks whether a file is ready: what such a file has been told may be over, and only it knows.
pub fn refresh(file: &Description) {
    if file.inode().is_some() {
        return;
    }
    if let Some(epoll) = file.file_as::<epoll::Epoll>() {
        epoll.refresh();
    } else if let Some(signals) = file.file_as::<signals::SignalFile>() {
        signals.refresh();
    }
}

/// What `/proc/PID/fdinfo` has to say of such a file, in lines of text.
pub fn describe(file: &Description) -> String {
    if let Some(timer) = file.file_as::<timer::TimerFile>() {
        timer.describe()
    } else if let Some(counter) = file.file_as::<counter::Counter>() {
        counter.describe()
    } else if let Some(signals) = file.file_as::<signals::SignalFile>() {
        signals.describe()
    } else if let Some(epoll) = file.file_as::<epoll::Epoll>() {
        epoll.describe()
    } else {
        String::new()
    }
}

/// # Errors
/// `EINVAL` for flags that are not `known`.
fn check(flags: u64, known: u64) -> Result<u64, Errno> {
    let flags = flags & u64::from(u32::MAX);
    if flags & !known == 0 {
        Ok(flags)
    } else {
        Err(Errno::EINVAL)
    }
}
