use super::*;
use object::SliceSink;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec::Vec;
use task::block_on;

fn pair() -> (Arc<End>, Arc<End>) {
    Pipe::pair(0, 0, Time::default()).unwrap()
}

fn read(end: &End, count: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = std::vec![0; count];
    let count = end.try_read(0, &mut SliceSink::new(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

fn write(end: &End, bytes: &[u8]) -> Result<usize, Error> {
    let mut source = bytes;
    end.try_write(0, &mut source, false).map(|(count, _)| count)
}

fn ready(end: &End) -> Ready {
    end.readiness().unwrap().get()
}

fn request(access: Access, flags: OpenFlags) -> OpenRequest<'static> {
    OpenRequest {
        access,
        flags,
        ..OpenRequest::default()
    }
}

#[test]
fn bytes_come_out_as_they_went_in() {
    let (reader, writer) = pair();
    assert_eq!(read(&reader, 10), Err(Error::WouldBlock));
    assert_eq!(write(&writer, b"hello"), Ok(5));
    assert_eq!(ready(&reader), Ready::READ);
    assert_eq!(reader.buffered(), 5);
    assert_eq!(read(&reader, 3).unwrap(), b"hel");
    assert_eq!(read(&reader, 10).unwrap(), b"lo");
    assert_eq!(ready(&reader), Ready::empty());
    assert_eq!(read(&writer, 1), Err(Error::BadHandle));
    assert_eq!(write(&reader, b"x"), Err(Error::BadHandle));
}

#[test]
fn small_writes_go_in_whole_or_not_at_all() {
    let (reader, writer) = pair();
    assert_eq!(write(&writer, &[1; CAPACITY - 100]), Ok(CAPACITY - 100));
    assert_eq!(write(&writer, &[2; PIPE_BUF]), Err(Error::WouldBlock));
    assert_eq!(ready(&writer), Ready::empty());
    assert_eq!(write(&writer, &[2; 100]), Ok(100));
    assert_eq!(write(&writer, &[3; 1]), Err(Error::WouldBlock));
    // A writer is told when a whole small write fits again.
    read(&reader, PIPE_BUF - 1).unwrap();
    assert_eq!(ready(&writer), Ready::empty());
    assert_eq!(write(&writer, &[3; PIPE_BUF]), Err(Error::WouldBlock));
    read(&reader, 1).unwrap();
    assert_eq!(ready(&writer), Ready::WRITE);
    // A large write takes what fits.
    assert_eq!(write(&writer, &[4; PIPE_BUF + 1]), Ok(PIPE_BUF));
    assert_eq!(write(&writer, &[]), Ok(0));
}

#[test]
fn the_end_comes_after_the_last_byte() {
    let (reader, writer) = pair();
    write(&writer, b"last").unwrap();
    drop(writer);
    assert_eq!(ready(&reader), Ready::READ | Ready::HANGUP);
    assert_eq!(read(&reader, 10).unwrap(), b"last");
    assert_eq!(ready(&reader), Ready::HANGUP);
    assert_eq!(read(&reader, 10).unwrap(), b"");
}

#[test]
fn without_readers_writing_fails() {
    let (reader, writer) = pair();
    drop(reader);
    assert!(ready(&writer).contains(Ready::ERROR));
    assert_eq!(write(&writer, b"x"), Err(Error::Closed));
    assert_eq!(write(&writer, b""), Ok(0));
}

#[test]
fn the_capacity_can_be_changed() {
    let (reader, writer) = pair();
    assert_eq!(writer.set_capacity(5000), Ok(8192));
    assert_eq!(write(&writer, &[0; 10_000]), Ok(8192));
    assert_eq!(reader.set_capacity(100), Err(Error::Busy));
    assert_eq!(reader.set_capacity(CAPACITY_MAX + 1), Err(Error::Forbidden));
    assert_eq!(writer.set_capacity(100_000), Ok(131_072));
    assert_eq!(ready(&writer), Ready::WRITE);
    assert_eq!(reader.capacity(), 131_072);
    assert_eq!(write(&writer, &[0; 200_000]), Ok(131_072 - 8192));
}

/// Bytes of many writers and readers that wait for each other: none lost, none twice, small writes whole.
#[test]
fn nothing_is_lost_between_waiting_tasks() {
    const RECORDS: u32 = 3000;
    let (reader, writer) = pair();
    writer.set_capacity(PIPE_BUF).unwrap();
    let received = Arc::new(machine::sync::Spin::new(Vec::new()));
    let done = Arc::new(WaitQueue::new());
    for number in 0..3u32 {
        let writer = writer.clone();
        let sender = async move {
            for count in 0..RECORDS {
                // 12 bytes, so that records straddle every boundary.
                let record: Vec<u8> = [number, count, !count]
                    .into_iter()
                    .flat_map(u32::to_le_bytes)
                    .collect();
                while write(&writer, &record) == Err(Error::WouldBlock) {
                    let ready = writer.readiness().unwrap();
                    ready.wait(Ready::WRITE, None).await.unwrap();
                }
            }
        };
        task::spawn("writer", sender).unwrap();
    }
    drop(writer);
    {
        let (received, done) = (received.clone(), done.clone());
        let receiver = async move {
            let mut size = 1;
            loop {
                match read(&reader, size) {
                    Ok(bytes) if bytes.is_empty() => break,
                    Ok(bytes) => received.lock().extend(bytes),
                    Err(Error::WouldBlock) => {
                        let ready = reader.readiness().unwrap();
                        ready.wait(Ready::READ, None).await.unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
                size = size * 7 % 5000 + 1;
            }
            drop(reader);
            done.wake_all();
        };
        task::spawn("reader", receiver).unwrap();
    }
    let total = 3 * RECORDS as usize * 12;
    let all = || (received.lock().len() == total).then_some(());
    block_on(done.wait_until(all)).unwrap();
    let mut next = [0; 3];
    for record in received.lock().chunks(12) {
        let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
        assert_eq!(word(4), !word(8));
        assert_eq!(word(4), next[word(0) as usize]);
        next[word(0) as usize] += 1;
    }
}

#[test]
fn a_fifo_is_open_when_both_sides_have_come() {
    let fifo = Fifo::new();
    let open = |access, flags| fifo.open(&request(access, flags));
    let none = OpenFlags::empty();
    let reader = open(Access::READ, none).unwrap();
    assert!(reader.opening().is_some());
    let writer = open(Access::WRITE, none).unwrap();
    assert!(reader.opening().is_none() && writer.opening().is_none());
    // A writer that came and went was there all the same.
    drop((reader, writer));
    let reader = open(Access::READ, none).unwrap();
    drop(open(Access::WRITE, none).unwrap());
    assert!(reader.opening().is_none());
    assert_eq!(reader.try_read(0, &mut Vec::new()), Ok(0));
    drop(reader);
    // Without waiting: a reader at once, a writer not at all.
    let impatient = OpenFlags::NON_BLOCKING;
    assert_eq!(open(Access::WRITE, impatient).err(), Some(Error::NoDevice));
    let reader = open(Access::READ, impatient).unwrap();
    assert!(reader.opening().is_none());
    // Nobody has been there yet: no end to report.
    assert_eq!(reader.readiness().unwrap().get(), Ready::empty());
    let writer = open(Access::WRITE, impatient).unwrap();
    drop(writer);
    assert_eq!(reader.readiness().unwrap().get(), Ready::HANGUP);
    // Both at once never waits.
    let both = open(Access::READ | Access::WRITE, none).unwrap();
    assert!(both.opening().is_none());
    assert_eq!(both.try_write(0, &mut &b"x"[..], false), Ok((1, 0)));
    assert_eq!(both.readiness().unwrap().get(), Ready::READ | Ready::WRITE);
    // What nobody read goes with the last end.
    drop((reader, both));
    let again = open(Access::READ, impatient).unwrap();
    assert_eq!(again.try_read(0, &mut Vec::new()), Ok(0));
}

#[test]
fn opening_waits_for_the_other_side() {
    let fifo = Arc::new(Fifo::new());
    let order = Arc::new(machine::sync::Spin::new(Vec::new()));
    let opener = |access, name: &'static str| {
        let (fifo, order) = (fifo.clone(), order.clone());
        async move {
            let file = fifo.open(&request(access, OpenFlags::empty())).unwrap();
            let file = Description::nameless(file, None, access, OpenFlags::empty());
            order.lock().push("begun");
            file.opened().await.unwrap();
            order.lock().push(name);
            file
        }
    };
    let reader = opener(Access::READ, "reader");
    let writer = opener(Access::WRITE, "writer");
    task::spawn("reader", async move { drop(reader.await) }).unwrap();
    block_on(async move { drop(writer.await) });
    task::run_until_idle();
    let order = order.lock().clone();
    assert_eq!(order[..2], ["begun", "begun"]);
    assert_eq!(order.len(), 4);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Read(usize),
    OpenReader,
    OpenWriter,
    CloseReader,
    CloseWriter,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0..3usize, 100..130usize, 4090..4100usize, 0..70_000usize];
    prop_oneof![
        8 => size().prop_map(Step::Write),
        8 => size().prop_map(Step::Read),
        1 => Just(Step::OpenReader),
        1 => Just(Step::OpenWriter),
        1 => Just(Step::CloseReader),
        1 => Just(Step::CloseWriter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pipe_is_a_bounded_queue_with_ends(steps in proptest::collection::vec(step(), 1..80)) {
        let fifo = Rc::new(RefCell::new(Fifo::new()));
        let open = |access| {
            fifo.borrow().open(&request(access, OpenFlags::empty())).unwrap()
        };
        // One of each stays, so that the pipe stays the same.
        let keep = open(Access::READ | Access::WRITE);
        let keeper = Description::nameless(keep, None, Access::READ, OpenFlags::empty());
        let mut readers: Vec<Arc<dyn File>> = Vec::new();
        let mut writers: Vec<Arc<dyn File>> = Vec::new();
        let mut model: VecDeque<u8> = VecDeque::new();
        let mut next = 0u8;
        for step in steps {
            match step {
                Step::Write(count) => if let Some(writer) = writers.last() {
                    let bytes: Vec<u8> = (0..count).map(|at| next.wrapping_add(at as u8)).collect();
                    let room = CAPACITY - model.len();
                    let expected = match count {
                        0 => Ok(0),
                        1..=PIPE_BUF if room < count => Err(Error::WouldBlock),
                        _ if room == 0 => Err(Error::WouldBlock),
                        _ => Ok(count.min(room)),
                    };
                    let answer = writer.try_write(0, &mut &bytes[..], false).map(|(count, _)| count);
                    prop_assert_eq!(answer, expected);
                    model.extend(&bytes[..answer.unwrap_or(0)]);
                    next = next.wrapping_add(101);
                },
                Step::Read(count) => if let Some(reader) = readers.last() {
                    let mut bytes = std::vec![0; count];
                    let answer = reader.try_read(0, &mut SliceSink::new(&mut bytes));
                    if model.is_empty() && count != 0 {
                        prop_assert_eq!(answer, Err(Error::WouldBlock));
                    } else {
                        prop_assert_eq!(answer, Ok(count.min(model.len())));
                        let expected: Vec<u8> = model.drain(..count.min(model.len())).collect();
                        prop_assert_eq!(&bytes[..expected.len()], &expected[..]);
                    }
                },
                Step::OpenReader => readers.push(open(Access::READ)),
                Step::OpenWriter => writers.push(open(Access::WRITE)),
                Step::CloseReader => drop(readers.pop()),
                Step::CloseWriter => drop(writers.pop()),
            }
            for reader in &readers {
                let readable = reader.readiness().unwrap().get().contains(Ready::READ);
                prop_assert_eq!(readable, !model.is_empty());
            }
            for writer in &writers {
                let writable = writer.readiness().unwrap().get().contains(Ready::WRITE);
                prop_assert_eq!(writable, CAPACITY - model.len() >= PIPE_BUF);
            }
        }
        drop(keeper);
    }
}
