//! Controllers, switched on and off; and what may be where then.

use super::place::{Place, read, root};
use libc::{EBUSY, EINVAL, ENOENT, EOPNOTSUPP};
use test_programs::child::{Gate, spawn};

test_programs::tests!(
    files_come_with_controllers,
    words,
    from_above,
    no_processes_between_cgroups,
    what_lies_below_threads,
    what_was_set_is_forgotten,
);

const BOTH: &[&str] = &["cpu", "cpuset"];

fn files_come_with_controllers() {
    let Some(place) = Place::with(BOTH) else {
        return;
    };
    let known = place.read("cgroup.controllers");
    assert!(known.contains("cpu") && known.contains("cpuset"));
    assert_eq!(place.read("cgroup.subtree_control"), "\n");
    let child = place.make("child");
    assert_eq!(child.read("cgroup.controllers"), "\n");
    let files = [
        "cpu.weight",
        "cpu.max",
        "cpuset.cpus",
        "cpuset.cpus.effective",
    ];
    let there = || files.map(|name| child.file(name).exists());
    assert_eq!(there(), [false; 4]);
    assert_eq!(place.write("cgroup.subtree_control", "+cpu\n"), Ok(()));
    assert_eq!(there(), [true, true, false, false]);
    assert_eq!(
        place.write("cgroup.subtree_control", "-cpu +cpuset"),
        Ok(())
    );
    assert_eq!(there(), [false, false, true, true]);
    assert_eq!(place.read("cgroup.subtree_control"), "cpuset\n");
    assert_eq!(child.read("cgroup.controllers"), "cpuset\n");
    // The root has no limits.
    let root = root().unwrap();
    for name in ["cpu.max", "cpu.weight", "cpuset.cpus"] {
        assert!(!root.join(name).exists(), "{name}");
    }
    assert!(read(&root.join("cpu.stat")).starts_with("usage_usec "));
}

fn words() {
    let Some(place) = Place::with(BOTH) else {
        return;
    };
    for wrong in ["cpu", "+", "+no-such", "+cpu,-cpuset", "cpu+"] {
        let refused = place.write("cgroup.subtree_control", wrong);
        assert_eq!(refused, Err(EINVAL), "{wrong}");
    }
    assert_eq!(place.read("cgroup.subtree_control"), "\n");
    // The last word counts; and what is so already may be said.
    assert_eq!(place.write("cgroup.subtree_control", "+cpu -cpu"), Ok(()));
    assert_eq!(place.read("cgroup.subtree_control"), "\n");
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(place.read("cgroup.subtree_control"), "cpu\n");
}

/// What the parent has not got cannot be given, nor taken back while a child gives it.
fn from_above() {
    let Some(place) = Place::with(BOTH) else {
        return;
    };
    let child = place.make("child");
    assert_eq!(child.write("cgroup.subtree_control", "+cpu"), Err(ENOENT));
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(child.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(place.write("cgroup.subtree_control", "-cpu"), Err(EBUSY));
    assert_eq!(child.write("cgroup.subtree_control", "-cpu"), Ok(()));
    assert_eq!(place.write("cgroup.subtree_control", "-cpu"), Ok(()));
}

/// A process is not put beside cgroups that compete by a controller and have processes.
fn no_processes_between_cgroups() {
    let Some(place) = Place::with(BOTH) else {
        return;
    };
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    let inner = place.make("inner");
    let gate = Gate::new();
    let children = [spawn(|| gate.wait()), spawn(|| gate.wait())];
    let pids = children.each_ref().map(|child| child.pid.to_string());
    assert_eq!(inner.write("cgroup.procs", &pids[0]), Ok(()));
    assert_eq!(place.write("cgroup.procs", &pids[1]), Err(EBUSY));
    assert_eq!(place.write("cgroup.subtree_control", "-cpu"), Ok(()));
    // Without controllers it may.
    assert_eq!(place.write("cgroup.procs", &pids[1]), Ok(()));
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Err(EBUSY));
    gate.open();
    gate.open();
    for child in children {
        child.passes();
    }
}

/// Both controllers can share out between threads and cgroups. But then the cgroups are none for processes.
fn what_lies_below_threads() {
    let Some(place) = Place::with(BOTH) else {
        return;
    };
    let inner = place.make("inner");
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    let pid = child.pid.to_string();
    assert_eq!(place.write("cgroup.procs", &pid), Ok(()));
    assert_eq!(inner.read("cgroup.type"), "domain\n");
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(place.read("cgroup.type"), "domain threaded\n");
    assert_eq!(inner.read("cgroup.type"), "domain invalid\n");
    assert_eq!(inner.write("cgroup.procs", &pid), Err(EOPNOTSUPP));
    assert_eq!(
        inner.write("cgroup.subtree_control", "+cpu"),
        Err(EOPNOTSUPP)
    );
    gate.open();
    child.passes();
    assert_eq!(inner.read("cgroup.type"), "domain\n");
}

fn what_was_set_is_forgotten() {
    let Some(place) = Place::with(BOTH) else {
        return;
    };
    let child = place.make("child");
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(child.write("cpu.weight", "33"), Ok(()));
    assert_eq!(child.write("cpu.max", "50000 60000"), Ok(()));
    assert_eq!(place.write("cgroup.subtree_control", "-cpu"), Ok(()));
    assert_eq!(place.write("cgroup.subtree_control", "+cpu"), Ok(()));
    assert_eq!(child.read("cpu.weight"), "100\n");
    assert_eq!(child.read("cpu.max"), "max 100000\n");
}
