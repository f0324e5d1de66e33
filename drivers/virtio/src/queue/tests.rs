//! A queue against a device that keeps to the rules, and against one that does not.

use super::*;
use crate::device::{Device, Features, Status};
use crate::model::Model;
use crate::transport::Kind;
use machine::frame;
use proptest::prelude::*;
use std::collections::BTreeMap;

const QUEUE: u16 = 1;

/// A request of several segments that knows its number.
struct Request {
    region: Region,
    segments: Vec<Segment>,
    number: u32,
}

impl Chain for Request {
    fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// `lengths` of segments: those that the device reads, then those that it writes. The former hold the number.
fn request(number: u32, reads: &[usize], writes: &[usize]) -> Request {
    let total: usize = reads.iter().chain(writes).sum();
    let region = Region::new(total.max(1)).unwrap();
    let mut at = 0;
    let mut segments = Vec::new();
    for (index, length) in reads.iter().chain(writes).enumerate() {
        let range = at..at + length;
        at += length;
        segments.push(if index < reads.len() {
            region.write(range.start, &vec![number as u8; *length]);
            Segment::read_by_device(&region, range).unwrap()
        } else {
            Segment::written_by_device(&region, range).unwrap()
        });
    }
    Request {
        region,
        segments,
        number,
    }
}

fn set_up(features: Features, limit: u16) -> (Model, Device, Queue<Request>) {
    let model = Model::new(Kind::BLOCK, features.bits(), 2, limit, 1);
    let device = Device::negotiate(model.transport(), 0).unwrap();
    let queue = device.queue(QUEUE, 256, Some(0)).unwrap();
    device.start();
    (model, device, queue)
}

#[test]
fn a_request_goes_and_comes_back() {
    let (model, _device, mut queue) = set_up(Features::EVENT_INDEX, 8);
    assert_eq!((queue.size(), queue.room()), (8, 8));
    queue.add(request(7, &[10, 20], &[30])).unwrap();
    assert_eq!(model.waiting(QUEUE), 0, "not before it is submitted");
    queue.submit();
    assert_eq!(model.notified(), [QUEUE]);
    let popped = model.pop(QUEUE).unwrap();
    assert_eq!(popped.bytes, [7; 30]);
    assert_eq!(popped.fill(b"answer"), 6);
    assert_eq!((queue.room(), queue.in_flight()), (5, 1));
    assert!(queue.take().unwrap().is_none());
    model.push(QUEUE, popped.head, 6);
    assert!(queue.has_used());
    let used = queue.take().unwrap().unwrap();
    assert_eq!((used.chain.number, used.written), (7, 6));
    let mut answer = [0; 6];
    used.chain.region.read(30, &mut answer);
    assert_eq!(&answer, b"answer");
    assert_eq!((queue.room(), queue.in_flight()), (8, 0));
}

#[test]
fn what_does_not_fit_comes_back() {
    let (_model, _device, mut queue) = set_up(Features::empty(), 4);
    let refused = |queue: &mut Queue<Request>, request| {
        let refused = queue.add(request).err().unwrap();
        (refused.chain.number, refused.error)
    };
    let none = request(1, &[], &[]);
    assert_eq!(refused(&mut queue, none), (1, Error::Invalid));
    let long = request(2, &[1, 1, 1], &[1, 1]);
    assert_eq!(refused(&mut queue, long), (2, Error::Invalid));
    let mut wrong = request(3, &[1], &[1]);
    wrong.segments.reverse();
    assert_eq!(refused(&mut queue, wrong), (3, Error::Invalid));
    queue.add(request(4, &[1, 1], &[1])).unwrap();
    let late = request(5, &[1], &[1]);
    assert_eq!(refused(&mut queue, late), (5, Error::WouldBlock));
    queue.add(request(6, &[1], &[])).unwrap();
    assert_eq!(queue.room(), 0);
}

#[test]
fn sizes_are_powers_of_two_within_the_limit() {
    for (limit, size) in [(1, 1), (3, 2), (100, 64), (128, 128), (1000, 256)] {
        let (.., queue) = set_up(Features::empty(), limit);
        assert_eq!(queue.size(), size);
    }
    let model = Model::new(Kind::BLOCK, 0, 1, 0, 0);
    let device = Device::negotiate(model.transport(), 0).unwrap();
    assert_eq!(
        device.queue::<Request>(0, 8, None).err(),
        Some(Error::NoDevice)
    );
    assert_eq!(
        device.queue::<Request>(9, 8, None).err(),
        Some(Error::NoDevice)
    );
}

#[test]
fn segments_stay_inside_their_region() {
    let region = Region::new(100).unwrap();
    let length = region.len();
    assert!(Segment::read_by_device(&region, 0..length).is_some());
    assert!(Segment::read_by_device(&region, 0..length + 1).is_none());
    assert!(Segment::written_by_device(&region, 5..5).is_none());
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let backwards = 9..5;
    assert!(Segment::written_by_device(&region, backwards).is_none());
}

#[test]
fn interrupts_come_when_they_are_asked_for() {
    for features in [Features::empty(), Features::EVENT_INDEX] {
        let event_index = !features.is_empty();
        let (model, _device, mut queue) = set_up(features, 8);
        for number in 0..8 {
            queue.add(request(number, &[1], &[])).unwrap();
        }
        queue.submit();
        let give_back = |count| {
            for _ in 0..count {
                let head = model.pop(QUEUE).unwrap().head;
                model.push(QUEUE, head, 0);
            }
            model.interrupt()
        };
        assert_eq!(give_back(2), 0, "quiet from the start");
        assert!(queue.listen(0), "two were given back already");
        while queue.take().unwrap().is_some() {}
        assert!(!queue.listen(2));
        assert_eq!(give_back(2), if event_index { 0 } else { 2 });
        assert_eq!(give_back(1), 1, "the third");
        queue.quiet();
        assert_eq!(give_back(1), 0);
    }
}

#[test]
fn notifications_go_only_to_a_device_that_sleeps() {
    let (model, _device, mut queue) = set_up(Features::EVENT_INDEX, 8);
    let mut add = |number| {
        queue.add(request(number, &[1], &[])).unwrap();
        queue.submit();
        model.notified().len()
    };
    assert_eq!(add(0), 1);
    assert_eq!(add(1), 0, "it has not looked yet");
    assert!(model.pop(QUEUE).is_some());
    assert_eq!(add(2), 0, "it still has one to look at");
    while model.pop(QUEUE).is_some() {}
    assert_eq!(add(3), 1);
}

#[test]
fn a_queue_that_goes_resets_its_device_first() {
    let before = frame::stats().kernel;
    let (model, device, mut queue) = set_up(Features::EVENT_INDEX, 8);
    queue.add(request(1, &[1], &[1])).unwrap();
    queue.submit();
    assert!(model.is_running());
    drop(queue);
    assert!(!model.is_running());
    assert_eq!(frame::stats().kernel, before);
    drop(device);

    // A device that never confirms keeps the memory that it may still write.
    let (model, _device, mut queue) = set_up(Features::EVENT_INDEX, 8);
    queue.add(request(1, &[1], &[1])).unwrap();
    queue.submit();
    let popped = model.pop(QUEUE).unwrap();
    model.ignore_reset(true);
    drop(queue);
    assert_eq!(popped.fill(&[1]), 1);
    model.push_raw(QUEUE, 0, 1);
}

#[test]
fn features_are_agreed_on_or_refused() {
    let model = Model::new(Kind::BLOCK, 0b1010, 1, 8, 0);
    let device = Device::negotiate(model.transport(), 0b0110).unwrap();
    assert_eq!(device.features().bits(), 1 << 32 | 0b0010);
    assert!(device.has(0b0010) && !device.has(0b0110));
    assert_eq!(
        device.status(),
        Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK
    );
    model.set_offered(0);
    let refused = Device::negotiate(model.transport(), 0).err();
    assert_eq!(refused, Some(Error::Unsupported), "a legacy device");
    assert!(model.has_failed());
    model.set_offered(1 << 32);
    model.refuse_features();
    let refused = Device::negotiate(model.transport(), 0).err();
    assert_eq!(refused, Some(Error::Unsupported));
    model.set_status(1);
    model.ignore_reset(true);
    let refused = Device::negotiate(model.transport(), 0).err();
    assert_eq!(refused, Some(Error::Io));
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<usize>, Vec<usize>),
    Submit,
    Pop,
    /// Gives back one of those that were popped.
    Push(prop::sample::Index),
    Take,
}

