//! Address spaces by example: each promise of the interface once, and threads that use a space at
//! once.

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

#[test]
fn bad_requests_are_refused() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    let fixed = |at, pages| space.map(request(Placement::Fixed(at), pages));
    assert_eq!(fixed(A, 0), Err(Error::Invalid));
    assert_eq!(fixed(A + 1, 1), Err(Error::Invalid));
    assert_eq!(fixed(0, 1), Err(Error::Forbidden));
    assert_eq!(fixed(MIN_ADDRESS - PAGE, 1), Err(Error::Forbidden));
    assert_eq!(fixed(USER_END - PAGE, 2), Err(Error::NoMemory));
    assert_eq!(fixed(usize::MAX - PAGE + 1, 1), Err(Error::NoMemory));
    assert_eq!(fixed(USER_END - PAGE, 1), Ok(USER_END - PAGE));
    assert_eq!(fixed(MIN_ADDRESS, 1), Ok(MIN_ADDRESS));
    assert_eq!(
        space.map(request(Placement::FixedNoReplace(MIN_ADDRESS), 1)),
        Err(Error::Exists)
    );
    let huge = MapRequest {
        len: usize::MAX,
        ..request(Placement::Anywhere { hint: 0 }, 1)
    };
    assert_eq!(space.map(huge), Err(Error::NoMemory));
    let huge = MapRequest {
        len: USER_END,
        ..request(Placement::Anywhere { hint: 0 }, 1)
    };
    assert_eq!(space.map(huge), Err(Error::NoMemory));
    let too_much = MapRequest {
        max_access: Access::READ,
        ..request(Placement::Fixed(A), 1)
    };
    assert_eq!(space.map(too_much), Err(Error::Denied));
    let object = Object::new_anonymous(1);
    let inside = MapRequest {
        backing: file(&object, 5, true),
        ..request(Placement::Fixed(A), 1)
    };
    assert_eq!(space.map(inside), Err(Error::Invalid));
    let far = MapRequest {
        backing: file(&object, u64::MAX - 4095, true),
        ..request(Placement::Fixed(A), 1)
    };
    assert_eq!(space.map(far), Err(Error::Overflow));

    assert_eq!(space.unmap(A + 1..A + PAGE), Err(Error::Invalid));
    assert_eq!(space.unmap(A..A), Err(Error::Invalid));
    assert_eq!(
        space.unmap(USER_END - PAGE..USER_END + PAGE),
        Err(Error::Invalid)
    );
    assert_eq!(space.unmap(A..A + 1), Ok(()));
    assert_eq!(
        space.protect(A..A + PAGE, Access::READ),
        Err(Error::NoMemory)
    );
    assert_eq!(
        space.protect(A + 1..A + PAGE, Access::READ),
        Err(Error::Invalid)
    );
    assert_eq!(space.protect(A..A, Access::READ), Ok(()));
    assert_eq!(
        space.advise(A..A + PAGE, Advice::DontNeed),
        Err(Error::NoMemory)
    );
}

#[test]
fn hints_are_honoured_where_there_is_room() {
    let space = Space::new().unwrap();
    let at_hint = |hint, pages| {
        space
            .map(request(Placement::Anywhere { hint }, pages))
            .unwrap()
    };
    assert_eq!(at_hint(A + 5, 2), A);
    assert_eq!(at_hint(A + PAGE, 1), MMAP_BASE - PAGE);
    assert_eq!(at_hint(1, 1), MMAP_BASE - 2 * PAGE);
    assert_eq!(at_hint(USER_END, 1), MMAP_BASE - 3 * PAGE);
    space.set_mmap_base(0x7000_0000_0123);
    assert_eq!(at_hint(0, 1), 0x7000_0000_0000 - PAGE);
}

