//! The Linux door: unmodified Linux programs on Helve's objects.
//!
//! A compatibility subsystem, not the core: it maps Linux calls onto objects and holds everything that only Linux
//! has (errno, descriptors, signals, process groups). A Linux process sees a root directory, standard streams and a
//! terminal only if it was handed them.
//!
//! - `table`: every call, once; `call`, `door`: how one is made
//! - `process`, `thread`, `jobs`, `descriptors`: what a Linux process is
//! - `signal`: signals
//! - `first`: starting a Linux program from outside the door
//! - `cgroup`: what is seen at `/sys/fs/cgroup`
//! - `procfs`, `sysfs`: what is seen at `/proc` and `/sys`
//! - all others: the calls, grouped as the manual groups them
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod call;
pub mod cgroup;
mod clone;
mod copy;
mod descriptors;
mod directory;
mod door;
mod errno;
mod event;
mod execute;
mod exit;
mod extras;
pub mod first;
mod futex;
mod identity;
mod io;
mod ioctl;
mod jobs;
mod limits;
mod lock;
mod mapping;
mod mempolicy;
mod native_program;
mod open;
mod path;
mod pipe;
mod poll;
pub mod power;
mod process;
pub mod procfs;
pub mod realm;
mod rseq;
mod schedule;
mod script;
mod session;
mod shown;
mod signal;
mod socket;
mod start_stack;
mod stat;
mod stop;
mod sysfs;
mod system;
pub mod table;
mod terminal;
mod termios;
mod thread;
mod time;
mod timer;
mod unsupported;
mod user;
mod vdso;
mod vectors;
mod wait;
mod watchdog;
mod xattr;

pub use errno::Errno;
pub use jobs::Jobs;
pub use sysfs::SysFs;
pub use time::real as real_time;
pub use unsupported::counts as unsupported_calls;
