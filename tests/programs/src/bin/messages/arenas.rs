//! Memory that is handed on without being copied.

use abi::{Call, Error, NEVER, Passed, Rights};
use test_programs::child;
use test_programs::native::{EMPTY, channel, close, is_linux, memory, native, pass, receive, send};

test_programs::tests!(
    a_large_arena_changes_hands,
    only_who_has_it_alone_gives_it_away,
);

const SIZE: usize = 16 << 20;
const ALL: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::MAP)
    .union(Rights::TRANSFER);

/// The handle of the process's own space is not given to Linux programs: without it nothing can be mapped, so the bytes are
/// tested by native programs, and by the kernel's own tests.
fn a_large_arena_changes_hands() {
    if is_linux() {
        return;
    }
    let (there, inbox) = channel().expect("a channel");
    let (back, outbox) = channel().expect("a channel");
    let peer = child::fork(|| {
        close(there).expect("a sender");
        while let Ok(message) = receive(inbox, NEVER) {
            let arena = message.handles[0];
            assert!(arena.is_surrendered());
            let arena = pass(arena.number.0.into(), arena.rights, Passed::SURRENDER);
            send(back, &EMPTY, &arena, NEVER).expect("room");
        }
        0
    });
    close(inbox).expect("a receiver");
    close(back).expect("a sender");
    let mut arena = memory(SIZE as u64).expect("memory");
    for _ in 0..100 {
        send(there, &EMPTY, &pass(arena, ALL, Passed::SURRENDER), NEVER).expect("room");
        assert_eq!(close(arena), Err(Error::BadHandle));
        let message = receive(outbox, NEVER).expect("it comes back");
        assert!(message.handles[0].is_surrendered());
        arena = message.handles[0].number.0.into();
    }
    close(there).expect("a sender");
    peer.passes();
}

fn only_who_has_it_alone_gives_it_away() {
    if is_linux() {
        return;
    }
    let (sender, receiver) = channel().expect("a channel");
    let arena = memory(SIZE as u64).expect("memory");
    let both = ALL | Rights::DUPLICATE;
    let copy = native(Call::Duplicate, &[arena, both.bits().into()]).expect("a copy");
    let surrender = pass(arena, ALL, Passed::SURRENDER);
    assert_eq!(send(sender, &EMPTY, &surrender, 0), Err(Error::Busy));
    assert_eq!(receive(receiver, 0).err(), Some(Error::WouldBlock));
    close(copy).expect("a copy");
    assert_eq!(send(sender, &EMPTY, &surrender, 0), Ok(()));
    let arena = receive(receiver, 0).expect("a message").handles[0];
    assert!(arena.is_surrendered());
}
