//! A terminal between a line and programs.

use crate::line::{Jobs, Line};
use crate::signal;
use crate::terminal::{Flush, Terminal, Tty, WindowSize};
use crate::termios::{Input, Local, Termios, index};
use abi::{Error, Rights};
use alloc::sync::Arc;
use machine::sync::Spin;
use object::{Handle, SliceSink};
use std::string::String;
use std::vec::Vec;
use task::{Ready, block_on};
use value::{Document, Value};
use vfs::{Access, Description, Device, DeviceNumber, File, OpenFlags, OpenRequest};

/// A line that takes as many bytes as it has room for.
#[derive(Default)]
struct Wire {
    sent: Spin<Vec<u8>>,
    room: Spin<usize>,
    wanted: Spin<usize>,
}

impl Line for Wire {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut room = self.room.lock();
        let taken = bytes.len().min(*room);
        *room -= taken;
        drop(room);
        self.sent.lock().extend_from_slice(&bytes[..taken]);
        taken
    }

    fn input_wanted(&self) {
        *self.wanted.lock() += 1;
    }
}

#[derive(Default)]
struct Told(Spin<Vec<(u32, u8)>>);

impl Jobs for Told {
    fn signal(&self, group: u32, signal: u8) {
        self.0.lock().push((group, signal));
    }
}

struct Desk {
    wire: Arc<Wire>,
    told: Arc<Told>,
    tty: Arc<Tty>,
}

impl Desk {
    fn new() -> Desk {
        let wire = Arc::new(Wire::default());
        *wire.room.lock() = usize::MAX;
        let told = Arc::new(Told::default());
        let tty = Tty::new("tty0", DeviceNumber::new(4, 0), wire.clone());
        tty.set_jobs(told.clone());
        Desk { wire, told, tty }
    }

    fn sent(&self) -> String {
        String::from_utf8(core::mem::take(&mut *self.wire.sent.lock())).unwrap()
    }

    fn told(&self) -> Vec<(u32, u8)> {
        core::mem::take(&mut *self.told.0.lock())
    }

    fn read(&self, count: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = std::vec![0; count];
        let count = self.tty.try_read(0, &mut SliceSink::new(&mut bytes))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        self.tty
            .try_write(0, &mut &bytes[..], false)
            .map(|(count, _)| count)
    }

    fn ready(&self) -> Ready {
        self.tty.readiness().unwrap().get()
    }

    fn set(&self, change: impl FnOnce(&mut Termios)) {
        let mut settings = self.tty.settings();
        change(&mut settings);
        self.tty.set_settings(settings, false);
    }

    fn raw(&self, least: u8, time: u8) {
        self.set(|settings| {
            settings.local = Local::empty();
            settings.input = Input::empty();
            settings.characters[index::VMIN] = least;
            settings.characters[index::VTIME] = time;
        });
    }
}

#[test]
fn a_line_is_typed_echoed_and_read() {
    let desk = Desk::new();
    assert_eq!(desk.read(10), Err(Error::WouldBlock));
    assert_eq!(desk.tty.input(b"hi"), 2);
    assert_eq!((desk.ready(), desk.sent()), (Ready::WRITE, "hi".into()));
    desk.tty.input(b"\r");
    assert_eq!(desk.ready(), Ready::READ | Ready::WRITE);
    assert_eq!(desk.tty.input_waiting(), 3);
    assert_eq!(desk.read(10).unwrap(), b"hi\n");
    assert_eq!(desk.ready(), Ready::WRITE);
    assert_eq!(desk.write(b"out\n"), Ok(4));
    assert_eq!(desk.sent(), "\r\nout\r\n");
}

#[test]
fn keys_are_read_by_number_and_time() {
    let desk = Desk::new();
    desk.raw(3, 0);
    desk.tty.input(b"ab");
    assert_eq!(
        (desk.read(10), desk.ready()),
        (Err(Error::WouldBlock), Ready::WRITE)
    );
    // A reader with little room is content with less.
    assert_eq!(desk.read(2).unwrap(), b"ab");
    desk.tty.input(b"abcd");
    assert_eq!(desk.read(10).unwrap(), b"abcd");
    desk.raw(0, 0);
    assert_eq!(desk.read(10).unwrap(), b"");
    assert_eq!(desk.tty.read_timeout(), None);
    desk.raw(0, 5);
    assert_eq!(desk.read(10), Err(Error::WouldBlock));
    assert_eq!(desk.tty.read_timeout(), Some(500_000_000));
    desk.raw(5, 5);
    assert_eq!(desk.tty.read_timeout(), None);
    desk.tty.input(b"x");
    assert_eq!(desk.read(10).unwrap(), b"x");
}

