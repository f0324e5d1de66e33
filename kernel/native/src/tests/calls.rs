//! What each call does, and what it refuses.

use super::*;
use abi::{END, Event, Events, Mapping, NEXT};

const READ: Rights = Rights::READ;
const NEW: OpenFlags = OpenFlags::CREATE;

#[test]
fn files_are_made_written_read_and_removed() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let rights = Rights::READ | Rights::WRITE | Rights::DELETE | Rights::INSPECT;
    let file = world
        .open(files, "/etc/new", rights, NEW | OpenFlags::EXCLUSIVE)
        .unwrap();
    assert_eq!(
        world.open(files, "/etc/new", rights, NEW | OpenFlags::EXCLUSIVE),
        Err(Error::Exists)
    );
    assert_eq!(world.write(file, NEXT, b"hello "), Ok(6));
    assert_eq!(world.write(file, NEXT, b"there"), Ok(5));
    assert_eq!(world.write(file, END, b"!"), Ok(1));
    assert_eq!(world.write(file, 0, b"H"), Ok(1));
    assert_eq!(
        world.read(file, 0, 100).as_deref(),
        Ok(&b"Hello there!"[..])
    );
    assert_eq!(world.read(file, 6, 3).as_deref(), Ok(&b"the"[..]));
    assert_eq!(world.read(file, 12, 3).as_deref(), Ok(&b""[..]));
    let to = Value::build(|builder| {
        builder.put("to", "/etc/other");
    });
    world.request(file, "rename", &to.unwrap()).unwrap();
    assert_eq!(
        world.open(files, "/etc/new", READ, OpenFlags::empty()),
        Err(Error::NotFound)
    );
    let other = world
        .open(files, "etc/other", READ, OpenFlags::empty())
        .unwrap();
    assert_eq!(world.read(other, 0, 5).as_deref(), Ok(&b"Hello"[..]));
    world.ask(file, "remove").unwrap();
    assert_eq!(
        world.open(files, "/etc/other", READ, OpenFlags::empty()),
        Err(Error::NotFound)
    );
}

#[test]
fn directories_are_listed_as_records() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let flags = NEW | OpenFlags::DIRECTORY;
    world
        .open(files, "/etc/inner", Rights::LIST, flags)
        .unwrap();
    let directory = world
        .open(files, "/etc", Rights::LIST, OpenFlags::DIRECTORY)
        .unwrap();
    let bytes = world.read(directory, 0, 4096).unwrap();
    let (mut names, mut rest, mut next) = (Vec::new(), &bytes[..], 0);
    while !rest.is_empty() {
        let (record, after) = Document::parse_front(rest).unwrap();
        names.push((
            record.string("name").unwrap(),
            record.string("kind").unwrap(),
        ));
        (rest, next) = (after, number(record, "next"));
    }
    names.sort();
    assert_eq!(names, [("inner", "directory"), ("text", "file")]);
    assert_eq!(world.read(directory, next, 4096).as_deref(), Ok(&[][..]));
    assert_eq!(world.read(directory, 0, 8), Err(Error::TooLarge));
}

#[test]
fn numbers_are_void_after_close() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let file = world
        .open(files, "/etc/text", READ, OpenFlags::empty())
        .unwrap();
    assert_eq!(world.call(Call::Close, &[file]), Ok(0));
    assert_eq!(world.call(Call::Close, &[file]), Err(Error::BadHandle));
    let again = world
        .open(files, "/etc/text", READ, OpenFlags::empty())
        .unwrap();
    assert_ne!(file, again);
    assert_eq!(world.read(file, 0, 10), Err(Error::BadHandle));
    for wrong in [NONE, u64::MAX, file | 1 << 32, 0x7fff_ffff] {
        assert_eq!(world.call(Call::Close, &[wrong]), Err(Error::BadHandle));
    }
}

