//! Turning the machine off is the kernel's own affair: this only tells it that a program asked.

use machine::sync::Once;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Off,
    Reset,
}

static ON_REQUEST: Once<fn(Request)> = Once::new();

/// Says who turns the machine off. The first answer stays.
pub fn on_request(handler: fn(Request)) {
    let _ = ON_REQUEST.set(handler);
}

pub fn request(request: Request) {
    match ON_REQUEST.get() {
        Some(handler) => handler(request),
        None => log::warn!("linux: nobody answers to {request:?}"),
    }
}
