//! What a terminal stands between: the line below it, and the owner of process groups above.

/// A line: a serial port, a console, or the other side of a pseudo terminal.
///
/// A line calls [`Tty::input`](crate::Tty::input) with what came in, [`Tty::output_ready`](crate::Tty::output_ready)
/// when it can take bytes after it refused some, and [`Tty::hang_up`](crate::Tty::hang_up) when the other side is gone.
/// It must hold none of its own locks while it calls: the terminal calls back.
pub trait Line: Send + Sync {
    /// Takes bytes to send; returns how many. Fewer: it is full, and says when it has room again. Never waits long.
    fn write(&self, bytes: &[u8]) -> usize;

    /// Whether everything that it took has left.
    fn is_idle(&self) -> bool {
        true
    }

    /// There is room for input again, after some was refused.
    fn input_wanted(&self) {}

    /// The settings have changed; a line with a speed follows.
    fn configure(&self, settings: &crate::Termios) {
        let _ = settings;
    }
}

/// Whoever owns process groups: a terminal knows them by number only.
pub trait Jobs: Send + Sync {
    /// Sends a signal to every process of a group, which may not exist any more.
    fn signal(&self, group: u32, signal: u8);
}
