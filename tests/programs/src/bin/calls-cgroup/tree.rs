//! Making and removing cgroups, and their files.

use super::place::{Place, open, root};
use libc::{EACCES, EBUSY, EINVAL, ENOENT, O_CREAT, O_WRONLY};
use std::fs;
use test_programs::child::{become_nobody, passes};
use test_programs::fails;

test_programs::tests!(
    made_and_removed,
    only_cgroups_are_made,
    one_in_another,
    what_is_removed_is_gone,
    files_that_only_tell,
    nobody_changes_nothing,
    shown_in_proc,
);

fn made_and_removed() {
    let Some(place) = Place::plain() else { return };
    let names: Vec<String> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "cgroup.controllers",
        "cgroup.events",
        "cgroup.procs",
        "cgroup.stat",
        "cgroup.subtree_control",
        "cgroup.threads",
        "cgroup.type",
        "cpu.stat",
    ] {
        assert!(names.iter().any(|known| known == name), "no {name}");
        place.read(name);
    }
    assert!(!place.is_populated());
    assert_eq!(place.read("cgroup.procs"), "");
    assert_eq!(place.read("cgroup.type"), "domain\n");
    let path = format!("{}\0", place.path().display());
    fails!(EEXIST, SYS_mkdir, path.as_ptr(), 0o755);
    assert_eq!(place.remove(), Ok(()));
    assert_eq!(place.remove(), Err(ENOENT));
    // The root has nothing above it that would tell of it.
    let root = root().unwrap();
    assert!(!root.join("cgroup.events").exists() && !root.join("cgroup.type").exists());
}

fn only_cgroups_are_made() {
    let Some(place) = Place::plain() else { return };
    let path = |name: &str| format!("{}\0", place.file(name).display());
    let (new, procs) = (path("new"), path("cgroup.procs"));
    fails!(EACCES, SYS_open, new.as_ptr(), O_CREAT | O_WRONLY, 0o644);
    fails!(EPERM, SYS_symlink, new.as_ptr(), new.as_ptr());
    fails!(EPERM, SYS_mknod, new.as_ptr(), libc::S_IFIFO | 0o644, 0);
    fails!(EEXIST, SYS_mkdir, procs.as_ptr(), 0o755);
    fails!(EINVAL, SYS_mkdir, path("two\nlines").as_ptr(), 0o755);
    fails!(EPERM, SYS_unlink, procs.as_ptr());
    fails!(ENOTDIR, SYS_rmdir, procs.as_ptr());
    let child = place.make("child");
    fails!(EPERM, SYS_rename, path("child").as_ptr(), new.as_ptr());
    assert_eq!(child.remove(), Ok(()));
}

fn one_in_another() {
    let Some(place) = Place::plain() else { return };
    let child = place.make("child");
    let inner = child.make("inner");
    assert!(place.read("cgroup.stat").contains("nr_descendants 2\n"));
    assert_eq!(place.remove(), Err(EBUSY));
    assert_eq!(child.remove(), Err(EBUSY));
    assert_eq!(inner.remove(), Ok(()));
    assert_eq!(child.remove(), Ok(()));
    assert!(place.read("cgroup.stat").contains("nr_descendants 0\n"));
}

fn what_is_removed_is_gone() {
    let Some(place) = Place::plain() else { return };
    let child = place.make("child");
    let (procs, directory) = (open(&child.file("cgroup.procs")), open(child.path()));
    assert_eq!(child.remove(), Ok(()));
    fails!(ENODEV, SYS_read, procs, &mut [0u8; 16], 16);
    fails!(ENOENT, SYS_mkdirat, directory, c"new".as_ptr(), 0o755);
    fails!(ENOENT, SYS_openat, directory, c"cgroup.procs".as_ptr(), 0);
}

fn files_that_only_tell() {
    let Some(place) = Place::plain() else { return };
    for name in ["cgroup.controllers", "cgroup.events", "cpu.stat"] {
        assert_eq!(place.write(name, "1"), Err(EINVAL), "{name}");
    }
}

fn nobody_changes_nothing() {
    let Some(place) = Place::plain() else { return };
    passes(|| {
        become_nobody();
        let path = format!("{}\0", place.file("child").display());
        fails!(EACCES, SYS_mkdir, path.as_ptr(), 0o755);
        for name in ["cgroup.procs", "cgroup.subtree_control"] {
            assert_eq!(place.write(name, "0"), Err(EACCES));
        }
        assert_eq!(place.read("cgroup.procs"), "");
    });
}

fn shown_in_proc() {
    if root().is_none() {
        return;
    }
    let controllers = fs::read_to_string("/proc/cgroups").unwrap();
    assert!(controllers.starts_with("#subsys_name\thierarchy\tnum_cgroups\tenabled\n"));
    for name in ["cpu", "cpuset"] {
        let mut lines = controllers.lines();
        assert!(lines.any(|line| line.starts_with(&format!("{name}\t"))));
    }
    let systems = fs::read_to_string("/proc/filesystems").unwrap();
    assert!(systems.lines().any(|line| line == "nodev\tcgroup2"));
}