#[test]
fn limits_hold() {
    let space = Space::new().unwrap();
    space.set_limits(Limits {
        bytes: 10 * PAGE,
        mappings: 3,
    });
    mapped(&space, A, 8);
    assert_eq!(
        space.map(request(Placement::Fixed(A + 9 * PAGE), 3)),
        Err(Error::NoMemory)
    );
    // In place of something, the same amount is no more.
    mapped(&space, A, 8);
    space.unmap(A + PAGE..A + 2 * PAGE).unwrap();
    space.unmap(A + 3 * PAGE..A + 4 * PAGE).unwrap();
    assert_eq!(space.mappings().len(), 3);
    assert_eq!(
        space.unmap(A + 5 * PAGE..A + 6 * PAGE),
        Err(Error::NoMemory)
    );
    assert_eq!(
        space.protect(A..A + PAGE, Access::READ),
        Err(Error::NoMemory)
    );
    assert_eq!(
        space.map(request(Placement::Fixed(A + 20 * PAGE), 1)),
        Err(Error::NoMemory)
    );
    assert_eq!(space.size(), 6 * PAGE);
    space.unmap(A..A + 3 * PAGE).unwrap();
    mapped(&space, A + 20 * PAGE, 1);
}

#[test]
fn faults_say_what_is_wrong() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 1);
    assert_eq!(space.try_resolve(A, Need::Execute), Err(Error::Denied));
    assert_eq!(space.try_resolve(A + PAGE, Need::Read), Err(Error::Fault));
    assert_eq!(space.try_resolve(0, Need::Read), Err(Error::Fault));
    assert_eq!(space.try_resolve(USER_END, Need::Read), Err(Error::Fault));
    assert_eq!(
        space.try_resolve(usize::MAX, Need::Write),
        Err(Error::Fault)
    );
    space.protect(A..A + PAGE, Access::empty()).unwrap();
    assert_eq!(space.try_resolve(A, Need::Read), Err(Error::Denied));
    let object = Object::new_anonymous(PAGE as u64 + 1);
    let backing = file(&object, 0, true);
    space
        .map(MapRequest {
            backing,
            ..request(Placement::Fixed(A), 3)
        })
        .unwrap();
    assert_eq!(space.try_resolve(A + PAGE + 100, Need::Write), Ok(()));
    assert_eq!(
        now(space.resolve(A + 2 * PAGE, Need::Read)),
        Err(Error::Range)
    );
    assert_eq!(read::<1>(&space, A + 2 * PAGE), Err(Error::Fault));
    host::frame::fail_after(0);
    assert_eq!(space.try_resolve(A, Need::Read), Err(Error::NoMemory));
    assert_eq!(write(&space, A, b"x"), Err(Error::NoMemory));
    host::frame::fail_never();
    assert_eq!(write(&space, A, b"x"), Ok(()));
}

#[test]
fn a_forked_child_has_its_own_bytes() {
    let _leaks = Leaks::none();
    let parent = Space::new().unwrap();
    mapped(&parent, A, 4);
    write(&parent, A, b"parent").unwrap();
    let backing = Backing::SharedAnonymous;
    parent
        .map(MapRequest {
            backing,
            ..request(Placement::Fixed(A + 8 * PAGE), 1)
        })
        .unwrap();
    let child = parent.fork().unwrap();
    assert_eq!(frame::stats().user, 1);
    write(&child, A, b"child ").unwrap();
    assert_eq!(frame::stats().user, 2);
    assert_eq!(&read(&parent, A), &Ok(*b"parent"));
    assert_eq!(&read(&child, A), &Ok(*b"child "));
    write(&child, A + 8 * PAGE, b"both").unwrap();
    // Another fork takes nothing from a shared page.
    drop(child.fork().unwrap());
    assert_eq!(child.root().copy_out(A + 8 * PAGE, b"both"), Ok(()));
    assert_eq!(&read(&parent, A + 8 * PAGE), &Ok(*b"both"));
    assert_eq!(
        parent
            .shared_place(A + 8 * PAGE + 4)
            .map(|(_, offset)| offset),
        child
            .shared_place(A + 8 * PAGE + 4)
            .map(|(_, offset)| offset)
    );
    assert!(parent.shared_place(A).is_none());
    // The parent is the only one left with its page: no copy is made.
    let frames = frame::stats().user;
    write(&parent, A, b"again!").unwrap();
    assert_eq!(frame::stats().user, frames);
    // Making it writable again must not break sharing with a second child.
    let second = parent.fork().unwrap();
    parent.protect(A..A + PAGE, Access::READ).unwrap();
    parent.protect(A..A + PAGE, READ_WRITE).unwrap();
    write(&parent, A, b"parent").unwrap();
    assert_eq!(&read(&second, A), &Ok(*b"again!"));
    let yielding = now(second.fork_yielding()).unwrap();
    drop((parent, second));
    assert_eq!(&read(&yielding, A), &Ok(*b"again!"));
}

