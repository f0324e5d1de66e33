//! The watchdog as a device file: `/dev/watchdog`.

use crate::Watchdog;
use abi::Error;
use alloc::string::String;
use alloc::sync::Arc;
use object::{Sink, Source};
use vfs::{Access, Device, DeviceNumber, File, FileKind, Metadata, OpenRequest};

/// What its nodes lead to. Opening one starts the watchdog, so it is only for who may write: one who was given a tree to
/// read must not be able to end the machine with it.
pub struct DeviceFile(pub Arc<Watchdog>);

impl Device for DeviceFile {
    fn open(
        self: Arc<Self>,
        _: DeviceNumber,
        request: &OpenRequest<'_>,
    ) -> Result<Arc<dyn File>, Error> {
        if !request.access.contains(Access::WRITE) {
            return Err(Error::Denied);
        }
        self.0.open()?;
        Ok(Arc::new(Opened(self.0.clone())))
    }
}

/// The watchdog in a user's hands; dropped, it is closed.
pub struct Opened(Arc<Watchdog>);

impl Opened {
    /// The watchdog itself.
    pub fn watchdog(&self) -> &Arc<Watchdog> {
        &self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl File for Opened {
    fn try_read(&self, _: u64, _: &mut dyn Sink) -> Result<usize, Error> {
        Err(Error::Invalid)
    }

    /// Whatever is written says that all is well. If there is a `V` in it, the watchdog stops when it is closed.
    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        let mut total = 0;
        let mut may_stop = false;
        let mut bytes = [0; 64];
        loop {
            match source.take(&mut bytes) {
                0 => break,
                count => {
                    may_stop |= bytes.iter().take(count).any(|byte| *byte == b'V');
                    total += count;
                }
            }
        }
        if total > 0 {
            self.0.ping(Some(may_stop));
        }
        Ok((total, total as u64))
    }

    fn title(&self) -> String {
        String::from("watchdog")
    }

    fn metadata(&self) -> Metadata {
        Metadata::nameless(FileKind::CharacterDevice)
    }
}
