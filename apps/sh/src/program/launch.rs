//! Finding programs and starting them.

use crate::shell::Shell;
use crate::streams::Streams;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use commands::grant::{kept_name, mentioned};
use helve::process::{Child, Group};
use helve::{Command, Error, File, environment};
use shell::expand::Scope;

/// The program that runs scripts without a `#!` line.
const SHELL: &str = "/bin/sh";

/// Starts a program; `words` are its name and arguments, `assignments` its own variables.
///
/// # Errors
/// `NotFound` for a name that is no command; what the start says otherwise.
pub fn launch(
    shell: &Shell,
    words: &[String],
    assignments: &[(String, String)],
    streams: &Streams,
    group: Group,
) -> Result<Child, Error> {
    let (name, arguments) = words.split_first().ok_or(Error::Invalid)?;
    let program = find(shell, name).ok_or(Error::NotFound)?;
    let mut command = Command::new(&program);
    command
        .name(name)
        .arguments(arguments.iter().map(String::as_str))
        .group(group);
    prepare(&mut command, assignments, streams);
    give_kept(shell, &mut command, arguments);
    match command.start() {
        Err(Error::NotExecutable) => script(&program, arguments, assignments, streams, group),
        other => other,
    }
}

fn prepare(command: &mut Command, assignments: &[(String, String)], streams: &Streams) {
    if !assignments.is_empty() {
        let mut variables = environment::variables();
        variables.extend(assignments.iter().cloned());
        command.environment(variables);
    }
    streams.give(command);
}

/// Gives what is kept and mentioned: to name a handle to a program is to give it.
fn give_kept(shell: &Shell, command: &mut Command, arguments: &[String]) {
    for name in arguments.iter().filter_map(|word| mentioned(word)) {
        if let Some(handle) = shell.kept.get(name) {
            command.give(&kept_name(name), handle);
        }
    }
}

/// The path of the program that a name stands for.
pub fn find(shell: &Shell, name: &str) -> Option<String> {
    commands::find_program(name, &shell.variable("PATH").unwrap_or_default())
}

/// Starts a text file by the interpreter that its first line names, or as a script of this shell.
fn script(
    path: &str,
    arguments: &[String],
    assignments: &[(String, String)],
    streams: &Streams,
    group: Group,
) -> Result<Child, Error> {
    let mut start = [0; 256];
    let count = File::open(path)?.read(&mut start)?;
    let start = start.get(..count).unwrap_or_default();
    if start.contains(&0) || start.is_empty() {
        return Err(Error::NotExecutable);
    }
    let mut before: Vec<String> = match start.strip_prefix(b"#!") {
        Some(rest) => {
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            // The interpreter, and at most one argument with all that follows.
            line.trim()
                .splitn(2, [' ', '\t'])
                .map(|word| word.trim().to_string())
                .collect()
        }
        None => Vec::from([SHELL.to_string()]),
    };
    if before.first().is_none_or(String::is_empty) {
        return Err(Error::NotExecutable);
    }
    let mut command = Command::new(&before.remove(0));
    command
        .arguments(before.iter().map(String::as_str))
        .argument(path);
    command
        .arguments(arguments.iter().map(String::as_str))
        .group(group);
    prepare(&mut command, assignments, streams);
    command.start()
}
