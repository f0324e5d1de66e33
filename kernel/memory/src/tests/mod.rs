//! Address spaces by example: each promise of the interface once, and threads that use a space at
//! once.

mod buffers;
mod mapping;
mod pages;

use crate::*;
use ::object::{Sink, SliceSink, Source};
use abi::Error;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use machine::frame::{self, Stats};
use machine::host;
use machine::{PAGE, USER_END};

const READ_WRITE: Access = Access::READ.union(Access::WRITE);
const A: usize = 0x20_0000;

/// None of the futures here waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn request(at: Placement, pages: usize) -> MapRequest {
    MapRequest {
        at,
        len: pages * PAGE,
        access: READ_WRITE,
        backing: Backing::Anonymous,
        kind: Kind::Plain,
        max_access: Access::all(),
    }
}

fn mapped(space: &Space, at: usize, pages: usize) -> usize {
    space.map(request(Placement::Fixed(at), pages)).unwrap()
}

fn file(object: &Arc<Object>, offset: u64, shared: bool) -> Backing {
    Backing::Object {
        object: object.clone(),
        offset,
        shared,
    }
}

fn write(space: &Space, at: usize, bytes: &[u8]) -> Result<(), Error> {
    now(copy_out(space, at, bytes))
}

fn read<const N: usize>(space: &Space, at: usize) -> Result<[u8; N], Error> {
    let mut bytes = [0xee; N];
    now(copy_in(space, at, &mut bytes)).map(|()| bytes)
}

/// Counts frames at the start; checks them at the end.
struct Leaks(Stats);

impl Leaks {
    fn none() -> Leaks {
        Leaks(frame::stats())
    }
}

impl Drop for Leaks {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(frame::stats(), self.0, "frames have leaked");
        }
    }
}
