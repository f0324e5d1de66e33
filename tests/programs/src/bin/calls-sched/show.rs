//! What `/proc` says about it.

use super::attributes::reservation;
use super::policy::set;
use libc::{PRIO_PROCESS, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RR};
use test_programs::child::passes;
use test_programs::gives;

test_programs::tests!(statistics, processors, the_processor);

/// `priority`, `nice`, `rt_priority`, `policy`: fields 18, 19, 40 and 41.
fn fields() -> [i64; 4] {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = text.rsplit_once(')').unwrap().1;
    let words: Vec<&str> = after.split_whitespace().collect();
    [18, 19, 40, 41].map(|field| words[field - 3].parse().unwrap())
}

fn statistics() {
    passes(|| {
        assert_eq!(fields(), [20, 0, 0, 0]);
        gives!(0, SYS_setpriority, PRIO_PROCESS, 0, 5);
        assert_eq!(fields(), [25, 5, 0, 0]);
        set(SCHED_FIFO, 1);
        assert_eq!(fields(), [-2, 5, 1, 1]);
        set(SCHED_RR, 99);
        assert_eq!(fields(), [-100, 5, 99, 2]);
        set(SCHED_IDLE, 0);
        assert_eq!(fields(), [25, 5, 0, 5]);
        set(SCHED_OTHER, 0);
        gives!(
            0,
            SYS_sched_setattr,
            0,
            &reservation(10_000, 100_000, 100_000),
            0
        );
        assert_eq!(fields(), [-101, 5, 0, 6]);
    });
}

fn the_processor() {
    passes(|| {
        let set = super::processors::set();
        let all = (0..1024).filter(|cpu| set[cpu / 64] >> (cpu % 64) & 1 != 0);
        for cpu in all {
            let mut one = [0u64; 16];
            one[cpu / 64] = 1 << (cpu % 64);
            gives!(0, SYS_sched_setaffinity, 0, 128, &one);
            // It moves after its turn at the latest.
            gives!(0, SYS_sched_yield);
            let text = std::fs::read_to_string("/proc/self/stat").unwrap();
            let after = text.rsplit_once(')').unwrap().1;
            let field = after.split_whitespace().nth(39 - 3).unwrap();
            assert_eq!(field, cpu.to_string());
        }
    });
}

fn processors() {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .to_owned()
    };
    let mask = line("Cpus_allowed:").replace(',', "");
    let shown: u32 = mask
        .chars()
        .map(|digit| digit.to_digit(16).unwrap().count_ones())
        .sum();
    assert_eq!(shown, super::processors::count());
    let first = line("Cpus_allowed_list:");
    assert!(first.starts_with(|letter: char| letter.is_ascii_digit()));
}