#[test]
fn rights_only_shrink() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let few = Rights::READ | Rights::LIST | Rights::DUPLICATE;
    let look = world
        .call(Call::Duplicate, &[files, few.bits().into()])
        .unwrap();
    assert_eq!(
        world.open(look, "/etc/text", Rights::WRITE, OpenFlags::empty()),
        Err(Error::Denied)
    );
    assert_eq!(world.open(look, "/etc/made", READ, NEW), Err(Error::Denied));
    let text = world
        .open(look, "/etc/text", READ, OpenFlags::empty())
        .unwrap();
    assert_eq!(world.write(text, 0, b"x"), Err(Error::Denied));
    assert_eq!(world.ask(text, "remove"), Err(Error::Denied));
    assert_eq!(
        world.call(Call::Duplicate, &[look, Rights::all().bits().into()]),
        Err(Error::Denied)
    );
    assert_eq!(
        world.call(Call::Duplicate, &[text, READ.bits().into()]),
        Err(Error::Denied)
    );
    assert_eq!(
        world.call(Call::Duplicate, &[files, 1 << 31]),
        Err(Error::Invalid)
    );
    // What is below a directory does not reach above it.
    let etc = world
        .open(files, "/etc", few, OpenFlags::DIRECTORY)
        .unwrap();
    assert_eq!(
        world.open(etc, "../../etc/text", READ, OpenFlags::empty()),
        Err(Error::NotFound)
    );
    assert!(world.open(etc, "../text", READ, OpenFlags::empty()).is_ok());
}

#[test]
fn objects_tell_about_themselves() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let file = world
        .open(files, "/etc/text", Rights::INSPECT, OpenFlags::empty())
        .unwrap();
    let length = world
        .call(Call::Inspect, &[file, REPLIES as u64, 4096])
        .unwrap();
    let about = Value::from_bytes(world.get(REPLIES, length as usize)).unwrap();
    let about = about.as_document();
    assert_eq!(about.string("kind"), Some("file"));
    assert_eq!(number(about.document("object").unwrap(), "size"), 9);
    // Too little room: nothing is written, and the length is told.
    block_on(memory::copy_out(&world.space, REPLIES, &[0xee; 16])).unwrap();
    assert_eq!(
        world.call(Call::Inspect, &[file, REPLIES as u64, 16]),
        Ok(length)
    );
    assert_eq!(world.get(REPLIES, 16), [0xee; 16]);
    assert_eq!(world.ask(file, "fly"), Err(Error::NotFound));
}

#[test]
fn pipes_carry_bytes_and_end() {
    let mut world = World::new();
    let channels = world.registry("channel").unwrap();
    let pipe = world.ask(channels, "pipe").unwrap();
    let (reader, writer) = (
        number(pipe.as_document(), "reader"),
        number(pipe.as_document(), "writer"),
    );
    assert_eq!(world.write(writer, NEXT, b"bytes"), Ok(5));
    assert_eq!(world.read(writer, NEXT, 5), Err(Error::Denied));
    assert_eq!(world.read(reader, NEXT, 3).as_deref(), Ok(&b"byt"[..]));
    world.call(Call::Close, &[writer]).unwrap();
    assert_eq!(world.read(reader, NEXT, 9).as_deref(), Ok(&b"es"[..]));
    assert_eq!(world.read(reader, NEXT, 9).as_deref(), Ok(&b""[..]));
    // A reply that does not fit leaves no handles behind.
    let before = world.handles.len();
    let verb = world.put(b"pipe");
    assert!(
        world
            .call(Call::Request, &[channels, verb, 4, 0, REPLIES as u64, 8])
            .unwrap()
            > 8
    );
    assert_eq!(
        world.call(Call::Request, &[channels, verb, 4, 0, 8, 4096]),
        Err(Error::Fault)
    );
    assert_eq!(world.handles.len(), before);
}

