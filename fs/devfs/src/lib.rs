//! devfs: the names of devices, usually seen at `/dev`.
//!
//! - `memory`: the devices that need no hardware;
//! - [`generator`]: the system's random bytes;
//! - [`Devfs`]: the tree of nodes.
//!
//! The one idea: it is a tmpfs whose nodes come and go with their drivers. A node is a number; what opens it are the
//! [`Devices`] that go with the mount.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod generator;
mod memory;
#[cfg(test)]
mod tests;

pub use generator::fill_random;

use abi::Error;
use alloc::sync::Arc;
use memory::{ControllingTerminal, Simple};
use tmpfs::{Options, Tmpfs};
use vfs::device::{NewDevice, Registry};
use vfs::{
    Credentials, Device, DeviceKind, DeviceNumber, Devices, Location, Mount, MountFlags, NewKind,
    Time, View, Volume,
};

/// The names of devices, and the devices.
pub struct Devfs {
    /// Its root, for making nodes.
    place: Location,
    devices: Arc<Devices>,
    clock: fn() -> Time,
}

impl Devfs {
    /// With the devices that need no hardware, the usual links, and empty places for more (`pts`, `shm`).
    pub fn new(seed: u64, clock: fn() -> Time) -> Result<Arc<Devfs>, Error> {
        let options = Options {
            mode: 0o755,
            ..Options::new(seed, clock)
        };
        let volume = Volume::new(Tmpfs::named("devtmpfs", &options)?, seed);
        let devices = Devices::new();
        let place = Mount::tree(volume, MountFlags::empty(), Some(devices.clone()));
        let devfs = Devfs {
            place,
            devices,
            clock,
        };
        devfs.fill()?;
        Ok(Arc::new(devfs))
    }

    /// The volume, for mounting it.
    pub fn volume(&self) -> &Arc<Volume> {
        self.place.mount().volume()
    }

    /// The devices that its nodes lead to, for mounting it.
    pub fn devices(&self) -> &Arc<Devices> {
        &self.devices
    }

    fn fill(&self) -> Result<(), Error> {
        let simple: [(&str, u32, Arc<dyn Device>); 5] = [
            ("null", 3, Arc::new(Simple::Null)),
            ("zero", 5, Arc::new(Simple::Zero)),
            ("full", 7, Arc::new(Simple::Full)),
            ("random", 8, Arc::new(Simple::Random)),
            ("urandom", 9, Arc::new(Simple::Random)),
        ];
        for (name, minor, device) in simple {
            self.add(&character(name, 1, minor, 0o666), device)?;
        }
        self.add(
            &character("tty", 5, 0, 0o666),
            Arc::new(ControllingTerminal),
        )?;
        let credentials = Credentials::root();
        let view = self.view(&credentials);
        let now = (self.clock)();
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            view.make_symlink(target.as_bytes(), name.as_bytes(), now)?;
        }
        view.make_directory(b"pts", 0o755, now)?;
        view.make_directory(b"shm", 0o1777, now)?;
        Ok(())
    }

    fn view<'a>(&'a self, credentials: &'a Credentials) -> View<'a> {
        View {
            root: &self.place,
            start: &self.place,
            credentials,
        }
    }
}

/// A device of bytes, as it is registered.
fn character(name: &str, major: u32, minor: u32, mode: u16) -> NewDevice<'_> {
    NewDevice {
        name,
        kind: DeviceKind::Character,
        number: DeviceNumber::new(major, minor),
        mode,
    }
}

impl Registry for Devfs {
    fn add(&self, new: &NewDevice<'_>, device: Arc<dyn Device>) -> Result<(), Error> {
        let credentials = Credentials::root();
        let view = self.view(&credentials);
        let now = (self.clock)();
        for (end, _) in new.name.match_indices('/') {
            let above = new.name.get(..end).unwrap_or_default();
            match view.make_directory(above.as_bytes(), 0o755, now) {
                Ok(_) | Err(Error::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        self.devices.add(new.kind, new.number, device)?;
        let node = match new.kind {
            DeviceKind::Character => NewKind::CharacterDevice(new.number),
            DeviceKind::Block => NewKind::BlockDevice(new.number),
        };
        if let Err(error) = view.make(new.name.as_bytes(), node, new.mode, now) {
            self.devices.remove(new.kind, new.number)?;
            return Err(error);
        }
        Ok(())
    }

    fn remove(&self, name: &str, kind: DeviceKind, number: DeviceNumber) -> Result<(), Error> {
        self.devices.remove(kind, number)?;
        let credentials = Credentials::root();
        match self
            .view(&credentials)
            .unlink(name.as_bytes(), (self.clock)())
        {
            // Somebody removed the name before.
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
