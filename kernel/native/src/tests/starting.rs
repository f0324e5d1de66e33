//! Programs that start programs.

use super::*;
use abi::{AUXILIARY, Events, NATIVE, field};
use machine::host::user::set_program;
use machine::user::Trap;
use value::Element;

/// A native program of one page: the note, and code that the simulated machine replaces.
pub(super) fn program(note: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &2u16.to_le_bytes());
    put(18, &62u16.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(24, &0x40_0200u64.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 2, 0]);
    let mut header = |at: usize, kind: u32, offset: u64, address: u64, length: u64| {
        put(at, &kind.to_le_bytes());
        put(at + 4, &5u32.to_le_bytes());
        put(at + 8, &offset.to_le_bytes());
        put(at + 16, &address.to_le_bytes());
        put(at + 32, &length.to_le_bytes());
        put(at + 40, &length.to_le_bytes());
        put(at + 48, &0x1000u64.to_le_bytes());
    };
    header(64, 1, 0, 0x40_0000, 0x1000);
    header(120, 4, 0x100, 0x40_0100, note.len() as u64);
    put(0x100, note);
    file
}

pub(super) const MARK: &[u8] = b"\x06\0\0\0\x04\0\0\0\x01\0\0\0Helve\0\0\0\x01\0\0\0";

pub(super) fn plan(fill: impl FnOnce(&mut value::Builder)) -> Value {
    Value::build(fill).unwrap()
}

/// Ends at once, by an exception.
pub(super) fn crash(user: &mut machine::host::user::UserView<'_>) -> Trap {
    user.registers.rip = 0;
    Trap::Fault(machine::user::Fault {
        vector: 6,
        code: 0,
        address: 0,
    })
}

/// What `inspect` tells of an object.
pub(super) fn about(world: &mut World, handle: u64) -> Value {
    let length = world.call(Call::Inspect, &[handle, REPLIES as u64, 4096]);
    Value::from_bytes(world.get(REPLIES, length.unwrap() as usize)).unwrap()
}

/// Opens a new process and a program, and starts one in the other.
pub(super) fn start(world: &mut World, path: &str, plan: &Value) -> Result<u64, Error> {
    let files = world.registry("file")?;
    let processes = world.registry("process")?;
    let child = world.open(processes, "new", Rights::all(), OpenFlags::CREATE)?;
    let program = world.open(
        files,
        path,
        Rights::READ | Rights::EXECUTE,
        OpenFlags::empty(),
    )?;
    let at = world.put(plan.as_bytes());
    world
        .call(Call::Start, &[child, program, at])
        .map(|_| child)
}

