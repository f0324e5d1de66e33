//! What comes in when: faults, forks, files, long work, threads.

use super::*;

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
fn large_spaces_are_worked_on_in_steps() {
    let _leaks = Leaks::none();
    let space = Space::new().unwrap();
    mapped(&space, A, 6000);
    now(space.populate(A..A + 6000 * PAGE, &mut task::budget()));
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
    now(child.populate(A..A + 3000 * PAGE, &mut task::budget()));
    child.advise(A..USER_END, Advice::DontNeed).unwrap();
    assert_eq!(child.resident(), 0);
    now(child.populate(A..A + 3000 * PAGE, &mut task::budget()));
    child.unmap(A..USER_END).unwrap();
    assert_eq!((child.resident(), child.size()), (0, 0));
    mapped(&child, A, 3000);
    now(child.populate(A..A + 3000 * PAGE, &mut task::budget()));
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
