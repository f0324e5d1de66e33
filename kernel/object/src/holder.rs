//! Objects that hold handles which others can be reached by: receivers with messages, registries of links.

use crate::flight::{Cargo, Flight, Flights};
use crate::{Handle, Object, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Handles of all kinds that may wait in messages at a time.
pub const HANDLES_MAX: usize = 1 << 16;

/// All handles in messages, and all holders that are in one.
pub static IN_FLIGHT: Flights<Handle> = Flights::new(HANDLES_MAX);

/// What such an object does besides ([`Object::holder`]). Both are called with the table of [`IN_FLIGHT`] locked, which whoever
/// puts a holder in or takes one out has locked, too.
pub trait Holder {
    /// Calls `visit` with every handle in it that is to a holder, and perhaps with others.
    fn visit(&self, visit: &mut dyn FnMut(&Handle));

    /// Takes everything out: nobody can reach it any more.
    fn unload(&self, flight: &mut Flight<Handle>, into: &mut Vec<Handle>);
}

impl Cargo for Handle {
    type Carrier = dyn Object;

    fn flights() -> &'static Flights<Handle> {
        &IN_FLIGHT
    }

    fn carrier(&self) -> Option<&Arc<dyn Object>> {
        let object = self.object();
        object.holder().map(|_| object)
    }

    fn of(carrier: Arc<dyn Object>) -> Handle {
        Handle::new(carrier, Rights::empty())
    }

    fn visit(carrier: &dyn Object, visit: &mut dyn FnMut(&Handle)) {
        if let Some(holder) = carrier.holder() {
            holder.visit(visit);
        }
    }

    fn unload(carrier: &dyn Object, flight: &mut Flight<Handle>, into: &mut Vec<Handle>) {
        if let Some(holder) = carrier.holder() {
            holder.unload(flight, into);
        }
    }
}