fn any_step() -> impl Strategy<Value = Step> {
    let lengths = || proptest::collection::vec(1usize..40, 0..4);
    prop_oneof![
        3 => (lengths(), lengths()).prop_map(|(reads, writes)| Step::Add(reads, writes)),
        2 => Just(Step::Submit),
        3 => Just(Step::Pop),
        3 => any::<prop::sample::Index>().prop_map(Step::Push),
        3 => Just(Step::Take),
    ]
}

#[derive(Clone, Debug)]
enum Lie {
    Entry(u32, u32),
    Jump(u16),
    Honest,
}

fn any_lie() -> impl Strategy<Value = Lie> {
    let id = prop_oneof![0u32..12, any::<u32>()];
    let length = prop_oneof![0u32..100, any::<u32>()];
    let jump = prop_oneof![0u16..20, any::<u16>()];
    prop_oneof![
        (id, length).prop_map(|(id, length)| Lie::Entry(id, length)),
        jump.prop_map(Lie::Jump),
        Just(Lie::Honest),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_request_comes_back_once(
        steps in proptest::collection::vec(any_step(), 0..200),
        event_index in any::<bool>(),
        order in 0u32..5,
    ) {
        let features = if event_index { Features::EVENT_INDEX } else { Features::empty() };
        let (model, _device, mut queue) = set_up(features, 1 << order);
        let mut number = 0;
        let mut sleeping = true;
        let mut out = BTreeMap::new();
        let mut popped = Vec::new();
        let mut pushed = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Add(reads, writes) => {
                    number += 1;
                    let segments = reads.len() + writes.len();
                    let room = usize::from(queue.room());
                    let accepted = queue.add(request(number, &reads, &writes)).is_ok();
                    prop_assert_eq!(accepted, segments > 0 && segments <= room);
                    if accepted {
                        out.insert(number, (segments, reads.iter().sum::<usize>()));
                    }
                }
                Step::Submit => {
                    queue.submit();
                    // A device that looked at everything and went to sleep is woken.
                    if model.waiting(QUEUE) > 0 && sleeping {
                        prop_assert_eq!(model.notified(), [QUEUE]);
                        sleeping = false;
                    }
                }
                Step::Pop => {
                    match model.pop(QUEUE) {
                        Some(chain) => popped.push(chain),
                        None => {
                            sleeping = true;
                            model.notified();
                        }
                    }
                }
                Step::Push(index) => if !popped.is_empty() {
                    let chain = popped.swap_remove(index.index(popped.len()));
                    let written = chain.room() as u32;
                    model.push(QUEUE, chain.head, written);
                    pushed.push_back((chain.bytes, written));
                }
                Step::Take => {
                    let used = queue.take().unwrap();
                    prop_assert_eq!(used.is_some(), !pushed.is_empty());
                    if let Some(used) = used {
                        let (bytes, written) = pushed.pop_front().unwrap();
                        let (_, reads) = out.remove(&used.chain.number).unwrap();
                        prop_assert_eq!(bytes, vec![used.chain.number as u8; reads]);
                        prop_assert_eq!(used.written, written);
                    }
                }
            }
            let descriptors: usize = out.values().map(|(segments, _)| segments).sum();
            prop_assert_eq!(usize::from(queue.size() - queue.room()), descriptors);
            prop_assert_eq!(usize::from(queue.in_flight()), out.len());
        }
    }

    #[test]
    fn a_lying_device_gets_nothing(
        lies in proptest::collection::vec(any_lie(), 1..30),
        event_index in any::<bool>(),
    ) {
        let features = if event_index { Features::EVENT_INDEX } else { Features::empty() };
        let (model, _device, mut queue) = set_up(features, 8);
        let mut out = BTreeMap::new();
        let mut broken = false;
        for (number, lie) in (0..).zip(lies) {
            match queue.add(request(number, &[5], &[6])) {
                Ok(()) => { out.insert(number, ()); }
                Err(refused) => prop_assert_eq!(
                    refused.error,
                    if broken { Error::Io } else { Error::WouldBlock }
                ),
            }
            queue.submit();
            match lie {
                Lie::Entry(id, written) => model.push_raw(QUEUE, id, written),
                Lie::Jump(by) => model.jump(QUEUE, by),
                Lie::Honest => if !broken && let Some(chain) = model.pop(QUEUE) {
                    model.push(QUEUE, chain.head, 6);
                }
            }
            for _ in 0..10 {
                match queue.take() {
                    Ok(None) => break,
                    Ok(Some(used)) => {
                        prop_assert!(!broken && used.written <= 6);
                        prop_assert!(out.remove(&used.chain.number).is_some());
                    }
                    Err(error) => {
                        prop_assert_eq!(error, Error::Io);
                        broken = true;
                    }
                }
            }
            let _ = queue.listen(3);
            queue.quiet();
        }
    }
}
