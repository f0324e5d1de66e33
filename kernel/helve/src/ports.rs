//! A port of the virtio console as a file, and as the line of a terminal.

use abi::Error;
use alloc::sync::Arc;
use object::{Sink, Source};
use task::Readiness;
use vfs::{File, FileKind, Metadata};
use virtio::console::Port;

/// A plain stream of bytes to or from the host.
pub struct PortFile(pub Arc<Port>);

impl File for PortFile {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        self.0.try_read(sink)
    }

    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        let count = self.0.try_write(source)?;
        Ok((count, count as u64))
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(self.0.readiness())
    }

    fn metadata(&self) -> Metadata {
        Metadata::nameless(FileKind::Fifo)
    }
}