#[test]
fn memory_comes_and_goes() {
    let mut world = World::new();
    let space = world.own(2);
    let both = u64::from((Mapping::READ | Mapping::WRITE).bits());
    let at = world
        .call(Call::Map, &[space, NONE, 0, 3 * PAGE as u64, both, 0])
        .unwrap();
    block_on(memory::copy_out(&world.space, at as usize, b"mine")).unwrap();
    let fixed = both | u64::from(Mapping::FIXED.bits());
    assert_eq!(
        world.call(Call::Map, &[space, NONE, at, PAGE as u64, fixed, 0]),
        Err(Error::Exists)
    );
    let code = u64::from((Mapping::WRITE | Mapping::EXECUTE).bits());
    assert_eq!(
        world.call(Call::Map, &[space, NONE, 0, 4096, code, 0]),
        Err(Error::Denied)
    );
    assert_eq!(
        world.call(Call::Protect, &[space, at, 4096, code]),
        Err(Error::Denied)
    );
    world.call(Call::Protect, &[space, at, 4096, 1]).unwrap();
    let write = block_on(memory::copy_out(&world.space, at as usize, b"x"));
    assert!(matches!(write, Err(Error::Denied | Error::Fault)));
    world
        .call(Call::Unmap, &[space, at, 3 * PAGE as u64])
        .unwrap();
    assert_eq!(
        block_on(memory::copy_in(&world.space, at as usize, &mut [0])),
        Err(Error::Fault)
    );
    for (address, length) in [(1, 4096), (u64::MAX - 4095, 4096), (4096, u64::MAX), (0, 0)] {
        assert!(world.call(Call::Unmap, &[space, address, length]).is_err());
        assert!(
            world
                .call(Call::Map, &[space, NONE, address, length, fixed, 0])
                .is_err()
        );
    }
}

#[test]
fn files_are_mapped_as_their_handles_allow() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let space = world.own(2);
    let file = world
        .open(
            files,
            "/etc/text",
            Rights::READ | Rights::MAP,
            OpenFlags::empty(),
        )
        .unwrap();
    let read = u64::from(Mapping::READ.bits());
    let at = world
        .call(Call::Map, &[space, file, 0, 4096, read, 0])
        .unwrap();
    assert_eq!(world.get(at as usize, 9), b"some text");
    let shared = u64::from((Mapping::READ | Mapping::WRITE | Mapping::SHARED).bits());
    assert_eq!(
        world.call(Call::Map, &[space, file, 0, 4096, shared, 0]),
        Err(Error::Denied)
    );
    let run = u64::from((Mapping::READ | Mapping::EXECUTE).bits());
    assert_eq!(
        world.call(Call::Map, &[space, file, 0, 4096, run, 0]),
        Err(Error::Denied)
    );
    let plain = world
        .open(files, "/etc/text", READ, OpenFlags::empty())
        .unwrap();
    assert_eq!(
        world.call(Call::Map, &[space, plain, 0, 4096, read, 0]),
        Err(Error::Denied)
    );
    assert_eq!(
        world.call(Call::Map, &[files, file, 0, 4096, read, 0]),
        Err(Error::WrongKind)
    );
}

#[test]
fn waits_end_with_what_was_waited_for_or_the_time() {
    let mut world = World::new();
    let now = task::clock::now();
    assert_eq!(world.call(Call::Wait, &[NONE, now, 0, 0, 0]), Ok(0));
    let channels = world.registry("channel").unwrap();
    let events = world.registry("event").unwrap();
    let pipe = world.ask(channels, "pipe").unwrap();
    let (reader, writer) = (
        number(pipe.as_document(), "reader"),
        number(pipe.as_document(), "writer"),
    );
    let at = REPLIES as u64;
    let readable = u64::from(Events::READ.bits());
    assert_eq!(
        world.call(Call::Wait, &[reader, now, at, 1, readable]),
        Ok(0)
    );
    let port = world
        .open(events, "port", Rights::READ | Rights::WRITE, NEW)
        .unwrap();
    world
        .call(Call::Watch, &[port, reader, readable, 42])
        .unwrap();
    assert_eq!(world.call(Call::Wait, &[port, now, at, 8, 0]), Ok(0));
    world.write(writer, NEXT, b"x").unwrap();
    let report = |world: &World| Event::from_bytes(&world.get(REPLIES, 16).try_into().unwrap());
    assert_eq!(
        world.call(Call::Wait, &[reader, abi::NEVER, at, 1, readable]),
        Ok(1)
    );
    assert_eq!(
        report(&world),
        Event {
            key: 0,
            events: Events::READ,
            handle: reader as u32
        }
    );
    assert_eq!(world.call(Call::Wait, &[port, abi::NEVER, at, 8, 0]), Ok(1));
    assert_eq!(
        report(&world),
        Event {
            key: 42,
            events: Events::READ,
            handle: reader as u32
        }
    );
    world.call(Call::Watch, &[port, reader, 0, 0]).unwrap();
    assert_eq!(world.call(Call::Wait, &[port, now, at, 8, 0]), Ok(0));
    assert_eq!(
        world.call(Call::Watch, &[reader, port, readable, 0]),
        Err(Error::Denied)
    );
    assert_eq!(
        world.call(Call::Wait, &[reader, abi::NEVER, 8, 1, readable]),
        Err(Error::Fault)
    );
    assert_eq!(
        world.call(Call::Wait, &[reader, abi::NEVER, at, 0, readable]),
        Err(Error::Invalid)
    );
}

