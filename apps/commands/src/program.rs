//! Where programs are.

use alloc::string::String;
use helve::Kind;
use helve::file::File;
use helve::path;

/// The program that all small commands are.
const COMMANDS: &str = "/bin/commands";

/// The path of the program that a name stands for: a path as it is, a native command, or what the search path gives.
pub fn find_program(name: &str, search: &str) -> Option<String> {
    if name.contains('/') {
        return Some(name.into());
    }
    if crate::find(name).is_some() && is_program(COMMANDS) {
        return Some(COMMANDS.into());
    }
    let directories = search.split(':').filter(|directory| !directory.is_empty());
    directories
        .map(|directory| path::join(directory, name))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &str) -> bool {
    File::program(path)
        .and_then(|file| file.metadata())
        .is_ok_and(|about| about.kind == Kind::File)
}
