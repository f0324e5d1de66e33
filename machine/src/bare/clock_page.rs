//! The clock page of this machine (see [`crate::vdso`]): made when it is first asked for, kept up
//! to date from then on.

use super::counter::{self, Source};
use super::frame::{Frame, OutOfFrames};
use super::time;
use crate::features::features;
use crate::sync::Once;
use crate::vdso::{ClockPage, MODE_COUNTER, MODE_CPU, Wall, Words};

static PAGE: Once<(Frame, ClockPage)> = Once::new();

/// The frame that programs may map, to read. `wall` is what their clocks count from.
///
/// # Errors
/// The first time, when there is no frame.
pub fn frame(wall: Wall) -> Result<Frame, OutOfFrames> {
    if PAGE.get().is_none() {
        let frame = Frame::zeroed()?;
        PAGE.get_or_init(|| {
            // SAFETY: the frame goes into `PAGE` with the reference and stays there for ever. Any
            // value fits these words, and the kernel touches them as atomics only.
            let words: &'static Words = unsafe { &*frame.at(0, size_of::<Words>()).cast() };
            (frame, ClockPage::new(words))
        });
        update();
    }
    set_wall(wall);
    PAGE.get()
        .map(|(frame, _)| frame.clone())
        .ok_or(OutOfFrames)
}

/// The wall clock was set.
pub fn set_wall(wall: Wall) {
    if let Some((_, page)) = PAGE.get() {
        page.change(|contents| contents.wall = wall);
    }
}

/// The scale has changed.
pub(super) fn update() {
    let Some((_, page)) = PAGE.get() else {
        return;
    };
    // What programs cannot read they must ask for.
    let mut mode = match counter::current() {
        Source::Tsc => MODE_COUNTER,
        _ => 0,
    };
    if features().rdtscp {
        mode |= MODE_CPU;
    }
    page.change(|contents| {
        contents.mode = mode;
        contents.scale = time::scale();
    });
}
