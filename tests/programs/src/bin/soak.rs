//! `soak [SECONDS [SEED]]`: random trees of processes that fork, exec, kill, stop, continue, move between processors, change
//! their class and their cgroup, talk through pipes, hand turns around among threads, and end. Round after round everything must come to its
//! end, and what it held must come back: a lost wake-up, a process that is never reaped or a leak is a failure.

use libc::{
    CLONE_VFORK, EBUSY, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE, MADV_DONTNEED, MAP_ANONYMOUS,
    MAP_PRIVATE, PR_SET_CHILD_SUBREAPER, PROT_READ, PROT_WRITE, SCHED_BATCH, SCHED_DEADLINE,
    SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RR, SIG_IGN, SIGALRM, SIGCONT, SIGKILL, SIGPIPE,
    SIGSTOP, SIGUSR1, WNOHANG,
};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{self, Child, Gate, fork};
use test_programs::memory::{PAGE, free};
use test_programs::pattern::Numbers;
use test_programs::raw::short::*;
use test_programs::{ok, signal, sys};

/// Trees of a round, and how deep they become.
const TREES: u64 = 5;
const DEPTH: u64 = 3;

/// How long a round may take, in nanoseconds; it takes less than a second where nothing else runs, and very long where
/// much does.
const PATIENCE: u64 = 400_000_000_000;

/// The first argument of this program when it was executed by one of its processes.
const HELPER: &str = "--helper";

/// By how much memory may shrink for good, in bytes: caches and stocks of each processor.
const SLACK: u64 = 4 << 20;

