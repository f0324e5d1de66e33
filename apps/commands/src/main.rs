//! One program for all small commands: its own name says which, or else its first argument.
#![cfg_attr(panic = "abort", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

helve::program!(run);

fn run() -> u8 {
    let arguments: Vec<String> = helve::environment::arguments().collect();
    let mut rest = arguments.as_slice();
    while let Some((name, after)) = rest.split_first() {
        if let Some(command) = commands::find(helve::path::name(name)) {
            return command.run(after);
        }
        // The program's own name, and then something that is no command.
        if rest.len() < arguments.len() {
            helve::eprintln!("commands: {name}: no such command");
            return 127;
        }
        rest = after;
    }
    for command in commands::COMMANDS {
        helve::println!("{:<10} {}", command.name, command.about);
    }
    0
}
