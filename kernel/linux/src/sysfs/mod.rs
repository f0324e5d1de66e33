//! What is seen at `/sys`: the places of processors and memory, as Linux's `sysfs-devices-system-cpu` and
//! `sysfs-devices-node` documents have them.
//!
//! The one idea: the machine does not change, so there is a list of all paths, made once; directories are what the paths have
//! in common. [`devices`] says what there is, [`tree`] shows it.

mod devices;
mod tree;

pub use tree::SysFs;
