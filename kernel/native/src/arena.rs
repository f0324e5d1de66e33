//! Memory that programs map and hand on: the `memory:` registry.

use abi::{Error, Kind, Rights};
use alloc::sync::Arc;
use machine::PAGE;
use object::{Field, Given, Handle, Object, Reply, Type, Verb};
use value::{Builder, Document};

/// The largest, in bytes. What is not used costs nothing.
const LARGEST: u64 = 1 << 40;

/// Bytes that can be mapped.
pub struct Arena(pub Arc<memory::Object>);

impl Arena {
    /// Whether nobody has it mapped, and `handle` is the only one to it.
    pub fn is_only(&self, handle: &Handle) -> bool {
        handle.references() == 1 && self.0.is_alone()
    }
}

impl Object for Arena {
    fn kind(&self) -> Kind {
        Kind::Memory
    }

    fn describe(&self, into: &mut Builder) {
        into.put("bytes", self.0.len())
            .put("resident", self.0.resident() * PAGE);
    }
}

/// Makes memory.
pub struct MemoryRegistry;

/// What whoever makes it may do with it.
const NEW: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::MAP)
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

impl Object for MemoryRegistry {
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
                let bytes = argument.unsigned("bytes").ok_or(Error::Invalid)?;
                if bytes > LARGEST {
                    return Err(Error::TooLarge);
                }
                if bytes == 0 || !machine::frame::heap_room() {
                    return Err(if bytes == 0 {
                        Error::Invalid
                    } else {
                        Error::NoMemory
                    });
                }
                let whole = bytes.next_multiple_of(PAGE as u64);
                let arena = Arena(memory::Object::new_anonymous(whole));
                Ok(Reply::from([("memory", Handle::new(Arc::new(arena), NEW))]))
            }
            _ => Err(Error::NotFound),
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }
}

const VERBS: &[Verb] = &[Verb::new(
    "new",
    Rights::CREATE,
    "makes memory: zeros, in whole pages of 4 KiB",
)
.takes(&[Field::new("bytes", Type::Bytes)])
.gives(&[Field::new("memory", Type::Handle(Some(Kind::Memory), NEW))])];