#[test]
fn a_child_finds_what_it_was_given_and_its_status_is_kept() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    // What the child does: it looks at its start block and exits with its first argument's length.
    set_program(|user| {
        let word = |address: u64| user.root.load_u64(address as usize).unwrap();
        let stack = user.registers.rsp;
        assert_eq!(
            (user.registers.rip, word(stack + 24)),
            (0x40_0200, AUXILIARY)
        );
        let block = word(stack + 32) as usize;
        let mut length = [0; 4];
        user.root.copy_in(block, &mut length).unwrap();
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        user.root.copy_in(block, &mut bytes).unwrap();
        let block = Document::parse(&bytes).unwrap();
        let arguments: Vec<&str> = block
            .array(field::ARGUMENTS)
            .unwrap()
            .iter()
            .filter_map(|item| item.as_str())
            .collect();
        assert_eq!(arguments, ["child", "two"]);
        assert_eq!(
            block.document(field::ENVIRONMENT).unwrap().string("NAME"),
            Some("content")
        );
        assert_eq!(block.string(field::DIRECTORY), Some("/etc"));
        let handles = block.document(field::HANDLES).unwrap();
        for name in ["out", "process", "space"] {
            assert!(handles.int(name).is_some(), "{name}");
        }
        user.registers.rax = NATIVE | Call::Exit as u64;
        user.registers.rdi = handles.unsigned("thread").unwrap();
        user.registers.rsi = arguments[0].len() as u64;
        Trap::Call
    });
    let channels = world.registry("channel").unwrap();
    let pipe = world.ask(channels, "pipe").unwrap();
    let (reader, writer) = (
        number(pipe.as_document(), "reader"),
        number(pipe.as_document(), "writer"),
    );
    let plan = plan(|plan| {
        plan.array(field::ARGUMENTS, |list| {
            list.push("child").push("two");
        });
        plan.document(field::ENVIRONMENT, |list| {
            list.put("NAME", "content");
        });
        plan.document(field::HANDLES, |list| {
            list.put("out", writer as i32);
        });
        plan.put(field::DIRECTORY, "/etc").put(field::GROUP, true);
    });
    let child = start(&mut world, "/program", &plan).unwrap();
    world.call(Call::Close, &[writer]).unwrap();
    // It has not begun, but its program may not be written any more.
    let files = world.registry("file").unwrap();
    let flags = OpenFlags::empty();
    assert_eq!(
        world.open(files, "/program", Rights::WRITE, flags),
        Err(Error::TextBusy)
    );
    let events = u64::from(Events::READ.bits());
    assert_eq!(
        world.call(Call::Wait, &[child, abi::NEVER, REPLIES as u64, 1, events]),
        Ok(1)
    );
    let status = world.ask(child, "status").unwrap();
    assert_eq!(status.as_document().string("state"), Some("ended"));
    assert_eq!(number(status.as_document(), "status"), 5);
    assert_eq!(world.ask(child, "kill"), Err(Error::NoProcess));
    // The child's end of the pipe is gone with it.
    assert_eq!(world.read(reader, abi::NEXT, 9).as_deref(), Ok(&b""[..]));
    let file = world.open(files, "/program", Rights::WRITE, flags).unwrap();
    world.call(Call::Close, &[file]).unwrap();
    // A process is started once.
    let again = world
        .open(files, "/program", Rights::EXECUTE, OpenFlags::empty())
        .unwrap();
    assert_eq!(
        world.call(Call::Start, &[child, again, 0]),
        Err(Error::Exists)
    );
}

#[test]
fn lifetimes_leave_nothing_behind() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    set_program(crash);
    let once = |world: &mut World| {
        world.next = MEMORY;
        let before: Vec<_> = world
            .handles
            .entries()
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        let child = start(world, "/program", &Value::default()).unwrap();
        world
            .call(Call::Wait, &[child, abi::NEVER, REPLIES as u64, 1, 1])
            .unwrap();
        assert_eq!(
            number(world.ask(child, "status").unwrap().as_document(), "signal"),
            4
        );
        for (number, _) in world.handles.entries() {
            if !before.contains(&number) {
                world.call(Call::Close, &[number.0.into()]).unwrap();
            }
        }
        task::run_until_idle();
    };
    once(&mut world);
    let (frames, handles, processes) = (
        machine::frame::stats().free,
        world.handles.len(),
        world.process.children().len(),
    );
    for _ in 0..200 {
        once(&mut world);
    }
    assert_eq!(machine::frame::stats().free, frames);
    assert_eq!(
        (world.handles.len(), world.process.children().len()),
        (handles, processes)
    );
}

