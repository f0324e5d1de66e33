//! `handles`: what this program was given.

use crate::options::Options;
use crate::{Misuse, table};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::{Rights, environment};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    Options::new(arguments, "")?.no_operands()?;
    let mut rows = Vec::from([["name", "handle", "kind", "rights"]
        .map(String::from)
        .into()]);
    for (name, rights) in environment::handles() {
        let Ok(handle) = environment::handle(name) else {
            continue;
        };
        let inspected = handle.inspect();
        let kind = inspected
            .as_ref()
            .ok()
            .and_then(|about| about.as_document().string("kind"))
            .unwrap_or("?");
        rows.push(
            [
                name.into(),
                format!("{:#x}", handle.number().0),
                kind.into(),
                words(rights),
            ]
            .into(),
        );
    }
    helve::print!("{}", table::align(&rows, &[]));
    Ok(0)
}

/// Rights as words.
fn words(rights: Rights) -> String {
    let names: Vec<String> = rights
        .iter_names()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_in_words() {
        assert_eq!(words(Rights::READ | Rights::INSPECT), "read inspect");
        assert_eq!(words(Rights::empty()), "");
    }
}
