//! Terminals: a device handle that has line editing, echo, a size, and somebody in the foreground.

use crate::handle::Handle;
use abi::Error;
use value::Value;

/// A terminal, by any handle to it.
#[derive(Clone, Copy, Debug)]
pub struct Console<'h>(&'h Handle);

/// What the terminal does with keys before a program reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Reads give whole lines, which the terminal lets the user edit.
    pub canonical: bool,
    /// Keys are shown.
    pub echo: bool,
    /// ^C, ^Z and ^\ go to the process group in the foreground and not to the reader.
    pub signals: bool,
}

impl Mode {
    /// For programs that read lines.
    pub const LINES: Mode = Mode {
        canonical: true,
        echo: true,
        signals: true,
    };
    /// For programs that read keys.
    pub const KEYS: Mode = Mode {
        canonical: false,
        echo: false,
        signals: false,
    };
}

impl<'h> Console<'h> {
    /// The terminal behind a handle.
    ///
    /// # Errors
    /// `NotTerminal` when it is none.
    pub fn of(handle: &'h Handle) -> Result<Console<'h>, Error> {
        let console = Console(handle);
        match console.mode() {
            Ok(_) => Ok(console),
            Err(_) => Err(Error::NotTerminal),
        }
    }

    /// What it does with keys now.
    ///
    /// # Errors
    /// `NotFound` when the handle is no terminal.
    pub fn mode(&self) -> Result<Mode, Error> {
        let reply = self.0.ask("mode")?;
        let on = |key| reply.as_document().boolean(key).ok_or(Error::BadValue);
        Ok(Mode {
            canonical: on("canonical")?,
            echo: on("echo")?,
            signals: on("signals")?,
        })
    }

    /// Changes what it does with keys, once all output so far has been shown.
    ///
    /// # Errors
    /// `Denied` when somebody else is in the foreground.
    pub fn set_mode(&self, mode: Mode) -> Result<(), Error> {
        let argument = Value::build(|builder| {
            builder
                .put("canonical", mode.canonical)
                .put("echo", mode.echo)
                .put("signals", mode.signals);
        })?;
        self.0.request("set-mode", argument.as_document()).map(drop)
    }

    /// Columns and rows, in characters.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn size(&self) -> Result<(usize, usize), Error> {
        let reply = self.0.ask("size")?;
        let length = |key| reply.as_document().unsigned(key).unwrap_or(0) as usize;
        Ok((length("columns"), length("rows")))
    }

    /// Puts the group of a process into the foreground: it gets ^C and ^Z, and it alone may read.
    ///
    /// # Errors
    /// `NoProcess`.
    pub fn set_foreground(&self, process: u32) -> Result<(), Error> {
        let argument = Value::build(|builder| {
            builder.put("process", process);
        })?;
        self.0
            .request("foreground", argument.as_document())
            .map(drop)
    }
}
