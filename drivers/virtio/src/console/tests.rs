//! The console against a host that behaves as QEMU does, and against one that does not.

use super::host::{ALL, Host};
use super::*;
use machine::frame;
use object::SliceSink;
use proptest::prelude::*;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use task::Ready;

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn read(port: &Port, most: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; most];
    let mut sink = SliceSink::new(&mut bytes);
    let count = port.try_read(&mut sink)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn write(port: &Port, mut bytes: &[u8]) -> Result<usize, Error> {
    port.try_write(&mut bytes)
}

/// Bytes that show where they belong.
fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length)
        .map(|at| (at ^ at >> 8 ^ at >> 16) as u8)
        .collect()
}

#[test]
fn ports_are_found_by_name() {
    for vectors in [0, 1, 3, 9] {
        let mut host = Host::new(&["", "helve.in", "helve.out"], ALL, vectors);
        host.ports[0].console = true;
        let console = Console::start(host.model.transport()).unwrap();
        assert!(console.port("helve.out").is_none());
        let mut waiting = pin!(console.port_named("helve.out", None));
        assert!(poll_once(waiting.as_mut()).is_pending());
        for _ in 0..3 {
            host.settle();
            if vectors == 0 {
                console.poll();
            }
        }
        let Poll::Ready(Ok(port)) = poll_once(waiting.as_mut()) else {
            panic!("the port has not come");
        };
        host.settle();
        assert_eq!((port.id(), port.name()), (2, Some("helve.out")));
        assert!(host.ports[2].guest_open && !host.ports[1].guest_open);
        assert!(console.port("nobody").is_none());
        assert_eq!(console.terminal().unwrap().id(), 0);
        assert_eq!(console.names().len(), 3);
        console.close(&port);
        host.settle();
        assert!(!host.ports[2].guest_open);
        assert_eq!(host.dropped, 0);
    }
}

