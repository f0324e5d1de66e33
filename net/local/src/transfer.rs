//! Sending and receiving.
//!
//! The one idea: whoever sends holds the lock of the endpoint that receives, and sets the sender's `WRITE` bit under it;
//! so what a sender is told about room is true of the queue at that moment.

use crate::ancillary::Files;
use crate::endpoint::{Endpoint, Kind, State};
use crate::flight::{FILES, Flight};
use crate::queue::{Cargo, Look, Received};
use crate::socket::Socket;
use abi::Error;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use object::flight::Cargo as _;
use object::{Sink, Source};
use task::Ready;

/// What a message takes from the limit beside its bytes, for the check of its length.
const RESERVED: usize = 32;

impl Socket {
    /// Sends what `source` gives, with what `cargo` carries: of a stream as much as there is room for, else all of it
    /// as one message. `to` is the receiver of a datagram that does not go where the socket is connected to. What was
    /// sent is taken out of `cargo`.
    ///
    /// # Errors
    /// - `WouldBlock`: wait for `WRITE` of its own readiness, or of the room of `to`;
    /// - `Closed`, `NotConnected`, `Refused` (the receiver is gone), `Forbidden` (the receiver only listens to another),
    ///   `WrongProtocol`;
    /// - `MessageTooLong`, `Fault` (the source ended early), `NoMemory`, `Limit` (too many files in flight).
    pub fn try_send(
        &self,
        source: &mut dyn Source,
        cargo: &mut Cargo,
        to: Option<&Arc<Endpoint>>,
    ) -> Result<usize, Error> {
        let own = &*self.own;
        if !own.kind().connects() {
            return self.send_datagram(source, cargo, to);
        }
        let peer = self.connected.get().ok_or(Error::NotConnected)?;
        let length = source.left();
        let record = own.kind() == Kind::Records;
        if record {
            if let Some(error) = own.take_error() {
                return Err(error);
            }
            check_length(own, length)?;
        }
        let mut flight = enter(&cargo.files);
        let mut state = peer.state.lock();
        if state.shut || own.sending_shut.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if length == 0 && !record {
            return Ok(0);
        }
        if state.is_full() {
            state.crowded = true;
            own.readiness.clear(Ready::WRITE);
            return Err(Error::WouldBlock);
        }
        let count = push(&mut state, &mut flight, cargo, |state, cargo| {
            if record {
                state.queue.push_record(source, length, cargo)?;
                return Ok(length);
            }
            let room = state.limit - state.queue.cost();
            state.queue.push_stream(source, length.min(room), cargo)
        })?;
        if !state.is_roomy() {
            state.crowded = true;
            own.readiness.clear(Ready::WRITE);
        }
        if !state.queue.is_empty() {
            peer.readiness.set(Ready::READ);
        }
        Ok(count)
    }

    fn send_datagram(
        &self,
        source: &mut dyn Source,
        cargo: &mut Cargo,
        to: Option<&Arc<Endpoint>>,
    ) -> Result<usize, Error> {
        let own = &*self.own;
        let peer = match to {
            Some(to) => to.clone(),
            None => self.destination.lock().clone().ok_or(Error::NotConnected)?,
        };
        if peer.kind() != Kind::Datagram {
            return Err(Error::WrongProtocol);
        }
        let length = source.left();
        check_length(own, length)?;
        cargo.from = own.name().cloned();
        let mut flight = enter(&cargo.files);
        let mut state = peer.state.lock();
        if state.gone {
            drop(state);
            if to.is_none() {
                *self.destination.lock() = None;
            }
            return Err(Error::Refused);
        }
        if state.only.as_ref().is_some_and(|only| !only.is(&self.own)) {
            return Err(Error::Forbidden);
        }
        if state.shut || own.sending_shut.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if state.is_full() {
            state.crowded = true;
            peer.room.clear(Ready::WRITE);
            if to.is_none() {
                own.readiness.clear(Ready::WRITE);
            }
            return Err(Error::WouldBlock);
        }
        push(&mut state, &mut flight, cargo, |state, cargo| {
            state.queue.push_record(source, length, cargo)
        })?;
        if !state.is_roomy() {
            state.crowded = true;
            peer.room.clear(Ready::WRITE);
            if to.is_none() {
                own.readiness.clear(Ready::WRITE);
            }
        }
        peer.readiness.set(Ready::READ);
        Ok(length)
    }

    /// Receives: of a stream what is there and fits, else one message, cut to what fits. Nothing (of a stream: for a
    /// sink with room) means that nothing will come any more.
    ///
    /// The files that came with it are the caller's now; [bury](object::flight::Flights::bury) those that nobody wants.
    ///
    /// # Errors
    /// `WouldBlock`: wait for `READ`; `Reset`, `NotConnected`, `Invalid` (an unconnected stream).
    pub fn try_receive(&self, sink: &mut dyn Sink, look: Look) -> Result<Received, Error> {
        let own = &*self.own;
        let peer = self.connected.get();
        match own.kind() {
            Kind::Stream if peer.is_none() => return Err(Error::Invalid),
            Kind::Records if peer.is_none() => return Err(Error::NotConnected),
            _ => {}
        }
        let look = Look {
            by_sender: look.by_sender || self.passes_credentials(),
            ..look
        };
        let mut flight: Option<Flight> = None;
        loop {
            let mut state = own.state.lock();
            if flight.is_none() && state.queue.has_files() {
                // Files leave under both locks, and that one comes first.
                drop(state);
                flight = Some(FILES.enter());
                continue;
            }
            let received = match own.kind() {
                Kind::Stream => state.queue.pop_stream(sink, look),
                _ => state.queue.pop_record(sink, look),
            };
            let Some(received) = received else {
                drop(state);
                if let Some(error) = own.take_error() {
                    return Err(error);
                }
                let state = own.state.lock();
                return match (state.queue.is_empty(), state.shut) {
                    // Something came in between.
                    (false, _) => {
                        drop(state);
                        continue;
                    }
                    (true, true) => Ok(Received::default()),
                    (true, false) => {
                        own.readiness.clear(Ready::READ);
                        Err(Error::WouldBlock)
                    }
                };
            };
            if look.peek {
                return Ok(received);
            }
            if let Some(flight) = &mut flight {
                flight.arrive(&received.files);
            }
            if state.queue.is_empty() && !state.shut {
                own.readiness.clear(Ready::READ);
            }
            if state.crowded && state.is_roomy() {
                own.relieve(&mut state, peer.map(|peer| &**peer));
            }
            return Ok(received);
        }
    }
}

/// Leave to move files, if there are any.
fn enter(files: &Files) -> Option<Flight> {
    if files.is_empty() {
        return None;
    }
    if files.iter().any(|sent| sent.carrier().is_some()) {
        FILES.before_sending();
    }
    Some(FILES.enter())
}

/// Pushes with the files counted in; if nothing was pushed, they are not.
fn push<T>(
    state: &mut State,
    flight: &mut Option<Flight>,
    cargo: &mut Cargo,
    push: impl FnOnce(&mut State, &mut Cargo) -> Result<T, Error>,
) -> Result<T, Error> {
    if let Some(flight) = flight {
        flight.admit(cargo.files.len())?;
        flight.depart(&cargo.files);
    }
    let pushed = push(state, cargo);
    if let Some(flight) = flight {
        // Files that are still here did not go.
        flight.arrive(&cargo.files);
    }
    pushed
}

fn check_length(own: &Endpoint, length: usize) -> Result<(), Error> {
    if length > own.send_limit.load(Ordering::Relaxed) - RESERVED {
        Err(Error::MessageTooLong)
    } else {
        Ok(())
    }
}
