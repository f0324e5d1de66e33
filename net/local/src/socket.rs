//! The open end of a socket: a [`File`] that is dropped when the last descriptor of it is closed.

use crate::ancillary::{Credentials, Files, Sent};
use crate::endpoint::{Endpoint, Kind, Maker, Only};
use crate::flight::FILES;
use crate::name::Hold;
use crate::queue::{Cargo, Look};
use abi::Error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::sync::{Once, Spin};
use object::{Sink, Source};
use task::{Readiness, Ready};
use vfs::{Access, Description, File, Metadata, OpenFlags};

/// A local socket.
pub struct Socket {
    pub(crate) own: Arc<Endpoint>,
    /// The other side of a connection, for all its life.
    pub(crate) connected: Once<Arc<Endpoint>>,
    /// Where datagrams go that are sent nowhere else.
    pub(crate) destination: Spin<Option<Arc<Endpoint>>>,
    pub(crate) hold: Spin<Option<Hold>>,
    /// It waits to be accepted.
    pub(crate) waiting: AtomicBool,
}

/// Which directions to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Receive no more.
    Receiving,
    /// Send no more.
    Sending,
    /// Both.
    Both,
}

impl Socket {
    /// One that is connected to nobody.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn new(kind: Kind, maker: &Maker) -> Result<Arc<Socket>, Error> {
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        Ok(Socket::from(Endpoint::new(kind, maker)))
    }

    pub(crate) fn from(own: Arc<Endpoint>) -> Arc<Socket> {
        Arc::new(Socket {
            own,
            connected: Once::new(),
            destination: Spin::new(None),
            hold: Spin::new(None),
            waiting: AtomicBool::new(false),
        })
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn pair(kind: Kind, maker: &Maker) -> Result<[Arc<Socket>; 2], Error> {
        let pair = [Socket::new(kind, maker)?, Socket::new(kind, maker)?];
        for (socket, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            // Both are new: nothing is set yet.
            let _ = socket.own.maker.set(maker.credentials);
            if kind.connects() {
                let _ = socket.connected.set(other.own.clone());
                socket.own.readiness.clear(Ready::HANGUP);
            } else {
                *socket.destination.lock() = Some(other.own.clone());
                let sender = Arc::downgrade(&socket.own);
                let mut state = other.own.state.lock();
                state.senders.push(sender);
                state.only = Some(Only::new(&socket.own));
            }
        }
        Ok(pair)
    }

    /// The socket as an open file.
    pub fn describe(self: Arc<Self>, flags: OpenFlags) -> Arc<Description> {
        let inode = self.own.clone();
        Description::nameless(self, Some(inode), Access::READ | Access::WRITE, flags)
    }

    /// What others see of it.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.own
    }

    /// The other side: of a connection, or where datagrams go.
    pub fn peer(&self) -> Option<Arc<Endpoint>> {
        match self.connected.get() {
            Some(peer) => Some(peer.clone()),
            None => self.destination.lock().clone(),
        }
    }

    /// Ends one direction or both, for both sides of a connection.
    pub fn shutdown(&self, how: Shutdown) {
        let peer = self.connected.get();
        let (receiving, sending) = (how != Shutdown::Sending, how != Shutdown::Receiving);
        // First what makes nobody readable: who waits for the end of the stream sees at once if all has ended.
        if sending {
            self.own.shut_sending();
        }
        if receiving && let Some(peer) = peer {
            peer.shut_sending();
        }
        if receiving {
            self.own.shut_receiving(peer.map(|peer| &**peer));
        }
        if sending && let Some(peer) = peer {
            peer.shut_receiving(Some(&self.own));
        }
    }

    /// Whether received messages are to tell who sent them.
    pub fn passes_credentials(&self) -> bool {
        self.own.pass_credentials.load(Ordering::Relaxed)
    }

    /// See [`Socket::passes_credentials`].
    pub fn set_passes_credentials(&self, on: bool) {
        self.own.pass_credentials.store(on, Ordering::Relaxed);
    }

    /// Bytes that may wait for the other side, as doubled.
    pub fn send_limit(&self) -> usize {
        self.own.send_limit.load(Ordering::Relaxed)
    }

    /// Asks for another limit; it is doubled and kept within bounds.
    pub fn set_send_limit(&self, asked: usize) {
        let limit = Endpoint::checked_limit(asked);
        self.own.send_limit.store(limit, Ordering::Relaxed);
        let Some(peer) = self.connected.get() else {
            return;
        };
        let mut state = peer.state.lock();
        state.limit = limit;
        if state.is_roomy() {
            self.own.readiness.set(Ready::WRITE);
        } else {
            state.crowded = true;
            self.own.readiness.clear(Ready::WRITE);
        }
    }

    /// Bytes that may wait here, as doubled: of datagrams; connections go by the sender's limit.
    pub fn receive_limit(&self) -> usize {
        self.own.receive_limit.load(Ordering::Relaxed)
    }

    /// Asks for another limit; it is doubled and kept within bounds.
    pub fn set_receive_limit(&self, asked: usize) {
        let limit = Endpoint::checked_limit(asked);
        self.own.receive_limit.store(limit, Ordering::Relaxed);
        if !self.own.kind().connects() {
            let mut state = self.own.state.lock();
            state.limit = limit;
            if state.is_roomy() {
                self.own.relieve(&mut state, None);
            }
        }
    }

    /// How long whoever sends should wait at most, in nanoseconds; 0: as long as it takes.
    pub fn send_timeout(&self) -> &AtomicU64 {
        &self.own.send_timeout
    }

    /// How long whoever receives, accepts or connects should wait at most, in nanoseconds; 0: as long as it takes.
    pub fn receive_timeout(&self) -> &AtomicU64 {
        &self.own.receive_timeout
    }

    /// Whether nothing will come any more but what waits.
    pub fn has_ended(&self) -> bool {
        self.own.state.lock().shut
    }

    /// Bytes that can be received now: of datagrams, those of the first. `Invalid` while it listens.
    pub fn receivable(&self) -> Result<usize, Error> {
        let state = self.own.state.lock();
        if state.listener.is_some() {
            return Err(Error::Invalid);
        }
        Ok(match self.own.kind() {
            Kind::Datagram => state.queue.first_len(),
            _ => state.queue.len(),
        })
    }

    /// Bytes that the other side of a connection has not received yet.
    pub fn unreceived(&self) -> usize {
        let peer = self.connected.get();
        peer.map_or(0, |peer| peer.state.lock().queue.len())
    }

    pub(crate) fn visit_files(&self, visit: &mut dyn FnMut(&Sent)) {
        self.own.visit_files(visit);
    }

    pub(crate) fn strip(&self, into: &mut Files) {
        self.own.strip(into);
    }
}

