//! The small commands of the native system.
//!
//! One file each, and one table: [`COMMANDS`]. A command gets its arguments without its name and returns its exit
//! status: 0, 1 for a failure, 2 for arguments that make no sense. What has nothing to do with the system (options,
//! columns, the forms of numbers and dates) is in functions that are tested on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;

mod ask;
mod cat;
mod date;
mod echo;
mod free;
pub mod grant;
mod handles;
mod inspect;
mod kill;
mod kv;
mod log;
mod ls;
mod mkdir;
pub mod options;
mod power;
mod program;
mod ps;
mod rm;
pub mod screen;
pub mod sleep;
pub mod table;
mod top;
mod uptime;
mod with;

pub use echo::echo;
pub use kill::signal_name;
pub use program::find_program;

/// A command of the table.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub name: &'static str,
    /// What follows the name.
    pub usage: &'static str,
    /// One line for `help`.
    pub about: &'static str,
    run: fn(&[String]) -> Result<u8, Misuse>,
}

/// The arguments make no sense; the text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(pub String);

impl Command {
    /// Does it; returns the exit status.
    pub fn run(&self, arguments: &[String]) -> u8 {
        if arguments.first().is_some_and(|first| first == "--help") {
            helve::println!("usage: {} {}\n{}", self.name, self.usage, self.about);
            return 0;
        }
        match (self.run)(arguments) {
            Ok(status) => status,
            Err(Misuse(why)) => {
                helve::eprintln!("{}: {why}\nusage: {} {}", self.name, self.name, self.usage);
                2
            }
        }
    }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Reports what went wrong with what; the exit status is 1.
fn failed(command: &str, what: &str, error: helve::Error) -> u8 {
    helve::eprintln!("{command}: {what}: {error}");
    1
}

macro_rules! commands {
    ($($name:literal $usage:literal => $run:expr, $about:literal;)*) => {
        /// Every command, in the order of the alphabet.
        pub const COMMANDS: &[Command] = &[$(Command { name: $name, usage: $usage, about: $about, run: $run },)*];
    };
}

commands! {
    "ask" "URI|@NAME VERB [NAME=VALUE...|NAME=@NAME[,RIGHT...]...]" => ask::run, "ask an object for one of its verbs";
    "cat" "[FILE...]" => cat::run, "show files, or what comes in";
    "clear" "" => clear, "empty the screen";
    "date" "[+FORMAT]" => date::run, "show the date and time (UTC)";
    "echo" "[-n] [TEXT...]" => echo::run, "show text";
    "env" "" => env, "show the environment";
    "false" "" => |_| Ok(1), "fail";
    "free" "[-b|-k|-m]" => free::run, "show how memory is used";
    "handles" "" => handles::run, "show the handles this program was given";
    "inspect" "URI|@NAME..." => inspect::run, "show what objects say about themselves";
    "kill" "[-SIGNAL] ID... | -l" => kill::run, "ask processes to end";
    "kv" "[NAME=TEXT | NAME@FILE | NAME | #NAME]..." => kv::run, "keep texts and files by name, and show them or (#) their sizes";
    "log" "[TEXT...]" => log::run, "show the kernel's log, or add a line to it";
    "ls" "[-1adl] [PATH...]" => ls::run, "list directories and registries";
    "mkdir" "[-p] DIRECTORY..." => mkdir::run, "make directories";
    "poweroff" "" => power::off, "switch the machine off";
    "ps" "" => ps::run, "show processes";
    "reboot" "" => power::reboot, "start the machine again";
    "rm" "[-fr] PATH..." => rm::run, "remove files and directories";
    "sleep" "NUMBER[smhd]..." => sleep::run, "wait";
    "top" "[-b] [-d DELAY] [-n COUNT] [-s cpu|memory|time|number]" => top::run, "show processors, and what uses them most";
    "true" "" => |_| Ok(0), "succeed";
    "uptime" "" => uptime::run, "show how long the system has been up";
    "with" "[LIMIT...] GRANT... | nothing run PROGRAM [ARGUMENT...]" => with::run, "run a program with what it is given and nothing else";
}

fn clear(_: &[String]) -> Result<u8, Misuse> {
    helve::print!("\x1b[H\x1b[2J\x1b[3J");
    Ok(0)
}

fn env(arguments: &[String]) -> Result<u8, Misuse> {
    if let Some(extra) = arguments.first() {
        return Err(Misuse(alloc::format!("unexpected argument {extra}")));
    }
    for (name, text) in helve::environment::variables() {
        helve::println!("{name}={text}");
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        assert!(find("ls").is_some() && find("lss").is_none());
    }
}
