//! The host's side of a console, for the tests: it behaves as QEMU does.
//!
//! The one idea: a test says what the programs on the host do (send, take, open, close); the rest follows from the queues.

use super::*;
use crate::model::Model;
use std::collections::VecDeque;

/// Every feature that the driver knows.
pub(super) const ALL: u64 = F_SIZE | F_MULTIPORT | 1 << 29;

/// The host's side of one port.
#[derive(Default)]
pub(super) struct HostPort {
    pub(super) name: String,
    pub(super) console: bool,
    pub(super) guest_open: bool,
    pub(super) host_open: bool,
    /// What waits to be sent, and what came.
    pub(super) sending: VecDeque<u8>,
    pub(super) came: Vec<u8>,
}

/// See the file.
pub(super) struct Host {
    pub(super) model: Model,
    pub(super) ports: Vec<HostPort>,
    /// Control messages that found no buffer.
    pub(super) dropped: usize,
}

fn queues(port: usize) -> (u16, u16) {
    let first = if port == 0 { 0 } else { 2 * port as u16 + 2 };
    (first, first + 1)
}

impl Host {
    pub(super) fn new(names: &[&str], features: u64, vectors: u16) -> Host {
        let ports = names.len() as u16;
        let model = Model::new(Kind::CONSOLE, features, 2 * ports + 2, 128, vectors);
        let count = u32::from(ports).to_le_bytes();
        model.set_config(&[&[80, 0, 25, 0], &count[..]].concat());
        Host {
            model,
            ports: names
                .iter()
                .map(|name| HostPort {
                    name: name.to_string(),
                    host_open: true,
                    ..HostPort::default()
                })
                .collect(),
            dropped: 0,
        }
    }

    pub(super) fn start(&mut self) -> Arc<Console> {
        let console = Console::start(self.model.transport()).unwrap();
        self.settle();
        console
    }

    /// Both sides go on until nothing happens any more.
    pub(super) fn settle(&mut self) {
        while self.step() | (self.model.interrupt() > 0) {}
    }

    pub(super) fn send_control(&mut self, bytes: &[u8]) {
        match self.model.pop(CONTROL_RECEIVE) {
            Some(chain) => {
                let written = chain.fill(bytes);
                self.model.push(CONTROL_RECEIVE, chain.head, written);
            }
            None => self.dropped += 1,
        }
    }

    pub(super) fn message(&mut self, port: usize, event: u16, value: u16, rest: &[u8]) {
        let mut bytes = (port as u32).to_le_bytes().to_vec();
        bytes.extend(event.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes.extend(rest);
        self.send_control(&bytes);
    }

    pub(super) fn set_open(&mut self, port: usize, open: bool) {
        self.ports[port].host_open = open;
        self.message(port, 6, open.into(), &[]);
    }

    /// What QEMU does with a control message.
    fn handle_control(&mut self, bytes: &[u8]) {
        let port = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        let value = u16::from_le_bytes(bytes[6..8].try_into().unwrap());
        match bytes[4] {
            0 => {
                assert_eq!(value, 1);
                for port in 0..self.ports.len() {
                    self.message(port, 1, 1, &[]);
                }
            }
            3 => {
                let HostPort {
                    name,
                    console,
                    host_open,
                    ..
                } = &self.ports[port];
                let (name, console, host_open) = (name.clone(), *console, *host_open);
                if console {
                    self.message(port, 4, 1, &[]);
                }
                self.message(port, 7, 1, format!("{name}\0").as_bytes());
                if host_open {
                    self.message(port, 6, 1, &[]);
                }
            }
            6 => self.ports[port].guest_open = value != 0,
            other => panic!("message {other} from the driver"),
        }
    }

    /// The host does all that it can. True if that was something.
    pub(super) fn step(&mut self) -> bool {
        let mut went_on = false;
        while let Some(chain) = self.model.pop(CONTROL_TRANSMIT) {
            self.handle_control(&chain.bytes);
            self.model.push(CONTROL_TRANSMIT, chain.head, 0);
            went_on = true;
        }
        for port in 0..self.ports.len() {
            while self.take_one(port) | self.give_one(port) {
                went_on = true;
            }
        }
        went_on
    }

    /// Takes one part of what the guest sent.
    pub(super) fn take_one(&mut self, port: usize) -> bool {
        let Some(chain) = self.model.pop(queues(port).1) else {
            return false;
        };
        if self.ports[port].host_open {
            self.ports[port].came.extend(chain.bytes);
        }
        self.model.push(queues(port).1, chain.head, 0);
        true
    }

    /// Fills one buffer of the guest.
    pub(super) fn give_one(&mut self, port: usize) -> bool {
        let HostPort {
            guest_open,
            sending,
            ..
        } = &mut self.ports[port];
        if !*guest_open || sending.is_empty() {
            return false;
        }
        let Some(chain) = self.model.pop(queues(port).0) else {
            return false;
        };
        let length = chain.room().min(sending.len());
        let bytes: Vec<u8> = sending.drain(..length).collect();
        let written = chain.fill(&bytes);
        self.model.push(queues(port).0, chain.head, written);
        true
    }
}
