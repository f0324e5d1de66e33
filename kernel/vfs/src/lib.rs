//! Files, directories and paths, for every file system alike.
//!
//! The contracts:
//! - [`metadata`]: what is known about a file besides its bytes;
//! - [`inode`]: what a file system implements;
//! - [`file`]: what is open;
//! - [`device`]: what device nodes lead to.
//!
//! The tree:
//! - [`dentry`]: a name and its inode; `names`: the cache of them;
//! - [`volume`]: a file system in use;
//! - [`mount`]: where volumes are seen, and places in the tree;
//! - [`path`]: from a place back to its path.
//!
//! What is done with paths, all starting from a [`View`]:
//! - [`credentials`]: who may;
//! - [`view`], [`walk`]: looking up;
//! - [`open`], [`make`], [`remove`], [`rename`], [`attributes`]: changing;
//! - [`description`]: an open file, shared by handles and descriptors;
//! - [`handle`]: files as native programs see them.
//!
//! What needs no file system:
//! - [`pipe`]: bytes from one program to another;
//! - [`cpio`]: the archive that the first files come in.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attributes;
pub mod confine;
pub mod cpio;
pub mod credentials;
pub mod dentry;
pub mod description;
pub mod device;
pub mod file;
pub mod handle;
pub mod inode;
pub mod make;
pub mod metadata;
pub mod mount;
mod nameless;
mod names;
pub mod open;
pub mod path;
pub mod pipe;
pub mod remove;
pub mod rename;
pub mod view;
pub mod volume;
pub mod walk;

pub use attributes::NewTime;
pub use credentials::{Access, Credentials};
pub use dentry::Dentry;
pub use description::{Description, Seek};
pub use device::{Device, DeviceKind, Devices};
pub use file::{File, OpenFlags, OpenRequest};
pub use inode::{Create, Entry, Inode, NewKind, RenameFlags};
pub use metadata::{Change, DeviceNumber, FileKind, Metadata, Permissions, Time, mode};
pub use mount::{Location, Mount, MountFlags};
pub use view::View;
pub use volume::{FileSystem, FileSystems, Statistics, Volume};