#[test]
fn a_slow_line_holds_writers_back() {
    let desk = Desk::new();
    *desk.wire.room.lock() = 100;
    let text = std::vec![b'x'; 100_000];
    let mut written = desk.write(&text).unwrap();
    assert!(written > 100 && written < 20_000, "{written}");
    assert_eq!(desk.write(&text), Err(Error::WouldBlock));
    assert_eq!(desk.ready(), Ready::empty());
    assert!(desk.tty.output_waiting() > 0);
    // As the line takes, writers go on, and everything arrives once and in order.
    while written < text.len() {
        *desk.wire.room.lock() = 3000;
        desk.tty.output_ready();
        if desk.ready().contains(Ready::WRITE) {
            written += desk.write(&text[written..]).unwrap();
        }
    }
    *desk.wire.room.lock() = usize::MAX;
    desk.tty.output_ready();
    assert_eq!(desk.sent().len(), text.len());
    // Signals that drop what was typed also drop what was not shown.
    *desk.wire.room.lock() = 0;
    desk.write(b"lost").unwrap();
    desk.tty.flush(Flush::Output);
    *desk.wire.room.lock() = usize::MAX;
    desk.tty.output_ready();
    assert_eq!(desk.sent(), "");
}

#[test]
fn draining_waits_for_the_line() {
    let desk = Desk::new();
    *desk.wire.room.lock() = 2;
    desk.write(b"text").unwrap();
    let tty = desk.tty.clone();
    let wire = desk.wire.clone();
    task::spawn("line", async move {
        *wire.room.lock() = 100;
        tty.output_ready();
    })
    .unwrap();
    block_on(desk.tty.drained()).unwrap();
    assert_eq!(desk.sent(), "text");
}

#[test]
fn input_is_held_back_when_nobody_reads() {
    let desk = Desk::new();
    desk.raw(1, 0);
    let typed: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
    let mut given = desk.tty.input(&typed);
    assert!(given < typed.len());
    assert_eq!(desk.tty.input(&typed[given..]), 0);
    let mut read = Vec::new();
    while read.len() < typed.len() {
        read.extend(desk.read(5000).unwrap());
        if core::mem::take(&mut *desk.wire.wanted.lock()) > 0 {
            given += desk.tty.input(&typed[given..]);
        }
    }
    assert_eq!(read, typed);
    // IXOFF tells the other side to stop, and to go on.
    desk.set(|settings| settings.input.insert(Input::IXOFF));
    desk.tty.input(&typed[..60_000]);
    assert_eq!(desk.sent(), "\x13");
    desk.read(59_000).unwrap();
    assert_eq!(desk.sent(), "\x11");
}

#[test]
fn the_foreground_hears_signals() {
    let desk = Desk::new();
    desk.tty.input(b"\x03");
    assert_eq!(desk.told(), []);
    desk.tty.set_session(5, 6).unwrap();
    assert_eq!(desk.tty.set_session(7, 7), Err(Error::Forbidden));
    desk.tty.input(b"abc\x03def\x1a");
    assert_eq!(desk.told(), [(6, signal::INTERRUPT), (6, signal::STOP)]);
    assert_eq!(desk.tty.set_foreground(7, 8), Err(Error::NotTerminal));
    desk.tty.set_foreground(5, 8).unwrap();
    let window = WindowSize {
        rows: 25,
        columns: 80,
        ..WindowSize::default()
    };
    desk.tty.set_window_size(window);
    desk.tty.set_window_size(window);
    assert_eq!(desk.told(), [(8, signal::WINDOW)]);
    desk.tty.release_session(4);
    assert_eq!(
        (desk.tty.session(), desk.tty.foreground()),
        (Some(5), Some(8))
    );
    desk.tty.release_session(5);
    assert_eq!((desk.tty.session(), desk.tty.foreground()), (None, None));
}

