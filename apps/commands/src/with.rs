//! `with`: runs a program with what it is given and nothing else.
//!
//! The one idea: a program can do what its handles can do. So "what may it do" is a list of handles, each with its
//! rights, and whatever is not in the list is not there for it.

use crate::{Misuse, failed, find_program};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::process::Command;
use helve::{CpuSet, Handle, Limits, OpenFlags, Quota, Rights, Share, registry};

/// What a grant gives unless it says more: to look and to run, to change nothing.
const READ_ONLY: Rights = Rights::LOOK.union(Rights::EXECUTE).union(Rights::MAP);

/// One thing to give: a registry, or something in one that stands in for the registry.
#[derive(Debug, PartialEq, Eq)]
struct Grant<'a> {
    registry: &'a str,
    path: &'a str,
    rights: Rights,
}

impl<'a> Grant<'a> {
    /// Reads `REGISTRY[:PATH][,RIGHT...]`.
    fn parse(text: &'a str) -> Result<Grant<'a>, Misuse> {
        let mut parts = text.split(',');
        let what = parts.next().unwrap_or_default();
        let (registry, path) = what.split_once(':').unwrap_or((what, ""));
        if registry.is_empty() {
            return Err(Misuse(format!("{text}: no registry")));
        }
        let mut rights = None;
        for word in parts {
            let more = match word {
                "ro" => READ_ONLY,
                "rw" => Rights::all(),
                name => named(name).ok_or_else(|| Misuse(format!("{name}: no such right")))?,
            };
            rights = Some(rights.unwrap_or(Rights::empty()) | more);
        }
        Ok(Grant {
            registry,
            path,
            rights: rights.unwrap_or(READ_ONLY),
        })
    }

    /// The handle: of all rights asked for those that this program has itself.
    fn open(&self) -> Result<Handle, helve::Error> {
        let own = registry::get(self.registry)?;
        // The program gets it from us and may hand it on.
        let wanted = self.rights | Rights::TRANSFER | Rights::DUPLICATE;
        let rights = wanted & own.rights()?;
        if self.path.is_empty() {
            own.duplicate(rights)
        } else {
            own.open(self.path, rights, OpenFlags::empty())
        }
    }
}

fn named(name: &str) -> Option<Rights> {
    let mut all = Rights::all().iter_names();
    all.find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, right)| right)
}

/// The period of a quota: short enough that a program that waits for the next one does not seem to hang.
const PERIOD: u64 = 50_000_000;

