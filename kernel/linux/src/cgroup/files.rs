//! What the files of a cgroup say, and what is written to them.

use super::control::{self, CPU, CPUSET};
use super::hierarchy::{Cgroup, Hierarchy};
use crate::process::Process;
use crate::realm;
use abi::{CpuSet, Error, Rights};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use task::policy::{LARGEST_WEIGHT, NORMAL_WEIGHT, Quota, Usage, weight_of_nice};
use vfs::Access;

type Read = fn(&Cgroup) -> String;
type Set = fn(&Hierarchy, &Arc<Cgroup>, &str) -> Result<(), Error>;

/// One kind of file.
pub struct Kind {
    pub name: &'static str,
    /// Whether the root has it.
    at_root: bool,
    /// The controllers without which, in the parent, it is missing.
    needs: u8,
    pub read: Read,
    pub write: Option<Set>,
}

impl Kind {
    /// The mode it has at first.
    pub fn mode(&self) -> u16 {
        if self.write.is_some() {
            WRITABLE
        } else {
            0o444
        }
    }

    /// Whether this cgroup has it.
    pub fn belongs_to(&self, cgroup: &Cgroup) -> bool {
        let root = cgroup.is_root();
        (self.at_root || !root) && (root || cgroup.available() & self.needs == self.needs)
    }
}

const PROCESSES: &str = "cgroup.procs";
/// The mode of a file that can be written.
const WRITABLE: u16 = 0o644;

/// All of them, in the order of their inode numbers.
pub const KINDS: &[Kind] = &[
    kind("cgroup.controllers", true, 0, controllers, None),
    kind("cgroup.events", false, 0, events, None),
    kind(PROCESSES, true, 0, processes, Some(admit)),
    kind("cgroup.stat", true, 0, statistics, None),
    kind("cgroup.subtree_control", true, 0, enabled, Some(enable)),
    kind("cgroup.threads", true, 0, threads, Some(unsupported)),
    kind("cgroup.type", false, 0, domain, Some(unsupported)),
    kind("cpu.max", false, CPU, quota, Some(set_quota)),
    kind("cpu.stat", true, 0, cpu_statistics, None),
    kind("cpu.weight", false, CPU, weight, Some(set_weight)),
    kind("cpu.weight.nice", false, CPU, nice, Some(set_nice)),
    kind("cpuset.cpus", false, CPUSET, cpus, Some(set_cpus)),
    kind("cpuset.cpus.effective", true, CPUSET, effective, None),
];

const _: () = assert!(KINDS.len() < super::hierarchy::NUMBERS as usize);

const fn kind(
    name: &'static str,
    at_root: bool,
    needs: u8,
    read: Read,
    write: Option<Set>,
) -> Kind {
    Kind {
        name,
        at_root,
        needs,
        read,
        write,
    }
}

fn controllers(cgroup: &Cgroup) -> String {
    control::names(cgroup.available())
}

fn enabled(cgroup: &Cgroup) -> String {
    control::names(cgroup.enabled.get())
}

fn enable(hierarchy: &Hierarchy, cgroup: &Arc<Cgroup>, text: &str) -> Result<(), Error> {
    let (on, off) = control::parse(text)?;
    hierarchy.enable(cgroup, on, off)
}

fn events(cgroup: &Cgroup) -> String {
    format!("populated {}\nfrozen 0\n", u8::from(cgroup.is_populated()))
}

fn statistics(cgroup: &Cgroup) -> String {
    let below = cgroup.descendants();
    format!("nr_descendants {below}\nnr_dying_descendants 0\n")
}

fn domain(cgroup: &Cgroup) -> String {
    let word = match (cgroup.is_valid_domain(), cgroup.is_thread_root()) {
        (false, _) => "domain invalid",
        (true, true) => "domain threaded",
        (true, false) => "domain",
    };
    format!("{word}\n")
}

fn processes(cgroup: &Cgroup) -> String {
    let mut text = String::new();
    for process in cgroup.processes() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", process.id());
    }
    text
}

fn threads(cgroup: &Cgroup) -> String {
    let mut text = String::new();
    for process in cgroup.processes() {
        for thread in process.threads() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", thread.id());
        }
    }
    text
}

