//! Names and connections: bind, listen, connect, accept. Rules: unix(7), connect(2), accept(2).

use crate::endpoint::{Endpoint, Kind, Listener, Maker, Only};
use crate::name::{Hold, Scope};
use crate::socket::Socket;
use abi::Error;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use task::Ready;
use vfs::Location;

/// The most connections that wait to be accepted (`SOMAXCONN`).
pub const BACKLOG_MAX: usize = 4096;
/// Names that the system itself can give: five hexadecimal digits.
const OWN_NAMES: u32 = 1 << 20;

impl Socket {
    /// Gives it an abstract name.
    ///
    /// # Errors
    /// `Invalid` if it has a name; `AddressInUse`.
    pub fn bind_abstract(&self, scope: Scope, name: &[u8]) -> Result<(), Error> {
        self.bind_with(|own| Hold::abstract_name(scope, name, own))
    }

    /// Gives it an abstract name that nobody has. Nothing happens if it has one.
    ///
    /// # Errors
    /// `NoSpace` if there is none left.
    pub fn bind_any(&self, scope: Scope) -> Result<(), Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..OWN_NAMES {
            let number = NEXT.fetch_add(1, Ordering::Relaxed) % OWN_NAMES;
            match self.bind_abstract(scope, format!("{number:05x}").as_bytes()) {
                Err(Error::AddressInUse) => {}
                Ok(()) | Err(Error::Invalid) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoSpace)
    }

    /// Makes it answer for the inode that `make` makes, which the caller reached by `path`.
    ///
    /// # Errors
    /// `Invalid` if it has a name; those of `make`.
    pub fn bind_path(
        &self,
        path: &[u8],
        make: impl FnOnce() -> Result<Location, Error>,
    ) -> Result<(), Error> {
        self.bind_with(|own| Ok(Hold::path(make()?, path, own)))
    }

    fn bind_with(
        &self,
        make: impl FnOnce(&Arc<Endpoint>) -> Result<Hold, Error>,
    ) -> Result<(), Error> {
        // An accepted socket has its listener's name without holding it.
        if self.own.name().is_some() {
            return Err(Error::Invalid);
        }
        let hold = make(&self.own)?;
        let mut held = self.hold.lock();
        if self.own.name.set(hold.name().clone()).is_err() {
            // Somebody else was first.
            drop(held);
            drop(hold);
            return Err(Error::Invalid);
        }
        *held = Some(hold);
        Ok(())
    }

    /// Lets others connect to it; `backlog` of them may wait.
    ///
    /// # Errors
    /// `Unsupported` for datagrams; `Invalid` without a name, or if it is connected.
    pub fn listen(&self, backlog: usize, maker: &Maker) -> Result<(), Error> {
        if !self.own.kind().connects() {
            return Err(Error::Unsupported);
        }
        if self.own.name().is_none() || self.connected.get().is_some() {
            return Err(Error::Invalid);
        }
        let limit = backlog.min(BACKLOG_MAX);
        let _ = self.own.maker.set(maker.credentials);
        let mut state = self.own.state.lock();
        match &mut state.listener {
            Some(listener) => {
                listener.limit = limit;
                if listener.backlog.len() <= limit {
                    self.own.room.set(Ready::WRITE);
                }
            }
            none => {
                *none = Some(Listener {
                    backlog: VecDeque::new(),
                    limit,
                });
                self.own.readiness.clear(Ready::HANGUP | Ready::WRITE);
            }
        }
        Ok(())
    }

    /// Whether others may connect to it.
    pub fn listens(&self) -> bool {
        self.own.state.lock().listener.is_some()
    }

