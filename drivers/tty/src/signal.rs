//! The signals that a terminal sends, by their POSIX numbers.

/// The line is gone.
pub const HANGUP: u8 = 1;
/// VINTR was typed.
pub const INTERRUPT: u8 = 2;
/// VQUIT was typed.
pub const QUIT: u8 = 3;
/// Go on after a stop.
pub const CONTINUE: u8 = 18;
/// VSUSP was typed.
pub const STOP: u8 = 20;
/// The window has another size.
pub const WINDOW: u8 = 28;