fn main() {
    if std::env::args().nth(1).as_deref() == Some(HELPER) {
        return;
    }
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (seconds, seed) = match (arguments.next(), arguments.next()) {
        (None, None) => (60, 1),
        (Some(Ok(seconds)), None) => (seconds, 1),
        (Some(Ok(seconds)), Some(Ok(seed))) => (seconds, seed),
        _ => {
            eprintln!("usage: soak [SECONDS [SEED]]");
            std::process::exit(2);
        }
    };
    // Orphans come here, where they are counted.
    ok!(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
    make_cgroups();
    let (start, mut told, mut before, mut rounds, mut ended) = (monotonic(), 0, 0, 0, 0);
    while monotonic() - start < seconds * 1_000_000_000 {
        ended += round(seed.wrapping_mul(1_000_003) + rounds);
        rounds += 1;
        if rounds == 20 {
            // What is made once has been made.
            before = free();
        }
        let passed = (monotonic() - start) / 1_000_000_000;
        if passed >= told + 10 {
            told = passed;
            println!(
                "{passed} s: {rounds} rounds, {ended} processes, {} KiB free",
                free() / 1024
            );
        }
    }
    everything_can_be_reserved();
    remove_cgroups();
    let after = free();
    assert!(
        rounds <= 20 || after + SLACK >= before,
        "{before} bytes were free after 20 rounds, {after} after {rounds}"
    );
    println!("all is well after {rounds} rounds and {ended} processes");
}

/// Some trees at once; how many processes were reaped here.
fn round(seed: u64) -> u64 {
    let group = fork(|| {
        ok!(SYS_setpgid, 0, 0);
        let trees: Vec<Child> = (0..TREES)
            .map(|n| fork(move || tree(&mut Numbers::new(seed * TREES + n), DEPTH)))
            .collect();
        trees.into_iter().for_each(finish);
        0
    });
    let (deadline, mut word, mut ended) = (monotonic() + PATIENCE, 0i32, 0);
    loop {
        match sys!(SYS_wait4, -1, &mut word, WNOHANG, 0) {
            Err(_) => return ended,
            Ok(0) => {
                // An orphan may be stopped, and nobody else continues it.
                let _ = sys!(SYS_kill, -group.pid, SIGCONT);
                let _ = sys!(SYS_nanosleep, &timespec(1_000_000), 0);
            }
            Ok(_) => ended += 1,
        }
        if monotonic() > deadline {
            println!("round {seed} does not end; what is left:");
            show_processes();
            std::process::exit(1);
        }
    }
}

fn show_processes() {
    let Ok(list) = std::fs::read_dir("/proc") else {
        return;
    };
    for entry in list.flatten() {
        let Ok(threads) = std::fs::read_dir(entry.path().join("task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let text = |name: &str| {
                let text = std::fs::read_to_string(thread.path().join(name));
                text.unwrap_or_default()
            };
            println!("{}", text("stat").trim());
            let status = text("status");
            let telling = ["Sig", "Shd", "Cpus_allowed_list", "State"];
            let lines = status
                .lines()
                .filter(|line| telling.iter().any(|word| line.starts_with(word)));
            let line: Vec<&str> = lines.collect();
            println!("    {}", line.join("  ").replace('\t', " "));
        }
    }
}

/// The life of a process: some deeds of its own, with children that live likewise and are disturbed meanwhile.
fn tree(numbers: &mut Numbers, depth: u64) -> i32 {
    signal::dispose(SIGPIPE, SIG_IGN);
    signal::catch(SIGUSR1);
    signal::catch(SIGALRM);
    let children: Vec<Child> = (0..if depth > 0 { numbers.below(4) } else { 0 })
        .map(|_| {
            let seed = numbers.word();
            fork(move || tree(&mut Numbers::new(seed), depth - 1))
        })
        .collect();
    for _ in 0..numbers.below(12) {
        deed(numbers);
        if let Some(child) = children.get(numbers.below(4) as usize) {
            let signals = [SIGUSR1, SIGUSR1, SIGSTOP, SIGCONT, SIGCONT, SIGKILL];
            let _ = sys!(SYS_kill, child.pid, signals[numbers.below(6) as usize]);
            if numbers.below(2) == 0 {
                let _ = sys!(
                    SYS_sched_setaffinity,
                    child.pid,
                    8,
                    &(1 + numbers.below(255))
                );
            } else if numbers.below(2) == 0 {
                move_to(CGROUPS[numbers.below(4) as usize], child.pid);
            }
        }
    }
    // Some leave their children to whoever takes orphans over.
    if numbers.below(5) != 0 {
        children.into_iter().for_each(finish);
    }
    numbers.below(100) as i32
}

/// Waits for the end of a child that may be stopped.
fn finish(child: Child) {
    let mut word = 0i32;
    while let Ok(0) = sys!(SYS_wait4, child.pid, &mut word, WNOHANG, 0) {
        let _ = sys!(SYS_kill, child.pid, SIGCONT);
        let _ = sys!(SYS_nanosleep, &timespec(300_000), 0);
    }
}

fn deed(numbers: &mut Numbers) {
    match numbers.below(13) {
        0 => compute(numbers.below(50_000)),
        1 => {
            let _ = sys!(SYS_nanosleep, &timespec(numbers.below(2_000_000)), 0);
        }
        2 => {
            let _ = sys!(SYS_sched_setaffinity, 0, 8, &(1 + numbers.below(255)));
        }
        3 => compete(numbers),
        4 => memory(numbers.below(60) as usize + 1),
        5 => talk(numbers.below(40)),
        6 => threads(numbers.below(4) as u32 + 1, numbers.below(30) as u32),
        7 => {
            fork(|| child::exec_helper(&["nothing"], &[])).wait();
        }
        8 => vfork(),
        9 => alarm(numbers.below(3000) as i64 + 1),
        10 => signal::raise(SIGUSR1),
        11 => move_to(CGROUPS[numbers.below(4) as usize], 0),
        _ => drop(std::fs::read_dir("/proc").map(|list| list.count())),
    }
}

/// Where processes are moved: to the root, a light one, one with a quota, and one on the first processor.
const CGROUPS: [&str; 4] = ["", "light", "few", "first"];
const ROOT: &str = "/sys/fs/cgroup";

/// Where there are none, as on most machines with Linux, the moves are refused.
fn make_cgroups() {
    let write = |file: &str, text: &str| {
        let _ = std::fs::write(format!("{ROOT}/{file}"), text);
    };
    write("cgroup.subtree_control", "+cpu +cpuset");
    for name in &CGROUPS[1..] {
        let _ = std::fs::create_dir(format!("{ROOT}/{name}"));
    }
    write("light/cpu.weight", "10");
    write("few/cpu.max", "50000 100000");
    write("first/cpuset.cpus", "0");
}

fn move_to(cgroup: &str, pid: i32) {
    let _ = std::fs::write(format!("{ROOT}/{cgroup}/cgroup.procs"), pid.to_string());
}

/// Nobody is left in one.
fn remove_cgroups() {
    for name in &CGROUPS[1..] {
        let path = format!("{ROOT}/{name}");
        if std::path::Path::new(&path).join("cgroup.procs").exists() {
            std::fs::remove_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }
}

fn compute(steps: u64) {
    for step in 0..steps {
        std::hint::black_box(step);
    }
}

/// SIGALRM in so many microseconds; a repeated one could keep a fork from ever succeeding.
fn alarm(microseconds: i64) {
    let _ = sys!(SYS_setitimer, 0, &[0, 0, 0, microseconds], 0);
}

/// Another class, which may be refused to who is not root.
fn compete(numbers: &mut Numbers) {
    let policies = [SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR];
    let Some(&policy) = policies.get(numbers.below(6) as usize) else {
        let _ = reserve(0, 5 + numbers.below(30));
        return;
    };
    let real_time = matches!(policy, SCHED_FIFO | SCHED_RR);
    let priority = if real_time {
        numbers.below(99) as i32 + 1
    } else {
        0
    };
    let _ = sys!(SYS_sched_setscheduler, 0, policy, &priority);
    let _ = sys!(SYS_setpriority, 0, 0, numbers.below(20));
}

/// So much in every tenth of a second, in milliseconds, for the process with this number. Its children have none.
fn reserve(pid: i32, milliseconds: u64) -> Result<usize, i32> {
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        times: [u64; 3],
    }
    let attributes = Attributes {
        size: 48,
        policy: SCHED_DEADLINE as u32,
        flags: 1,
        nice: 0,
        priority: 0,
        times: [milliseconds * 1_000_000, 100_000_000, 100_000_000],
    };
    sys!(SYS_sched_setattr, pid, &attributes, 0)
}

/// All who had a reservation have given it back: now others can have nearly all of each processor.
fn everything_can_be_reserved() {
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get());
    let gates: Vec<Gate> = (0..processors).map(|_| Gate::new()).collect();
    let children: Vec<Child> = gates
        .iter()
        .map(|gate| {
            fork(|| {
                gate.wait();
                0
            })
        })
        .collect();
    for child in &children {
        // Linux takes back what others had by the end of their periods.
        let granted = (0..100).any(|_| {
            let outcome = reserve(child.pid, 85);
            if outcome == Err(EBUSY) {
                let _ = sys!(SYS_nanosleep, &timespec(10_000_000), 0);
            }
            // Who is not root is refused anyhow.
            outcome != Err(EBUSY)
        });
        assert!(granted, "somebody who has ended still has a reservation");
    }
    gates.iter().for_each(Gate::open);
    children.into_iter().for_each(finish);
}

