//! Weights, quotas, sets of processors, and what is counted.

use super::place::Place;
use libc::{EINVAL, ERANGE};
use test_programs::child::passes;
use test_programs::ok;
use test_programs::raw::short::*;

test_programs::tests!(
    weights,
    niceness,
    quotas,
    a_quota_is_kept,
    time_is_counted,
    processors,
    processors_of_the_parent,
);

fn weights() {
    let Some(place) = Place::with(&["cpu"]) else {
        return;
    };
    assert_eq!(place.read("cpu.weight"), "100\n");
    for weight in ["1\n", "10000", "57"] {
        assert_eq!(place.write("cpu.weight", weight), Ok(()));
        assert_eq!(place.read("cpu.weight").trim(), weight.trim());
    }
    for (text, errno) in [
        ("0", ERANGE),
        ("10001", ERANGE),
        ("x", EINVAL),
        ("\n", EINVAL),
        ("1 2", EINVAL),
    ] {
        assert_eq!(place.write("cpu.weight", text), Err(errno), "{text:?}");
    }
    assert_eq!(place.read("cpu.weight"), "57\n");
}

fn niceness() {
    let Some(place) = Place::with(&["cpu"]) else {
        return;
    };
    assert_eq!(place.read("cpu.weight.nice"), "0\n");
    for (nice, weight) in [
        ("-20", "8668\n"),
        ("19", "1\n"),
        ("5", "33\n"),
        ("0", "100\n"),
    ] {
        assert_eq!(place.write("cpu.weight.nice", nice), Ok(()));
        assert_eq!(place.read("cpu.weight.nice").trim(), nice);
        assert_eq!(place.read("cpu.weight"), weight);
    }
    for (text, errno) in [("20", ERANGE), ("-21", ERANGE), ("x", EINVAL)] {
        assert_eq!(place.write("cpu.weight.nice", text), Err(errno), "{text}");
    }
    // Of any weight the nearest is told.
    assert_eq!(place.write("cpu.weight", "110"), Ok(()));
    assert_eq!(place.read("cpu.weight.nice"), "0\n");
    assert_eq!(place.write("cpu.weight", "120"), Ok(()));
    assert_eq!(place.read("cpu.weight.nice"), "-1\n");
}

fn quotas() {
    let Some(place) = Place::with(&["cpu"]) else {
        return;
    };
    assert_eq!(place.read("cpu.max"), "max 100000\n");
    for (text, told) in [
        ("20000 50000\n", "20000 50000\n"),
        ("30000", "30000 50000\n"),
        ("max", "max 50000\n"),
        ("1000 1000", "1000 1000\n"),
        ("max 1000000", "max 1000000\n"),
    ] {
        assert_eq!(place.write("cpu.max", text), Ok(()), "{text:?}");
        assert_eq!(place.read("cpu.max"), told, "{text:?}");
    }
    for wrong in [
        "999 50000",
        "1000 999",
        "1000 1000001",
        "max 999",
        "x",
        "-1",
        "50000 x",
        "18446744073709551615",
    ] {
        assert_eq!(place.write("cpu.max", wrong), Err(EINVAL), "{wrong:?}");
    }
    assert_eq!(place.read("cpu.max"), "max 1000000\n");
}

fn number(place: &Place, name: &str) -> u64 {
    let text = place.read("cpu.stat");
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let line = lines.find(|(known, _)| *known == name);
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .1
        .parse()
        .unwrap()
}

/// The time that this process has used, in nanoseconds.
fn used() -> u64 {
    let mut time = [0u64; 2];
    ok!(SYS_clock_gettime, libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
    time[0] * 1_000_000_000 + time[1]
}

/// Who has a fifth of a processor takes about five times as long as it computes.
fn a_quota_is_kept() {
    let Some(place) = Place::with(&["cpu"]) else {
        return;
    };
    assert_eq!(place.write("cpu.max", "10000 50000"), Ok(()));
    passes(|| {
        assert_eq!(place.write("cgroup.procs", "0"), Ok(()));
        let (begin, start) = (monotonic(), used());
        while used() - start < 60_000_000 {}
        let took = (monotonic() - begin) / 1_000_000;
        assert!(took >= 200, "{took} ms for 60");
    });
    assert!(number(&place, "nr_periods") >= 4);
    assert!(number(&place, "nr_throttled") >= 4);
    assert!(number(&place, "throttled_usec") >= 100_000);
}

fn time_is_counted() {
    let Some(place) = Place::plain() else { return };
    if std::path::Path::new("/sys/fs/cgroup/cpu").exists() {
        // Version 1 has the controller, and counts there.
        return;
    }
    let inner = place.make("inner");
    assert_eq!(number(&inner, "usage_usec"), 0);
    passes(|| {
        assert_eq!(inner.write("cgroup.procs", "0"), Ok(()));
        let start = used();
        while used() - start < 30_000_000 {
            for step in 0..10_000 {
                std::hint::black_box(step);
            }
        }
    });
    for place in [&inner, &place] {
        let (usage, user) = (number(place, "usage_usec"), number(place, "user_usec"));
        assert!(usage >= 29_000, "{usage} us");
        assert_eq!(user + number(place, "system_usec"), usage);
    }
}

/// The processors that this process may use.
fn set() -> u64 {
    let mut set = [0u64; 16];
    ok!(SYS_sched_getaffinity, 0, 128, &mut set);
    set[0]
}

fn processors() {
    let Some(place) = Place::with(&["cpuset"]) else {
        return;
    };
    let all = place.read("cpuset.cpus.effective");
    assert_eq!(place.read("cpuset.cpus"), "\n");
    passes(|| {
        let before = set();
        assert_eq!(place.write("cgroup.procs", "0"), Ok(()));
        assert_eq!(place.write("cpuset.cpus", "0\n"), Ok(()));
        assert_eq!(place.read("cpuset.cpus"), "0\n");
        assert_eq!(place.read("cpuset.cpus.effective"), "0\n");
        assert_eq!(set(), 1);
        assert_eq!(place.write("cpuset.cpus", "\n"), Ok(()));
        assert_eq!(place.read("cpuset.cpus"), "\n");
        assert_eq!(place.read("cpuset.cpus.effective"), all);
        assert_eq!(set(), before);
    });
    for (text, errno) in [("x", EINVAL), ("1-0", EINVAL), ("4000", ERANGE)] {
        assert_eq!(place.write("cpuset.cpus", text), Err(errno), "{text:?}");
    }
    assert_eq!(place.read("cpuset.cpus"), "\n");
}

/// A set that the parent has nothing of means nothing.
fn processors_of_the_parent() {
    let Some(place) = Place::with(&["cpuset"]) else {
        return;
    };
    let child = place.make("child");
    assert_eq!(place.write("cgroup.subtree_control", "+cpuset"), Ok(()));
    assert_eq!(place.write("cpuset.cpus", "0"), Ok(()));
    assert_eq!(child.read("cpuset.cpus.effective"), "0\n");
    let root = super::place::root().unwrap();
    if !super::place::read(&root.join("cpuset.cpus.effective")).contains(['-', ',']) {
        return;
    }
    assert_eq!(child.write("cpuset.cpus", "1"), Ok(()));
    assert_eq!(child.read("cpuset.cpus.effective"), "0\n");
    assert_eq!(place.write("cpuset.cpus", "0-1"), Ok(()));
    assert_eq!(child.read("cpuset.cpus.effective"), "1\n");
}
