//! The `channel:` registry: channels for messages, and byte streams, between processes.

use abi::{Error, Kind, Rights};
use channel::Limits;
use object::{Field, Given, Handle, Object, Reply, Type, Verb};
use value::Document;
use vfs::{OpenFlags, Time};

/// Makes channels and pipes.
pub struct ChannelRegistry;

/// What a holder of an end may do besides its own direction.
const END: Rights = Rights::INSPECT
    .union(Rights::SIGNAL)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

impl Object for ChannelRegistry {
    fn kind(&self) -> Kind {
        Kind::Registry
    }

    fn request_with_handles(
        &self,
        verb: &str,
        argument: Document<'_>,
        _: &Given,
    ) -> Result<Reply, Error> {
        match verb {
            "new" => {
                let usual = Limits::default();
                let limit = |key, usual| match argument.get(key) {
                    None => Ok(usual),
                    Some(number) => number
                        .as_int()
                        .and_then(|number| usize::try_from(number).ok())
                        .ok_or(Error::Invalid),
                };
                let (sender, receiver) = channel::channel(Limits {
                    messages: limit("messages", usual.messages)?,
                    bytes: limit("bytes", usual.bytes)?,
                })?;
                Ok(Reply::from([
                    ("sender", Handle::new(sender, END | Rights::WRITE)),
                    ("receiver", Handle::new(receiver, END | Rights::READ)),
                ]))
            }
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
        VERBS
    }
}

const VERBS: &[Verb] = &[
    Verb::new(
        "new",
        Rights::CREATE,
        "makes a channel with room for so much",
    )
    .takes(&[
        Field::optional("messages", Type::NUMBER),
        Field::optional("bytes", Type::Bytes),
    ])
    .gives(&[
        Field::new("sender", Type::Handle(Some(Kind::Channel), Rights::WRITE)),
        Field::new("receiver", Type::Handle(Some(Kind::Channel), Rights::READ)),
    ]),
    Verb::new("pipe", Rights::CREATE, "makes a byte stream of 64 KiB").gives(&[
        Field::new("reader", Type::Handle(Some(Kind::Pipe), Rights::READ)),
        Field::new("writer", Type::Handle(Some(Kind::Pipe), Rights::WRITE)),
    ]),
];
