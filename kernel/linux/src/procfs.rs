//! `/proc`: processes and system figures as files.
//!
//! Nothing is stored: a directory lists what is there when it is read, and a file's text is made when it is opened.
//!
//! - [`tree`]: the directories
//! - [`files`], [`cpus`], [`process`], [`descriptor`], [`mounts`], [`sysctl`]: the texts
//! - [`irq`]: the only ones that can be written

mod cpus;
mod descriptor;
mod files;
mod irq;
mod mounts;
mod process;
mod sysctl;
mod tree;

pub use tree::ProcFs;
pub(crate) use tree::calling_process;
