//! `/proc/sys`: settings of the system, to be read. The names are sysctl(8)'s.

use crate::system;
use alloc::format;
use alloc::vec::Vec;

type Make = fn() -> Vec<u8>;

/// Every file, by its path below `/proc/sys`, in the order of the paths.
pub const FILES: &[(&str, Make)] = &[
    ("fs/file-max", || number(crate::descriptors::CEILING as u64)),
    ("fs/nr_open", || number(crate::descriptors::CEILING as u64)),
    ("fs/pipe-max-size", || {
        number(vfs::pipe::CAPACITY_MAX as u64)
    }),
    ("kernel/hostname", || line(&system::host_name())),
    ("kernel/ngroups_max", || number(65_536)),
    ("kernel/osrelease", || line(system::RELEASE)),
    ("kernel/ostype", || line("Linux")),
    ("kernel/pid_max", || number(u64::from(process::LIMIT))),
    // Addresses are the same at every start.
    ("kernel/randomize_va_space", || number(0)),
    ("kernel/threads-max", || number(u64::from(process::LIMIT))),
    ("kernel/version", || line(system::VERSION)),
    ("vm/max_map_count", || {
        number(memory::Limits::default().mappings as u64)
    }),
    // Memory is promised to whoever asks; what is not there when it is touched ends somebody.
    ("vm/overcommit_memory", || number(1)),
];

fn number(value: u64) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

/// What a name below a directory (`""`, `"kernel"`) is.
pub enum Found {
    File(usize),
    /// A directory, with its path.
    Directory(&'static str),
}

/// Looks for `name` in a directory.
pub fn find(directory: &str, name: &str) -> Option<Found> {
    entries(directory)
        .find(|entry| entry.0 == name)
        .map(|entry| entry.1)
}

/// The names in a directory, each once.
pub fn entries(directory: &str) -> impl Iterator<Item = (&'static str, Found)> {
    let mut last = "";
    FILES
        .iter()
        .enumerate()
        .filter_map(move |(index, (path, _))| {
            let below = match directory {
                "" => Some(*path),
                directory => path
                    .strip_prefix(directory)
                    .and_then(|rest| rest.strip_prefix('/')),
            }?;
            match below.split_once('/') {
                None => Some((below, Found::File(index))),
                Some((name, _)) if name == last => None,
                Some((name, _)) => {
                    last = name;
                    let end = path.len() - below.len() + name.len();
                    Some((name, Found::Directory(path.get(..end)?)))
                }
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_from_the_paths() {
        assert!(FILES.is_sorted_by_key(|file| file.0));
        let names: Vec<_> = entries("").map(|entry| entry.0).collect();
        assert_eq!(names, ["fs", "kernel", "vm"]);
        assert!(matches!(
            find("", "kernel"),
            Some(Found::Directory("kernel"))
        ));
        assert!(matches!(find("kernel", "pid_max"), Some(Found::File(_))));
        assert!(find("kernel", "max").is_none() && find("", "kern").is_none());
        assert!(find("kernel/pid_max", "x").is_none());
    }
}
