//! Who calls, and the arguments in their memory: every one of them an allegation until it was read.

use abi::{Error, Number};
use alloc::string::String;
use alloc::sync::Arc;
use memory::Space;
use object::{Handle, Table};
use process::Thread;
use value::{Document, Value};

/// The longest path, in bytes.
const LONGEST_PATH: usize = 4096;
/// The longest name of a registry or verb, in bytes.
pub const LONGEST_NAME: usize = 255;
/// The largest value that a program may hand over, in bytes.
const LARGEST_VALUE: usize = 4 << 20;

/// A thread in a native call.
pub struct Caller<'a> {
    pub thread: &'a Arc<Thread>,
    pub space: &'a Arc<Space>,
    pub handles: &'a Arc<Table>,
}

impl Caller<'_> {
    /// The handle of this number.
    pub fn handle(&self, register: u64) -> Result<Handle, Error> {
        let handle = self.any_handle(register)?;
        handle.holds()?;
        Ok(handle)
    }

    /// The handle of this number, even if it was taken back.
    pub fn any_handle(&self, register: u64) -> Result<Handle, Error> {
        self.handles.get(number(register)?)
    }

    /// A path.
    pub async fn path(&self, address: u64, length: u64) -> Result<String, Error> {
        self.text(address, length, LONGEST_PATH).await
    }

    /// The name of a registry or verb.
    pub async fn name(&self, address: u64, length: u64) -> Result<String, Error> {
        self.text(address, length, LONGEST_NAME).await
    }

    async fn text(&self, address: u64, length: u64, longest: usize) -> Result<String, Error> {
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= longest)
            .ok_or(Error::NameTooLong)?;
        let bytes = memory::copy_in_vec(self.space, address as usize, length).await?;
        String::from_utf8(bytes).map_err(|_| Error::Invalid)
    }

    /// A value; address 0 is the empty one.
    pub async fn value(&self, address: u64) -> Result<Value, Error> {
        if address == 0 {
            return Ok(Value::default());
        }
        let mut front = [0; 4];
        memory::copy_in(self.space, address as usize, &mut front).await?;
        let length = Document::announced(front).ok_or(Error::BadValue)?;
        if length > LARGEST_VALUE {
            return Err(Error::TooLarge);
        }
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        // The program may change it meanwhile: what was read is checked as a whole.
        let bytes = memory::copy_in_vec(self.space, address as usize, length).await?;
        Ok(Value::from_bytes(bytes)?)
    }

    /// Writes a value if there is room for it; gives its length in any case.
    pub async fn reply(&self, value: &Value, address: u64, capacity: u64) -> Result<u64, Error> {
        let bytes = value.as_bytes();
        if bytes.len() as u64 <= capacity {
            memory::copy_out(self.space, address as usize, bytes).await?;
        }
        Ok(bytes.len() as u64)
    }
}

/// A register that holds a handle's number.
pub fn number(register: u64) -> Result<Number, Error> {
    u32::try_from(register)
        .map(Number)
        .map_err(|_| Error::BadHandle)
}
