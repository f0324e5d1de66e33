//! A watchdog as its users and the kernel see it, on simulated hardware.

use crate::model::Model;
use crate::{DeviceFile, Hardware, I6300esb, Opened, Watchdog};
use abi::Error;
use machine::host::clock::advance;
use object::{Object, SliceSource};
use std::any::Any;
use std::sync::Arc;
use value::Value;
use vfs::{Access, Device, DeviceNumber, File, OpenRequest};

const SECOND: u64 = 1_000_000_000;
/// Counts of the chip in a second, with what rounding needs.
const COUNTS: u32 = 1_024;

fn start(no_way_out: bool) -> (Model, Arc<Watchdog>) {
    let (model, bus) = Model::attach();
    let found = I6300esb::find(&bus).unwrap().unwrap();
    (model, Watchdog::new(Box::new(found), no_way_out))
}

fn open(dog: &Arc<Watchdog>) -> Result<Arc<dyn File>, Error> {
    open_for(dog, Access::WRITE)
}

fn open_for(dog: &Arc<Watchdog>, access: Access) -> Result<Arc<dyn File>, Error> {
    let request = OpenRequest {
        access,
        ..OpenRequest::default()
    };
    Arc::new(DeviceFile(dog.clone())).open(DeviceNumber::new(10, 130), &request)
}

fn write(file: &Arc<dyn File>, text: &[u8]) {
    let written = file.try_write(0, &mut SliceSource::new(text), false);
    assert_eq!(written.map(|(count, _)| count), Ok(text.len()));
}

#[test]
fn the_chip_is_told_what_the_data_sheet_says() {
    let (model, bus) = Model::attach();
    model.chip().has_reset = true;
    let chip = I6300esb::find(&bus).unwrap().unwrap();
    assert_eq!(I6300esb::find(&bus).unwrap().err(), Some(Error::Busy));
    assert!(chip.has_reset(), "it was asked before it was cleared");
    assert!(!model.chip().has_reset && !model.chip().runs());
    assert_eq!(model.chip().config, 3);
    chip.set_timeout(10);
    assert_eq!(model.chip().timers, [5 * COUNTS; 2]);
    chip.start();
    assert!(model.chip().runs() && !model.chip().pass(10 * COUNTS));
    chip.ping();
    assert!(!model.chip().pass(10 * COUNTS) && model.chip().pass(1));
    model.chip().has_reset = false;
    assert!(chip.stop() && !model.chip().runs());
    chip.set_timeout(u32::MAX);
    assert_eq!(model.chip().timers, [2046 * COUNTS / 2; 2]);
    chip.start();
    model.chip().is_locked = true;
    assert!(!chip.stop(), "the firmware keeps it running");
}

#[test]
fn one_user_starts_feeds_and_stops_it() {
    let (model, dog) = start(false);
    assert!(!dog.status().runs && !dog.status().has_reset);
    let reads = open_for(&dog, Access::READ);
    assert_eq!(reads.err(), Some(Error::Denied));
    assert!(!model.chip().runs(), "who may only read starts nothing");
    let file = open(&dog).unwrap();
    assert_eq!(open(&dog).err(), Some(Error::Busy));
    assert!(model.chip().runs());
    assert!(!model.chip().pass(30 * COUNTS), "30 seconds");
    write(&file, b"x");
    assert!(!model.chip().pass(30 * COUNTS), "it was fed");
    let pings = model.chip().reloads;
    write(&file, b"");
    assert_eq!(model.chip().reloads, pings, "nothing is no food");
    // Closed without the letter it goes on; only the last write counts.
    write(&file, b"V");
    assert!(dog.status().may_stop);
    write(&file, b"no");
    drop(file);
    assert!(model.chip().runs() && dog.status().runs);
    let file = open(&dog).unwrap();
    write(&file, b"any V where");
    drop(file);
    assert!(!model.chip().runs() && !dog.status().runs);
    drop(open(&dog).unwrap());
    assert!(model.chip().runs());
    assert!(model.chip().pass(31 * COUNTS), "nobody feeds it any more");
}