fn admit(hierarchy: &Hierarchy, cgroup: &Arc<Cgroup>, text: &str) -> Result<(), Error> {
    let number: i32 = text.trim().parse().map_err(|_| Error::Invalid)?;
    let number = u32::try_from(number).map_err(|_| Error::Invalid)?;
    let caller = crate::procfs::calling_process().ok_or(Error::NoProcess)?;
    let process = if number == 0 {
        caller.clone()
    } else {
        let found = process::find(number).or_else(|| {
            let thread = process::find_thread(number)?;
            Some(thread.process().clone())
        });
        let known = |process: &Arc<process::Process>| {
            realm::knows(&caller, process, Rights::SIGNAL) && process.status().is_none()
        };
        found.filter(known).ok_or(Error::NoProcess)?
    };
    let identity = Process::of(&caller).map(|caller| caller.identity());
    let place = KINDS.iter().position(|kind| kind.name == PROCESSES);
    hierarchy.admit(cgroup, &process, |above| {
        let permissions = above.permissions(1 + place.unwrap_or(0) as u64, WRITABLE);
        identity.as_ref().is_none_or(|identity| {
            let checked = identity.files.check(permissions, Access::WRITE, false);
            checked.is_ok()
        })
    })
}

fn unsupported(_: &Hierarchy, _: &Arc<Cgroup>, _: &str) -> Result<(), Error> {
    Err(Error::Unsupported)
}

/// The group of a cgroup that is not the root.
fn group(cgroup: &Cgroup) -> Result<&Arc<task::Group>, Error> {
    if cgroup.is_removed() {
        return Err(Error::NoDevice);
    }
    cgroup.group().ok_or(Error::Unsupported)
}

const NORMAL: u64 = 100;
const HEAVIEST: u64 = 10_000;

/// A weight as files have it, 1 to 10000, of one that the scheduler has (`sched_weight_to_cgroup`).
fn to_file(weight: u32) -> u64 {
    let normal = u64::from(NORMAL_WEIGHT);
    ((u64::from(weight) * NORMAL + normal / 2) / normal).clamp(1, HEAVIEST)
}

/// The reverse (`sched_weight_from_cgroup`).
fn from_file(weight: u64) -> u32 {
    let scaled = (weight * u64::from(NORMAL_WEIGHT) + NORMAL / 2) / NORMAL;
    u32::try_from(scaled).map_or(LARGEST_WEIGHT, |scaled| scaled.clamp(1, LARGEST_WEIGHT))
}

fn weight(cgroup: &Cgroup) -> String {
    let weight = cgroup.group().map_or(NORMAL_WEIGHT, |group| group.weight());
    format!("{}\n", to_file(weight))
}

fn set_weight(_: &Hierarchy, cgroup: &Arc<Cgroup>, text: &str) -> Result<(), Error> {
    let wanted: u64 = text.trim().parse().map_err(|_| Error::Invalid)?;
    if !(1..=HEAVIEST).contains(&wanted) {
        return Err(Error::Range);
    }
    group(cgroup)?.set_weight(from_file(wanted))
}

/// The niceness whose weight is nearest.
fn nice(cgroup: &Cgroup) -> String {
    let weight = cgroup.group().map_or(NORMAL_WEIGHT, |group| group.weight());
    let nearest = (-20..20).min_by_key(|nice| weight_of_nice(*nice).abs_diff(weight));
    format!("{}\n", nearest.unwrap_or(0))
}

fn set_nice(_: &Hierarchy, cgroup: &Arc<Cgroup>, text: &str) -> Result<(), Error> {
    let wanted: i64 = text.trim().parse().map_err(|_| Error::Invalid)?;
    let nice = i8::try_from(wanted).map_err(|_| Error::Range)?;
    if !(-20..20).contains(&nice) {
        return Err(Error::Range);
    }
    group(cgroup)?.set_weight(weight_of_nice(nice))
}

const MICROSECOND: u64 = 1000;

fn quota(cgroup: &Cgroup) -> String {
    let quota = cgroup.group().and_then(|group| group.quota());
    let period = cgroup.period.load(Ordering::Relaxed) / MICROSECOND;
    match quota {
        Some(quota) => format!("{} {period}\n", quota.runtime / MICROSECOND),
        None => format!("max {period}\n"),
    }
}

fn set_quota(_: &Hierarchy, cgroup: &Arc<Cgroup>, text: &str) -> Result<(), Error> {
    let group = group(cgroup)?;
    let (runtime, period) = read_quota(text)?;
    let period = period.unwrap_or(cgroup.period.load(Ordering::Relaxed));
    // Also where there is no quota, as Linux has it.
    let quota = Quota {
        runtime: runtime.unwrap_or(period),
        period,
    };
    if !quota.is_valid() {
        return Err(Error::Invalid);
    }
    group.set_quota(runtime.map(|_| quota))?;
    cgroup.period.store(period, Ordering::Relaxed);
    Ok(())
}