#[test]
fn what_cannot_be_started_is_refused() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    world.file("/foreign", &program(b""));
    world.file("/text", b"just text");
    for length in [0, 3, 63, 64, 119, 0x110, 0xfff] {
        world.file("/cut", &program(MARK)[..length]);
        assert!(
            start(&mut world, "/cut", &Value::default()).is_err(),
            "cut at {length}"
        );
    }
    // Nobody is there who starts Linux programs.
    for path in ["/foreign", "/text"] {
        assert_eq!(
            start(&mut world, path, &Value::default()),
            Err(Error::NotExecutable)
        );
    }
    let thread = world.own(1);
    let list = |key: &str, item: Element<'_>| {
        plan(|plan| {
            plan.array(key, |list| {
                list.push(item);
            });
        })
    };
    let entry = |key: &str, name: &str, item: Element<'_>| {
        plan(|plan| {
            plan.document(key, |list| {
                list.put(name, item);
            });
        })
    };
    let wrong = [
        list(field::ARGUMENTS, 7.into()),
        list(field::ARGUMENTS, "a\0b".into()),
        entry(field::ENVIRONMENT, "A=B", "c".into()),
        entry(field::ENVIRONMENT, "A", "c\0".into()),
        entry(field::HANDLES, "in", 12345.into()),
        entry(field::HANDLES, "in", "text".into()),
        entry(field::REGISTRIES, "a:b", (thread as i32).into()),
        plan(|plan| {
            plan.put(field::GROUP, "text");
        }),
    ];
    for plan in &wrong {
        world.next = MEMORY;
        assert!(start(&mut world, "/program", plan).is_err(), "{plan:?}");
    }
}

#[test]
fn a_child_without_registries_can_open_nothing() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    // It asks for `file`, whose name it finds nowhere but in its environment, and exits with the error.
    let asked = core::sync::atomic::AtomicBool::new(false);
    set_program(move |user| {
        let word = |address: u64| user.root.load_u64(address as usize).unwrap();
        let block_at = word(user.registers.rsp + 32) as usize;
        let mut bytes = vec![0; 4096];
        let room = memory_end(block_at).min(4096);
        bytes.truncate(room);
        user.root.copy_in(block_at, &mut bytes).unwrap();
        let (block, _) = Document::parse_front(&bytes).unwrap();
        if !asked.swap(true, core::sync::atomic::Ordering::Relaxed) {
            let place = bytes.windows(5).position(|part| part == b"file\0").unwrap();
            user.registers.rax = NATIVE | Call::Registry as u64;
            [user.registers.rdi, user.registers.rsi] = [(block_at + place) as u64, 4];
        } else {
            let error = Error::from_raw(user.registers.rax).unwrap_err();
            user.registers.rax = NATIVE | Call::Exit as u64;
            user.registers.rdi = block
                .document(field::HANDLES)
                .unwrap()
                .unsigned("thread")
                .unwrap();
            user.registers.rsi = error.code().into();
        }
        Trap::Call
    });
    let plan = plan(|plan| {
        plan.array(field::ARGUMENTS, |list| {
            list.push("file");
        });
        plan.document(field::REGISTRIES, |_| {});
    });
    let child = start(&mut world, "/program", &plan).unwrap();
    world
        .call(Call::Wait, &[child, abi::NEVER, REPLIES as u64, 1, 1])
        .unwrap();
    let status = world.ask(child, "status").unwrap();
    assert_eq!(
        number(status.as_document(), "status"),
        u64::from(Error::NotFound.code())
    );
}

/// Bytes from an address on the stack to the stack's end.
fn memory_end(address: usize) -> usize {
    process::image::STACK_TOP - address
}

#[test]
fn a_start_that_fails_late_leaves_nothing_behind() {
    let world = World::new();
    world.file("/program", &program(MARK));
    let once = || {
        let owner = Credentials::root();
        let view = View {
            root: &world.root,
            start: &world.root,
            credentials: &owner,
        };
        let request = OpenRequest {
            access: vfs::Access::READ,
            ..OpenRequest::default()
        };
        let started = block_on(crate::first::start(crate::Start {
            program: view.open(b"/program", &request).unwrap(),
            arguments: vec![vec![b'x'; 2 << 20]],
            environment: Vec::new(),
            directory: "/".into(),
            handles: Vec::new(),
            namespace: Namespace::new(),
            parent: Some(world.process.clone()),
            group: crate::groups::Group::Own,
            share: None,
        }));
        assert_eq!(started.err(), Some(Error::ArgumentsTooLong));
        assert!(!world.process.has_children());
    };
    once();
    let (frames, references) = (
        machine::frame::stats().free,
        Arc::strong_count(&world.process),
    );
    (0..20).for_each(|_| once());
    assert_eq!(machine::frame::stats().free, frames);
    assert_eq!(Arc::strong_count(&world.process), references);
}