#[test]
fn private_file_pages_are_the_file_until_written() {
    let _leaks = Leaks::none();
    let object = Object::from_static(b"text of a program");
    let space = Space::new().unwrap();
    let backing = file(&object, 0, false);
    space
        .map(MapRequest {
            backing,
            ..request(Placement::Fixed(A), 1)
        })
        .unwrap();
    assert_eq!(&read(&space, A + 8), &Ok(*b"a program"));
    assert_eq!((object.resident(), frame::stats().user), (1, 1));
    write(&space, A, b"TEXT").unwrap();
    assert_eq!((object.resident(), frame::stats().user), (1, 2));
    assert_eq!(&read(&space, A), &Ok(*b"TEXT of"));
    let mut bytes = [0; 4];
    object.read(0, &mut SliceSink::new(&mut bytes));
    assert_eq!(&bytes, b"text");
    space.advise(A..A + PAGE, Advice::DontNeed).unwrap();
    assert_eq!(&read(&space, A), &Ok(*b"text of"));
    // Written first, the file gets no frame at all.
    drop(space);
    let object = Object::from_static(b"data");
    let space = Space::new().unwrap();
    let backing = file(&object, 0, false);
    space
        .map(MapRequest {
            backing,
            ..request(Placement::Fixed(A), 1)
        })
        .unwrap();
    write(&space, A + 1, b"A").unwrap();
    assert_eq!(&read(&space, A), &Ok(*b"dAta\0"));
    assert_eq!(object.resident(), 0);
}

#[test]
fn shared_file_pages_are_the_file() {
    let _leaks = Leaks::none();
    let object = Object::new_anonymous(0);
    object.write(0, &mut &b"0123456789"[..]).unwrap();
    let space = Space::new().unwrap();
    let backing = file(&object, 0, true);
    let max_access = Access::READ;
    let only_read = MapRequest {
        access: max_access,
        max_access,
        backing: backing.clone(),
        ..request(Placement::Fixed(A), 1)
    };
    space.map(only_read).unwrap();
    assert_eq!(space.protect(A..A + PAGE, READ_WRITE), Err(Error::Denied));
    assert_eq!(write(&space, A, b"x"), Err(Error::Fault));
    space
        .map(MapRequest {
            backing,
            ..request(Placement::Fixed(A), 1)
        })
        .unwrap();
    write(&space, A + 2, b"ab").unwrap();
    let mut bytes = [0; 10];
    object.read(0, &mut SliceSink::new(&mut bytes));
    assert_eq!(&bytes, b"01ab456789");
    // What a mapping writes behind the end never becomes part of the file.
    write(&space, A + 10, b"behind").unwrap();
    object.set_len(12).unwrap();
    assert_eq!(&read(&space, A + 8), &Ok(*b"89\0\0\0\0\0\0"));
}