#[test]
fn what_is_lent_can_be_taken_back() {
    let mut world = World::new();
    let channels = world.registry("channel").unwrap();
    let events = world.registry("event").unwrap();
    let pipe = world.ask(channels, "pipe").unwrap();
    let reader = number(pipe.as_document(), "reader");
    let reply = world.ask(reader, "lend").unwrap();
    let (lent, lease) = (
        number(reply.as_document(), "handle"),
        number(reply.as_document(), "lease"),
    );
    let all = Rights::READ | Rights::SIGNAL | Rights::DUPLICATE;
    let copy = world
        .call(Call::Duplicate, &[lent, u64::from(all.bits())])
        .unwrap();
    let port = world
        .open(events, "port", Rights::READ | Rights::WRITE, NEW)
        .unwrap();
    let readable = u64::from(Events::READ.bits());
    world.call(Call::Watch, &[port, copy, readable, 7]).unwrap();
    let (now, at) = (task::clock::now(), REPLIES as u64);
    for waits in [port, lease] {
        let nothing = world.call(Call::Wait, &[waits, now, at, 8, readable]);
        assert_eq!(nothing, Ok(0));
    }
    world.ask(lease, "revoke").unwrap();
    for taken in [lent, copy] {
        assert_eq!(world.read(taken, NEXT, 8), Err(Error::Revoked));
        let waits = world.call(Call::Wait, &[taken, abi::NEVER, at, 8, readable]);
        assert_eq!(waits, Err(Error::Revoked));
        let watches = world.call(Call::Watch, &[port, taken, readable, 8]);
        assert_eq!(watches, Err(Error::Revoked));
        assert_eq!(world.ask(taken, "lend").err(), Some(Error::Revoked));
        let copies = world.call(Call::Duplicate, &[taken, 0]);
        assert_eq!(copies, Err(Error::Revoked));
    }
    let event = |world: &World| Event::from_bytes(&world.get(REPLIES, 16).try_into().unwrap());
    assert_eq!(world.call(Call::Wait, &[port, abi::NEVER, at, 8, 0]), Ok(1));
    let report = event(&world);
    assert_eq!((report.key, report.events), (7, Events::HANGUP));
    let ended = world.call(Call::Wait, &[lease, abi::NEVER, at, 8, readable]);
    assert_eq!(ended, Ok(1));
    assert_eq!(world.read(reader, NEXT, 0), Ok(Vec::new()), "its own");
    for closed in [lent, copy] {
        world.call(Call::Close, &[closed]).unwrap();
    }
}

