//! `/sys/fs/cgroup`: groups of tasks as Linux programs know them (Documentation/admin-guide/cgroup-v2.rst).
//!
//! The one idea: a cgroup is a group of tasks ([`task::Group`]) with a name, and the hierarchy that a program sees is its
//! own. Its root is the group that the program was started in, and what is made lies in that, so whatever is written here
//! divides what the program has, and gives it no more. Every start of a program from outside begins a hierarchy
//! ([`Hierarchy`], kept by its realm); forked children share it.
//!
//! - [`hierarchy`]: cgroups, and who is in them
//! - [`tree`]: directories and files
//! - [`control`]: which controllers are on
//! - [`files`]: what the files say, and what is written to them
//!
//! What differs from Linux: a cgroup competes as one with its siblings whether or not `cpu` is on in its parent; without
//! it only the files are missing. Processor time is counted of ordinary threads, not of those with a priority or a
//! reservation. There are no threaded cgroups but those that come about by themselves.

mod control;
mod files;
mod hierarchy;
mod tree;

pub use hierarchy::Hierarchy;
pub use tree::CgroupFs;

use crate::process::Process;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The hierarchy of the calling process; the kernel and native programs have none.
fn own() -> Option<Arc<Hierarchy>> {
    let caller = crate::procfs::calling_process()?;
    Process::of(&caller).map(|process| process.realm.cgroups().clone())
}

/// `/proc/PID/cgroup`: where it is, as the caller sees it.
pub fn of_process(process: &process::Process) -> Vec<u8> {
    let Some(own) = own() else {
        return Vec::new();
    };
    let place = own.find(process).map(|cgroup| cgroup.path());
    let path = place.unwrap_or_else(|| b"/..".to_vec());
    [b"0::", path.as_slice(), b"\n"].concat()
}

/// `/proc/cgroups`.
pub fn controllers() -> Vec<u8> {
    let count = own().map_or(1, |own| 1 + own.root().descendants());
    let mut text = String::from("#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
    for name in control::NAMES {
        text += &format!("{name}\t0\t{count}\t1\n");
    }
    text.into_bytes()
}
