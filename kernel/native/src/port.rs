//! Ports: waiting for many objects at once.
//!
//! The one idea: a port reports what *is*, not what happened: as long as a watched object is ready, every wait says so.
//! Observers only wake the port; what it reports, it looks up.

use abi::{Error, Event, Events, Kind, Number, OpenFlags, Rights};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::sync::Spin;
use object::{Handle, Object, Opened};
use task::{Observer, ObserverGuard, Readiness, Ready, WaitError};
use value::Builder;

/// Objects that one port watches at most.
const MOST_WATCHED: usize = 4096;

/// A port.
pub struct Port {
    bell: Arc<Bell>,
    watched: Spin<BTreeMap<Number, Watched>>,
}

struct Watched {
    /// Keeps the object alive, whatever becomes of the number.
    handle: Handle,
    interest: Events,
    key: u64,
    /// Of the object, and of the end of its lease.
    _observers: [Option<ObserverGuard>; 2],
}

/// What the watched objects wake.
struct Bell(Readiness);

impl Observer for Bell {
    fn ready(&self, _: Ready) {
        self.0.set(Ready::READ);
    }
}

impl Port {
    /// A port that watches nothing.
    pub fn new() -> Port {
        Port {
            bell: Arc::new(Bell(Readiness::new(Ready::empty()))),
            watched: Spin::new(BTreeMap::new()),
        }
    }

    /// Reports `handle` as `number` and `key` from now on; no interest ends that.
    pub fn watch(
        &self,
        number: Number,
        handle: Handle,
        interest: Events,
        key: u64,
    ) -> Result<(), Error> {
        if interest.is_empty() {
            let gone = self.watched.lock().remove(&number);
            return gone.map(drop).ok_or(Error::NotFound);
        }
        if handle.kind() == Kind::Port {
            // Two ports that watch each other would never be dropped.
            return Err(Error::Invalid);
        }
        let readiness = handle.check(Rights::empty())?.readiness();
        let bits = Ready::from_bits_truncate(interest.bits());
        let observer = readiness
            .map(|readiness| readiness.observe(bits, self.bell.clone()))
            .transpose()?;
        let lease = handle
            .tenure()
            .ended()
            .map(|ended| ended.observe(Ready::READ, self.bell.clone()))
            .transpose()?;
        let entry = Watched {
            handle,
            interest,
            key,
            _observers: [observer, lease],
        };
        let mut watched = self.watched.lock();
        if watched.len() >= MOST_WATCHED && !watched.contains_key(&number) {
            drop(watched);
            return Err(Error::Limit);
        }
        let before = watched.insert(number, entry);
        drop(watched);
        drop(before);
        // It may be ready already.
        self.bell.0.set(Ready::READ);
        Ok(())
    }

    /// Up to `most` reports; waits until there is one.
    pub async fn wait(&self, most: usize, deadline: Option<u64>) -> Result<Vec<Event>, WaitError> {
        loop {
            // Cleared before the look: what becomes ready after it rings again.
            self.bell.0.clear(Ready::READ);
            let found = self.look(most);
            if !found.is_empty() {
                self.bell.0.set(Ready::READ);
                return Ok(found);
            }
            self.bell.0.wait(Ready::READ, deadline).await?;
        }
    }

    fn look(&self, most: usize) -> Vec<Event> {
        let watched = self.watched.lock();
        let reports = watched.iter().filter_map(|(number, entry)| {
            let wanted = entry.interest | Events::HANGUP | Events::ERROR;
            let readiness = entry
                .handle
                .check(Rights::empty())
                .map(|object| object.readiness());
            let ready = match readiness {
                Ok(Some(readiness)) => Events::from_bits_truncate(readiness.get().bits()) & wanted,
                Ok(None) => entry.interest,
                // It was taken back.
                Err(_) => Events::HANGUP,
            };
            (!ready.is_empty()).then_some(Event {
                key: entry.key,
                events: ready,
                handle: number.0,
            })
        });
        reports.take(most).collect()
    }
}

impl Default for Port {
    fn default() -> Port {
        Port::new()
    }
}

impl Object for Port {
    fn kind(&self) -> Kind {
        Kind::Port
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.bell.0)
    }

    fn describe(&self, into: &mut Builder) {
        into.put("watched", self.watched.lock().len());
    }
}

/// The `event:` registry as far as it is there: opening `port` with `CREATE` makes a port.
pub struct EventRegistry;

impl Object for EventRegistry {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn open<'p>(
        &self,
        path: &'p str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        match path {
            "port" if flags.contains(OpenFlags::CREATE) => {
                Ok(Handle::new(Arc::new(Port::new()), rights).into())
            }
            _ => Err(Error::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use task::block_on;

    struct Lamp(Readiness);

    impl Object for Lamp {
        fn kind(&self) -> Kind {
            Kind::Device
        }

        fn readiness(&self) -> Option<&Readiness> {
            Some(&self.0)
        }
    }

    #[test]
    fn reports_what_is() {
        let port = Port::new();
        let lamp = Arc::new(Lamp(Readiness::new(Ready::empty())));
        let handle = Handle::new(lamp.clone(), Rights::READ);
        port.watch(Number(3), handle.clone(), Events::READ, 77)
            .unwrap();
        assert_eq!(port.look(8), []);
        lamp.0.set(Ready::READ | Ready::WRITE);
        let expected = Event {
            key: 77,
            events: Events::READ,
            handle: 3,
        };
        for _ in 0..2 {
            assert_eq!(block_on(port.wait(8, None)).unwrap(), [expected]);
        }
        lamp.0.clear(Ready::READ);
        assert_eq!(block_on(port.wait(8, Some(0))), Err(WaitError::TimedOut));
        lamp.0.set(Ready::HANGUP);
        assert_eq!(port.look(8)[0].events, Events::HANGUP);
        port.watch(Number(3), handle.clone(), Events::empty(), 0)
            .unwrap();
        assert_eq!(port.look(8), []);
        assert_eq!(
            port.watch(Number(3), handle, Events::empty(), 0),
            Err(Error::NotFound)
        );
    }

    #[test]
    fn a_port_watches_no_port_and_has_a_limit() {
        let port = Port::new();
        let other = Handle::new(Arc::new(Port::new()), Rights::all());
        assert_eq!(
            port.watch(Number(1), other, Events::READ, 0),
            Err(Error::Invalid)
        );
        let lamp = Handle::new(Arc::new(Lamp(Readiness::new(Ready::empty()))), Rights::READ);
        for number in 0..MOST_WATCHED as u32 {
            port.watch(Number(number), lamp.clone(), Events::READ, 0)
                .unwrap();
        }
        assert_eq!(
            port.watch(Number(u32::MAX - 1), lamp.clone(), Events::READ, 0),
            Err(Error::Limit)
        );
        port.watch(Number(5), lamp, Events::WRITE, 1).unwrap();
    }
}
