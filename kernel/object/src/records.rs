//! Lists of values through `read`: what directories and registries give.
//!
//! The one idea: a read gives whole records, each a value with the field `next`: the offset at which the list goes on
//! after it. What an offset means is the list's own business; 0 is the start.

use crate::Sink;
use abi::Error;
use value::{Builder, Value};

/// Writes records into a sink, as many as fit.
pub struct Records<'a> {
    sink: &'a mut dyn Sink,
    done: usize,
}

impl<'a> Records<'a> {
    /// Records into `sink`.
    pub fn new(sink: &'a mut dyn Sink) -> Self {
        Records { sink, done: 0 }
    }

    /// Writes one record: the fields that `fill` puts, and `next`. `false`: it did not fit, and is the first of the
    /// next read.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when not even the first record fits; [`Error::Fault`] when the sink took a part of it.
    pub fn put(&mut self, next: u64, fill: impl FnOnce(&mut Builder)) -> Result<bool, Error> {
        let record = Value::build(|builder| {
            builder.put("next", next);
            fill(builder);
        })?;
        let bytes = record.as_bytes();
        if bytes.len() > self.sink.room() {
            return if self.done == 0 {
                Err(Error::TooLarge)
            } else {
                Ok(false)
            };
        }
        if self.sink.put(bytes) < bytes.len() {
            return Err(Error::Fault);
        }
        self.done += bytes.len();
        Ok(true)
    }

    /// How many bytes were written: what the read gives.
    pub fn done(&self) -> usize {
        self.done
    }
}