#[test]
fn who_may_administer_a_process_says_how_its_threads_compete() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    let child = start(&mut world, "/program", &plan(|_| {})).unwrap();
    let competes = |world: &mut World| {
        let about = about(world, child);
        let object = about.as_document().document("object").unwrap();
        format!("{}", object.document("competes").unwrap())
    };
    let fair = r#"{"class": "fair", "nice": 0, "cpus": "0"}"#;
    assert_eq!(competes(&mut world), fair);
    let mut change = |text: &str, fill: &dyn Fn(&mut value::Builder)| {
        let asked = world.request(child, "compete", &plan(|plan| fill(plan)));
        (asked.err(), competes(&mut world) == text)
    };
    let realtime = r#"{"class": "realtime", "priority": 7, "rotates": true, "cpus": "0"}"#;
    let asked = change(realtime, &|plan| {
        plan.put("class", "realtime").put("priority", 7);
        plan.put("rotates", true).put("cpus", 0);
    });
    assert_eq!(asked, (None, true));
    let reserved = r#"{"class": "deadline", "runtime": 2000, "deadline": 100000, "period": 200000, "seat": 0, "cpus": "0"}"#;
    let asked = change(reserved, &|plan| {
        plan.put("class", "deadline").put("runtime", 2_000);
        plan.put("deadline", 100_000).put("period", 200_000);
    });
    assert_eq!(asked, (None, true));
    // What is refused changes nothing.
    type Fill = fn(&mut value::Builder);
    let wrong: [(Error, Fill); 9] = [
        (Error::Invalid, |plan| {
            plan.put("class", "sporadic");
        }),
        (Error::Invalid, |plan| {
            plan.put("class", "realtime");
        }),
        (Error::Invalid, |plan| {
            plan.put("class", "realtime").put("priority", 100);
        }),
        (Error::Invalid, |plan| {
            plan.put("class", "deadline");
        }),
        (Error::Invalid, |plan| {
            let plan = plan.put("class", "deadline").put("runtime", 10);
            plan.put("period", 99_999);
        }),
        (Error::Invalid, |plan| {
            let plan = plan.put("class", "deadline").put("runtime", 200_000);
            plan.put("period", 100_000);
        }),
        (Error::Busy, |plan| {
            let plan = plan.put("class", "deadline").put("runtime", 199_999);
            plan.put("period", 200_000);
        }),
        (Error::Invalid, |plan| {
            plan.put("nice", 20);
        }),
        (Error::Invalid, |plan| {
            plan.put("cpus", "1-");
        }),
    ];
    for (error, fill) in wrong {
        assert_eq!(change(reserved, &fill), (Some(error), true));
    }
    // A processor that does not run is no place.
    let asked = change(reserved, &|plan| {
        plan.put("cpus", "1");
    });
    assert_eq!(asked, (Some(Error::Invalid), true));
    let batch = r#"{"class": "batch", "nice": 5, "cpus": "0"}"#;
    let asked = change(batch, &|plan| {
        plan.put("class", "batch").put("nice", 5).put("cpus", "0");
    });
    assert_eq!(asked, (None, true));
    // Who may only look and end it may not say so.
    let less = u64::from((Rights::INSPECT | Rights::SIGNAL).bits());
    let less = world.call(Call::Duplicate, &[child, less]).unwrap();
    assert_eq!(world.ask(less, "compete"), Err(Error::Denied));
    set_program(|_| Trap::Interrupt);
    world.ask(child, "kill").unwrap();
    task::run_until_idle();
    assert_eq!(world.ask(child, "compete"), Err(Error::NoProcess));
}
