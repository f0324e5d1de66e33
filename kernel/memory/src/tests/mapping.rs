//! What is where: placing, limits, stacks, moving.

use super::*;

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
        ..Limits::default()
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
fn heap_and_stack_have_limits_of_their_own() {
    let space = Space::new().unwrap();
    space.set_limits(Limits {
        heap: 3 * PAGE,
        stack: 5 * PAGE,
        ..Limits::default()
    });
    space.set_brk_start(A);
    assert_eq!(space.brk(A + 4 * PAGE), A);
    assert_eq!(space.brk(A + 3 * PAGE), A + 3 * PAGE);
    let top = A + 1000 * PAGE;
    space
        .map(MapRequest {
            kind: Kind::Stack { grows: 100 * PAGE },
            ..request(Placement::Fixed(top - PAGE), 1)
        })
        .unwrap();
    assert_eq!(space.try_resolve(top - 5 * PAGE, Need::Write), Ok(()));
    assert_eq!(
        space.try_resolve(top - 6 * PAGE, Need::Write),
        Err(Error::Fault)
    );
}

#[test]
fn protection_changes_up_to_the_first_hole() {
    let space = Space::new().unwrap();
    mapped(&space, A, 2);
    mapped(&space, A + 3 * PAGE, 1);
    assert_eq!(
        space.protect(A..A + 4 * PAGE, Access::READ),
        Err(Error::NoMemory)
    );
    let access = |page| space.mapping_at(A + page * PAGE).unwrap().access;
    assert_eq!((access(1), access(3)), (Access::READ, READ_WRITE));
}

#[test]
fn a_fork_leaves_out_or_wipes_what_it_shall() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 3);
    let root = space.root();
    for page in 0..3 {
        space.try_resolve(A + page * PAGE, Need::Write).unwrap();
        root.copy_out(A + page * PAGE, &[5]).unwrap();
    }
    space.set_at_fork(A..A + PAGE, AtFork::Left).unwrap();
    space
        .set_at_fork(A + PAGE..A + 2 * PAGE, AtFork::Wiped)
        .unwrap();
    let child = space.fork().unwrap();
    assert!(child.mapping_at(A).is_none());
    let byte = |page: usize| {
        child.try_resolve(A + page * PAGE, Need::Read).unwrap();
        let mut byte = [9];
        child.root().copy_in(A + page * PAGE, &mut byte).unwrap();
        byte[0]
    };
    assert_eq!((byte(1), byte(2)), (0, 5));
    assert_eq!(
        space.set_at_fork(A + 5 * PAGE..A + 6 * PAGE, AtFork::Left),
        Err(Error::NoMemory)
    );
}
