//! Copies to and from user memory.

use super::*;

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
    assert_eq!(peek(&space, end, 1000), b"");
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
