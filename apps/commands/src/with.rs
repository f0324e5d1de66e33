//! `with`: runs a program with what it is given and nothing else.
//!
//! The one idea: a program can do what its handles can do. So "what may it do" is a list of handles, each with its
//! rights, and whatever is not in the list is not there for it.

use crate::grant::{Grant, kept_name, limit};
use crate::{Misuse, failed, find_program};
use alloc::string::String;
use alloc::vec::Vec;
use helve::environment::copy_of_handle;
use helve::process::Command;
use helve::{Kind, Limits, Share};

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
    let nothing = things.iter().any(|text| *text == "nothing");
    let grants: Vec<Grant<'_>> = things
        .iter()
        .filter(|text| **text != "nothing")
        .map(|text| Grant::parse(text))
        .collect::<Result<_, _>>()?;
    let registries = grants.iter().any(|grant| grant.place.is_some());
    if nothing == registries {
        return Err(Misuse("say what to give, or `nothing`".into()));
    }
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
    let (mut given, mut kept) = (Vec::new(), Vec::new());
    for grant in &grants {
        let found = grant.open(|kept| copy_of_handle(&kept_name(kept)));
        match found.and_then(|handle| Ok((handle.kind()?, handle))) {
            Ok((kind, handle)) => given.push((grant, kind, handle)),
            Err(error) => return Ok(failed("with", &grant.name(), error)),
        }
    }
    let mut around = None;
    for (grant, kind, handle) in given {
        match (grant.place, grant.kept(), kind) {
            (Some(place), ..) => {
                start.registry(place, &handle);
                kept.push(handle);
            }
            (None, _, Kind::Share) if around.is_some() => {
                return Err(Misuse("more than one share".into()));
            }
            (None, _, Kind::Share) => around = Some(Share::from_handle(handle)),
            (None, name, _) => {
                start.give(name.unwrap_or_default(), &handle);
                kept.push(handle);
            }
        }
    }
    if limits != Limits::default() {
        let inner = match &around {
            Some(around) => around.within(&limits),
            None => Share::new(&limits),
        };
        match inner {
            Ok(inner) => around = Some(inner),
            Err(error) => return Ok(failed("with", "process:", error)),
        }
    }
    if let Some(share) = &around {
        start.share(share);
    }
    // Where we stand may not be there for it.
    if !grants
        .iter()
        .any(|grant| grant.place == Some("file") && grant.is_whole())
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
