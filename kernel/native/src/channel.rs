//! The `channel:` registry as far as it is there: byte streams between processes. Message channels come later.

use abi::{Error, Kind, Rights};
use object::{Handle, Object, Reply, Verb};
use value::Document;
use vfs::{OpenFlags, Time};

/// Makes pipes.
pub struct ChannelRegistry;

/// What a holder of a pipe's end may do besides its own direction.
const END: Rights = Rights::INSPECT
    .union(Rights::SIGNAL)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

impl Object for ChannelRegistry {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn request_with_handles(&self, verb: &str, _: Document<'_>) -> Result<Reply, Error> {
        match verb {
            "pipe" => {
                let now = Time::from_nanoseconds(task::clock::wall());
                let (reader, writer) = vfs::pipe::open(OpenFlags::empty(), now)?;
                Ok(Reply::from([
                    ("reader", Handle::new(reader, END | Rights::READ)),
                    ("writer", Handle::new(writer, END | Rights::WRITE)),
                ]))
            }
            _ => Err(Error::NotFound),
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        &[Verb {
            name: "pipe",
            rights: Rights::CREATE,
            summary: "gives reader and writer: the ends of a new byte stream of 64 KiB",
        }]
    }
}
