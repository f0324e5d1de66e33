//! What others see of a socket: where it receives, and whether it is ready.
//!
//! The one idea: an endpoint knows its queue and never its peer, so connected sockets can hold each other's endpoints
//! and nothing goes in a circle. The open end, [`crate::Socket`], empties it when it is closed.

use crate::ancillary::{Credentials, Files, Sent};
use crate::name::Name;
use crate::queue::Queue;
use crate::socket::Socket;
use abi::Error;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use machine::sync::{Once, Spin};
use task::{Readiness, Ready};
use vfs::{Change, File, FileKind, Inode, Metadata, OpenRequest, Permissions, Time};

/// What a socket's messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One run of bytes, between two.
    Stream,
    /// Messages that stay apart, between two.
    Records,
    /// Messages that stay apart, from anybody.
    Datagram,
}

impl Kind {
    /// Whether it talks to one other for all its life.
    pub const fn connects(self) -> bool {
        !matches!(self, Kind::Datagram)
    }
}

/// Who makes a socket, and when.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// The process and its identity.
    pub credentials: Credentials,
    /// The time.
    pub now: Time,
}

/// Bytes that may wait for a receiver at first (`wmem_default`).
pub const LIMIT: usize = 212_992;
/// Bounds of what can be asked for, as Linux doubles it.
const LIMIT_MIN: usize = 4608;
const LIMIT_MAX: usize = 2 * LIMIT;

/// See the module.
pub struct Endpoint {
    number: u64,
    kind: Kind,
    pub(crate) state: Spin<State>,
    pub(crate) readiness: Readiness,
    /// `WRITE` while others may send or connect to it.
    pub(crate) room: Readiness,
    pub(crate) name: Once<Arc<Name>>,
    /// Who made the connection, or listens.
    pub(crate) maker: Once<Credentials>,
    pub(crate) sending_shut: AtomicBool,
    pub(crate) pass_credentials: AtomicBool,
    pub(crate) send_limit: AtomicUsize,
    pub(crate) receive_limit: AtomicUsize,
    pub(crate) send_timeout: AtomicU64,
    pub(crate) receive_timeout: AtomicU64,
    permissions: Spin<Permissions>,
    created: Time,
}

pub(crate) struct State {
    pub queue: Queue,
    /// What may wait in the queue: the sender's choice if there is one sender, else the receiver's.
    pub limit: usize,
    /// Nothing will be received any more but what waits.
    pub shut: bool,
    /// Nobody has it open.
    pub gone: bool,
    /// Somebody was told that there is no room.
    pub crowded: bool,
    /// What went wrong, to be told once.
    pub error: Option<Error>,
    pub listener: Option<Listener>,
    /// Those who send here and nowhere else; of datagrams.
    pub senders: Vec<Weak<Endpoint>>,
    /// The only one who may send here; of datagrams.
    pub only: Option<Only>,
}

/// A sender that others are not.
pub(crate) struct Only(Weak<Endpoint>);

impl Only {
    pub fn new(endpoint: &Arc<Endpoint>) -> Only {
        Only(Arc::downgrade(endpoint))
    }

    pub fn is(&self, endpoint: &Arc<Endpoint>) -> bool {
        core::ptr::eq(self.0.as_ptr(), Arc::as_ptr(endpoint))
    }
}

/// Connections that wait to be accepted.
pub(crate) struct Listener {
    pub backlog: VecDeque<Arc<Socket>>,
    pub limit: usize,
}

impl State {
    /// Whether senders must wait.
    pub fn is_full(&self) -> bool {
        self.queue.cost() >= self.limit
    }

