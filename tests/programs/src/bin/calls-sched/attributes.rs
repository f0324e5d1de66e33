//! sched_setattr, sched_getattr: everything in one record, and reservations, which only these calls make.

use libc::{EBUSY, SCHED_BATCH, SCHED_FIFO, SCHED_OTHER, SCHED_RR, SIGKILL};
use test_programs::child::{Child, Gate, become_nobody, passes, spawn};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    policy_and_nice,
    priority_by_record,
    a_reservation,
    reservations_are_checked,
    reservations_are_limited,
    every_processor_is_reserved,
    the_end_gives_it_back,
    a_reservation_and_its_processors,
    a_reservation_has_no_children,
    keeping,
    sizes,
    errors,
);

pub const SCHED_DEADLINE: u32 = 6;

/// `struct sched_attr` of 56 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    pub least: u32,
    pub most: u32,
}

pub fn attributes() -> Attributes {
    let mut seen = Attributes::default();
    gives!(0, SYS_sched_getattr, 0, &mut seen, 48, 0);
    assert_eq!(seen.size, 48);
    seen
}

pub fn record(policy: i32) -> Attributes {
    Attributes {
        size: 48,
        policy: policy as u32,
        ..Attributes::default()
    }
}

pub fn reservation(runtime: u64, deadline: u64, period: u64) -> Attributes {
    Attributes {
        size: 48,
        policy: SCHED_DEADLINE,
        runtime: runtime * 1000,
        deadline: deadline * 1000,
        period: period * 1000,
        ..Attributes::default()
    }
}

fn policy_and_nice() {
    passes(|| {
        let wanted = Attributes {
            nice: 7,
            ..record(SCHED_BATCH)
        };
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        assert_eq!(attributes().policy, SCHED_BATCH as u32);
        assert_eq!(attributes().nice, 7);
        gives!(13, SYS_getpriority, 0, 0);
        let wanted = Attributes {
            nice: -100,
            ..record(SCHED_OTHER)
        };
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        gives!(40, SYS_getpriority, 0, 0);
    });
}

fn priority_by_record() {
    passes(|| {
        let mut wanted = record(SCHED_RR);
        fails!(EINVAL, SYS_sched_setattr, 0, &wanted, 0);
        wanted.priority = 12;
        wanted.flags = 1;
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        let seen = attributes();
        assert_eq!((seen.policy, seen.priority, seen.flags), (2, 12, 1));
        gives!(SCHED_RR | 0x4000_0000, SYS_sched_getscheduler, 0);
        wanted.priority = 100;
        fails!(EINVAL, SYS_sched_setattr, 0, &wanted, 0);
    });
}

fn a_reservation() {
    passes(|| {
        let wanted = reservation(2_000, 10_000, 20_000);
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        let seen = attributes();
        assert_eq!(
            (seen.policy, seen.runtime, seen.deadline, seen.period),
            (6, 2_000_000, 10_000_000, 20_000_000)
        );
        gives!(6, SYS_sched_getscheduler, 0);
        let mut priority = 9i32;
        gives!(0, SYS_sched_getparam, 0, &mut priority);
        assert_eq!(priority, 0);
        fails!(EINVAL, SYS_sched_setparam, 0, &0i32);
        // No period is a period as long as the deadline.
        gives!(0, SYS_sched_setattr, 0, &reservation(2_000, 10_000, 0), 0);
        assert_eq!(attributes().period, 10_000_000);
        gives!(0, SYS_sched_setattr, 0, &record(SCHED_OTHER), 0);
        assert_eq!(attributes().policy, 0);
    });
    passes(|| {
        become_nobody();
        let wanted = reservation(2_000, 10_000, 20_000);
        fails!(EPERM, SYS_sched_setattr, 0, &wanted, 0);
    });
}

fn reservations_are_checked() {
    passes(|| {
        for (runtime, deadline, period) in [
            (0, 0, 0),
            (0, 10_000, 10_000),
            (1, 10_000, 10_000),
            (11_000, 10_000, 20_000),
            (2_000, 20_000, 10_000),
            (10, 50, 50),
            (2_000, 5_000_000, 5_000_000),
            (2_000, u64::MAX / 1000, u64::MAX / 1000),
        ] {
            let wanted = reservation(runtime, deadline, period);
            fails!(EINVAL, SYS_sched_setattr, 0, &wanted, 0);
        }
        let wanted = Attributes {
            priority: 1,
            ..reservation(2_000, 10_000, 10_000)
        };
        fails!(EINVAL, SYS_sched_setattr, 0, &wanted, 0);
    });
}