#[test]
fn no_announcement_is_lost_with_many_ports() {
    let names: Vec<String> = (0..31).map(|id| format!("port.{id}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut host = Host::new(&names, ALL, 1);
    let console = host.start();
    assert_eq!(host.dropped, 0);
    for name in names {
        let port = console.port(name).unwrap();
        assert_eq!(port.host(), port::Host::Open);
    }
}

#[test]
fn a_deadline_ends_the_search() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let mut waiting = pin!(console.port_named("b", Some(0)));
    assert_eq!(
        poll_once(waiting.as_mut()).map(|found| found.err()),
        Poll::Ready(Some(Error::TimedOut))
    );
}

#[test]
fn bytes_go_both_ways() {
    for features in [ALL, ALL & !(1 << 29)] {
        let mut host = Host::new(&["", "a"], features, 3);
        let console = host.start();
        let port = console.port("a").unwrap();
        host.settle();
        assert_eq!(read(&port, 10), Err(Error::WouldBlock));
        assert_eq!(port.readiness().get(), Ready::WRITE);
        host.ports[1].sending.extend(b"hello");
        host.settle();
        assert!(port.readiness().get().contains(Ready::READ));
        assert_eq!(read(&port, 2).unwrap(), b"he");
        assert!(port.readiness().get().contains(Ready::READ));
        assert_eq!(read(&port, 3).unwrap(), b"llo");
        assert!(!port.readiness().get().contains(Ready::READ), "all is read");
        assert_eq!(read(&port, 3), Err(Error::WouldBlock));
        assert_eq!(read(&port, 0), Ok(vec![]));

        assert_eq!(write(&port, b"world"), Ok(5));
        assert!(!port.is_drained());
        let mut drained = pin!(port.drained(None));
        assert!(poll_once(drained.as_mut()).is_pending());
        host.settle();
        assert_eq!(poll_once(drained.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(host.ports[1].came, b"world");
    }
}

#[test]
fn a_full_port_takes_more_when_half_is_gone() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let port = console.port("a").unwrap();
    host.settle();
    let bytes = pattern(0, 200_000);
    let mut done = write(&port, &bytes).unwrap();
    assert_eq!(done, 65536);
    assert!(!port.readiness().get().contains(Ready::WRITE));
    assert_eq!(write(&port, &bytes[done..]), Err(Error::WouldBlock));
    assert!(host.take_one(1));
    assert_eq!(host.model.interrupt(), 1);
    assert!(port.readiness().get().contains(Ready::WRITE));
    while done < bytes.len() {
        match write(&port, &bytes[done..]) {
            Ok(count) => done += count,
            Err(error) => {
                assert_eq!(error, Error::WouldBlock);
                host.settle();
                assert!(port.readiness().get().contains(Ready::WRITE));
            }
        }
    }
    host.settle();
    assert!(host.ports[1].came == bytes);
}

#[test]
fn a_slow_reader_loses_nothing() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let port = console.port("a").unwrap();
    let bytes = pattern(0, 300_000);
    host.ports[1].sending.extend(&bytes);
    host.settle();
    assert!(!host.ports[1].sending.is_empty(), "the host has to wait");
    let mut came = Vec::new();
    while came.len() < bytes.len() {
        came.extend(read(&port, 7001).unwrap());
        host.settle();
    }
    assert!(came == bytes);
}

#[test]
fn the_end_comes_after_the_last_byte() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let port = console.port("a").unwrap();
    host.settle();
    host.ports[1].sending.extend(b"last words");
    host.step();
    host.set_open(1, false);
    host.model.interrupt();
    assert!(port.readiness().get().contains(Ready::READ | Ready::HANGUP));
    assert_eq!(write(&port, b"x"), Err(Error::Closed));
    assert_eq!(read(&port, 4).unwrap(), b"last");
    assert_eq!(read(&port, 100).unwrap(), b" words");
    for _ in 0..3 {
        assert_eq!(read(&port, 100), Ok(vec![]));
        assert!(port.readiness().get().contains(Ready::READ));
    }

    // The next one who connects begins anew, even if nobody saw the end of the one before.
    for words in [&b"one"[..], b"two"] {
        host.set_open(1, true);
        host.ports[1].sending.extend(words);
        host.step();
        host.set_open(1, false);
        host.model.interrupt();
    }
    host.set_open(1, true);
    host.settle();
    for words in [&b"one"[..], b"", b"two", b""] {
        assert_eq!(read(&port, 100).unwrap(), words);
    }
    assert_eq!(read(&port, 100), Err(Error::WouldBlock));
    assert!(!port.readiness().get().contains(Ready::HANGUP));
    assert_eq!(write(&port, b"again"), Ok(5));
}

#[test]
fn nobody_writes_to_a_host_that_has_not_come() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    host.ports[1].host_open = false;
    let console = host.start();
    let port = console.port("a").unwrap();
    host.settle();
    assert_eq!(write(&port, b"early"), Err(Error::WouldBlock));
    assert_eq!(read(&port, 1), Err(Error::WouldBlock));
    assert!(!port.readiness().get().contains(Ready::WRITE));
    host.set_open(1, true);
    host.settle();
    assert!(port.readiness().get().contains(Ready::WRITE));
    assert_eq!(write(&port, b"now"), Ok(3));
    let mut drained = pin!(port.drained(None));
    assert!(poll_once(drained.as_mut()).is_pending());
    host.set_open(1, false);
    host.model.interrupt();
    assert!(
        poll_once(drained.as_mut()).is_ready(),
        "nobody will take it"
    );
}

#[test]
fn windows_change_size() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let port = console.port("a").unwrap();
    assert_eq!(port.size(), None);
    let told = Arc::new(Spin::new(Vec::new()));
    let tell = told.clone();
    port.on_resize(move |size| tell.lock().push((size.columns, size.rows)));
    for size in [[80, 0, 24, 0], [80, 0, 24, 0], [132, 0, 43, 0]] {
        host.message(1, 5, 0, &size);
    }
    host.settle();
    assert_eq!(*told.lock(), [(80, 24), (132, 43)]);
}