/// Takes `cpu=PERCENT%`, `weight=NUMBER` or `cpus=LIST` into what the program gets of the CPUs. `None`: it is none of
/// these.
fn limit(limits: &mut Limits, text: &str) -> Option<Result<(), Misuse>> {
    let (name, value) = text.split_once('=')?;
    let wrong = |why| Some(Err(Misuse(format!("{text}: {why}"))));
    match name {
        "cpu" => {
            let number = value.strip_suffix('%').and_then(|text| text.parse().ok());
            let Some(percent @ 2..=100_000) = number else {
                return wrong("not a percentage of a processor (at least 2 %)");
            };
            let runtime = PERIOD / 100 * percent;
            limits.quota = Some(Quota {
                runtime,
                period: PERIOD,
            });
        }
        "weight" => match value.parse() {
            Ok(weight @ 1..=10_000) => limits.weight = Some(weight),
            _ => return wrong("not a weight from 1 to 10000 (100 is normal)"),
        },
        "cpus" => match value.parse::<CpuSet>() {
            Ok(cpus) if cpus != CpuSet::default() => limits.cpus = Some(cpus),
            _ => return wrong("not a list of processors like 0,2-3"),
        },
        _ => return None,
    }
    Some(Ok(()))
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let at = arguments.iter().position(|argument| argument == "run");
    let (grants, command) = at
        .and_then(|at| Some((arguments.get(..at)?, arguments.get(at + 1..)?)))
        .ok_or_else(|| Misuse("the word `run` and a program are missing".into()))?;
    let (program, rest) = command
        .split_first()
        .ok_or_else(|| Misuse("a program is missing".into()))?;
    let mut limits = Limits::default();
    let mut things = Vec::new();
    for text in grants {
        match limit(&mut limits, text) {
            Some(taken) => taken?,
            None => things.push(text),
        }
    }
    let grants: Vec<Grant<'_>> = match things.as_slice() {
        [nothing] if *nothing == "nothing" => Vec::new(),
        [] => return Err(Misuse("say what to give, or `nothing`".into())),
        things => things
            .iter()
            .map(|text| Grant::parse(text))
            .collect::<Result<_, _>>()?,
    };
    let search = helve::environment::variable("PATH").unwrap_or_default();
    let Some(path) = find_program(program, &search) else {
        helve::eprintln!("with: {program}: not found");
        return Ok(127);
    };
    let mut start = Command::new(&path);
    start
        .name(program)
        .arguments(rest.iter().map(String::as_str))
        .no_registries();
    let mut given = Vec::new();
    for grant in &grants {
        match grant.open() {
            Ok(handle) => given.push((grant.registry, handle)),
            Err(error) => {
                let what = format!("{}:{}", grant.registry, grant.path);
                return Ok(failed("with", &what, error));
            }
        }
    }
    for (name, handle) in &given {
        start.registry(name, handle);
    }
    let share = (limits != Limits::default()).then(|| Share::new(&limits));
    match &share {
        Some(Ok(share)) => {
            start.share(share);
        }
        Some(Err(error)) => return Ok(failed("with", "process:", *error)),
        None => {}
    }
    // Where we stand may not be there for it.
    if !grants
        .iter()
        .any(|grant| grant.registry == "file" && grant.path.is_empty())
    {
        start.directory("/");
    }
    let ended = start.start().and_then(|child| child.wait());
    match ended {
        Ok(status) => Ok(status.code()),
        Err(error) => {
            failed("with", program, error);
            Ok(126)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let limits = |text: &str| {
            let mut limits = Limits::default();
            limit(&mut limits, text).map(|taken| taken.map(|()| limits))
        };
        let expected = Limits {
            quota: Some(Quota {
                runtime: 75_000_000,
                period: PERIOD,
            }),
            ..Limits::default()
        };
        assert_eq!(limits("cpu=150%"), Some(Ok(expected)));
        let weight = limits("weight=10000").and_then(Result::ok);
        assert_eq!(weight.and_then(|limits| limits.weight), Some(10_000));
        for (text, cpus) in [("cpus=0,2-3", 0b1101), ("cpus=0-63", u64::MAX)] {
            let taken = limits(text).and_then(Result::ok);
            assert_eq!(taken.and_then(|limits| limits.cpus), Some(CpuSet(cpus)));
        }
        for other in ["file:/a=b", "file", "cpu", "CPU=1%"] {
            assert_eq!(limits(other), None, "{other}");
        }
        for wrong in [
            "cpu=1%", "cpu=50", "cpu=", "weight=0", "weight=x", "cpus=64", "cpus=3-1", "cpus=",
            "cpus=1,",
        ] {
            assert!(limits(wrong).expect("it is meant").is_err(), "{wrong}");
        }
    }

    #[test]
    fn grants() {
        let grant = |registry, path, rights| {
            Ok(Grant {
                registry,
                path,
                rights,
            })
        };
        assert_eq!(Grant::parse("file"), grant("file", "", READ_ONLY));
        assert_eq!(Grant::parse("file:/tmp"), grant("file", "/tmp", READ_ONLY));
        assert_eq!(
            Grant::parse("file:/a:b,rw"),
            grant("file", "/a:b", Rights::all())
        );
        assert_eq!(
            Grant::parse("log,list,READ"),
            grant("log", "", Rights::LIST | Rights::READ)
        );
        for wrong in ["", ":/tmp", "file,write-only", "file,"] {
            assert!(Grant::parse(wrong).is_err(), "{wrong}");
        }
    }
}
