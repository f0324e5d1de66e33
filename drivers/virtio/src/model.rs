//! A simulated device for the tests: the device's side of split queues, over the host back end's device memory.
//!
//! The one idea: it reaches memory only by bus address, as hardware does, so whatever it could hurt shows. It keeps to the
//! specification until a test makes it lie.

use crate::device::{Features, Status};
use crate::transport::{Kind, Transport};
use abi::Error;
use machine::{dma, irq};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

const NEXT: u16 = 1;
const WRITE: u16 = 2;

#[derive(Clone, Default)]
struct DeviceQueue {
    limit: u16,
    size: u16,
    places: [u64; 3],
    vector: Option<u16>,
    enabled: bool,
    /// Up to where the available ring was read.
    seen: u16,
    used: u16,
    /// The used index when the last interrupt was considered.
    signalled: u16,
}

#[derive(Default)]
struct State {
    kind: u32,
    offered: u64,
    accepted: u64,
    refuses_features: bool,
    ignores_reset: bool,
    status: u8,
    queues: Vec<DeviceQueue>,
    config: Vec<u8>,
    config_vector: Option<u16>,
    vectors: u16,
    handlers: BTreeMap<u16, irq::Handler>,
    notified: Vec<u16>,
    /// Vectors to be run by [`Model::interrupt`].
    pending: Vec<u16>,
}

/// See the file.
#[derive(Clone)]
pub struct Model(Arc<Mutex<State>>);

/// A chain as the device sees it.
pub struct Popped {
    pub head: u16,
    /// What the driver wrote.
    pub bytes: Vec<u8>,
    /// Where the device may write: address and length.
    pub writable: Vec<(u64, u32)>,
}

impl Popped {
    pub fn room(&self) -> usize {
        self.writable
            .iter()
            .map(|(_, length)| *length as usize)
            .sum()
    }

    /// Writes as much of `bytes` as fits; returns how much.
    pub fn fill(&self, mut bytes: &[u8]) -> u32 {
        let mut written = 0;
        for &(address, length) in &self.writable {
            let (now, later) = bytes.split_at(bytes.len().min(length as usize));
            assert!(dma::poke(address, now), "a segment outside every region");
            written += now.len() as u32;
            bytes = later;
        }
        written
    }
}

fn read_u16(address: u64) -> u16 {
    let mut bytes = [0; 2];
    assert!(
        dma::peek(address, &mut bytes),
        "a queue outside every region"
    );
    u16::from_le_bytes(bytes)
}

