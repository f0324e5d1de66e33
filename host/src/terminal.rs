//! The user's terminal: raw mode while a guest owns it, and its way back on every end.

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::stdin;
use std::sync::{Mutex, PoisonError};

/// The mode to return to, while it is changed.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether both standard input and standard output are terminals.
pub fn on_both_sides() -> bool {
    isatty(stdin()) && isatty(std::io::stdout())
}

/// Columns and rows of the terminal, if it knows them.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout())
        .or_else(|_| tcgetwinsize(stdin()))
        .ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Keeps the terminal's mode; the old one returns when this is dropped, and on signals.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Notes the mode, for a child that changes it.
    pub fn keep() -> Guard {
        if let Ok(mode) = tcgetattr(stdin()) {
            saved(|saved| *saved = Some(mode));
        }
        Guard(())
    }

    /// Notes the mode and sets raw mode.
    pub fn raw() -> Guard {
        let guard = Guard::keep();
        if let Ok(mut mode) = tcgetattr(stdin()) {
            mode.make_raw();
            let _ = tcsetattr(stdin(), OptionalActions::Now, &mode);
        }
        guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal its noted mode back, if there is one.
pub fn restore() {
    saved(|saved| {
        if let Some(mode) = saved.take() {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &mode);
        }
    });
}

fn saved(use_it: impl FnOnce(&mut Option<Termios>)) {
    use_it(&mut SAVED.lock().unwrap_or_else(PoisonError::into_inner));
}