#[test]
fn what_the_cpus_have_done() {
    let mut world = World::new();
    let processes = world.registry("process").unwrap();
    block_on(task::sleep_until(task::clock::now() + 3_000_000)).unwrap();
    let turn = task::spawn("worker", async { machine::host::clock::advance(5_000) }).unwrap();
    turn.set_tag(77);
    task::run_until_idle();
    let reply = world.ask(processes, "cpus").unwrap();
    let cpus: Vec<_> = reply.as_document().array("cpus").unwrap().iter().collect();
    assert_eq!(cpus.len(), 1);
    let cpu = cpus[0].as_document().unwrap();
    assert_eq!((number(cpu, "number"), number(cpu, "turns")), (0, 1));
    assert_eq!(
        number(cpu, "busy") + number(cpu, "idle"),
        task::clock::now()
    );
    let longest = cpu.document("longest-turn").unwrap();
    assert_eq!(number(longest, "nanoseconds"), 5_000);
    assert_eq!(number(longest, "process"), 77);
    assert_eq!(longest.string("task"), Some("worker"));
    assert_eq!(longest.string("cause"), Some("turn"));
    assert!(longest.string("work").unwrap().contains("cpus_have_done"));
    let late = cpu.document("late").unwrap();
    let fair: Vec<_> = late.array("fair").unwrap().iter().collect();
    assert_eq!(fair.len(), 1, "at once: only the first step");
    assert_eq!(late.array("realtime").unwrap().iter().count(), 0);
}

#[test]
fn sources_of_interrupts_and_whose_they_are() {
    let mut world = World::new();
    let processes = world.registry("process").unwrap();
    let nothing = Arc::new(|| ());
    let guard = machine::irq::legacy(9, "clockwork", nothing);
    machine::host::irq::raise(9);
    let reply = world.ask(processes, "interrupts").unwrap();
    let list = reply.as_document().array("interrupts").unwrap();
    let mut sources = list.iter().filter_map(|entry| entry.as_document());
    let mine = sources
        .find(|entry| entry.int("number") == Some(9))
        .unwrap();
    assert_eq!(mine.string("source"), Some("line 9"));
    let handlers = mine.array("handlers").unwrap();
    assert_eq!(
        handlers.iter().next().and_then(|name| name.as_str()),
        Some("clockwork")
    );
    let counts = mine.array("counts").unwrap();
    assert_eq!(
        counts.iter().next().and_then(|count| count.as_int()),
        Some(1)
    );
    assert_eq!(mine.string("cpus"), Some("0"));
    assert_eq!((mine.int("cpu"), mine.int("storms")), (Some(0), Some(0)));
    let mut route = |number: i32, cpus: &str| {
        let argument = Value::build(|argument| {
            argument.put("number", number).put("cpus", cpus);
        });
        world.request(processes, "route", &argument.unwrap()).err()
    };
    assert_eq!(route(9, "0"), None);
    assert_eq!(route(9, "1"), Some(Error::Invalid), "it does not run");
    assert_eq!(route(9, "x"), Some(Error::Invalid));
    assert_eq!(route(8, "0"), Some(Error::NotFound));
    drop(guard);
    let looks = u64::from(Rights::INSPECT.bits());
    let less = world.call(Call::Duplicate, &[processes, looks]).unwrap();
    assert_eq!(world.ask(less, "route"), Err(Error::Denied));
}

#[test]
fn a_measurement_lasts_as_long_as_its_handle() {
    let mut world = World::new();
    let processes = world.registry("process").unwrap();
    task::spawn("worker", async { machine::host::clock::advance(5_000) }).unwrap();
    task::run_until_idle();
    assert!(task::longest_poll(0).is_some() && !task::is_exact());
    let reply = world.ask(processes, "measure").unwrap();
    let measurement = number(reply.as_document(), "measurement");
    assert!(task::is_exact());
    assert!(task::longest_poll(0).is_none(), "what was before is gone");
    world.call(Call::Close, &[measurement]).unwrap();
    assert!(!task::is_exact());
    // Who may only look may not measure.
    let looks = u64::from(Rights::INSPECT.bits());
    let less = world.call(Call::Duplicate, &[processes, looks]).unwrap();
    assert_eq!(world.ask(less, "measure"), Err(Error::Denied));
    assert!(world.ask(less, "cpus").is_ok());
}