#[test]
fn a_device_without_control_queues_has_one_port() {
    let mut host = Host::new(&[""], F_SIZE, 2);
    let console = host.start();
    let port = console.terminal().unwrap();
    assert_eq!(
        port.size(),
        Some(Size {
            columns: 80,
            rows: 25
        })
    );
    assert_eq!(write(&port, b"hi"), Ok(2));
    host.ports[0].guest_open = true;
    host.ports[0].sending.extend(b"ho");
    host.settle();
    assert_eq!(host.ports[0].came, b"hi");
    assert_eq!(read(&port, 9).unwrap(), b"ho");
}

#[test]
fn a_panic_can_write_without_interrupts() {
    let mut host = Host::new(&["", "a"], ALL, 0);
    let console = Console::start(host.model.transport()).unwrap();
    for _ in 0..5 {
        host.step();
        console.poll();
    }
    let port = console.port("a").unwrap();
    assert_eq!(port.write_polled(b"going down", 5), 10);
    host.step();
    assert_eq!(host.ports[1].came, b"going down");
    assert_eq!(port.write_polled(&[0; 100_000], 5), 65536);
}

#[test]
fn a_console_gives_everything_back() {
    let before = frame::stats().kernel;
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let port = console.port("a").unwrap();
    host.settle();
    write(&port, b"x").unwrap();
    drop((console, port));
    assert!(!host.model.is_running());
    assert_eq!(frame::stats().kernel, before);
}

#[test]
fn every_shortage_of_memory_is_an_error() {
    let before = frame::stats().kernel;
    for allocations in 0..20 {
        frame::fail_after(allocations);
        let mut host = Host::new(&["", "a"], ALL, 3);
        match Console::start(host.model.transport()) {
            Err(error) => assert_eq!(error, Error::NoMemory),
            Ok(console) => {
                host.settle();
                if let Some(port) = console.port("a") {
                    host.settle();
                    let _ = write(&port, b"x");
                    let _ = read(&port, 1);
                }
            }
        }
        frame::fail_never();
        assert_eq!(frame::stats().kernel, before);
    }
}

#[test]
fn a_device_that_gives_up_wakes_everybody() {
    let mut host = Host::new(&["", "a"], ALL, 3);
    let console = host.start();
    let port = console.port("a").unwrap();
    host.settle();
    write(&port, b"x").unwrap();
    let mut drained = pin!(port.drained(None));
    let mut waiting = pin!(console.port_named("b", None));
    assert!(poll_once(drained.as_mut()).is_pending());
    assert!(poll_once(waiting.as_mut()).is_pending());
    host.model.set_needs_reset();
    host.model.interrupt();
    assert!(host.model.has_failed());
    assert!(port.readiness().get().contains(Ready::ERROR));
    assert!(poll_once(drained.as_mut()).is_ready());
    assert!(matches!(
        poll_once(waiting.as_mut()),
        Poll::Ready(Err(Error::Io))
    ));
}

