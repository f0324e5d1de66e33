//! Reading and writing the memory of the calling program.
//!
//! Pages that are not there yet come in on the way; an address that the program may not use is `EFAULT`.

use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use memory::Space;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The longest path with its NUL (`PATH_MAX`).
pub const PATH_LIMIT: usize = 4096;

/// Reads a plain value.
pub async fn read<T: FromBytes + IntoBytes>(
    space: &Arc<Space>,
    address: usize,
) -> Result<T, Errno> {
    Ok(memory::read_user::<T>(space, address).await?)
}

/// Writes a plain value.
pub async fn write<T: IntoBytes + Immutable>(
    space: &Arc<Space>,
    address: usize,
    value: &T,
) -> Result<(), Errno> {
    Ok(memory::write_user(space, address, value).await?)
}

pub async fn read_bytes(space: &Arc<Space>, address: usize, into: &mut [u8]) -> Result<(), Errno> {
    Ok(memory::copy_in(space, address, into).await?)
}

pub async fn write_bytes(space: &Arc<Space>, address: usize, bytes: &[u8]) -> Result<(), Errno> {
    Ok(memory::copy_out(space, address, bytes).await?)
}

/// Reads a NUL-terminated path, without the NUL.
///
/// # Errors
/// `ENAMETOOLONG` when no NUL comes within [`PATH_LIMIT`].
pub async fn path(space: &Arc<Space>, address: usize) -> Result<Vec<u8>, Errno> {
    Ok(memory::c_string(space, address, PATH_LIMIT).await?)
}
