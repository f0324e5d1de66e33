//! `ask`: one of an object's verbs, from the command line.

use crate::inspect::{open, show};
use crate::{Misuse, failed};
use alloc::string::String;
use helve::{Rights, Value};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let [uri, verb, pairs @ ..] = arguments else {
        return Err(Misuse("an argument is missing".into()));
    };
    if let Some(wrong) = pairs.iter().find(|pair| !pair.contains('=')) {
        return Err(Misuse(alloc::format!("{wrong}: not NAME=VALUE")));
    }
    let asked = argument(pairs)
        .and_then(|argument| open(uri, wanted(uri, verb))?.request(verb, argument.as_document()));
    match asked {
        Ok(reply) => show(&reply),
        Err(error) => return Ok(failed("ask", uri, error)),
    }
    Ok(0)
}

/// Every right that might be needed and that the object may give. Which are given is decided where it is opened; a file
/// is only looked at, and a process is administered only where that is asked for.
fn wanted(uri: &str, verb: &str) -> Rights {
    match helve::path::split_registry(uri) {
        Some(("device", _)) => Rights::STREAM | Rights::ADMINISTER,
        Some(("process", _)) if verb == "compete" => Rights::ADMINISTER,
        Some(("process", _)) => Rights::SIGNAL | Rights::INSPECT,
        _ => Rights::LOOK,
    }
}

/// Pairs as a value: what looks like a number is one, `true` and `false` are truths, everything else is text.
fn argument(pairs: &[String]) -> Result<Value, helve::Error> {
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
        let pairs = ["a=1", "b=true", "c=x=y", "d="].map(String::from);
        let value = argument(&pairs).expect("it fits");
        assert_eq!(
            format!("{}", value.as_document()),
            r#"{"a": 1, "b": true, "c": "x=y", "d": ""}"#
        );
    }
}
