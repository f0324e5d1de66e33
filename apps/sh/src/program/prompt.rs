//! Lines typed at a terminal.

use crate::builtins;
use crate::run;
use crate::shell::Shell;
use alloc::format;
use alloc::string::String;
use core::mem::ManuallyDrop;
use helve::console::{Console, Mode};
use helve::{Error, Events, Handle, environment, io, path};
use shell::complete::{columns, complete};
use shell::editor::{Action, Editor};
use shell::expand::Scope;
use shell::keys::Decoder;
use shell::screen::Screen;
use shell::{syntax, word};

/// The terminal.
pub struct Prompt {
    input: ManuallyDrop<Handle>,
    decoder: Decoder,
}

/// What a line typed by the user came to.
enum Typed {
    Line(String),
    /// ^C
    Nothing,
    /// ^D, or the terminal is gone.
    End,
}

impl Prompt {
    /// A prompt on `in`, if that is a terminal.
    pub fn new() -> Option<Prompt> {
        let input = io::input();
        Console::of(&input).ok()?;
        Some(Prompt {
            input,
            decoder: Decoder::default(),
        })
    }

    /// Reads and runs lines until the user leaves.
    pub fn serve(mut self, shell: &mut Shell) -> u8 {
        shell.interactive = true;
        io::print(format_args!("Helve. Type help for the commands.\n"));
        while !shell.leaving() {
            shell.report_jobs();
            let mut text = String::new();
            let mut prompt = first_prompt(shell);
            loop {
                match self.line(&prompt, shell) {
                    Typed::Nothing => break,
                    Typed::End => {
                        if text.is_empty() {
                            shell.exit(shell.status);
                        }
                        break;
                    }
                    Typed::Line(line) => {
                        text.push_str(&line);
                        text.push('\n');
                    }
                }
                match syntax::parse(&text) {
                    Err(word::Error::Incomplete) => prompt = "> ".into(),
                    Err(error) => {
                        shell.complain(error);
                        break;
                    }
                    Ok(script) => {
                        run::script(shell, &script);
                        break;
                    }
                }
            }
        }
        if let Ok(console) = Console::of(&self.input) {
            let _ = console.set_mode(Mode::LINES);
        }
        shell.leave()
    }

    /// Lets the user type one line. The terminal stays one that gives keys, and interrupts nobody, until a program is
    /// started.
    fn line(&mut self, prompt: &str, shell: &mut Shell) -> Typed {
        let input = ManuallyDrop::new(Handle::from_number(self.input.number()));
        let Ok(console) = Console::of(&input) else {
            return Typed::End;
        };
        if console.set_mode(Mode::KEYS).is_err() {
            return Typed::End;
        }
        let width = console.size().map_or(80, |(columns, _)| columns);
        self.edit(prompt, width, shell).unwrap_or(Typed::End)
    }

    fn edit(&mut self, prompt: &str, width: usize, shell: &mut Shell) -> Result<Typed, Error> {
        let mut screen = Screen::new(width);
        let mut editor = Editor::default();
        show(&screen.draw(prompt, editor.line()));
        loop {
            let byte = self.byte()?;
            let Some(key) = self.decoder.feed(byte) else {
                continue;
            };
            // Drawn before the line is gone.
            let line = editor.line().clone();
            match editor.key(key, &mut shell.history) {
                Action::Nothing => continue,
                Action::Draw => {}
                Action::Submit(line) => {
                    show(&screen.leave(prompt, &shell::line::Line::new(&line), ""));
                    return Ok(Typed::Line(line));
                }
                Action::Cancel => {
                    show(&screen.leave(prompt, &line, "^C"));
                    shell.status = 130;
                    return Ok(Typed::Nothing);
                }
                Action::Leave => {
                    show(&screen.leave(prompt, &line, ""));
                    return Ok(Typed::End);
                }
                Action::Clear => show(&screen.clear()),
                Action::Complete => {
                    let completion =
                        complete(&line.before(), shell, &|prefix| commands(shell, prefix));
                    if editor.complete(&completion) {
                        show(&screen.leave(prompt, &line, ""));
                        show(&columns(&completion.candidates, width).replace('\n', "\r\n"));
                    }
                }
            }
            // More is there already: one drawing for all of it.
            if !self.is_more_typed() {
                let shown = editor.prompt();
                show(&screen.draw(shown.as_deref().unwrap_or(prompt), editor.line()));
            }
        }
    }

    /// One byte and not one more: what is typed ahead belongs to the programs that this line starts, or to the next shell.
    fn byte(&mut self) -> Result<u8, Error> {
        let mut byte = [0];
        match self.input.read(&mut byte)? {
            0 => Err(Error::Closed),
            _ => Ok(byte[0]),
        }
    }

    fn is_more_typed(&self) -> bool {
        self.input.wait_until(Events::READ, 0).is_ok()
    }
}

/// Where the user is.
fn first_prompt(shell: &Shell) -> String {
    let directory = environment::current_directory();
    let home = shell.variable("HOME").filter(|home| home.len() > 1);
    match home.and_then(|home| directory.strip_prefix(&home).map(String::from)) {
        Some(below) if below.is_empty() || below.starts_with('/') => format!("~{below} helve> "),
        _ => format!("{directory} helve> "),
    }
}

/// Text as it is, to the terminal. A terminal that is gone shows itself at the next read.
fn show(text: &str) {
    let _ = io::output().write_all(text.as_bytes());
}

/// Every command whose name begins with `prefix`.
fn commands(shell: &Shell, prefix: &str) -> alloc::vec::Vec<String> {
    let own = builtins::BUILTINS
        .iter()
        .map(|builtin| String::from(builtin.name));
    let native = commands::COMMANDS
        .iter()
        .map(|command| String::from(command.name));
    let path = shell.variable("PATH").unwrap_or_default();
    let programs = path
        .split(':')
        .filter(|directory| !directory.is_empty())
        .flat_map(|directory| shell.names(directory));
    let programs = programs
        .filter(|name| !name.is_directory)
        .map(|name| String::from(path::name(&name.name)));
    own.chain(native)
        .chain(programs)
        .filter(|name| name.starts_with(prefix))
        .collect()
}
