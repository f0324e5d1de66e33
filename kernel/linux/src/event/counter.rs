//! eventfd(2): a number that writing adds to and reading takes away.

use super::{check, open};
use crate::call::{Args, Call};
use crate::errno::Answer;
use crate::open::{O_CLOEXEC, O_NONBLOCK};
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use machine::sync::Spin;
use object::{Sink, Source};
use task::{Readiness, Ready};
use vfs::{Access, File};

const EFD_SEMAPHORE: u64 = 1;
/// The largest number that it can hold.
const MOST: u64 = u64::MAX - 1;

pub fn eventfd(call: &mut Call<'_>, [start, ..]: Args) -> Answer {
    eventfd2(call, [start, 0, 0, 0, 0, 0])
}

pub fn eventfd2(call: &mut Call<'_>, [start, flags, ..]: Args) -> Answer {
    let flags = check(flags, EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK)?;
    let counter = Counter::new(u64::from(start as u32), flags & EFD_SEMAPHORE != 0);
    open(call, Arc::new(counter), Access::READ | Access::WRITE, flags)
}

pub struct Counter {
    count: Spin<u64>,
    /// A read takes one, and not all.
    one_by_one: bool,
    readiness: Readiness,
}

impl Counter {
    fn new(count: u64, one_by_one: bool) -> Counter {
        Counter {
            count: Spin::new(count),
            one_by_one,
            readiness: Readiness::new(ready(count)),
        }
    }

    pub fn describe(&self) -> String {
        let count = *self.count.lock();
        let one_by_one = u8::from(self.one_by_one);
        format!("eventfd-count: {count:16x}\neventfd-semaphore: {one_by_one}\n")
    }
}

fn ready(count: u64) -> Ready {
    let mut ready = Ready::empty();
    ready.set(Ready::READ, count > 0);
    ready.set(Ready::WRITE, count < MOST);
    ready
}

impl File for Counter {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if sink.room() < 8 {
            return Err(Error::Invalid);
        }
        let mut count = self.count.lock();
        let taken = match *count {
            0 => return Err(Error::WouldBlock),
            _ if self.one_by_one => 1,
            all => all,
        };
        // A reader whose buffer cannot be written takes nothing.
        if sink.put(&taken.to_le_bytes()) < 8 {
            return Err(Error::Fault);
        }
        *count -= taken;
        if *count == 0 {
            self.readiness.clear(Ready::READ);
        }
        self.readiness.set(Ready::WRITE);
        Ok(8)
    }

    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        let mut bytes = [0; 8];
        if source.left() < bytes.len() {
            return Err(Error::Invalid);
        }
        if source.take(&mut bytes) < bytes.len() {
            return Err(Error::Fault);
        }
        let more = u64::from_le_bytes(bytes);
        if more == u64::MAX {
            return Err(Error::Invalid);
        }
        let mut count = self.count.lock();
        if more > MOST - *count {
            // A smaller number might fit, but whoever waits here waits for a read.
            self.readiness.clear(Ready::WRITE);
            return Err(Error::WouldBlock);
        }
        *count += more;
        if *count == MOST {
            self.readiness.clear(Ready::WRITE);
        }
        // Adding nothing is news only if there is something.
        if *count > 0 {
            self.readiness.set(Ready::READ);
        }
        Ok((bytes.len(), 0))
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.readiness)
    }

    fn title(&self) -> String {
        String::from("anon_inode:[eventfd]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{SliceSink, SliceSource};

    fn add(counter: &Counter, more: u64) -> Result<usize, Error> {
        let bytes = more.to_le_bytes();
        let written = counter.try_write(0, &mut SliceSource::new(&bytes), false)?;
        Ok(written.0)
    }

    fn take(counter: &Counter) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        counter.try_read(0, &mut SliceSink::new(&mut bytes))?;
        Ok(u64::from_le_bytes(bytes))
    }

    #[test]
    fn all_at_once_or_one_by_one() {
        let counter = Counter::new(2, false);
        assert_eq!(add(&counter, 3), Ok(8));
        assert_eq!(take(&counter), Ok(5));
        assert_eq!(take(&counter), Err(Error::WouldBlock));
        assert_eq!(counter.readiness.get(), Ready::WRITE);
        let counter = Counter::new(2, true);
        assert_eq!(take(&counter), Ok(1));
        assert_eq!(counter.readiness.get(), Ready::READ | Ready::WRITE);
        assert_eq!(take(&counter), Ok(1));
        assert_eq!(counter.readiness.get(), Ready::WRITE);
    }

    #[test]
    fn it_does_not_overflow() {
        let counter = Counter::new(1, false);
        assert_eq!(add(&counter, u64::MAX), Err(Error::Invalid));
        assert_eq!(add(&counter, MOST), Err(Error::WouldBlock));
        assert_eq!(counter.readiness.get(), Ready::READ);
        assert_eq!(take(&counter), Ok(1));
        assert_eq!(add(&counter, MOST), Ok(8));
        assert_eq!(counter.readiness.get(), Ready::READ);
        assert_eq!(add(&counter, 1), Err(Error::WouldBlock));
        assert_eq!(take(&counter), Ok(MOST));
        assert_eq!(counter.readiness.get(), Ready::WRITE);
    }

    #[test]
    fn too_little_room() {
        let counter = Counter::new(1, false);
        let mut bytes = [0; 7];
        let read = counter.try_read(0, &mut SliceSink::new(&mut bytes));
        assert_eq!(read, Err(Error::Invalid));
        let written = counter.try_write(0, &mut SliceSource::new(&bytes), false);
        assert_eq!(written, Err(Error::Invalid));
        assert_eq!(take(&counter), Ok(1));
    }
}
