//! `with`: runs a program with what it is given and nothing else.
//!
//! The one idea: a program can do what its handles can do. So "what may it do" is a list of handles, each with its
//! rights, and whatever is not in the list is not there for it.

use crate::{Misuse, failed, find_program};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::process::Command;
use helve::{Handle, OpenFlags, Rights, registry};

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

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let at = arguments.iter().position(|argument| argument == "run");
    let (grants, command) = at
        .and_then(|at| Some((arguments.get(..at)?, arguments.get(at + 1..)?)))
        .ok_or_else(|| Misuse("the word `run` and a program are missing".into()))?;
    let (program, rest) = command
        .split_first()
        .ok_or_else(|| Misuse("a program is missing".into()))?;
    let grants: Vec<Grant<'_>> = match grants {
        [nothing] if nothing == "nothing" => Vec::new(),
        [] => return Err(Misuse("say what to give, or `nothing`".into())),
        grants => grants
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