#[test]
fn neighbours_come_along() {
    let object = Object::new_anonymous(0);
    object.write(0, &mut &vec![1; 40 * PAGE][..]).unwrap();
    let space = Space::new().unwrap();
    let backing = file(&object, 4 * PAGE as u64, false);
    let access = Access::READ;
    space
        .map(MapRequest {
            access,
            backing,
            ..request(Placement::Fixed(A + 2 * PAGE), 30)
        })
        .unwrap();
    space.try_resolve(A + 5 * PAGE, Need::Read).unwrap();
    assert_eq!(space.resident(), 14);
    assert!(space.is_present(A + 15 * PAGE) && !space.is_present(A + 16 * PAGE));
    // Memory that is touched in order comes in growing steps; at random it does not.
    let space = Space::new().unwrap();
    mapped(&space, A, 100);
    let mut resident = vec![];
    for page in 0..100 {
        if !space.is_present(A + page * PAGE) {
            space.try_resolve(A + page * PAGE, Need::Write).unwrap();
            resident.push(space.resident());
        }
    }
    assert_eq!(resident, [1, 3, 7, 15, 31, 47, 63, 79, 95, 100]);
    space.advise(A..A + 100 * PAGE, Advice::DontNeed).unwrap();
    for page in [50, 7, 90, 3] {
        space.try_resolve(A + page * PAGE, Need::Read).unwrap();
    }
    assert_eq!(space.resident(), 4);
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_its_guard() {
    let space = Space::new().unwrap();
    let top = A + 0x100_0000;
    let kind = Kind::Stack { grows: 0x20_0000 };
    space
        .map(MapRequest {
            kind,
            ..request(Placement::Fixed(top - PAGE), 1)
        })
        .unwrap();
    write(&space, top - 3 * PAGE, b"deeper").unwrap();
    assert_eq!(
        space.mapping_at(top - 1).unwrap().range,
        top - 3 * PAGE..top
    );
    assert_eq!(space.resident(), 1);
    // The limit counts from where the stack was mapped.
    let lowest = top - PAGE - 0x20_0000;
    assert_eq!(write(&space, lowest - 1, b"x"), Err(Error::Fault));
    // Something below within the guard stops it.
    mapped(&space, lowest - STACK_GUARD, 1);
    assert_eq!(write(&space, lowest, b"x"), Err(Error::Fault));
    write(&space, lowest + PAGE, b"x").unwrap();
    // What nobody can touch needs no guard.
    space
        .protect(
            lowest - STACK_GUARD..lowest - STACK_GUARD + PAGE,
            Access::empty(),
        )
        .unwrap();
    write(&space, lowest, b"x").unwrap();
    assert_eq!(write(&space, lowest - 1, b"x"), Err(Error::Fault));
}

#[test]
fn mappings_move_with_their_pages() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 3);
    mapped(&space, A + 3 * PAGE, 1);
    space
        .protect(A + 3 * PAGE..A + 4 * PAGE, Access::READ)
        .unwrap();
    write(&space, A + 2 * PAGE, b"here").unwrap();
    let frames = frame::stats().user;
    assert_eq!(
        space.remap(A..A + 3 * PAGE, 5 * PAGE, Remap::InPlace),
        Err(Error::NoMemory)
    );
    let moved = space
        .remap(A..A + 3 * PAGE, 5 * PAGE, Remap::Anywhere)
        .unwrap();
    assert_eq!(moved, MMAP_BASE - 5 * PAGE);
    assert_eq!(&read(&space, moved + 2 * PAGE), &Ok(*b"here\0"));
    assert_eq!(frame::stats().user, frames);
    assert!(!space.is_mapped(A..A + PAGE));
    assert_eq!(
        space.remap(moved..moved + 5 * PAGE, 1, Remap::InPlace),
        Ok(moved)
    );
    assert_eq!(
        space.remap(moved..moved + PAGE, 5 * PAGE, Remap::Anywhere),
        Ok(moved)
    );
    assert_eq!(read::<4>(&space, moved + 2 * PAGE), Ok([0; 4]));
    assert_eq!(
        space.remap(moved..moved + 6 * PAGE, PAGE, Remap::InPlace),
        Err(Error::Fault)
    );
    assert_eq!(
        space.remap(moved..moved + PAGE, 0, Remap::InPlace),
        Err(Error::Invalid)
    );
    assert_eq!(
        space.remap(moved..moved + 2 * PAGE, PAGE, Remap::Fixed(moved)),
        Err(Error::Invalid)
    );
    assert_eq!(
        space.remap(moved..moved + PAGE, PAGE, Remap::Fixed(0)),
        Err(Error::Forbidden)
    );
    let end = USER_END - PAGE;
    assert_eq!(
        space.remap(moved..moved + PAGE, 2 * PAGE, Remap::Fixed(end)),
        Err(Error::Invalid)
    );
}

