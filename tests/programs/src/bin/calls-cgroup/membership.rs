//! Who is in a cgroup.

use super::place::Place;
use libc::{EACCES, EBUSY, EINVAL, EOPNOTSUPP, ESRCH};
use std::fs;
use std::os::unix::fs::MetadataExt;
use test_programs::child::{Child, Gate, become_nobody, passes, spawn};
use test_programs::ok;

test_programs::tests!(
    a_process_moves,
    children_are_born_there,
    it_moves_itself,
    threads_come_along,
    populated_is_told_above,
    numbers,
    a_part_can_be_left_to_somebody,
);

/// Where a process is, in the hierarchy of version 2.
fn place_of(pid: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("0::"));
    line.unwrap()[3..].to_string()
}

fn name_of(place: &Place) -> String {
    let name = place.path().file_name().unwrap();
    format!("/{}", name.to_str().unwrap())
}

fn a_process_moves() {
    let Some(place) = Place::plain() else { return };
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    let pid = child.pid.to_string();
    let before = place_of(&pid);
    assert_eq!(place.write("cgroup.procs", &format!("{pid}\n")), Ok(()));
    assert_eq!(place.read("cgroup.procs"), format!("{pid}\n"));
    assert_eq!(place_of(&pid), name_of(&place));
    assert!(place.is_populated());
    assert_eq!(place.remove(), Err(EBUSY));
    // Once more changes nothing; and to the next one.
    assert_eq!(place.write("cgroup.procs", &pid), Ok(()));
    let next = place.make("next");
    assert_eq!(next.write("cgroup.procs", &pid), Ok(()));
    assert_eq!(place.read("cgroup.procs"), "");
    assert_eq!(place_of(&pid), name_of(&place) + "/next");
    assert_eq!(place_of("self"), before);
    gate.open();
    child.passes();
    // Who was waited for is nowhere.
    assert!(!next.is_populated());
    assert_eq!(next.remove(), Ok(()));
    assert_eq!(place.remove(), Ok(()));
}

fn children_are_born_there() {
    let Some(place) = Place::plain() else { return };
    let gate = Gate::new();
    let parent = spawn(|| {
        gate.wait();
        passes(|| assert_eq!(place_of("self"), name_of(&place)));
    });
    assert_eq!(place.write("cgroup.procs", &parent.pid.to_string()), Ok(()));
    gate.open();
    parent.passes();
    assert_eq!(place.remove(), Ok(()));
}

fn it_moves_itself() {
    let Some(place) = Place::plain() else { return };
    passes(|| {
        assert_eq!(place.write("cgroup.procs", "0"), Ok(()));
        assert_eq!(place_of("self"), name_of(&place));
        assert_eq!(place.remove(), Err(EBUSY));
    });
    assert_eq!(place.remove(), Ok(()));
}

fn threads_come_along() {
    let Some(place) = Place::plain() else { return };
    passes(|| {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(()).unwrap();
            let _ = ended.recv();
        });
        told.recv().unwrap();
        assert_eq!(place.write("cgroup.procs", "0"), Ok(()));
        let text = place.read("cgroup.threads");
        let mut threads: Vec<&str> = text.lines().collect();
        threads.sort();
        let mut own: Vec<String> = fs::read_dir("/proc/self/task")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        own.sort();
        assert_eq!(threads, own);
        assert_eq!(own.len(), 2);
        drop(end);
        thread.join().unwrap();
    });
}

fn populated_is_told_above() {
    let Some(place) = Place::plain() else { return };
    let inner = place.make("inner");
    let gate = Gate::new();
    let child = spawn(|| gate.wait());
    assert_eq!(inner.write("cgroup.procs", &child.pid.to_string()), Ok(()));
    assert!(place.is_populated() && inner.is_populated());
    assert_eq!(place.read("cgroup.procs"), "");
    gate.open();
    Child::passes(child);
    assert!(!place.is_populated() && !inner.is_populated());
}

/// Whoever owns a directory and its `cgroup.procs` makes cgroups there and moves processes within; not into it.
fn a_part_can_be_left_to_somebody() {
    let Some(place) = Place::plain() else { return };
    for name in ["", "cgroup.procs"] {
        let path = format!("{}\0", place.file(name).display());
        ok!(SYS_chown, path.as_ptr(), 65534, 65534);
    }
    let procs = format!("{}\0", place.file("cgroup.procs").display());
    ok!(SYS_chmod, procs.as_ptr(), 0o600);
    let inside = |gate: &Gate| {
        gate.wait();
        become_nobody();
        let inner = place.make("inner");
        let owner = fs::metadata(inner.file("cgroup.procs")).unwrap();
        assert_eq!(owner.uid(), 65534);
        assert_eq!(inner.write("cgroup.procs", "0"), Ok(()));
        assert_eq!(place.write("cgroup.procs", "0"), Ok(()));
        assert_eq!(inner.remove(), Ok(()));
    };
    let gate = Gate::new();
    let child = spawn(|| inside(&gate));
    let pid = child.pid.to_string();
    assert_eq!(place.write("cgroup.procs", &pid), Ok(()));
    gate.open();
    child.passes();
    // From elsewhere: what contains both places is not its own.
    passes(|| {
        become_nobody();
        assert_eq!(place.write("cgroup.procs", "0"), Err(EACCES));
    });
    assert_eq!(place.remove(), Ok(()));
}

fn numbers() {
    let Some(place) = Place::plain() else { return };
    for (text, errno) in [
        ("x", EINVAL),
        ("\n", EINVAL),
        ("-1", EINVAL),
        ("1 2", EINVAL),
        ("99999999999", EINVAL),
        ("999999999", ESRCH),
    ] {
        assert_eq!(place.write("cgroup.procs", text), Err(errno), "{text:?}");
    }
    // Only processes move from one domain to another.
    assert_eq!(place.write("cgroup.threads", "0"), Err(EOPNOTSUPP));
    // The end of one that was not waited for is its end here, too.
    let child = spawn(|| {});
    let pid = child.pid;
    let mut state = [0u64; 16];
    test_programs::ok!(
        SYS_waitid,
        libc::P_PID,
        pid,
        &mut state,
        libc::WEXITED | libc::WNOWAIT,
        0
    );
    assert_eq!(place.read("cgroup.procs"), "");
    child.passes();
}