    /// Connects to a socket that listens. It is connected before it is accepted.
    ///
    /// # Errors
    /// - `WouldBlock`: wait for `WRITE` of the target's room;
    /// - `Refused`: it does not listen; `WrongProtocol`: it is of another kind;
    /// - `Connected`, or `Invalid` if this one listens itself; `NoMemory`.
    pub fn try_connect(&self, target: &Arc<Endpoint>, maker: &Maker) -> Result<(), Error> {
        if target.kind() != self.own.kind() {
            return Err(Error::WrongProtocol);
        }
        if self.listens() {
            return Err(Error::Invalid);
        }
        if self.connected.get().is_some() {
            return Err(Error::Connected);
        }
        let accepted = Socket::new(self.own.kind(), maker)?;
        if let Some(name) = target.name() {
            let _ = accepted.own.name.set(name.clone());
        }
        let _ = accepted.own.maker.set(target.maker());
        accepted.own.state.lock().limit = self.send_limit();
        accepted.own.readiness.clear(Ready::HANGUP);
        let mut state = target.state.lock();
        let shut = state.shut;
        let Some(listener) = state.listener.as_mut().filter(|_| !shut) else {
            return Err(Error::Refused);
        };
        if listener.backlog.len() > listener.limit {
            target.room.clear(Ready::WRITE);
            return Err(Error::WouldBlock);
        }
        if self.connected.set(accepted.own.clone()).is_err() {
            return Err(Error::Connected);
        }
        let _ = accepted.connected.set(self.own.clone());
        let _ = self.own.maker.set(maker.credentials);
        self.own.readiness.clear(Ready::HANGUP);
        self.own.readiness.set(Ready::WRITE);
        accepted.waiting.store(true, Ordering::Relaxed);
        listener.backlog.push_back(accepted);
        target.readiness.set(Ready::READ);
        Ok(())
    }

    /// Takes the connection that waits longest.
    ///
    /// # Errors
    /// `WouldBlock`: wait for `READ`; `Invalid`: it does not listen; `Unsupported` for datagrams.
    pub fn try_accept(&self) -> Result<Arc<Socket>, Error> {
        if self.own.kind() == Kind::Datagram {
            return Err(Error::Unsupported);
        }
        let mut state = self.own.state.lock();
        let shut = state.shut;
        let listener = state.listener.as_mut().ok_or(Error::Invalid)?;
        let Some(socket) = listener.backlog.pop_front() else {
            if shut {
                return Err(Error::Invalid);
            }
            self.own.readiness.clear(Ready::READ);
            return Err(Error::WouldBlock);
        };
        socket.waiting.store(false, Ordering::Relaxed);
        if listener.backlog.is_empty() && !shut {
            self.own.readiness.clear(Ready::READ);
        }
        if listener.backlog.len() <= listener.limit {
            self.own.room.set(Ready::WRITE);
        }
        Ok(socket)
    }

    /// Gives back a connection that was accepted and could not be used: it waits again, before all others.
    pub fn put_back(&self, socket: Arc<Socket>) {
        let mut state = self.own.state.lock();
        if let Some(listener) = state.listener.as_mut() {
            socket.waiting.store(true, Ordering::Relaxed);
            listener.backlog.push_front(socket);
            self.own.readiness.set(Ready::READ);
        }
    }

    /// Makes datagrams go to `target` when they are sent nowhere else, and come from nobody else. `None`: both end.
    ///
    /// # Errors
    /// `WrongProtocol`; `Forbidden` if the target only listens to another; `Refused` if it is gone.
    pub fn aim(&self, target: Option<&Arc<Endpoint>>) -> Result<(), Error> {
        if let Some(target) = target {
            if target.kind() != Kind::Datagram {
                return Err(Error::WrongProtocol);
            }
            let mut state = target.state.lock();
            if state.gone {
                return Err(Error::Refused);
            }
            if state.only.as_ref().is_some_and(|only| !only.is(&self.own)) {
                return Err(Error::Forbidden);
            }
            state.senders.retain(|sender| sender.strong_count() > 0);
            let own = Arc::downgrade(&self.own);
            if !state.senders.iter().any(|sender| sender.ptr_eq(&own)) {
                state.senders.push(own);
            }
            if state.is_full() {
                state.crowded = true;
                self.own.readiness.clear(Ready::WRITE);
            } else {
                self.own.readiness.set(Ready::WRITE);
            }
        } else {
            self.own.readiness.set(Ready::WRITE);
        }
        self.own.state.lock().only = target.map(Only::new);
        *self.destination.lock() = target.cloned();
        Ok(())
    }
}