/// `MAX` or `MAX PERIOD` in microseconds, where MAX may be `max`; in nanoseconds.
fn read_quota(text: &str) -> Result<(Option<u64>, Option<u64>), Error> {
    let mut words = text.split_ascii_whitespace();
    let nanoseconds = |word: &str| {
        let number: u64 = word.parse().map_err(|_| Error::Invalid)?;
        number.checked_mul(MICROSECOND).ok_or(Error::Invalid)
    };
    let runtime = match words.next().ok_or(Error::Invalid)? {
        "max" => None,
        word => Some(nanoseconds(word)?),
    };
    Ok((runtime, words.next().map(nanoseconds).transpose()?))
}

fn cpu_statistics(cgroup: &Cgroup) -> String {
    let usage = match cgroup.group() {
        Some(group) => group.usage(),
        None => whole_machine(),
    };
    let mut text = String::new();
    let mut put = |name: &str, number: u64| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {number}");
    };
    put("usage_usec", usage.used / MICROSECOND);
    // As in getrusage(2): what calls take is not told apart.
    put("user_usec", usage.used / MICROSECOND);
    put("system_usec", 0);
    if !cgroup.is_root() && cgroup.available() & CPU != 0 {
        put("nr_periods", usage.periods);
        put("nr_throttled", usage.exhausted);
        put("throttled_usec", usage.paused / MICROSECOND);
    }
    text
}

/// Whoever is in no group sees what all use, as in `/proc/stat`.
fn whole_machine() -> Usage {
    let stats = (0..machine::cpu::count()).map(task::stats_of);
    Usage {
        used: stats.map(|stats| stats.busy).sum(),
        ..Usage::default()
    }
}

fn running() -> CpuSet {
    CpuSet::first(machine::cpu::count())
}

fn cpus(cgroup: &Cgroup) -> String {
    let cpus = *cgroup.cpus.lock();
    cpus.map_or_else(|| String::from("\n"), |cpus| format!("{cpus}\n"))
}

fn effective(cgroup: &Cgroup) -> String {
    let allowed = cgroup.group().map_or(u64::MAX, |group| group.allowed());
    format!("{}\n", CpuSet(allowed & running().0))
}

fn set_cpus(_: &Hierarchy, cgroup: &Arc<Cgroup>, text: &str) -> Result<(), Error> {
    let group = group(cgroup)?;
    let wanted = read_cpus(text, machine::cpu::count())?;
    let wanted = (wanted != CpuSet::default()).then_some(wanted);
    let mut kept = cgroup.cpus.lock();
    group.set_cpus(wanted.map_or(u64::MAX, |cpus| cpus.0))?;
    *kept = wanted;
    Ok(())
}

/// A list like `0,2-3`, in the machine with so many processors.
fn read_cpus(text: &str, count: usize) -> Result<CpuSet, Error> {
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| Error::Invalid);
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(Error::Invalid);
        }
        if last >= count {
            return Err(Error::Range);
        }
    }
    let plain = text.trim().trim_end_matches(',');
    plain.parse().map_err(|_| Error::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_files_and_of_the_scheduler() {
        for weight in [1, 2, 50, 99, 100, 101, 5000, HEAVIEST] {
            assert_eq!(to_file(from_file(weight)), weight);
        }
        assert_eq!(from_file(NORMAL), NORMAL_WEIGHT);
        assert_eq!(to_file(weight_of_nice(19)), 1);
        assert_eq!(to_file(weight_of_nice(-20)), 8668);
    }

    #[test]
    fn lists_of_processors_are_read() {
        for (text, outcome) in [
            ("\n", Ok(CpuSet(0))),
            ("0,2-3\n", Ok(CpuSet(0b1101))),
            ("1,", Ok(CpuSet(0b10))),
            ("3-4", Err(Error::Range)),
            ("9999999", Err(Error::Range)),
            ("2-1", Err(Error::Invalid)),
            ("x", Err(Error::Invalid)),
            ("1-", Err(Error::Invalid)),
        ] {
            assert_eq!(read_cpus(text, 4), outcome, "{text:?}");
        }
    }

    #[test]
    fn quotas_are_read() {
        let quota = |text| read_quota(text);
        assert_eq!(quota("max\n"), Ok((None, None)));
        assert_eq!(quota("max 50000"), Ok((None, Some(50_000_000))));
        assert_eq!(quota("20000"), Ok((Some(20_000_000), None)));
        assert_eq!(quota("1 2\n"), Ok((Some(1000), Some(2000))));
        for wrong in [
            "",
            "\n",
            "x",
            "-1",
            "1 x",
            "99999999999999999999",
            "18446744073709551615",
        ] {
            assert_eq!(quota(wrong), Err(Error::Invalid), "{wrong}");
        }
    }
}