fn memory(pages: usize) {
    let (protection, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    let Ok(start) = sys!(SYS_mmap, 0, pages * PAGE, protection, flags, -1, 0) else {
        return;
    };
    for page in (start..start + pages * PAGE).step_by(PAGE) {
        // SAFETY: the page was just mapped for writing.
        unsafe { (page as *mut u8).write_volatile(1) };
    }
    let _ = sys!(SYS_madvise, start, pages / 2 * PAGE, MADV_DONTNEED);
    let _ = sys!(SYS_munmap, start, pages * PAGE);
}

/// A child answers each byte; either may be killed.
fn talk(times: u64) {
    let (there, back) = (pipe(), pipe());
    let peer = fork(|| {
        close(there.1);
        close(back.0);
        child::relay(there.0, back.1);
        0
    });
    close(there.0);
    close(back.1);
    let mut byte = 0u8;
    for _ in 0..times {
        let _ = sys!(SYS_write, there.1, &byte, 1);
        let _ = sys!(SYS_read, back.0, &mut byte, 1);
    }
    close(there.1);
    close(back.0);
    finish(peer);
}

/// Threads hand a turn around.
fn threads(count: u32, turns: u32) {
    let turn = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for me in 0..count {
            let turn = &turn;
            scope.spawn(move || {
                for mine in (me..turns).step_by(count as usize) {
                    while let now = turn.load(Ordering::Acquire)
                        && now != mine
                    {
                        let _ = sys!(SYS_futex, turn, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, now, 0);
                    }
                    turn.store(mine + 1, Ordering::Release);
                    let _ = sys!(SYS_futex, turn, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, i32::MAX);
                }
            });
        }
    });
}

/// A child for whose end the call waits.
fn vfork() {
    match sys!(SYS_clone, CLONE_VFORK, 0, 0, 0, 0) {
        Ok(0) => child::exit(0),
        Ok(pid) => finish(Child { pid: pid as i32 }),
        Err(_) => {}
    }
}
