//! A call in progress: who calls, with what, in which memory.

use crate::errno::Errno;
use crate::process::{Process, Standing};
use crate::thread::Thread;
use crate::user;
use abi::Rights;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::user::UserContext;
use memory::Space;
use process::Flow;
use vfs::{Description, Time};
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

impl Call<'_> {
    pub fn process(&self) -> &Arc<Process> {
        self.thread.process()
    }

    /// The open file behind a descriptor.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn file(&self, descriptor: u64) -> Result<Arc<Description>, Errno> {
        self.file_with(descriptor, Rights::empty())
    }

    /// The open file behind a descriptor whose handle carries these rights.
    ///
    /// # Errors
    /// `EBADF`; `EACCES` when the handle was given with fewer rights.
    pub fn file_with(&self, descriptor: u64, rights: Rights) -> Result<Arc<Description>, Errno> {
        self.process().descriptors().get(descriptor as u32, rights)
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

    /// Root, working directory and mode mask of the caller.
    pub fn standing(&self) -> Arc<Standing> {
        self.process().standing()
    }

    /// Wall-clock time, as files record it.
    pub fn now(&self) -> Time {
        Time::from_nanoseconds(crate::time::real())
    }
}
