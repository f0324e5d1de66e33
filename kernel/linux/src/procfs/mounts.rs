//! What is mounted where, as the process sees it: `/proc/PID/mounts` and `/proc/PID/mountinfo`.

use super::process::Subject;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use vfs::{Location, Mount, MountFlags};

/// One mount, and the place of it that the process sees first.
struct Seen {
    mount: Arc<Mount>,
    path: Vec<u8>,
}

/// All mounts that can be reached from the process's root, each before those that sit on it.
fn seen(root: &Location) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut next = alloc::vec![root.mount().clone()];
    while let Some(mount) = next.pop() {
        let top = mount.root();
        let is_first = Arc::ptr_eq(&mount, root.mount());
        let path = if is_first {
            b"/".to_vec()
        } else {
            top.path(root)
        };
        let mut children = mount.children();
        children.reverse();
        next.extend(children);
        // What lies beside the root that the process was given does not exist for it.
        if path.first() == Some(&b'/') {
            seen.push(Seen { mount, path });
        }
    }
    seen
}

/// A path as fstab(5) writes it: blanks and what else would end a field, in octal.
fn escaped(path: &[u8]) -> String {
    let mut text = Vec::new();
    for &byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => {
                text.extend(format!("\\{byte:03o}").into_bytes())
            }
            byte => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn options(mount: &Mount) -> String {
    let flags = mount.flags();
    let mut text = String::from(if flags.contains(MountFlags::READ_ONLY) {
        "ro"
    } else {
        "rw"
    });
    for (flag, name) in [
        (MountFlags::NO_SET_ID, ",nosuid"),
        (MountFlags::NO_EXECUTE, ",noexec"),
    ] {
        if flags.contains(flag) {
            text += name;
        }
    }
    if mount.devices().is_none() {
        text += ",nodev";
    }
    text + ",relatime"
}

/// Where the mount's root lies in its volume.
fn within(mount: &Arc<Mount>) -> Vec<u8> {
    let root = mount.root();
    let mut names = Vec::new();
    let mut here = root.dentry().clone();
    while let Some(above) = here.parent() {
        names.push(here.name());
        here = above;
    }
    let mut path = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() { b"/".to_vec() } else { path }
}

fn root_of(subject: &Subject) -> Option<Location> {
    let side = crate::process::Process::of(&subject.process)?;
    Some(side.standing().root.clone())
}

pub fn table(subject: &Subject) -> Vec<u8> {
    let Some(root) = root_of(subject) else {
        return Vec::new();
    };
    let line = |Seen { mount, path }: Seen| {
        let kind = mount.volume().file_system().name();
        format!("{kind} {} {kind} {} 0 0\n", escaped(&path), options(&mount))
    };
    seen(&root)
        .into_iter()
        .map(line)
        .collect::<String>()
        .into_bytes()
}

pub fn info(subject: &Subject) -> Vec<u8> {
    let Some(root) = root_of(subject) else {
        return Vec::new();
    };
    let line = |Seen { mount, path }: Seen| {
        let kind = mount.volume().file_system().name();
        let parent = mount
            .covers()
            .map_or(mount.number(), |below| below.mount().number());
        let of_volume = within(&mount);
        format!(
            "{} {parent} 0:{} {} {} {} - {kind} {kind} {}\n",
            mount.number(),
            mount.volume().number(),
            escaped(&of_volume),
            escaped(&path),
            options(&mount),
            if mount.flags().contains(MountFlags::READ_ONLY) {
                "ro"
            } else {
                "rw"
            },
        )
    };
    seen(&root)
        .into_iter()
        .map(line)
        .collect::<String>()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_do_not_end_a_field() {
        assert_eq!(escaped(b"/a b\tc\\d"), "/a\\040b\\011c\\134d");
    }
}