/// However many ask, no more is promised than there is: on `n` processors fewer than `n` can have 98 percent.
fn reservations_are_limited() {
    passes(|| {
        let wanted = reservation(98_000, 100_000, 100_000);
        let processors = super::processors::count();
        let mut gates = Vec::new();
        let mut refused = 0;
        for _ in 0..processors {
            let gate = test_programs::child::Gate::new();
            let child = test_programs::child::spawn(|| gate.wait());
            match sys!(SYS_sched_setattr, child.pid, &wanted, 0) {
                Ok(0) => {}
                Err(EBUSY) => refused += 1,
                other => panic!("{}", test_programs::raw::outcome(other)),
            }
            gates.push((gate, child));
        }
        assert!(refused > 0, "more was promised than there is");
        for (gate, child) in gates {
            gate.open();
            child.passes();
        }
    });
    // What ended has given back what it reserved (Linux: by the end of its period).
    for _ in 0..60 {
        passes(|| {
            gives!(0, SYS_sched_setattr, 0, &reservation(100, 1000, 1000), 0);
        });
    }
}

/// Makes `child` one with this reservation. Linux takes back what others reserved by the end of their periods, so what is
/// refused at first is asked for again for a while. `false`: this is a Linux where others have reserved too much to test
/// anything, or had (6.18 loses for good what somebody had who slept and was taken out of the class).
#[must_use]
fn reserve(child: &Child, wanted: &Attributes) -> bool {
    for _ in 0..1000 {
        match sys!(SYS_sched_setattr, child.pid, wanted, 0) {
            Ok(_) => return true,
            Err(EBUSY) => {
                let _ = sys!(SYS_nanosleep, &timespec(5_000_000), 0);
            }
            other => panic!("{}", test_programs::raw::outcome(other)),
        }
    }
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    assert!(
        !version.contains("Helve"),
        "a reservation is refused for five seconds"
    );
    false
}

/// Most of each processor can be reserved, whoever asks from wherever; one more is refused. (Linux keeps back 5 to 10
/// percent of each.)
fn every_processor_is_reserved() {
    passes(|| {
        let wanted = reservation(88_000, 100_000, 100_000);
        let gates: Vec<Gate> = (0..super::processors::count())
            .map(|_| Gate::new())
            .collect();
        let wait = |gate: &Gate| gate.wait();
        let children: Vec<Child> = gates.iter().map(|gate| spawn(|| wait(gate))).collect();
        if children.iter().all(|child| reserve(child, &wanted)) {
            fails!(EBUSY, SYS_sched_setattr, 0, &wanted, 0);
            // The same again is not more.
            gives!(0, SYS_sched_setattr, children[0].pid, &wanted, 0);
            fails!(EBUSY, SYS_sched_setattr, 0, &wanted, 0);
        }
        gates.iter().for_each(Gate::open);
        children.into_iter().for_each(Child::passes);
    });
}

/// Whoever ends, or is killed, or changes its class and then ends: more often than there is room for.
fn the_end_gives_it_back() {
    let wanted = reservation(60_000, 100_000, 100_000);
    for round in 0..4 * super::processors::count() {
        let gate = Gate::new();
        let child = spawn(|| {
            gate.wait();
            // By itself: of somebody who sleeps then, Linux 6.18 keeps the reservation for good.
            if round % 3 == 1 {
                gives!(0, SYS_sched_setattr, 0, &record(SCHED_OTHER), 0);
            }
        });
        let reserved = reserve(&child, &wanted);
        if round % 3 == 0 {
            ok!(SYS_kill, child.pid, SIGKILL);
            child.wait();
        } else {
            gate.open();
            child.passes();
        }
        if !reserved {
            return;
        }
    }
}

