//! Grants and limits: how it is said what a program gets. `with` gives them, and the shell keeps them.

use crate::Misuse;
use alloc::format;
use alloc::string::String;
use helve::{CpuSet, Error, Handle, Limits, OpenFlags, Quota, Rights, registry};

/// What a grant of a registry gives unless it says more: to look and to run, to change nothing.
const READ_ONLY: Rights = Rights::LOOK.union(Rights::EXECUTE).union(Rights::MAP);

/// Something to give.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// As what it is given: the name of a registry. `None`: as what it was kept as.
    pub place: Option<&'a str>,
    source: Source<'a>,
    rights: Option<Rights>,
}

/// Where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A registry of this program, or what is at the path there.
    Registry { name: &'a str, path: &'a str },
    /// What the shell keeps under this name.
    Kept(&'a str),
}

impl<'a> Grant<'a> {
    /// Reads `REGISTRY[:PATH][,RIGHT...]`, `REGISTRY=@NAME[,RIGHT...]` or `@NAME[,RIGHT...]`.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(text: &'a str) -> Result<Grant<'a>, Misuse> {
        let mut parts = text.split(',');
        let what = parts.next().unwrap_or_default();
        let (place, source) = if let Some(kept) = what.strip_prefix('@') {
            (None, Source::Kept(kept))
        } else if let Some((place, kept)) = what.split_once("=@") {
            (Some(place), Source::Kept(kept))
        } else {
            let (name, path) = what.split_once(':').unwrap_or((what, ""));
            (Some(name), Source::Registry { name, path })
        };
        if place == Some("") || source == Source::Kept("") {
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
            place,
            source,
            rights,
        })
    }

    /// What it was kept as; `None`: it comes from a registry.
    pub fn kept(&self) -> Option<&'a str> {
        match self.source {
            Source::Kept(name) => Some(name),
            Source::Registry { .. } => None,
        }
    }

    /// Whether it is a whole registry of this program.
    pub fn is_whole(&self) -> bool {
        matches!(self.source, Source::Registry { path: "", .. })
    }

    /// The handle: of all rights asked for those that this program has itself. `kept` finds what is kept.
    ///
    /// # Errors
    /// Whatever the registry says, or `kept`.
    pub fn open(&self, kept: impl FnOnce(&str) -> Result<Handle, Error>) -> Result<Handle, Error> {
        // The program gets it from us and may hand it on.
        let passing = Rights::TRANSFER | Rights::DUPLICATE;
        match self.source {
            Source::Kept(name) => {
                let own = kept(name)?;
                let rights = self.rights.unwrap_or(Rights::all()) | passing;
                own.duplicate(rights & own.rights()?)
            }
            Source::Registry { name, path } => {
                let own = registry::get(name)?;
                let rights = (self.rights.unwrap_or(READ_ONLY) | passing) & own.rights()?;
                if path.is_empty() {
                    own.duplicate(rights)
                } else {
                    own.open(path, rights, OpenFlags::empty())
                }
            }
        }
    }

    /// What is to be said of it when something goes wrong.
    pub fn name(&self) -> String {
        match self.source {
            Source::Kept(name) => format!("@{name}"),
            Source::Registry { name, path } => format!("{name}:{path}"),
        }
    }
}

fn named(name: &str) -> Option<Rights> {
    let mut all = Rights::all().iter_names();
    all.find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, right)| right)
}

/// The names of what is kept that a word of a command line mentions: `@NAME`, or what follows a `=`.
pub fn mentioned(word: &str) -> Option<&str> {
    let name = match word.strip_prefix('@') {
        Some(name) => name,
        None => word.split_once("=@")?.1,
    };
    name.split(',').next().filter(|name| !name.is_empty())
}

/// Under which name a program gets what the shell keeps under this one.
pub fn kept_name(name: &str) -> String {
    ["@", name].concat()
}

/// The period of a quota: short enough that a program that waits for the next one does not seem to hang.
const PERIOD: u64 = 50_000_000;

/// Takes `cpu=PERCENT%`, `weight=NUMBER` or `cpus=LIST` into what the program gets of the CPUs. `None`: it is none of
/// these.
pub fn limit(limits: &mut Limits, text: &str) -> Option<Result<(), Misuse>> {
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
        let grant = |name, path, rights| {
            Ok(Grant {
                place: Some(name),
                source: Source::Registry { name, path },
                rights,
            })
        };
        let kept = |place, name, rights| {
            Ok(Grant {
                place,
                source: Source::Kept(name),
                rights,
            })
        };
        assert_eq!(Grant::parse("file"), grant("file", "", None));
        assert_eq!(Grant::parse("file:/tmp"), grant("file", "/tmp", None));
        assert_eq!(
            Grant::parse("file:/a:b,rw"),
            grant("file", "/a:b", Some(Rights::all()))
        );
        assert_eq!(
            Grant::parse("log,list,READ"),
            grant("log", "", Some(Rights::LIST | Rights::READ))
        );
        assert_eq!(Grant::parse("@slow"), kept(None, "slow", None));
        let administer = Some(Rights::ADMINISTER);
        assert_eq!(
            Grant::parse("process=@p,administer"),
            kept(Some("process"), "p", administer)
        );
        for wrong in [
            "",
            ":/tmp",
            "file,write-only",
            "file,",
            "@",
            "file=@",
            "=@x",
            "@x,",
        ] {
            assert!(Grant::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_mention_what_is_kept() {
        for (word, name) in [
            ("@slow", Some("slow")),
            ("share=@slow", Some("slow")),
            ("file=@data,ro", Some("data")),
            ("a@b", None),
            ("@", None),
            ("x=y", None),
        ] {
            assert_eq!(mentioned(word), name, "{word}");
        }
    }
}
