//! Files whose text is made when they are read: what `/proc`, `/sys` and `/sys/fs/cgroup` have in common.

use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::sync::Spin;
use object::{Sink, Source};
use vfs::{File, Statistics};

/// What shows something as text, and may take some.
pub(crate) trait Shown: Send + Sync + 'static {
    /// What it says now.
    ///
    /// # Errors
    /// [`Error::IsDirectory`]; what it is about is gone.
    fn shown(&self) -> Result<Vec<u8>, Error>;

    /// Takes what is written, all of it at once; how many bytes.
    ///
    /// # Errors
    /// [`Error::Denied`]: nothing can be changed here; whatever else is wrong with it.
    fn take(&self, source: &mut dyn Source) -> Result<usize, Error> {
        let _ = source;
        Err(Error::Denied)
    }
}

/// An open file. Its text is made anew when it is read from the start, so that a reader who goes back sees what is new.
pub(crate) struct Text<N> {
    node: Arc<N>,
    text: Spin<Vec<u8>>,
}

impl<N: Shown> Text<N> {
    pub fn new(node: Arc<N>) -> Arc<Text<N>> {
        Arc::new(Text {
            node,
            text: Spin::new(Vec::new()),
        })
    }
}

impl<N: Shown> File for Text<N> {
    fn try_read(&self, position: u64, sink: &mut dyn Sink) -> Result<usize, Error> {
        if position == 0 {
            let now = self.node.shown()?;
            *self.text.lock() = now;
        }
        let text = self.text.lock();
        let rest = usize::try_from(position)
            .ok()
            .and_then(|position| text.get(position..));
        Ok(rest.map_or(0, |rest| sink.put(rest)))
    }

    fn try_write(
        &self,
        position: u64,
        source: &mut dyn Source,
        _: bool,
    ) -> Result<(usize, u64), Error> {
        let count = self.node.take(source)?;
        Ok((count, position + count as u64))
    }

    fn seekable(&self) -> bool {
        true
    }
}

/// What is known of a file system of such files, which has no room to run out of.
pub(crate) fn statistics(magic: u64) -> Statistics {
    Statistics {
        magic,
        block_size: machine::PAGE as u32,
        blocks: 0,
        free_blocks: 0,
        inodes: 0,
        free_inodes: 0,
    }
}
