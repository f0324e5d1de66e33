//! Turning the machine off, for those who may ask.

use linux::power::{Request, on_request};

/// Answers the requests of Linux programs.
pub fn init() {
    on_request(|request| match request {
        Request::Off => machine::power::off(),
        Request::Reset => machine::power::reset(),
    });
}
