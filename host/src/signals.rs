//! Signals to the tool: the virtual machines and temporary files go, the terminal comes back, then the tool ends as the signal asks.

use crate::{children, scratch, terminal};
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

/// Starts the thread that cleans up on SIGINT, SIGTERM, SIGHUP and SIGQUIT.
pub fn clean_up_on_end() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).context("cannot handle signals")?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            children::kill_all();
            terminal::restore();
            scratch::remove_all();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Calls `changed` at every change of the terminal's size, for the rest of the process.
pub fn on_resize(changed: impl Fn() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGWINCH]).context("cannot handle signals")?;
    std::thread::spawn(move || signals.forever().for_each(|_| changed()));
    Ok(())
}
