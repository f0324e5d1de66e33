//! The drivers that device nodes lead to.
//!
//! The one idea: a node is only a number. Opening it asks the [`Devices`] that the mount was given; a mount that was
//! given none has nodes that lead nowhere, whoever made them.

use crate::file::{File, OpenRequest};
use crate::metadata::DeviceNumber;
use abi::Error;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use machine::sync::Rcu;

/// Blocks or bytes: two separate ranges of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A device of bytes.
    Character,
    /// A device of blocks.
    Block,
}

/// A driver's side of a device node.
pub trait Device: Send + Sync {
    /// Opens it. Permissions on the node have been checked.
    fn open(
        self: Arc<Self>,
        number: DeviceNumber,
        request: &OpenRequest<'_>,
    ) -> Result<Arc<dyn File>, Error>;

    /// Whether what is written to it and read from it concerns nobody but the caller.
    fn is_harmless(&self) -> bool {
        false
    }
}

/// The devices that can be reached through the nodes of a mount.
pub struct Devices {
    drivers: Rcu<Drivers>,
}

type Drivers = BTreeMap<(DeviceKind, DeviceNumber), Arc<dyn Device>>;

impl Devices {
    /// None yet.
    pub fn new() -> Arc<Devices> {
        Arc::new(Devices {
            drivers: Rcu::default(),
        })
    }

    /// Adds a device. `Exists` if the number is taken.
    pub fn add(
        &self,
        kind: DeviceKind,
        number: DeviceNumber,
        device: Arc<dyn Device>,
    ) -> Result<(), Error> {
        self.drivers.change(|drivers| {
            let mut drivers = drivers.clone();
            match drivers.insert((kind, number), device) {
                Some(_) => Err(Error::Exists),
                None => Ok((drivers, ())),
            }
        })
    }

    /// Takes a device away; what is open stays open. `NoDevice` if it is not there.
    pub fn remove(&self, kind: DeviceKind, number: DeviceNumber) -> Result<(), Error> {
        self.drivers.change(|drivers| {
            let mut drivers = drivers.clone();
            match drivers.remove(&(kind, number)) {
                Some(_) => Ok((drivers, ())),
                None => Err(Error::NoDevice),
            }
        })
    }

    /// Whether the device with that number is there, and concerns nobody but whoever opens it.
    pub fn is_harmless(&self, kind: DeviceKind, number: DeviceNumber) -> bool {
        self.drivers.read(|drivers| {
            let device = drivers.get(&(kind, number));
            device.is_some_and(|device| device.is_harmless())
        })
    }

    /// Opens the device with that number. `NoDevice` if there is none.
    pub fn open(
        &self,
        kind: DeviceKind,
        number: DeviceNumber,
        request: &OpenRequest<'_>,
    ) -> Result<Arc<dyn File>, Error> {
        let device = self
            .drivers
            .read(|drivers| drivers.get(&(kind, number)).cloned());
        device.ok_or(Error::NoDevice)?.open(number, request)
    }
}

/// A device that a driver has found.
#[derive(Clone, Copy, Debug)]
pub struct NewDevice<'a> {
    /// Its path below `/dev`.
    pub name: &'a str,
    /// Bytes or blocks.
    pub kind: DeviceKind,
    /// The number of its node.
    pub number: DeviceNumber,
    /// The permission bits of its node.
    pub mode: u16,
}

/// Whoever shows devices under names. Drivers tell it what they find and what goes away.
pub trait Registry: Send + Sync {
    /// Shows a device. `Exists` if its name or number is taken.
    fn add(&self, new: &NewDevice<'_>, device: Arc<dyn Device>) -> Result<(), Error>;

    /// Shows it no more; what is open stays open.
    fn remove(&self, name: &str, kind: DeviceKind, number: DeviceNumber) -> Result<(), Error>;
}