/// What may not run everywhere gets none (EPERM), and what has one may not be confined (EBUSY): sched(7),
/// sched_setaffinity(2).
fn a_reservation_and_its_processors() {
    passes(|| {
        let (all, wanted) = (
            super::processors::set(),
            reservation(5_000, 100_000, 100_000),
        );
        let several = super::processors::count() > 1;
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        gives!(0, SYS_sched_setaffinity, 0, 128, &all);
        if several {
            let one = super::processors::first();
            fails!(EBUSY, SYS_sched_setaffinity, 0, 128, &one);
            assert_eq!(super::processors::set(), all);
        }
        gives!(0, SYS_sched_setattr, 0, &record(SCHED_OTHER), 0);
        super::processors::only_one();
        if several {
            fails!(EPERM, SYS_sched_setattr, 0, &wanted, 0);
        } else {
            gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        }
    });
}

fn a_reservation_has_no_children() {
    passes(|| {
        let mut wanted = reservation(10_000, 100_000, 100_000);
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        fails!(EAGAIN, SYS_fork);
        wanted.flags = 1;
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        passes(|| {
            assert_eq!((attributes().policy, attributes().flags), (0, 0));
        });
    });
}

fn keeping() {
    const KEEP_POLICY: u64 = 8;
    const KEEP_PARAMETERS: u64 = 16;
    passes(|| {
        gives!(0, SYS_sched_setscheduler, 0, SCHED_FIFO, &5i32);
        let wanted = Attributes {
            flags: KEEP_POLICY,
            priority: 9,
            ..record(77)
        };
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        assert_eq!((attributes().policy, attributes().priority), (1, 9));
        let wanted = Attributes {
            flags: KEEP_PARAMETERS,
            priority: 3,
            ..record(SCHED_RR)
        };
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        // The policy is one of the parameters.
        assert_eq!((attributes().policy, attributes().priority), (1, 9));
        fails!(
            EINVAL,
            SYS_sched_setattr,
            0,
            &Attributes {
                policy: 77,
                ..wanted
            },
            0
        );
    });
}

fn sizes() {
    passes(|| {
        // The first version's size is meant by 0.
        let mut wanted = record(SCHED_BATCH);
        wanted.size = 0;
        gives!(0, SYS_sched_setattr, 0, &wanted, 0);
        wanted.size = 47;
        fails!(E2BIG, SYS_sched_setattr, 0, &mut wanted, 0);
        assert!(wanted.size >= 48, "it says how large it may be");
        wanted.size = 5000;
        fails!(E2BIG, SYS_sched_setattr, 0, &mut wanted, 0);
        // A later version may be longer, if it asks for nothing that is not known.
        let mut long = [0u64; 32];
        long[0] = 256;
        gives!(0, SYS_sched_setattr, 0, &mut long, 0);
        long[0] = 256;
        long[31] = 1;
        fails!(E2BIG, SYS_sched_setattr, 0, &mut long, 0);
        let mut long = [u64::MAX; 32];
        gives!(0, SYS_sched_getattr, 0, &mut long, 256, 0);
        let size = (long[0] as u32) as usize;
        assert!((48..=256).contains(&size));
        for size in [0, 47, 5000] {
            fails!(EINVAL, SYS_sched_getattr, 0, &mut long, size, 0);
        }
    });
}

fn errors() {
    let mut record = record(SCHED_OTHER);
    fails!(EINVAL, SYS_sched_setattr, 0, 0, 0);
    fails!(EINVAL, SYS_sched_setattr, -1, &record, 0);
    fails!(EINVAL, SYS_sched_setattr, 0, &record, 1);
    fails!(EFAULT, SYS_sched_setattr, 0, bad::<u64>(), 0);
    fails!(ESRCH, SYS_sched_setattr, 999_999_999, &record, 0);
    fails!(EINVAL, SYS_sched_getattr, 0, 0, 48, 0);
    fails!(EINVAL, SYS_sched_getattr, -1, &mut record, 48, 0);
    fails!(EINVAL, SYS_sched_getattr, 0, &mut record, 48, 1);
    fails!(EFAULT, SYS_sched_getattr, 0, bad::<u64>(), 48, 0);
    fails!(ESRCH, SYS_sched_getattr, 999_999_999, &mut record, 48, 0);
    record.policy = 77;
    fails!(EINVAL, SYS_sched_setattr, 0, &record, 0);
    record.policy = 0;
    record.flags = 1 << 40;
    fails!(EINVAL, SYS_sched_setattr, 0, &record, 0);
}