impl Model {
    /// A device of `kind` with `queues` queues of at most `limit` entries.
    pub fn new(kind: Kind, features: u64, queues: u16, limit: u16, vectors: u16) -> Model {
        let queue = DeviceQueue {
            limit,
            ..DeviceQueue::default()
        };
        Model(Arc::new(Mutex::new(State {
            kind: kind.0,
            offered: features | Features::VERSION_1.bits(),
            queues: vec![queue; queues.into()],
            vectors,
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    pub fn set_config(&self, bytes: &[u8]) {
        self.state().config = bytes.to_vec();
    }

    pub fn set_offered(&self, features: u64) {
        self.state().offered = features;
    }

    pub fn refuse_features(&self) {
        self.state().refuses_features = true;
    }

    pub fn ignore_reset(&self, ignore: bool) {
        self.state().ignores_reset = ignore;
    }

    pub fn set_needs_reset(&self) {
        let mut state = self.state();
        state.status |= Status::NEEDS_RESET.bits();
        let vector = state.config_vector;
        state.pending.extend(vector);
    }

    pub fn is_running(&self) -> bool {
        self.state().status & Status::DRIVER_OK.bits() != 0
    }

    pub fn has_failed(&self) -> bool {
        self.state().status & Status::FAILED.bits() != 0
    }

    /// Queues that were notified since the last call.
    pub fn notified(&self) -> Vec<u16> {
        std::mem::take(&mut self.state().notified)
    }

    fn event_index(&self) -> bool {
        self.state().accepted & Features::EVENT_INDEX.bits() != 0
    }

    fn queue(&self, number: u16) -> DeviceQueue {
        self.state().queues[usize::from(number)].clone()
    }

    fn store(&self, number: u16, queue: DeviceQueue) {
        self.state().queues[usize::from(number)] = queue;
    }

    /// Chains that the driver made available and the device has not popped.
    pub fn waiting(&self, number: u16) -> u16 {
        let queue = self.queue(number);
        if !queue.enabled {
            return 0;
        }
        read_u16(queue.places[1] + 2).wrapping_sub(queue.seen)
    }

    /// Takes the next available chain.
    pub fn pop(&self, number: u16) -> Option<Popped> {
        if self.waiting(number) == 0 {
            return None;
        }
        let mut queue = self.queue(number);
        let size = u64::from(queue.size);
        let [table, available, used] = queue.places;
        let head = read_u16(available + 4 + 2 * (u64::from(queue.seen) % size));
        queue.seen = queue.seen.wrapping_add(1);
        if self.event_index() {
            assert!(dma::poke(used + 4 + 8 * size, &queue.seen.to_le_bytes()));
        }
        self.store(number, queue);
        let mut popped = Popped {
            head,
            bytes: Vec::new(),
            writable: Vec::new(),
        };
        let mut at = head;
        for _ in 0..size {
            assert!(u64::from(at) < size, "a descriptor outside the table");
            let mut entry = [0; 16];
            assert!(dma::peek(table + 16 * u64::from(at), &mut entry));
            let address = u64::from_le_bytes(entry[..8].try_into().unwrap());
            let length = u32::from_le_bytes(entry[8..12].try_into().unwrap());
            let flags = u16::from_le_bytes(entry[12..14].try_into().unwrap());
            assert_ne!(length, 0, "an empty segment");
            if flags & WRITE != 0 {
                popped.writable.push((address, length));
            } else {
                assert!(popped.writable.is_empty(), "read after write");
                let mut bytes = vec![0; length as usize];
                assert!(dma::peek(address, &mut bytes), "outside every region");
                popped.bytes.extend(bytes);
            }
            if flags & NEXT == 0 {
                return Some(popped);
            }
            at = u16::from_le_bytes(entry[14..].try_into().unwrap());
        }
        panic!("a chain that loops");
    }

    /// Gives a chain back, and interrupts if the driver wants that.
    pub fn push(&self, number: u16, head: u16, written: u32) {
        self.push_raw(number, head.into(), written);
        self.signal(number);
    }

    /// Writes an entry of the used ring and moves the index.
    pub fn push_raw(&self, number: u16, id: u32, written: u32) {
        let mut queue = self.queue(number);
        let slot = u64::from(queue.used % queue.size);
        let entry = u64::from(id) | u64::from(written) << 32;
        assert!(dma::poke(
            queue.places[2] + 4 + 8 * slot,
            &entry.to_le_bytes()
        ));
        queue.used = queue.used.wrapping_add(1);
        assert!(dma::poke(queue.places[2] + 2, &queue.used.to_le_bytes()));
        self.store(number, queue);
    }

    /// Sets the used index without an entry.
    pub fn jump(&self, number: u16, by: u16) {
        let mut queue = self.queue(number);
        queue.used = queue.used.wrapping_add(by);
        assert!(dma::poke(queue.places[2] + 2, &queue.used.to_le_bytes()));
        self.store(number, queue);
    }

    /// Interrupts if the driver asked for one.
    pub fn signal(&self, number: u16) {
        let mut queue = self.queue(number);
        let [_, available, _] = queue.places;
        let wanted = if self.event_index() {
            let event = read_u16(available + 4 + 2 * u64::from(queue.size));
            crate::ring::passes(event, queue.used, queue.signalled)
        } else {
            read_u16(available) & 1 == 0
        };
        queue.signalled = queue.used;
        let vector = queue.vector.filter(|_| wanted);
        self.store(number, queue);
        self.state().pending.extend(vector);
    }

    /// The vectors of the interrupts that were sent since the last call.
    pub fn take_pending(&self) -> Vec<u16> {
        std::mem::take(&mut self.state().pending)
    }

    pub fn config(&self) -> Vec<u8> {
        self.state().config.clone()
    }

    pub fn queues(&self) -> u16 {
        self.state().queues.len() as u16
    }

    /// Runs the handlers of all interrupts that were sent; returns how many.
    pub fn interrupt(&self) -> usize {
        let pending = self.take_pending();
        for vector in &pending {
            let handler = self.state().handlers.get(vector).cloned();
            if let Some(handler) = handler {
                handler();
            }
        }
        pending.len()
    }
}

impl Transport for Model {
    fn kind(&self) -> Kind {
        Kind(self.state().kind)
    }

    fn status(&self) -> u8 {
        self.state().status
    }

    fn set_status(&self, status: u8) {
        let mut state = self.state();
        if status == 0 {
            if state.ignores_reset {
                return;
            }
            for queue in &mut state.queues {
                *queue = DeviceQueue {
                    limit: queue.limit,
                    ..DeviceQueue::default()
                };
            }
            state.pending.clear();
        }
        state.status = status;
        if state.refuses_features {
            state.status &= !Status::FEATURES_OK.bits();
        }
    }

    fn device_features(&self) -> u64 {
        self.state().offered
    }

    fn set_driver_features(&self, features: u64) {
        let mut state = self.state();
        assert_eq!(features & !state.offered, 0, "a feature that is not there");
        state.accepted = features;
    }

    fn queue_limit(&self, queue: u16) -> u16 {
        let state = self.state();
        state
            .queues
            .get(usize::from(queue))
            .map_or(0, |it| it.limit)
    }

    fn start_queue(
        &self,
        queue: u16,
        size: u16,
        places: [u64; 3],
        vector: Option<u16>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        assert_eq!(state.status & Status::DRIVER_OK.bits(), 0, "too late");
        let queue = &mut state.queues[usize::from(queue)];
        assert!(size.is_power_of_two() && size <= queue.limit);
        (queue.size, queue.places, queue.vector) = (size, places, vector);
        queue.enabled = true;
        Ok(())
    }

    fn notify(&self, queue: u16) {
        self.state().notified.push(queue);
    }

    fn read_config(&self, offset: usize, into: &mut [u8]) {
        into.fill(0);
        let state = self.state();
        let there = state.config.get(offset..).unwrap_or_default();
        for (byte, value) in into.iter_mut().zip(there) {
            *byte = *value;
        }
    }

    fn config_generation(&self) -> u32 {
        0
    }

    fn vectors(&self) -> u16 {
        self.state().vectors
    }

    fn connect(&self, vector: u16, _: &'static str, handler: irq::Handler) -> Result<(), Error> {
        let mut state = self.state();
        if vector >= state.vectors {
            return Err(Error::Range);
        }
        state.handlers.insert(vector, handler);
        Ok(())
    }

    fn set_config_vector(&self, vector: u16) -> Result<(), Error> {
        self.state().config_vector = Some(vector);
        Ok(())
    }
}