#[test]
fn buffers_bring_pages_in_and_end_at_bad_addresses() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 3);
    let mut sink = UserSink::new(&space, A + 100, 4 * PAGE);
    assert_eq!(sink.room(), 4 * PAGE);
    assert_eq!(sink.fill_zero(10), 10);
    let object = Object::new_anonymous(0);
    object.write(0, &mut &[3; 5 * PAGE][..]).unwrap();
    assert_eq!(object.read(0, &mut sink), 3 * PAGE - 110);
    assert_eq!(
        (sink.error(), sink.room(), sink.done()),
        (Some(Error::Fault), 0, 3 * PAGE - 100)
    );
    assert_eq!(sink.put(b"more"), 0);
    assert_eq!(read(&space, A + 108), Ok([0, 0, 3, 3]));

    let segments = [
        Segment { address: A, len: 0 },
        Segment {
            address: A + 109,
            len: 2,
        },
        Segment {
            address: A + 3 * PAGE - 1,
            len: 1,
        },
        Segment { address: 5, len: 7 },
    ];
    let mut source = UserSource::vectored(&space, &segments);
    assert_eq!(source.left(), 10);
    let mut bytes = [9; 4];
    assert_eq!(source.take(&mut bytes), 3);
    assert_eq!((bytes, source.error()), ([0, 3, 3, 9], Some(Error::Fault)));
    let mut source = UserSource::vectored(&space, &segments);
    assert_eq!(object.write(0, &mut source), Ok(3));
    let mut sink = UserSink::new(&space, usize::MAX, usize::MAX);
    assert_eq!(sink.put(b"x"), 0);
    assert_eq!(sink.error(), Some(Error::Fault));
}

#[test]
fn values_and_strings_are_copied() {
    let space = Space::new().unwrap();
    mapped(&space, A, 2);
    now(write_user(&space, A + PAGE - 4, &0x1122_3344_5566_7788_u64)).unwrap();
    assert_eq!(
        now(read_user::<u64>(&space, A + PAGE - 4)),
        Ok(0x1122_3344_5566_7788)
    );
    assert_eq!(
        now(read_user::<u64>(&space, A + 2 * PAGE - 4)),
        Err(Error::Fault)
    );
    assert_eq!(
        now(write_user(&space, USER_END - 4, &1_u64)),
        Err(Error::Fault)
    );
    assert_eq!(now(zero_user(&space, A + PAGE - 2, 3)), Ok(()));
    assert_eq!(
        now(copy_in_vec(&space, A + PAGE - 4, 6)).unwrap(),
        [0x88, 0x77, 0, 0, 0, 0x33]
    );
    assert_eq!(
        now(copy_in_vec(&space, A, usize::MAX)),
        Err(Error::NoMemory)
    );

    let end = A + 2 * PAGE;
    let name = vec![b'n'; 300];
    write(&space, end - 301, &name).unwrap();
    write(&space, end - 1, &[0]).unwrap();
    assert_eq!(now(c_string(&space, end - 301, 4096)), Ok(name.clone()));
    assert_eq!(now(c_string(&space, end - 301, 301)), Ok(name.clone()));
    assert_eq!(
        now(c_string(&space, end - 301, 300)),
        Err(Error::NameTooLong)
    );
    assert_eq!(now(c_string(&space, end - 1, 10)), Ok(vec![]));
    write(&space, end - 1, b"n").unwrap();
    assert_eq!(now(c_string(&space, end - 301, 4096)), Err(Error::Fault));
    assert_eq!(
        now(c_string(&space, usize::MAX - 3, 4096)),
        Err(Error::Fault)
    );
    assert_eq!(now(c_string(&space, 0, 4096)), Err(Error::Fault));
    assert_eq!(peek(&space, end - 300, 1000), vec![b'n'; 300]);
    assert_eq!(peek(&space, end, 1000), []);
}