#[test]
fn after_a_hang_up_everything_ends() {
    let desk = Desk::new();
    desk.tty.set_session(5, 6).unwrap();
    desk.tty.input(b"unread\n");
    desk.tty.hang_up();
    desk.tty.hang_up();
    let (hangup, go_on) = (signal::HANGUP, signal::CONTINUE);
    assert_eq!(
        desk.told(),
        [(5, hangup), (5, go_on), (6, hangup), (6, go_on)]
    );
    assert_eq!(desk.read(10).unwrap(), b"");
    assert_eq!(desk.write(b"x"), Err(Error::Io));
    assert!(
        desk.ready()
            .contains(Ready::HANGUP | Ready::READ | Ready::WRITE)
    );
    assert_eq!(desk.tty.input(b"more"), 4);
    block_on(desk.tty.drained()).unwrap();
}

#[test]
fn a_reader_waits_for_its_line() {
    let desk = Desk::new();
    let tty = desk.tty.clone();
    task::spawn("typist", async move {
        for byte in b"word\n" {
            tty.input(&[*byte]);
            task::yield_now().await;
        }
    })
    .unwrap();
    let line = block_on(async {
        loop {
            match desk.read(100) {
                Err(Error::WouldBlock) => {
                    let ready = desk.tty.readiness().unwrap();
                    ready.wait(Ready::READ, None).await.unwrap();
                }
                answer => return answer,
            }
        }
    });
    assert_eq!(line.unwrap(), b"word\n");
}

#[test]
fn output_can_be_suspended() {
    let desk = Desk::new();
    desk.tty.suspend_output(true);
    assert_eq!(desk.write(b"x"), Err(Error::WouldBlock));
    desk.tty.suspend_output(false);
    assert_eq!((desk.write(b"x"), desk.sent()), (Ok(1), "x".into()));
    desk.tty.suspend_input(true);
    desk.tty.suspend_input(false);
    assert_eq!(desk.sent(), "\x13\x11");
}

#[test]
fn native_programs_ask_by_name() {
    let desk = Desk::new();
    let node = Arc::new(Terminal(desk.tty.clone()));
    let file = node
        .open(DeviceNumber::default(), &OpenRequest::default())
        .unwrap();
    let access = Access::READ | Access::WRITE;
    let description = Description::nameless(file, None, access, OpenFlags::empty());
    let handle = Handle::new(description, Rights::STREAM);
    let ask = |verb: &str, keys: &[(&str, bool)]| {
        let argument = Value::build(|argument| {
            for (key, on) in keys {
                argument.put(key, *on);
            }
        });
        handle
            .request(verb, argument.unwrap().as_document())
            .map(|reply| reply.value)
    };
    let mode = ask("mode", &[]).unwrap();
    assert_eq!(mode.as_document().boolean("canonical"), Some(true));
    ask("set-mode", &[("canonical", false), ("echo", false)]).unwrap();
    desk.tty.input(b"k");
    assert_eq!(
        (desk.read(5).unwrap(), desk.sent()),
        (b"k".to_vec(), String::new())
    );
    assert!(desk.tty.settings().local.contains(Local::ISIG));
    let size = Value::build(|size| {
        size.put("columns", 100u32).put("rows", 30u32);
    });
    handle
        .request("set-size", size.unwrap().as_document())
        .unwrap();
    let size = ask("size", &[]).unwrap();
    assert_eq!(size.as_document().unsigned("columns"), Some(100));
    let process = Value::build(|process| {
        process.put("process", 9u32);
    });
    handle
        .request("foreground", process.unwrap().as_document())
        .unwrap();
    desk.tty.input(b"\x03");
    assert_eq!(
        desk.told(),
        [(9, signal::INTERRUPT), (9, signal::WINDOW)][..1]
    );
    let bad = handle.request("foreground", Document::EMPTY);
    assert_eq!(bad.err(), Some(Error::Invalid));
    assert_eq!(ask("dance", &[]).err(), Some(Error::NotFound));
}
