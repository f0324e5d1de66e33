//! A call in progress: who calls, with what, in which memory.

use crate::descriptors::Held;
use crate::errno::{Answer, Errno};
use crate::process::{Process, Standing};
use crate::thread::Thread;
use crate::user;
use abi::Rights;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::user::UserContext;
use memory::Space;
use process::Flow;
use vfs::{Description, Location, Time};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The six arguments, as the registers hold them.
pub type Args = [u64; 6];

/// What every handler is given.
pub struct Call<'a> {
    pub thread: &'a Arc<Thread>,
    pub space: &'a Arc<Space>,
    pub user: &'a mut UserContext,
    /// How the thread goes on; handlers that end it or replace its program say so here.
    pub flow: Flow,
    /// Set by handlers that wrote the registers themselves: `rax` is left alone.
    pub registers_set: bool,
}

impl<'a> Call<'a> {
    #[inline]
    pub fn new(thread: &'a Arc<Thread>, space: &'a Arc<Space>, user: &'a mut UserContext) -> Self {
        Call {
            thread,
            space,
            user,
            flow: Flow::Continue,
            registers_set: false,
        }
    }

    /// Puts the answer where the program looks for it, and says how the thread goes on.
    #[inline]
    pub fn finish(self, number: u64, answer: Answer) -> Flow {
        if !self.registers_set {
            match answer {
                Ok(value) => self.user.registers.rax = value as u64,
                Err(errno) if errno.is_restart() => {
                    self.thread.note_interrupted_call(number, errno);
                }
                Err(errno) => self.user.registers.rax = errno.to_register(),
            }
        }
        self.flow
    }

    pub fn process(&self) -> &Arc<Process> {
        self.thread.process()
    }

    /// The open file behind a descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn file(&self, descriptor: u64) -> Result<Held, Errno> {
        self.file_with(descriptor, Rights::empty())
    }

    /// The open file behind a descriptor whose handle carries these rights.
    ///
    /// # Errors
    /// `EBADF`; `EACCES` when the handle was given with fewer rights, or lent and taken back.
    pub fn file_with(&self, descriptor: u64, rights: Rights) -> Result<Held, Errno> {
        self.process().file(descriptor as u32, rights)
    }

    /// The place of an open file; only what its handle allows can be done through it. `None` for what has no place.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn place(&self, descriptor: u64) -> Result<Option<Location>, Errno> {
        let handle = self
            .process()
            .descriptors()
            .copy_handle(descriptor as u32)?;
        handle.holds()?;
        let file = handle.downcast_ref::<Description>().ok_or(Errno::EBADF)?;
        let place = file.place();
        let narrowed = place.map(|place| place.narrowed(handle.rights(), handle.tenure()));
        Ok(narrowed.transpose()?)
    }

    /// Reads a plain value, for handlers that do not wait.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    #[inline]
    pub fn load<T: FromBytes + IntoBytes>(&self, address: u64) -> Result<T, Errno> {
        Ok(memory::load_user(self.space, address as usize)?)
    }

    /// Writes a plain value, for handlers that do not wait.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    #[inline]
    pub fn store<T: IntoBytes + Immutable>(&self, address: u64, value: &T) -> Result<(), Errno> {
        Ok(memory::store_user(self.space, address as usize, value)?)
    }

    /// As [`Call::store`], unless the address is null.
    #[inline]
    pub fn store_if<T: IntoBytes + Immutable>(&self, address: u64, value: &T) -> Result<(), Errno> {
        if address == 0 {
            Ok(())
        } else {
            self.store(address, value)
        }
    }

    pub async fn read<T: FromBytes + IntoBytes>(&self, address: u64) -> Result<T, Errno> {
        user::read(self.space, address as usize).await
    }

    pub async fn write<T: IntoBytes + Immutable>(
        &self,
        address: u64,
        value: &T,
    ) -> Result<(), Errno> {
        user::write(self.space, address as usize, value).await
    }

    /// Writes unless the address is null.
    pub async fn write_if<T: IntoBytes + Immutable>(
        &self,
        address: u64,
        value: &T,
    ) -> Result<(), Errno> {
        if address == 0 {
            Ok(())
        } else {
            self.write(address, value).await
        }
    }

    pub async fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        user::path(self.space, address as usize).await
    }

    /// As [`Call::path`], for handlers that do not wait.
    pub fn path_now(&self, address: u64) -> Result<Vec<u8>, Errno> {
        Ok(memory::c_string_now(
            self.space,
            address as usize,
            user::PATH_LIMIT,
        )?)
    }

    /// Root, working directory and mode mask of the caller.
    pub fn standing(&self) -> Arc<Standing> {
        self.process().standing()
    }

    /// Wall-clock time, as files record it.
    pub fn now(&self) -> Time {
        Time::from_nanoseconds(crate::time::real())
    }
}