#[test]
fn processes_are_found_listed_and_told_to_end() {
    let mut world = World::new();
    let processes = world.registry("process").unwrap();
    let id = world.process.id().to_string();
    let me = world
        .open(
            processes,
            &id,
            Rights::SIGNAL | Rights::INSPECT,
            OpenFlags::empty(),
        )
        .unwrap();
    let status = world.ask(me, "status").unwrap();
    assert_eq!(status.as_document().string("state"), Some("waiting"));
    assert!(number(world.ask(me, "time").unwrap().as_document(), "unix") > 0);
    let memory = world.ask(processes, "memory").unwrap();
    assert!(number(memory.as_document(), "total") >= number(memory.as_document(), "free"));
    let list = world
        .read(processes, u64::from(world.process.id()) - 1, 4096)
        .unwrap();
    let (first, _) = Document::parse_front(&list).unwrap();
    assert_eq!(first.string("command"), Some("test"));
    let bad = Value::build(|builder| {
        builder.put("signal", 65);
    });
    assert_eq!(
        world.request(me, "kill", &bad.unwrap()),
        Err(Error::Invalid)
    );
    assert_eq!(
        world.open(processes, "99999999", READ, OpenFlags::empty()),
        Err(Error::NoProcess)
    );
    assert_eq!(
        world.open(processes, "x", READ, OpenFlags::empty()),
        Err(Error::NotFound)
    );
    // Not the first process of this table: a kill ends it.
    if world.process.id() != 1 {
        world.ask(me, "kill").unwrap();
        assert!(world.process.is_ending());
    }
}

#[test]
fn a_thread_ends_itself_with_its_status() {
    let mut world = World::new();
    let (process, thread) = (world.own(0), world.own(1));
    world.call(Call::Yield, &[thread]).unwrap();
    assert_eq!(world.call(Call::Yield, &[process]), Err(Error::WrongKind));
    let _ = world.call(Call::Exit, &[thread, 0x1_07]);
    assert_eq!(world.flow, Flow::Exit(process::Status::Exited(7)));
    let _ = world.call(Call::Exit, &[process, 3]);
    assert_eq!(world.flow, Flow::Exit(process::Status::Exited(3)));
}

#[test]
fn calls_of_a_later_stage_say_so() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let file = world
        .open(
            files,
            "/etc/text",
            Rights::READ | Rights::WRITE,
            OpenFlags::empty(),
        )
        .unwrap();
    for call in [Call::Submit, Call::Insert, Call::Erase] {
        assert_eq!(
            world.call(call, &[file, 0, 0, 0]),
            Err(Error::Unsupported),
            "{call:?}"
        );
        assert_eq!(world.call(call, &[NONE]), Err(Error::BadHandle), "{call:?}");
    }
    for rax in [abi::NATIVE | 22, abi::NATIVE | 0x7fff_ffff, 1, u64::MAX] {
        assert_eq!(world.raw(rax, &[]), Err(Error::NoCall));
    }
}

#[test]
fn names_and_values_are_checked() {
    let mut world = World::new();
    let files = world.registry("file").unwrap();
    let bad = world.put(b"\xff\xfe");
    assert_eq!(world.call(Call::Registry, &[bad, 2]), Err(Error::Invalid));
    assert_eq!(
        world.call(Call::Registry, &[bad, 256]),
        Err(Error::NameTooLong)
    );
    assert_eq!(world.registry("nothing"), Err(Error::NotFound));
    assert_eq!(
        world.call(Call::Open, &[files, bad, 4097, 1, 0]),
        Err(Error::NameTooLong)
    );
    let verb = world.put(b"remove");
    for front in [
        &[4u8, 0, 0, 0][..],
        &[255; 4],
        &[0, 0, 0, 1],
        &[5, 0, 0, 0, 1],
        &[12, 0, 0, 0, 2, b'a', 0, 99, 0, 0, 0, 0],
    ] {
        let value = world.put(front);
        let result = world.call(
            Call::Request,
            &[files, verb, 6, value, REPLIES as u64, 4096],
        );
        assert!(
            matches!(result, Err(Error::BadValue | Error::TooLarge)),
            "{front:?}: {result:?}"
        );
    }
}
