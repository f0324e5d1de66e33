//! The kernel's log: a ring of text that programs may read, copied to the serial port unless it shall be quiet.

use abi::Error;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
use log::{LevelFilter, Log, Metadata, Record};
use machine::sync::Spin;
use object::{Sink, Source};
use task::{Readiness, Ready};
use vfs::{File, FileKind, Metadata as FileMetadata};

/// Bytes of text that are kept.
const CAPACITY: usize = 128 << 10;

struct Ring {
    text: VecDeque<u8>,
    /// The position of the first byte that is still there, counted since boot.
    start: u64,
}

static RING: Spin<Ring> = Spin::new(Ring {
    text: VecDeque::new(),
    start: 0,
});
static QUIET: AtomicBool = AtomicBool::new(false);
static GROWN: Readiness = Readiness::new(Ready::READ);

/// The target of lines that have been on the serial port already.
pub const SHOWN: &str = "shown";

struct Logger;

static LOGGER: Logger = Logger;

/// Begins to log. With `quiet` only warnings and errors reach the serial port.
pub fn init(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
    // Fails only if somebody else installed a logger first, and nobody else does.
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let now = machine::time::now();
        let mut line = alloc::string::String::new();
        let (seconds, micros) = (now / 1_000_000_000, now % 1_000_000_000 / 1000);
        // Writing to a string cannot fail.
        let _ = writeln!(line, "[{seconds:5}.{micros:06}] {}", record.args());
        append(line.as_bytes());
        let is_loud = !QUIET.load(Ordering::Relaxed) || record.level() <= log::Level::Warn;
        if is_loud && record.target() != SHOWN {
            machine::serial::write(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn append(bytes: &[u8]) {
    let mut ring = RING.lock();
    ring.text.extend(bytes);
    let excess = ring.text.len().saturating_sub(CAPACITY);
    ring.text.drain(..excess);
    ring.start += excess as u64;
}

/// The log as a file: reading gives the text from a position on, writing adds a line.
pub struct LogFile;

impl File for LogFile {
    fn try_read(&self, position: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        let piece: Vec<u8> = {
            let ring = RING.lock();
            let skip = position
                .saturating_sub(ring.start)
                .min(ring.text.len() as u64) as usize;
            ring.text
                .iter()
                .skip(skip)
                .take(sink.room().min(4096))
                .copied()
                .collect()
        };
        Ok(sink.put(&piece))
    }

    fn try_write(&self, _: u64, source: &mut dyn Source, _: bool) -> Result<(usize, u64), Error> {
        let mut bytes = alloc::vec![0u8; source.left().min(1024)];
        let count = source.take(&mut bytes);
        let text = alloc::string::String::from_utf8_lossy(&bytes[..count]).into_owned();
        for line in text.lines() {
            log::info!("{line}");
        }
        Ok((count, count as u64))
    }

    fn seekable(&self) -> bool {
        true
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&GROWN)
    }

    fn metadata(&self) -> FileMetadata {
        FileMetadata::nameless(FileKind::CharacterDevice)
    }
}
