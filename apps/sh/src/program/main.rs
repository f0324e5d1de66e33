//! The native shell: reads commands from a terminal, a file or a pipe, and runs them.
//!
//! What text means is in the library beside this program; here it meets the system:
//!
//! - [`shell`]: variables, status, arguments
//! - [`input`]: lines from anywhere; [`prompt`]: lines typed at a terminal
//! - [`run`]: chains and pipelines; [`streams`]: redirections; [`launch`]: programs
//! - [`builtins`]: commands that are the shell's own
#![cfg_attr(panic = "abort", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

mod builtins;
mod input;
mod launch;
mod prompt;
mod run;
mod shell;
mod streams;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use helve::{File, eprintln, io};
use input::Lines;
use shell::Shell;

helve::program!(sh);

fn sh() -> u8 {
    let mut arguments: Vec<String> = helve::environment::arguments().collect();
    if arguments.is_empty() {
        arguments.push("sh".into());
    }
    match arguments.get(1).map(String::as_str) {
        Some("-c") => match arguments.get(2).cloned() {
            Some(text) => {
                // The script's own arguments follow it, its name first.
                let rest = if arguments.len() > 3 {
                    arguments.split_off(3)
                } else {
                    arguments
                };
                text_of(&mut Shell::new(rest), &text)
            }
            None => usage("-c needs a command"),
        },
        Some("--help") => {
            helve::println!("usage: sh [FILE [ARGUMENT...]] | sh -c COMMANDS [NAME [ARGUMENT...]]");
            0
        }
        Some(option) if option.starts_with('-') && option.len() > 1 && option != "-i" => {
            usage(&alloc::format!("unknown option {option}"))
        }
        Some(path) if path != "-i" => {
            let path = path.to_string();
            arguments.remove(0);
            file(&mut Shell::new(arguments), &path)
        }
        _ => {
            let mut shell = Shell::new(arguments);
            match prompt::Prompt::new() {
                Some(prompt) => prompt.serve(&mut shell),
                None => lines(&mut shell, &mut Lines::new(&io::input(), false)),
            }
        }
    }
}

fn usage(why: &str) -> u8 {
    eprintln!("sh: {why}\nusage: sh [FILE [ARGUMENT...]] | sh -c COMMANDS [NAME [ARGUMENT...]]");
    2
}

/// Runs one text.
fn text_of(shell: &mut Shell, text: &str) -> u8 {
    match ::shell::syntax::parse(text) {
        Ok(script) => run::script(shell, &script),
        Err(error) => shell.complain(error),
    }
    shell.leave()
}

/// Runs a script, command by command.
pub fn file(shell: &mut Shell, path: &str) -> u8 {
    match File::open(path) {
        Ok(file) => lines(shell, &mut Lines::new(file.handle(), true)),
        Err(error) => {
            eprintln!("sh: {path}: {error}");
            127
        }
    }
}

/// Runs what comes in, command by command.
fn lines(shell: &mut Shell, lines: &mut Lines<'_>) -> u8 {
    run_lines(shell, lines);
    shell.leave()
}

/// Runs what comes in until it ends or the shell shall leave.
pub fn run_lines(shell: &mut Shell, lines: &mut Lines<'_>) {
    while !shell.leaving() {
        match lines.script() {
            Ok(Some(script)) => run::script(shell, &script),
            Ok(None) => break,
            Err(error) => shell.complain(error),
        }
    }
}