#[test]
fn a_misaligned_word_is_a_bad_address() {
    let space = Space::new().unwrap();
    mapped(&space, A, 1);
    assert_eq!(
        space.with_resolve(|root| root.load_u32(A + 2)),
        Err(Error::Fault)
    );
    assert_eq!(
        space.with_resolve(|root| root.update_u32(A + 4, |word| word + 1)),
        Ok(0)
    );
    assert_eq!(space.with_resolve(|root| root.load_u32(A + 4)), Ok(1));
}

#[test]
fn large_spaces_are_worked_on_in_steps() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 6000);
    now(space.populate(A..A + 6000 * PAGE));
    assert_eq!(space.resident(), 6000);
    write(&space, A + 5999 * PAGE, b"last").unwrap();
    let child = now(space.fork_yielding()).unwrap();
    assert_eq!((child.resident(), child.mappings().len()), (6000, 1));
    assert_eq!(frame::stats().user, 6000);
    now(space.unmap_yielding(A + PAGE..A + 5998 * PAGE)).unwrap();
    assert_eq!((space.resident(), space.mappings().len()), (3, 2));
    now(child.clear_yielding());
    assert_eq!((child.resident(), child.size()), (0, 0));
    assert_eq!(&read(&space, A + 5999 * PAGE), &Ok(*b"last"));
    // A range of any size costs a bounded number of steps.
    mapped(&child, A, (USER_END - A) / PAGE);
    now(child.populate(A..A + 3000 * PAGE));
    child.advise(A..USER_END, Advice::DontNeed).unwrap();
    assert_eq!(child.resident(), 0);
    now(child.populate(A..A + 3000 * PAGE));
    child.unmap(A..USER_END).unwrap();
    assert_eq!((child.resident(), child.size()), (0, 0));
    mapped(&child, A, 3000);
    now(child.populate(A..A + 3000 * PAGE));
    child.clear();
}

#[test]
fn threads_of_one_process_lose_no_write_to_a_fork() {
    const THREADS: usize = 3;
    const ROUNDS: u32 = 2000;
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 2);
    let machine = host::current();
    let workers: Vec<_> = (0..THREADS)
        .map(|cpu| {
            let (space, machine) = (space.clone(), machine.clone());
            std::thread::spawn(move || {
                machine.enter(cpu + 1);
                for round in 0..ROUNDS {
                    space
                        .with_resolve(|root| root.update_u32(A, |word| word + 1))
                        .unwrap();
                    let own = A + PAGE + cpu * 4;
                    space
                        .with_resolve(|root| root.store_u32(own, round))
                        .unwrap();
                    assert_eq!(space.with_resolve(|root| root.load_u32(own)), Ok(round));
                }
            })
        })
        .collect();
    let mut last = 0;
    let mut forks = 0;
    while forks < 50 || workers.iter().any(|worker| !worker.is_finished()) {
        forks += 1;
        let child = space.fork().unwrap();
        let seen = child.with_resolve(|root| root.load_u32(A)).unwrap();
        assert!(seen >= last);
        last = seen;
        space
            .protect(A..A + 2 * PAGE, READ_WRITE | Access::EXECUTE)
            .unwrap();
        space.protect(A..A + 2 * PAGE, READ_WRITE).unwrap();
        assert_eq!(child.with_resolve(|root| root.load_u32(A)), Ok(seen));
    }
    for worker in workers {
        worker.join().unwrap();
    }
    let total = space.with_resolve(|root| root.load_u32(A));
    assert_eq!(total, Ok(THREADS as u32 * ROUNDS));
    assert!(space.writable_code() > 0);
}
