//! `ask`: one of an object's verbs, from the command line.

use crate::grant::{Grant, kept_name};
use crate::inspect::{open, show};
use crate::{Misuse, failed};
use alloc::string::String;
use alloc::vec::Vec;
use helve::environment::copy_of_handle;
use helve::{Handle, Rights, Value};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let [uri, verb, pairs @ ..] = arguments else {
        return Err(Misuse("an argument is missing".into()));
    };
    if let Some(wrong) = pairs.iter().find(|pair| !pair.contains('=')) {
        return Err(Misuse(alloc::format!("{wrong}: not NAME=VALUE")));
    }
    let (handles, values): (Vec<&str>, Vec<&str>) = pairs
        .iter()
        .map(String::as_str)
        .partition(|pair| pair.contains("=@"));
    let mut given = Vec::new();
    for text in handles {
        let grant = Grant::parse(text)?;
        match grant.open(|kept| copy_of_handle(&kept_name(kept))) {
            Ok(handle) => given.push((grant.place.unwrap_or_default(), handle)),
            Err(error) => return Ok(failed("ask", &grant.name(), error)),
        }
    }
    match ask(uri, verb, &values, &given) {
        Ok(reply) => show(&reply),
        Err(error) => return Ok(failed("ask", uri, error)),
    }
    Ok(0)
}

fn ask(
    uri: &str,
    verb: &str,
    values: &[&str],
    given: &[(&str, Handle)],
) -> Result<Value, helve::Error> {
    let argument = argument(values)?;
    let object = open(uri, wanted(uri, verb))?;
    if given.is_empty() {
        return object.request(verb, argument.as_document());
    }
    let mut handles = Vec::new();
    for (name, handle) in given {
        handles.push((*name, handle, handle.rights()?));
    }
    object.request_with(verb, argument.as_document(), &handles)
}

/// Every right that might be needed and that the object may give. Which are given is decided where it is opened; a file
/// is only looked at, and a process is administered only where that is asked for.
fn wanted(uri: &str, verb: &str) -> Rights {
    match helve::path::split_registry(uri) {
        Some(("device", _)) => Rights::STREAM | Rights::ADMINISTER,
        Some(("process", _)) if matches!(verb, "compete" | "join") => Rights::ADMINISTER,
        Some(("process", _)) => Rights::SIGNAL | Rights::INSPECT,
        _ => Rights::LOOK,
    }
}

/// Pairs as a value: what looks like a number is one, `true` and `false` are truths, everything else is text.
fn argument(pairs: &[&str]) -> Result<Value, helve::Error> {
    let value = Value::build(|builder| {
        for (name, text) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
            match (text, text.parse::<i64>()) {
                (_, Ok(number)) => builder.put(name, number),
                ("true", _) => builder.put(name, true),
                ("false", _) => builder.put(name, false),
                (text, _) => builder.put(name, text),
            };
        }
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn pairs_become_values() {
        let pairs = ["a=1", "b=true", "c=x=y", "d="];
        let value = argument(&pairs).expect("it fits");
        assert_eq!(
            format!("{}", value.as_document()),
            r#"{"a": 1, "b": true, "c": "x=y", "d": ""}"#
        );
    }
}
