//! The simulated power switch: ends the calling test by a panic whose payload says how, so that a
//! test can catch it.

/// How a machine ended: the payload of the panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Off,
    Reset,
    TestExit(u8),
}

fn end(how: End) -> ! {
    std::panic::panic_any(how)
}

/// Switches the machine off.
pub fn off() -> ! {
    end(End::Off)
}

/// Starts the machine again.
pub fn reset() -> ! {
    end(End::Reset)
}

/// Ends a test run with a code.
pub fn test_exit(code: u8) -> ! {
    end(End::TestExit(code))
}
