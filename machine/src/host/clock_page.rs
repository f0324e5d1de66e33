//! The clock page of a simulated machine says that there is no counter to read: programs make the
//! call.

use super::frame::{Frame, OutOfFrames};
use crate::vdso::Wall;

/// The frame that programs may map, to read.
///
/// # Errors
/// When there is no frame.
pub fn frame(_: Wall) -> Result<Frame, OutOfFrames> {
    Frame::zeroed()
}

/// The wall clock was set, which a page without a counter does not say.
pub fn set_wall(_: Wall) {}
