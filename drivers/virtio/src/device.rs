//! Reset, features, start (section 3.1).
//!
//! The one idea: the steps are in the order of the specification, and every one that the device does not confirm ends in
//! an error with the device told so.

use crate::queue::{Chain, Queue};
use crate::transport::{Transport, reset};
use abi::Error;
use alloc::sync::Arc;
use bitflags::bitflags;

bitflags! {
    /// The status field (section 2.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u8 {
        /// Somebody saw the device.
        const ACKNOWLEDGE = 1;
        /// Somebody knows how to drive it.
        const DRIVER = 2;
        /// It runs.
        const DRIVER_OK = 4;
        /// The features are agreed on.
        const FEATURES_OK = 8;
        /// The device gave up.
        const NEEDS_RESET = 64;
        /// The driver gave up.
        const FAILED = 128;
        const _ = !0;
    }
}

bitflags! {
    /// The features that belong to no kind of device (section 6). Bits of the kinds are in their own modules.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u64 {
        /// Interrupts and notifications when an index passes a mark, instead of always or never.
        const EVENT_INDEX = 1 << 29;
        /// Not the legacy interface.
        const VERSION_1 = 1 << 32;
        const _ = !0;
    }
}

/// A device whose features are agreed on.
pub struct Device {
    transport: Arc<dyn Transport>,
    features: Features,
}

impl Device {
    /// Resets the device and agrees on as many of the `wanted` features as it has.
    ///
    /// `VERSION_1` is asked for always and `EVENT_INDEX` where it is there. [`Error::Unsupported`] if the device is a
    /// legacy one or insists on a feature that is not wanted, [`Error::Io`] if it does not confirm a reset.
    pub fn negotiate(transport: Arc<dyn Transport>, wanted: u64) -> Result<Device, Error> {
        if !reset(&*transport) {
            return Err(Error::Io);
        }
        let mut status = Status::ACKNOWLEDGE;
        transport.set_status(status.bits());
        status |= Status::DRIVER;
        transport.set_status(status.bits());
        let offered = Features::from_bits_retain(transport.device_features());
        let ours = Features::VERSION_1 | Features::EVENT_INDEX | Features::from_bits_retain(wanted);
        let features = offered & ours;
        let device = Device {
            transport,
            features,
        };
        if !features.contains(Features::VERSION_1) {
            device.fail();
            return Err(Error::Unsupported);
        }
        device.transport.set_driver_features(features.bits());
        status |= Status::FEATURES_OK;
        device.transport.set_status(status.bits());
        if !device.status().contains(Status::FEATURES_OK) {
            device.fail();
            return Err(Error::Unsupported);
        }
        Ok(device)
    }

    /// The features of both sides.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Whether both sides have all these feature bits.
    pub fn has(&self, features: u64) -> bool {
        self.features.bits() & features == features
    }

    /// How the device is reached.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Sets up queue `number` with at most `limit` entries, interrupting through `vector`. Before [`Device::start`].
    pub fn queue<C: Chain>(
        &self,
        number: u16,
        limit: u16,
        vector: Option<u16>,
    ) -> Result<Queue<C>, Error> {
        let event_index = self.features.contains(Features::EVENT_INDEX);
        Queue::new(self.transport.clone(), number, limit, vector, event_index)
    }

    /// Lets the device run.
    pub fn start(&self) {
        let status = self.status() | Status::DRIVER_OK;
        self.transport.set_status(status.bits());
    }

    /// What the device says about itself.
    pub fn status(&self) -> Status {
        Status::from_bits_retain(self.transport.status())
    }

    /// Tells the device that the driver gave up.
    pub fn fail(&self) {
        let status = self.status() | Status::FAILED;
        self.transport.set_status(status.bits());
    }
}
