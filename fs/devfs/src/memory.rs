//! The devices that need no hardware: `null`, `zero`, `full`, `random`, `urandom`, `tty`.
//!
//! The one idea: they have no state, so one enum is file and device alike. Rules: null(4), full(4), random(4), tty(4).

use crate::generator::{fill_random, mix};
use abi::Error;
use alloc::sync::Arc;
use object::{Sink, Source};
use vfs::{Device, DeviceNumber, File, FileKind, Metadata, OpenRequest};

/// Bytes of random data made between two looks at the reader's buffer.
const CHUNK: usize = 1024;

#[derive(Debug)]
pub enum Simple {
    /// Takes everything, gives nothing.
    Null,
    /// Takes everything, gives zeros.
    Zero,
    /// Takes nothing, gives zeros.
    Full,
    /// Gives random bytes; takes bytes that may be random.
    Random,
}

impl File for Simple {
    fn try_read(&self, _: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        match self {
            Simple::Null => Ok(0),
            Simple::Zero | Simple::Full => {
                let room = sink.room();
                Ok(sink.fill_zero(room))
            }
            Simple::Random => Ok(read_random(sink)),
        }
    }

    fn try_write(
        &self,
        position: u64,
        source: &mut dyn Source,
        _: bool,
    ) -> Result<(usize, u64), Error> {
        match self {
            // Nobody looks at the bytes, so they need not be fetched.
            Simple::Null | Simple::Zero => Ok((source.left(), position)),
            Simple::Full => Err(Error::NoSpace),
            Simple::Random => {
                let mut done = 0;
                let mut chunk = [0; 64];
                loop {
                    let got = source.take(&mut chunk);
                    mix(chunk.get(..got).unwrap_or_default());
                    done += got;
                    if got < chunk.len() {
                        return Ok((done, position));
                    }
                }
            }
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn metadata(&self) -> Metadata {
        Metadata::nameless(FileKind::CharacterDevice)
    }

    fn size(&self) -> Option<u64> {
        Some(0)
    }
}

fn read_random(sink: &mut dyn Sink) -> usize {
    let mut chunk = [0; CHUNK];
    let mut done = 0;
    loop {
        let step = sink.room().min(CHUNK);
        let Some(part) = chunk.get_mut(..step) else {
            return done;
        };
        if step != 0 {
            fill_random(part);
        }
        let put = sink.put(part);
        done += put;
        if put < step || step == 0 {
            return done;
        }
    }
}

impl Device for Simple {
    fn open(self: Arc<Self>, _: DeviceNumber, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Ok(self)
    }

    fn is_harmless(&self) -> bool {
        true
    }
}

/// `/dev/tty`: the terminal of whoever opens it.
pub struct ControllingTerminal;

impl Device for ControllingTerminal {
    fn open(
        self: Arc<Self>,
        _: DeviceNumber,
        request: &OpenRequest<'_>,
    ) -> Result<Arc<dyn File>, Error> {
        request
            .terminal
            .and_then(|terminal| terminal())
            .ok_or(Error::NoDevice)
    }

    /// It was given to the caller as a handle of its own.
    fn is_harmless(&self) -> bool {
        true
    }
}