impl File for Socket {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if sink.room() == 0 {
            return Ok(0);
        }
        let received = self.try_receive(sink, Look::default())?;
        FILES.bury(received.files);
        Ok(received.count)
    }

    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        let mut cargo = Cargo {
            credentials: self.own.maker.get().copied().unwrap_or(Credentials::NOBODY),
            ..Cargo::default()
        };
        Ok((self.try_send(source, &mut cargo, None)?, 0))
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.own.readiness)
    }

    fn metadata(&self) -> Metadata {
        vfs::Inode::metadata(&*self.own)
    }

    fn title(&self) -> String {
        format!("socket:[{}]", self.own.number())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(self.hold.get_mut().take());
        let mut flight = None;
        let (files, unread, listener) = loop {
            let mut state = self.own.state.lock();
            if flight.is_none() && state.queue.has_files() {
                drop(state);
                flight = Some(FILES.enter());
                continue;
            }
            let files = state.queue.strip();
            if let Some(flight) = &mut flight {
                flight.arrive(&files);
            }
            let unread = !state.queue.is_empty();
            state.queue = crate::queue::Queue::new();
            (state.shut, state.gone) = (true, true);
            self.own.relieve(&mut state, None);
            state.senders.clear();
            break (files, unread, state.listener.take());
        };
        drop(flight);
        if let Some(peer) = self.connected.get() {
            if unread || *self.waiting.get_mut() {
                peer.fail(Error::Reset);
            }
            peer.shut_sending();
            peer.shut_receiving(None);
        }
        // Those who were never accepted are told so by their own drop.
        drop(listener);
        FILES.bury(files);
        FILES.after_closing();
    }
}
