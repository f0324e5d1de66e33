//! Values and strings to and from user memory, for the calls' own arguments.
//!
//! Every function brings pages in on the way and then goes on where it stopped. An address that the
//! program may not use is [`Error::Fault`].
//!
//! The async ones are so for the day when a page has to come from a disk; today none of them waits.
//! [`load_user`], [`store_user`] and their like are for handlers that never wait: they try the
//! address, which nearly always does, and only then ask the space for its pages.

use crate::space::{Patience, Space};
use abi::Error;
use alloc::vec::Vec;
use machine::PAGE;
use machine::paging::{CopyFault, Root};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Calls `step(root, done)`, which copies from byte `done` on, until it has no fault left.
fn in_steps(
    space: &Space,
    mut step: impl FnMut(&Root, usize) -> Result<(), CopyFault>,
) -> Result<(), Error> {
    let mut done = 0;
    let mut patience = Patience::default();
    while let Err(fault) = step(space.root_ref(), done) {
        done += fault.done;
        patience.check(fault.address)?;
        space.resolve_fault(fault)?;
    }
    Ok(())
}

fn copy_in_now(space: &Space, address: usize, into: &mut [u8]) -> Result<(), Error> {
    in_steps(space, |root, done| {
        root.copy_in(address.wrapping_add(done), &mut into[done..])
    })
}

#[cold]
fn copy_in_after_fault(space: &Space, address: usize, into: &mut [u8]) -> Result<(), Error> {
    copy_in_now(space, address, into)
}

#[cold]
fn copy_out_after_fault(space: &Space, address: usize, from: &[u8]) -> Result<(), Error> {
    copy_out_now(space, address, from)
}

fn copy_out_now(space: &Space, address: usize, from: &[u8]) -> Result<(), Error> {
    in_steps(space, |root, done| {
        root.copy_out(address.wrapping_add(done), &from[done..])
    })
}

/// Reads bytes, without waiting.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
#[inline]
pub fn load_bytes(space: &Space, address: usize, into: &mut [u8]) -> Result<(), Error> {
    match space.root_ref().copy_in(address, into) {
        Ok(()) => Ok(()),
        Err(_) => copy_in_after_fault(space, address, into),
    }
}

/// Reads a plain value, without waiting.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
#[inline]
pub fn load_user<T: FromBytes + IntoBytes>(space: &Space, address: usize) -> Result<T, Error> {
    let mut value = T::new_zeroed();
    load_bytes(space, address, value.as_mut_bytes())?;
    Ok(value)
}

/// Writes a plain value, without waiting.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
#[inline]
pub fn store_user<T: IntoBytes + Immutable + ?Sized>(
    space: &Space,
    address: usize,
    value: &T,
) -> Result<(), Error> {
    let bytes = value.as_bytes();
    if space.root_ref().copy_out(address, bytes).is_err() {
        copy_out_after_fault(space, address, bytes)?;
    }
    Ok(())
}

/// Reads a plain value.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
pub async fn read_user<T: FromBytes + IntoBytes>(
    space: &Space,
    address: usize,
) -> Result<T, Error> {
    load_user(space, address)
}

/// Writes a plain value.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
pub async fn write_user<T: IntoBytes + Immutable + ?Sized>(
    space: &Space,
    address: usize,
    value: &T,
) -> Result<(), Error> {
    store_user(space, address, value)
}

/// Reads bytes.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
pub async fn copy_in(space: &Space, address: usize, into: &mut [u8]) -> Result<(), Error> {
    copy_in_now(space, address, into)
}

/// Reads `len` bytes. The caller has bounded `len`.
///
/// # Errors
/// [`Error::Fault`]; [`Error::NoMemory`] also when the kernel has no room for them.
pub async fn copy_in_vec(space: &Space, address: usize, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::NoMemory)?;
    bytes.resize(len, 0);
    copy_in_now(space, address, &mut bytes)?;
    Ok(bytes)
}

/// Writes bytes.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
pub async fn copy_out(space: &Space, address: usize, from: &[u8]) -> Result<(), Error> {
    copy_out_now(space, address, from)
}

/// Clears bytes.
///
/// # Errors
/// [`Error::Fault`], [`Error::NoMemory`].
pub async fn zero_user(space: &Space, address: usize, len: usize) -> Result<(), Error> {
    in_steps(space, |root, done| {
        root.zero_out(address.wrapping_add(done), len - done)
    })
}

/// Reads a string that ends with a NUL, without the NUL. Reads nothing beyond the page where that
/// is.
///
/// # Errors
/// [`Error::NameTooLong`] when the first `max` bytes have no NUL, [`Error::Fault`],
/// [`Error::NoMemory`].
pub async fn c_string(space: &Space, address: usize, max: usize) -> Result<Vec<u8>, Error> {
    c_string_now(space, address, max)
}

/// As [`c_string`], without waiting.
///
/// # Errors
/// As [`c_string`].
pub fn c_string_now(space: &Space, address: usize, max: usize) -> Result<Vec<u8>, Error> {
    const FIRST: usize = 64;
    let mut bytes = Vec::new();
    let mut step = FIRST;
    while bytes.len() < max {
        let at = address.checked_add(bytes.len()).ok_or(Error::Fault)?;
        let old = bytes.len();
        let part = step.min(PAGE - at % PAGE).min(max - old);
        bytes.try_reserve(part).map_err(|_| Error::NoMemory)?;
        bytes.resize(old + part, 0);
        copy_in_now(space, at, &mut bytes[old..])?;
        if let Some(end) = bytes[old..].iter().position(|&byte| byte == 0) {
            bytes.truncate(old + end);
            return Ok(bytes);
        }
        step = PAGE;
    }
    Err(Error::NameTooLong)
}

/// Reads as much of `len` bytes as can be read: for looking at another program's memory. The caller
/// has bounded `len`.
pub fn peek(space: &Space, address: usize, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(len).is_err() {
        return bytes;
    }
    bytes.resize(len, 0);
    let mut done = 0;
    let result = in_steps(space, |root, at| {
        root.copy_in(address.wrapping_add(at), &mut bytes[at..])
            .inspect_err(|fault| done = at + fault.done)
    });
    if result.is_err() {
        bytes.truncate(done);
    }
    bytes
}