#[derive(Clone, Debug)]
enum Step {
    HostSends(usize),
    HostGives,
    HostTakes,
    GuestReads(usize),
    GuestWrites(usize),
    Interrupt,
    HostCloses,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1usize..20_000).prop_map(Step::HostSends),
        6 => Just(Step::HostGives),
        6 => Just(Step::HostTakes),
        6 => (1usize..20_000).prop_map(Step::GuestReads),
        6 => (1usize..50_000).prop_map(Step::GuestWrites),
        4 => Just(Step::Interrupt),
        1 => Just(Step::HostCloses),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_byte_is_lost_and_no_wake_is_missed(
        steps in proptest::collection::vec(any_step(), 0..150),
        event_index in any::<bool>(),
        vectors in 1u16..4,
    ) {
        let features = if event_index { ALL } else { ALL & !(1 << 29) };
        let mut host = Host::new(&["", "a"], features, vectors);
        let console = host.start();
        let port = console.port("a").unwrap();
        host.settle();
        let (mut sent, mut came, mut written) = (0, Vec::new(), 0);
        let mut ended = false;
        for step in steps {
            match step {
                Step::HostSends(count) => if host.ports[1].host_open {
                    host.ports[1].sending.extend(pattern(sent, count));
                    sent += count;
                }
                Step::HostGives => { host.give_one(1); }
                Step::HostTakes => { host.take_one(1); }
                Step::GuestReads(most) => match read(&port, most) {
                    Ok(bytes) if bytes.is_empty() => ended = true,
                    Ok(bytes) => {
                        prop_assert!(!ended);
                        came.extend(bytes);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, Error::WouldBlock);
                        prop_assert!(!ended);
                    }
                }
                Step::GuestWrites(count) => match write(&port, &pattern(written, count)) {
                    Ok(count) => written += count,
                    Err(Error::Closed) => prop_assert!(!host.ports[1].host_open),
                    Err(error) => prop_assert_eq!(error, Error::WouldBlock),
                }
                Step::Interrupt => { host.model.interrupt(); }
                Step::HostCloses => if host.ports[1].host_open {
                    // QEMU passes on all it has before it tells of the close, if there is room.
                    while host.give_one(1) {}
                    while host.take_one(1) {}
                    sent -= host.ports[1].sending.len();
                    host.ports[1].sending.clear();
                    host.set_open(1, false);
                }
            }
        }
        // The reader only reads when it is told that it can.
        loop {
            host.settle();
            let ready = port.readiness().get();
            if ended || !ready.contains(Ready::READ) {
                break;
            }
            match read(&port, 5000) {
                Ok(bytes) if bytes.is_empty() => ended = true,
                Ok(bytes) => came.extend(bytes),
                Err(error) => prop_assert_eq!(error, Error::WouldBlock),
            }
        }
        prop_assert!(port.readiness().get().contains(Ready::WRITE));
        prop_assert!(port.is_drained());
        prop_assert_eq!(ended, !host.ports[1].host_open);
        prop_assert!(came == pattern(0, sent));
        if host.ports[1].host_open {
            prop_assert!(host.ports[1].came == pattern(0, written));
        } else {
            prop_assert!(pattern(0, written).starts_with(&host.ports[1].came));
        }
    }

    #[test]
    fn a_lying_host_hurts_nobody(
        lies in proptest::collection::vec(
            (0u16..6, prop_oneof![0u32..40, any::<u32>()], prop_oneof![0u32..5000, any::<u32>()], 0u8..3),
            1..40,
        ),
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..125), 0..60),
    ) {
        let mut host = Host::new(&["", "a"], ALL, 3);
        let console = host.start();
        let port = console.port("a").unwrap();
        host.settle();
        let mut messages = messages.into_iter();
        for (queue, id, written, what) in lies {
            match what {
                0 => host.model.push_raw(queue, id, written),
                1 => host.model.jump(queue, id as u16),
                _ => if let Some(bytes) = messages.next() && host.model.waiting(2) < 32 {
                    host.send_control(&bytes);
                }
            }
            host.model.signal(queue);
            host.model.interrupt();
            let _ = read(&port, 3000);
            let _ = write(&port, &[7; 3000]);
            console.poll();
            let _ = port.is_drained();
            let _ = console.port("b");
        }
        // Whoever waits on a port that failed is woken.
        if port.readiness().get().contains(Ready::ERROR) {
            prop_assert!(write(&port, b"x").is_err());
        }
    }

    #[test]
    fn control_messages_of_any_kind_are_survived(
        messages in proptest::collection::vec(
            (0u32..4, 0u16..9, any::<u16>(), proptest::collection::vec(any::<u8>(), 0..20)),
            0..80,
        )
    ) {
        let mut host = Host::new(&["", "a"], ALL, 3);
        let console = host.start();
        let port = console.port("a").unwrap();
        for (id, event, value, rest) in messages {
            host.message(id as usize, event, value, &rest);
            host.model.interrupt();
            while host.model.pop(CONTROL_TRANSMIT).map(|it| host.model.push(CONTROL_TRANSMIT, it.head, 0)).is_some() {}
            let _ = read(&port, 10);
            let _ = write(&port, b"x");
        }
        prop_assert_eq!(host.dropped, 0);
    }
}
