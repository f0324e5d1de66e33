//! Copies the program's streams between the caller and the guest, one thread per direction.

use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

const BUFFER: usize = 1 << 16;

/// Ctrl-A: with a terminal, it starts a command to this tool.
const ESCAPE: u8 = 1;

/// One of this process's standard streams, unbuffered, that waits also where the caller made it non-blocking.
#[derive(Debug)]
pub struct Standard(OwnedFd);

impl Standard {
    /// A copy of the descriptor of `stream`.
    pub fn new(stream: impl AsFd) -> io::Result<Standard> {
        Ok(Standard(stream.as_fd().try_clone_to_owned()?))
    }

    fn retry<T>(
        &self,
        events: PollFlags,
        mut action: impl FnMut(&OwnedFd) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match action(&self.0) {
                Err(rustix::io::Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&self.0, events)], None)?;
                }
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

impl Read for Standard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.retry(PollFlags::IN, |fd| rustix::io::read(fd, &mut *buffer))
    }
}

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(PollFlags::OUT, |fd| rustix::io::write(fd, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How copying out of the guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Everything arrived.
    All,
    /// The reader went away.
    ReaderGone,
}

/// Copies everything that the guest sends to `output`.
pub fn copy_out(mut guest: UnixStream, mut output: impl Write) -> Copied {
    let mut buffer = vec![0; BUFFER];
    let mut gone = false;
    loop {
        match guest.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if !gone => {
                gone = output
                    .write_all(&buffer[..count])
                    .and_then(|()| output.flush())
                    .is_err()
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // QEMU was killed with bytes of ours still unread: the stream is at its end for us.
            Err(_) => break,
        }
        if gone {
            return Copied::ReaderGone;
        }
    }
    Copied::All
}

/// Copies `input` to the guest and closes that direction after the last byte, or when the guest goes away.
///
/// The caller keeps another handle of the socket: QEMU reads what is left before it sees the end of one direction, but a
/// full close could overtake it.
pub fn copy_in(mut input: impl Read, mut guest: UnixStream) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match input.read(&mut buffer) {
            Ok(count @ 1..) => {
                if guest.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A stream that cannot be read (closed, or a directory) is empty, as for any program.
            Ok(0) | Err(_) => break,
        }
    }
    let _ = guest.shutdown(Shutdown::Write);
}

/// Terminal input in which Ctrl-A X leaves and Ctrl-A Ctrl-A is one Ctrl-A, as in QEMU.
#[derive(Debug)]
pub struct Escape<R, F> {
    input: R,
    leave: F,
    escaped: bool,
    left: bool,
}

impl<R: Read, F: FnMut()> Escape<R, F> {
    /// Calls `leave` at Ctrl-A X.
    pub fn new(input: R, leave: F) -> Self {
        Escape {
            input,
            leave,
            escaped: false,
            left: false,
        }
    }
}

impl<R: Read, F: FnMut()> Read for Escape<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.left {
            let count = self.input.read(buffer)?;
            if count == 0 {
                break;
            }
            let mut kept = 0;
            for index in 0..count {
                let byte = buffer[index];
                match (self.escaped, byte) {
                    (false, ESCAPE) => self.escaped = true,
                    (true, b'x' | b'X') => {
                        (self.leave)();
                        self.left = true;
                        break;
                    }
                    _ => {
                        self.escaped = false;
                        buffer[kept] = byte;
                        kept += 1;
                    }
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn typed(bytes: &[u8]) -> (Vec<u8>, bool) {
        let left = Cell::new(false);
        let mut read = Vec::new();
        Escape::new(bytes, || left.set(true))
            .read_to_end(&mut read)
            .unwrap();
        (read, left.get())
    }

    #[test]
    fn escapes() {
        assert_eq!(typed(b"plain"), (b"plain".to_vec(), false));
        assert_eq!(typed(b"a\x01\x01b"), (b"a\x01b".to_vec(), false));
        assert_eq!(typed(b"a\x01xb"), (b"a".to_vec(), true));
        assert_eq!(typed(b"\x01y"), (b"y".to_vec(), false));
    }

    #[test]
    fn copies_are_whole_and_end() {
        let data: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let (near, far) = UnixStream::pair().unwrap();
        let sent = data.clone();
        let sender = std::thread::spawn(move || copy_in(&sent[..], near));
        let mut received = Vec::new();
        assert_eq!(copy_out(far, &mut received), Copied::All);
        sender.join().unwrap();
        assert!(received == data);
    }

    #[test]
    fn a_reader_that_leaves_is_noticed() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"hello").unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(copy_out(far, writer), Copied::ReaderGone);
    }
}
