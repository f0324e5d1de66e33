//! Open files that wait in sockets.
//!
//! A socket that waits in a socket may be the only way to that socket; [`object::flight`] finds those that nobody can reach,
//! and empties them.
//!
//! Lock order: its table, then a listening socket, then any other socket.

use crate::ancillary::{Files, Sent};
use crate::socket::Socket;
use abi::Rights;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::Tenure;
use object::flight::{self, Cargo, Flights};
use vfs::Description;

/// Files of all kinds that may be in flight at a time.
pub const FILES_MAX: usize = 1 << 16;

/// All files in sockets.
pub static FILES: Flights<Sent> = Flights::new(FILES_MAX);

/// Leave to move files in and out of queues.
pub type Flight = flight::Flight<Sent>;

impl Cargo for Sent {
    type Carrier = Description;

    fn flights() -> &'static Flights<Sent> {
        &FILES
    }

    fn carrier(&self) -> Option<&Arc<Description>> {
        self.file.file_as::<Socket>().map(|_| &self.file)
    }

    fn of(file: Arc<Description>) -> Sent {
        Sent {
            file,
            rights: Rights::empty(),
            tenure: Tenure::FOREVER,
        }
    }

    fn visit(carrier: &Description, visit: &mut dyn FnMut(&Sent)) {
        if let Some(socket) = carrier.file_as::<Socket>() {
            socket.visit_files(visit);
        }
    }

    fn unload(carrier: &Description, flight: &mut Flight, into: &mut Vec<Sent>) {
        if let Some(socket) = carrier.file_as::<Socket>() {
            let mut files = Files::new();
            socket.strip(&mut files);
            flight.arrive(&files);
            into.append(&mut files);
        }
    }
}
