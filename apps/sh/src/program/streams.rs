//! Where a command's streams lead: inherited, a pipe, or redirected to files.

use crate::shell::Shell;
use alloc::string::String;
use alloc::sync::Arc;
use helve::{Command, Error, File, Handle, OpenFlags, Rights, io};
use shell::expand;
use shell::syntax::Redirection;
use shell::token::Stream;

/// The three streams of a command; what is not set is the shell's own.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    input: Option<Arc<Handle>>,
    output: Option<Arc<Handle>>,
    error: Option<Arc<Handle>>,
}

impl Streams {
    /// Sets one of them.
    pub fn set(&mut self, stream: Stream, handle: Arc<Handle>) {
        match stream {
            Stream::In => self.input = Some(handle),
            Stream::Out => self.output = Some(handle),
            Stream::Err => self.error = Some(handle),
        }
    }

    fn get(&self, stream: Stream) -> Option<&Arc<Handle>> {
        match stream {
            Stream::In => self.input.as_ref(),
            Stream::Out => self.output.as_ref(),
            Stream::Err => self.error.as_ref(),
        }
    }

    /// Whether the input is the shell's own.
    pub fn inherits_input(&self) -> bool {
        self.input.is_none()
    }

    /// Follows redirections in their order.
    ///
    /// # Errors
    /// The file that could not be opened, and why.
    pub fn redirect(
        &mut self,
        redirections: &[Redirection],
        shell: &Shell,
    ) -> Result<(), (String, Error)> {
        for redirection in redirections {
            let (stream, handle) = match redirection {
                Redirection::Read(word) => {
                    let path = expand::text(word, shell);
                    let opened = File::open(&path).map_err(|error| (path, error))?;
                    (Stream::In, Arc::new(opened.into_handle()))
                }
                Redirection::Write(stream, word) => {
                    let path = expand::text(word, shell);
                    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
                    (
                        *stream,
                        Arc::new(writable(&path, flags).map_err(|error| (path, error))?),
                    )
                }
                Redirection::Append(stream, word) => {
                    let path = expand::text(word, shell);
                    let flags = OpenFlags::CREATE | OpenFlags::APPEND;
                    (
                        *stream,
                        Arc::new(writable(&path, flags).map_err(|error| (path, error))?),
                    )
                }
                Redirection::Join(stream, other) => match self.get(*other) {
                    Some(handle) => (*stream, handle.clone()),
                    None => {
                        let copy = helve::environment::copy_of_handle(other.name());
                        (
                            *stream,
                            Arc::new(copy.map_err(|error| (other.name().into(), error))?),
                        )
                    }
                },
            };
            self.set(stream, handle);
        }
        Ok(())
    }

    /// Gives them to a program.
    pub fn give(&self, command: &mut Command) {
        for stream in [Stream::In, Stream::Out, Stream::Err] {
            if let Some(handle) = self.get(stream) {
                command.give(stream.name(), handle);
            }
        }
    }

    /// Writes a builtin's text to one of them.
    ///
    /// # Errors
    /// What the object says.
    pub fn write(&self, stream: Stream, text: &str) -> Result<(), Error> {
        match (self.get(stream), stream) {
            _ if text.is_empty() => Ok(()),
            (Some(handle), _) => handle.write_all(text.as_bytes()),
            (None, Stream::Err) => {
                io::error(format_args!("{text}"));
                Ok(())
            }
            (None, _) => io::output().write_all(text.as_bytes()),
        }
    }
}

/// A file, or a device or pipe, that can be written.
fn writable(path: &str, flags: OpenFlags) -> Result<Handle, Error> {
    let write = Rights::STREAM - Rights::READ;
    File::with(path, write, flags).map(File::into_handle)
}