#[test]
fn no_way_out_means_it() {
    let (model, dog) = start(true);
    let file = open(&dog).unwrap();
    write(&file, b"V");
    assert_eq!(dog.stop(), Err(Error::Busy));
    drop(file);
    assert!(model.chip().runs());
}

#[test]
fn times_are_checked_and_counted() {
    let (model, dog) = start(false);
    for wrong in [0, 2047, u32::MAX] {
        assert_eq!(dog.set_timeout(wrong), Err(Error::Invalid));
    }
    let file = open(&dog).unwrap();
    let opened = (&*file as &dyn Any).downcast_ref::<Opened>().unwrap();
    assert!(Arc::ptr_eq(opened.watchdog(), &dog));
    dog.set_timeout(5).unwrap();
    assert_eq!(model.chip().timers, [5 * COUNTS / 2; 2]);
    advance(2 * SECOND + 1);
    assert_eq!(dog.status().left, 3);
    assert!(dog.take_pinged() && !dog.take_pinged());
    dog.ping(None);
    assert_eq!(dog.status().left, 5);
    assert!(dog.take_pinged());
    assert_eq!(dog.set_pretimeout(5), Err(Error::Invalid));
    dog.set_pretimeout(2).unwrap();
    assert_eq!(dog.status().pretimeout, 2);
    dog.set_timeout(2).unwrap();
    assert_eq!(dog.status().pretimeout, 0, "it would be at the beginning");
}

#[test]
fn the_kernel_feeds_it_as_long_as_both_are_content() {
    let (model, dog) = start(false);
    dog.feed();
    assert_eq!(model.chip().reloads, 1, "it is not the kernel's");
    dog.start_for_kernel(4);
    assert!(model.chip().runs());
    assert_eq!(model.chip().timers, [2 * COUNTS; 2]);
    for _ in 0..3 {
        assert!(!model.chip().pass(4 * COUNTS));
        dog.feed();
    }
    // A user with a time of its own; the chip keeps the kernel's.
    let file = open(&dog).unwrap();
    dog.set_timeout(10).unwrap();
    assert_eq!(model.chip().timers, [2 * COUNTS; 2]);
    write(&file, b"V");
    for _ in 0..3 {
        advance(3 * SECOND);
        let before = model.chip().reloads;
        dog.feed();
        assert_eq!(model.chip().reloads, before + 1);
    }
    advance(3 * SECOND);
    let before = model.chip().reloads;
    dog.feed();
    assert_eq!(model.chip().reloads, before, "the user's time is over");
    // It goes, as it may: the kernel's watch stays.
    drop(file);
    dog.feed();
    assert!(model.chip().runs() && !dog.status().runs);
    assert_eq!(model.chip().reloads, before + 1);
}

#[test]
fn native_programs_ask_for_verbs() {
    let (model, dog) = start(false);
    let ask = |verb: &str, fill: &dyn Fn(&mut value::Builder)| {
        let argument = Value::build(|argument| fill(argument)).unwrap();
        dog.request(verb, argument.as_document())
    };
    let plain = |verb: &str| ask(verb, &|_| {});
    let set = ask("set", &|argument| {
        argument.put("timeout", 8).put("pretimeout", 3);
    });
    set.unwrap();
    plain("start").unwrap();
    assert!(model.chip().runs());
    let status = plain("status").unwrap();
    assert_eq!(
        status.as_document().to_string(),
        r#"{"identity": "i6300ESB timer", "runs": true, "timeout": 8, "pretimeout": 3, "left": 8, "reset": false}"#
    );
    plain("keepalive").unwrap();
    plain("stop").unwrap();
    assert!(!model.chip().runs());
    for wrong in [-1i64, 0, 1 << 40] {
        let set = ask("set", &|argument| {
            argument.put("timeout", wrong);
        });
        assert_eq!(set.err(), Some(Error::Invalid));
    }
    assert_eq!(plain("bark").err(), Some(Error::NotFound));
    let _file = open(&dog).unwrap();
    assert_eq!(plain("stop").err(), Some(Error::Busy));
    assert!(plain("status").is_ok());
}