    /// Whether it is worth to tell waiting senders.
    pub fn is_roomy(&self) -> bool {
        self.queue.cost() * 4 <= self.limit
    }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Endpoint {
    pub(crate) fn new(kind: Kind, maker: &Maker) -> Arc<Endpoint> {
        // Who is not connected has nobody to hear from.
        let ready = if kind.connects() {
            Ready::WRITE | Ready::HANGUP
        } else {
            Ready::WRITE
        };
        Arc::new(Endpoint {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            kind,
            state: Spin::new(State {
                queue: Queue::new(),
                limit: LIMIT,
                shut: false,
                gone: false,
                crowded: false,
                error: None,
                listener: None,
                senders: Vec::new(),
                only: None,
            }),
            readiness: Readiness::new(ready),
            room: Readiness::new(Ready::WRITE),
            name: Once::new(),
            maker: Once::new(),
            sending_shut: AtomicBool::new(false),
            pass_credentials: AtomicBool::new(false),
            send_limit: AtomicUsize::new(LIMIT),
            receive_limit: AtomicUsize::new(LIMIT),
            send_timeout: AtomicU64::new(0),
            receive_timeout: AtomicU64::new(0),
            permissions: Spin::new(Permissions {
                mode: 0o777,
                uid: maker.credentials.uid,
                gid: maker.credentials.gid,
            }),
            created: maker.now,
        })
    }

    /// What its messages are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its number, for its title.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it is known by.
    pub fn name(&self) -> Option<&Arc<Name>> {
        self.name.get()
    }

    /// Who made the connection; `NOBODY` if nobody has.
    pub fn maker(&self) -> Credentials {
        self.maker.get().copied().unwrap_or_default()
    }

    /// What its owner can do now.
    pub fn own_readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// `WRITE` while others may send or connect to it: where they wait.
    pub fn room(&self) -> &Readiness {
        &self.room
    }

    /// Tells whoever waits for room that there is some. Under the lock of `state`.
    pub(crate) fn relieve(&self, state: &mut State, peer: Option<&Endpoint>) {
        state.crowded = false;
        self.room.set(Ready::WRITE);
        if let Some(peer) = peer {
            peer.readiness.set(Ready::WRITE);
        }
        state.senders.retain(|sender| match sender.upgrade() {
            Some(sender) => {
                sender.readiness.set(Ready::WRITE);
                true
            }
            None => false,
        });
    }

    /// Receives nothing any more but what waits. Returns false if that was so before.
    pub(crate) fn shut_receiving(&self, peer: Option<&Endpoint>) {
        let mut state = self.state.lock();
        state.shut = true;
        self.readiness.set(Ready::READ | self.hangup(&state));
        self.relieve(&mut state, peer);
    }

    /// Sends nothing any more.
    pub(crate) fn shut_sending(&self) {
        let state = self.state.lock();
        self.sending_shut.store(true, Ordering::Release);
        // A sender that waits for room must see it.
        self.readiness.set(Ready::WRITE | self.hangup(&state));
    }

    /// What to set together with the rest, so that nobody sees an end without it.
    fn hangup(&self, state: &State) -> Ready {
        if state.shut && self.sending_shut.load(Ordering::Acquire) {
            Ready::HANGUP
        } else {
            Ready::empty()
        }
    }

    /// What went wrong since somebody asked.
    pub fn take_error(&self) -> Option<Error> {
        if !self.readiness.get().contains(Ready::ERROR) {
            return None;
        }
        let mut state = self.state.lock();
        self.readiness.clear(Ready::ERROR);
        state.error.take()
    }

    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        state.error = Some(error);
        self.readiness.set(Ready::ERROR);
    }

    /// Shows all files that can be received here. Under [`crate::flight`]'s lock.
    pub(crate) fn visit_files(&self, visit: &mut dyn FnMut(&Sent)) {
        let state = self.state.lock();
        state.queue.files().for_each(&mut *visit);
        if let Some(listener) = &state.listener {
            for waiting in &listener.backlog {
                let theirs = waiting.endpoint().state.lock_second(&state);
                theirs.queue.files().for_each(&mut *visit);
            }
        }
    }

    /// Takes all files that can be received here. Under [`crate::flight`]'s lock.
    pub(crate) fn strip(&self, into: &mut Files) {
        let mut state = self.state.lock();
        into.append(&mut state.queue.strip());
        if let Some(listener) = &state.listener {
            for waiting in &listener.backlog {
                let mut theirs = waiting.endpoint().state.lock_second(&state);
                into.append(&mut theirs.queue.strip());
            }
        }
    }

    /// A limit that was asked for, as it will be.
    pub(crate) fn checked_limit(asked: usize) -> usize {
        asked
            .min(LIMIT)
            .saturating_mul(2)
            .clamp(LIMIT_MIN, LIMIT_MAX)
    }
}

impl Inode for Endpoint {
    fn kind(&self) -> FileKind {
        FileKind::Socket
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn permissions(&self) -> Permissions {
        *self.permissions.lock()
    }

    fn metadata(&self) -> Metadata {
        let permissions = self.permissions();
        Metadata {
            inode: self.number,
            mode: permissions.mode,
            uid: permissions.uid,
            gid: permissions.gid,
            accessed: self.created,
            modified: self.created,
            changed: self.created,
            created: self.created,
            ..Metadata::nameless(FileKind::Socket)
        }
    }

    fn change(&self, change: &Change) -> Result<(), Error> {
        if change.size.is_some() {
            return Err(Error::Invalid);
        }
        let mut permissions = self.permissions.lock();
        permissions.mode = change.mode.unwrap_or(permissions.mode);
        permissions.uid = change.uid.unwrap_or(permissions.uid);
        permissions.gid = change.gid.unwrap_or(permissions.gid);
        Ok(())
    }

    /// A socket is not opened, it is connected to.
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Err(Error::NoDevice)
    }
}
