//! Epoll sets within epoll sets.

use crate::epoll::{IN, add, epoll, event, wait};
use libc::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLET, EPOLLIN};
use test_programs::child::spawn;
use test_programs::raw::short::*;
use test_programs::{fails, ok};

test_programs::tests!(
    one_in_another,
    wakes_through_two,
    edge_of_a_set,
    not_in_itself,
    not_in_what_it_contains,
    not_too_deep,
    inner_ends_first,
    outer_ends_first,
);

fn one_in_another() {
    let (outer, inner) = (epoll(), epoll());
    let (reader, writer) = pipe();
    add(outer, inner, EPOLLIN, 1);
    add(inner, reader, EPOLLIN, 2);
    assert_eq!(wait(outer, 0), []);
    write(writer, b"x");
    for _ in 0..2 {
        assert_eq!(wait(outer, 0), [(IN, 1)]);
        assert_eq!(wait(inner, 0), [(IN, 2)]);
    }
    read(reader, 1);
    assert_eq!(wait(outer, 0), []);
    assert_eq!(wait(inner, 0), []);
}

fn wakes_through_two() {
    let [outer, middle, inner] = [0; 3].map(|_| epoll());
    let (reader, writer) = pipe();
    add(outer, middle, EPOLLIN, 1);
    add(middle, inner, EPOLLIN, 2);
    add(inner, reader, EPOLLIN, 3);
    let child = spawn(|| {
        ok!(SYS_sched_yield);
        write(writer, b"x");
    });
    assert_eq!(wait(outer, -1), [(IN, 1)]);
    child.passes();
}

fn edge_of_a_set() {
    let (outer, inner) = (epoll(), epoll());
    let (reader, writer) = pipe();
    add(outer, inner, EPOLLIN | EPOLLET, 1);
    add(inner, reader, EPOLLIN, 2);
    write(writer, b"x");
    assert_eq!(wait(outer, 0), [(IN, 1)]);
    assert_eq!(wait(outer, 0), []);
    assert_eq!(wait(inner, 0), [(IN, 2)]);
    assert_eq!(wait(outer, 0), []);
    write(writer, b"y");
    assert_eq!(wait(outer, 0), [(IN, 1)]);
}

fn not_in_itself() {
    let poll = epoll();
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        poll,
        &event(EPOLLIN, 0)
    );
    let copy = ok!(SYS_dup, poll);
    fails!(
        EINVAL,
        SYS_epoll_ctl,
        poll,
        EPOLL_CTL_ADD,
        copy,
        &event(EPOLLIN, 0)
    );
}

fn not_in_what_it_contains() {
    let [a, b, c] = [0; 3].map(|_| epoll());
    add(a, b, EPOLLIN, 0);
    add(b, c, EPOLLIN, 0);
    fails!(
        ELOOP,
        SYS_epoll_ctl,
        c,
        EPOLL_CTL_ADD,
        a,
        &event(EPOLLIN, 0)
    );
    fails!(
        ELOOP,
        SYS_epoll_ctl,
        b,
        EPOLL_CTL_ADD,
        a,
        &event(EPOLLIN, 0)
    );
    ok!(SYS_epoll_ctl, a, EPOLL_CTL_DEL, b, 0);
    // What was refused left nothing behind.
    assert_eq!(wait(c, 0), []);
}

fn not_too_deep() {
    let mut sets = vec![epoll()];
    let mut refused = false;
    for _ in 0..10 {
        let outer = epoll();
        let inner = sets[sets.len() - 1];
        match test_programs::sys!(
            SYS_epoll_ctl,
            outer,
            EPOLL_CTL_ADD,
            inner,
            &event(EPOLLIN, 0)
        ) {
            Ok(_) => sets.push(outer),
            Err(errno) => {
                assert_eq!(errno, libc::ELOOP);
                refused = true;
                break;
            }
        }
    }
    assert!(
        refused && sets.len() >= 4,
        "{} within each other",
        sets.len()
    );
    let (reader, writer) = pipe();
    add(sets[0], reader, EPOLLIN, 1);
    write(writer, b"x");
    assert_eq!(wait(sets[sets.len() - 1], 0), [(IN, 0)]);
}

fn inner_ends_first() {
    let (outer, inner) = (epoll(), epoll());
    let (reader, writer) = pipe();
    add(outer, inner, EPOLLIN, 1);
    add(inner, reader, EPOLLIN, 2);
    close(inner);
    write(writer, b"x");
    assert_eq!(wait(outer, 0), []);
}

fn outer_ends_first() {
    let (outer, inner) = (epoll(), epoll());
    let (reader, writer) = pipe();
    add(outer, inner, EPOLLIN, 1);
    add(inner, reader, EPOLLIN, 2);
    close(outer);
    write(writer, b"x");
    assert_eq!(wait(inner, 0), [(IN, 2)]);
}
