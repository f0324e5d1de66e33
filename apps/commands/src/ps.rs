//! `ps`: the processes that the `process:` registry shows.

use crate::options::Options;
use crate::{Misuse, failed, table};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use helve::process::{Listed, list};
use helve::time::SECOND;

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    Options::new(arguments, "aefux")?.no_operands()?;
    match list() {
        Ok(processes) => helve::print!("{}", shown(&processes)),
        Err(error) => return Ok(failed("ps", "process:", error)),
    }
    Ok(0)
}

fn shown(processes: &[Listed]) -> String {
    let head = [
        "ID", "PARENT", "KIND", "STATE", "THREADS", "MEMORY", "TIME", "COMMAND",
    ];
    let mut rows = Vec::from([head.map(String::from).into()]);
    rows.extend(processes.iter().map(row));
    table::align(&rows, &[0, 1, 4, 5, 6])
}

fn row(process: &Listed) -> Vec<String> {
    Vec::from([
        format!("{}", process.id),
        format!("{}", process.parent),
        process.personality.clone(),
        process.state.clone(),
        format!("{}", process.threads),
        table::bytes(process.memory),
        clock(process.time),
        command(process),
    ])
}

/// CPU time in minutes, seconds and hundredths.
pub fn clock(nanoseconds: u64) -> String {
    let seconds = nanoseconds / SECOND;
    let hundredths = nanoseconds % SECOND / (SECOND / 100);
    format!("{}:{:02}.{hundredths:02}", seconds / 60, seconds % 60)
}

/// The command as one line that does nothing to a terminal.
pub fn command(process: &Listed) -> String {
    let command = if process.command.is_empty() {
        &process.name
    } else {
        &process.command
    };
    let plain = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    command.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each() {
        let process = Listed {
            id: 12,
            parent: 1,
            name: "sh".into(),
            command: "sh -c x\ny".into(),
            state: "waiting".into(),
            personality: "native".into(),
            threads: 1,
            memory: 81_920,
            time: 61_230_000_000,
        };
        let text = shown(&[process]);
        assert_eq!(
            text.lines().nth(1),
            Some("12      1 native waiting       1    80K 1:01.23 sh -c x y")
        );
    }
}
