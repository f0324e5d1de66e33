//! A range of a shared region as a chain of one segment.

use crate::queue::{Chain, Segment};
use alloc::sync::Arc;
use core::ops::Range;
use machine::dma::Region;

/// One buffer of a port or of the control queues.
pub(super) struct Piece {
    region: Arc<Region>,
    start: usize,
    segment: [Segment; 1],
}

impl Piece {
    /// A buffer that the device reads. Nothing if the range is empty or outside.
    pub(super) fn read_by_device(region: &Arc<Region>, range: Range<usize>) -> Option<Piece> {
        Some(Piece {
            segment: [Segment::read_by_device(region, range.clone())?],
            region: region.clone(),
            start: range.start,
        })
    }

    /// A buffer that the device writes. Nothing if the range is empty or outside.
    pub(super) fn written_by_device(region: &Arc<Region>, range: Range<usize>) -> Option<Piece> {
        Some(Piece {
            segment: [Segment::written_by_device(region, range.clone())?],
            region: region.clone(),
            start: range.start,
        })
    }

    /// Copies the front of the buffer out; `into` must not be longer than the buffer.
    pub(super) fn read(&self, into: &mut [u8]) {
        self.region.read(self.start, into);
    }

    /// Copies into the front of the buffer; `from` must not be longer than the buffer.
    pub(super) fn write(&self, from: &[u8]) {
        self.region.write(self.start, from);
    }
}

impl Chain for Piece {
    fn segments(&self) -> &[Segment] {
        &self.segment
    }
}
