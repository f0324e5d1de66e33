//! Running chains and pipelines.

use crate::builtins::{self, Output};
use crate::launch::launch;
use crate::shell::{Job, Shell};
use crate::streams::Streams;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use helve::console::{Console, Mode};
use helve::process::{Child, Group};
use helve::{Error, OpenFlags, Rights, Status, eprintln, io, registry, time};
use shell::expand;
use shell::syntax::{Chain, Command, Condition, Pipeline, Script};
use shell::token::Stream;

/// Runs commands; the status of the last is the shell's.
pub fn script(shell: &mut Shell, script: &Script) {
    for chain in script {
        run_chain(shell, chain);
        if shell.leaving() {
            break;
        }
    }
}

fn run_chain(shell: &mut Shell, chain: &Chain) {
    if chain.background && !chain.rest.is_empty() {
        return shell.complain("& after && or ||: not supported by this shell");
    }
    pipeline(shell, &chain.first, chain.background);
    for (condition, next) in &chain.rest {
        if shell.leaving() {
            return;
        }
        if (shell.status == 0) == (*condition == Condition::Success) {
            pipeline(shell, next, false);
        }
    }
}

/// A command of a pipeline, ready to run.
struct Ready {
    words: Vec<String>,
    assignments: Vec<(String, String)>,
    streams: Streams,
}

fn pipeline(shell: &mut Shell, pipeline: &Pipeline, background: bool) {
    let status = match pipeline.commands.as_slice() {
        [command] if !background => single(shell, command),
        commands => several(shell, commands, background),
    };
    shell.status = match (pipeline.negated, status) {
        (false, status) => status,
        (true, 0) => 1,
        (true, _) => 0,
    };
}

/// Expands words and opens files. The status is that of a failure.
fn prepare(shell: &Shell, command: &Command, mut streams: Streams) -> Result<Ready, u8> {
    let words = expand::fields(&command.words, shell);
    let text = |(name, word): &(String, _)| (name.clone(), expand::text(word, shell));
    let assignments = command.assignments.iter().map(text).collect();
    streams
        .redirect(&command.redirections, shell)
        .map_err(|(what, error)| {
            eprintln!("sh: {what}: {error}");
            1u8
        })?;
    Ok(Ready {
        words,
        assignments,
        streams,
    })
}

/// One command in the foreground: it may change the shell.
fn single(shell: &mut Shell, command: &Command) -> u8 {
    let ready = match prepare(shell, command, Streams::default()) {
        Ok(ready) => ready,
        Err(status) => return status,
    };
    let Some((name, arguments)) = ready.words.split_first() else {
        for (name, content) in &ready.assignments {
            shell.set(name, content);
        }
        return 0;
    };
    if let Some(builtin) = builtins::find(name) {
        let mut output = Output::default();
        let status = builtin.run(shell, arguments, &mut output);
        return write(&ready.streams, &output).unwrap_or(status);
    }
    hand_over(shell);
    match launch(
        shell,
        &ready.words,
        &ready.assignments,
        &ready.streams,
        group(shell, None),
    ) {
        Ok(child) => foreground(
            shell,
            [child].into(),
            text_of(core::slice::from_ref(command), shell),
        ),
        Err(error) => not_started(name, error),
    }
}

/// The texts of a builtin. A status if they could not be written.
fn write(streams: &Streams, output: &Output) -> Option<u8> {
    let errors = streams.write(Stream::Err, &output.errors);
    match streams.write(Stream::Out, &output.text).and(errors) {
        Ok(()) => None,
        Err(Error::Closed) => Some(141),
        Err(error) => {
            eprintln!("sh: {error}");
            Some(1)
        }
    }
}

fn not_started(name: &str, error: Error) -> u8 {
    match error {
        Error::NotFound if !name.contains('/') => eprintln!("sh: {name}: command not found"),
        error => eprintln!("sh: {name}: {error}"),
    }
    if error == Error::NotFound { 127 } else { 126 }
}

/// Commands connected by pipes, or in the background.
fn several(shell: &mut Shell, commands: &[Command], background: bool) -> u8 {
    let mut children: Vec<Child> = Vec::new();
    if !background {
        hand_over(shell);
    }
    // What builtins have to say is written when everybody who reads it has been started.
    let mut texts: Vec<(Streams, Output)> = Vec::new();
    let mut status = None;
    let mut input = None;
    for (place, command) in commands.iter().enumerate() {
        let mut streams = Streams::default();
        if let Some(reader) = input.take() {
            streams.set(Stream::In, reader);
        }
        if place + 1 < commands.len() {
            match helve::process::pipe() {
                Ok((reader, writer)) => {
                    input = Some(Arc::new(reader));
                    streams.set(Stream::Out, Arc::new(writer));
                }
                Err(error) => {
                    eprintln!("sh: pipe: {error}");
                    return 1;
                }
            }
        }
        let group = group(shell, children.first());
        status = match prepare(shell, command, streams) {
            Ok(ready) => one(shell, ready, group, background, &mut children, &mut texts),
            Err(status) => Some(status),
        };
    }
    drop(input);
    let mut last_text = None;
    for (streams, output) in texts {
        last_text = write(&streams, &output);
    }
    if background {
        return in_background(shell, children, commands);
    }
    let ended = foreground(shell, children, text_of(commands, shell));
    match (status, last_text) {
        (None, _) => ended,
        (Some(_), Some(failed)) => failed,
        (Some(status), None) => status,
    }
}

/// Starts one command of a pipeline. Gives a status if it is no program, whose status comes later.
fn one(
    shell: &mut Shell,
    mut ready: Ready,
    group: Group,
    background: bool,
    children: &mut Vec<Child>,
    texts: &mut Vec<(Streams, Output)>,
) -> Option<u8> {
    let Some((name, arguments)) = ready.words.split_first() else {
        return Some(0);
    };
    if let Some(builtin) = builtins::find(name) {
        let mut output = Output::default();
        let status = builtin.run_apart(shell, arguments, &mut output);
        texts.push((ready.streams, output));
        return Some(status);
    }
    if background && ready.streams.inherits_input() {
        // The terminal belongs to whoever is in the foreground.
        match registry::open("device:null", Rights::STREAM, OpenFlags::empty()) {
            Ok(null) => ready.streams.set(Stream::In, Arc::new(null)),
            Err(error) => eprintln!("sh: device:null: {error}"),
        }
    }
    match launch(
        shell,
        &ready.words,
        &ready.assignments,
        &ready.streams,
        group,
    ) {
        Ok(child) => {
            children.push(child);
            None
        }
        Err(error) => Some(not_started(name, error)),
    }
}

fn in_background(shell: &mut Shell, children: Vec<Child>, commands: &[Command]) -> u8 {
    let Some(last) = children.last().map(Child::id) else {
        return 0;
    };
    let number = shell.next_job();
    if shell.interactive {
        eprintln!("[{number}] {last}");
    }
    let text = text_of(commands, shell);
    shell.last_background = Some(last);
    shell.jobs.push(Job {
        number,
        children,
        text,
    });
    0
}

/// A pipeline as it is shown in the list of jobs.
fn text_of(commands: &[Command], shell: &Shell) -> String {
    let names = commands
        .iter()
        .map(|command| expand::fields(&command.words, shell).join(" "));
    names.collect::<Vec<_>>().join(" | ")
}

/// The group of the next program: a user's pipelines are groups of their own; what a script starts is in its group.
fn group(shell: &Shell, leader: Option<&Child>) -> Group {
    match leader {
        _ if !shell.interactive => Group::Parent,
        None => Group::Own,
        Some(leader) => Group::Of(leader.id()),
    }
}

/// Makes the terminal one that edits lines and interrupts programs. The shell itself is in no group that it knows, so
/// keys that come before the program are lost on nobody.
pub fn hand_over(shell: &Shell) {
    if shell.interactive
        && let Ok(terminal) = Console::of(&io::input())
    {
        let _ = terminal.set_mode(Mode::LINES);
    }
}

/// How often a program in the foreground is looked at, to see whether it was stopped.
const LOOK: u64 = time::SECOND / 5;

/// Waits for programs that have the terminal meanwhile; the status of the last. Programs that were stopped become a
/// job.
pub fn foreground(shell: &mut Shell, children: Vec<Child>, text: String) -> u8 {
    if shell.interactive
        && let (Some(leader), Ok(terminal)) = (children.first(), Console::of(&io::input()))
    {
        let _ = terminal.set_foreground(leader.id());
    }
    let mut status = 0;
    for child in &children {
        status = match wait(child, shell.interactive) {
            Ok(Some(ended)) => {
                tell(ended);
                ended.code()
            }
            Ok(None) => {
                let number = shell.next_job();
                eprintln!("\n[{number}] stopped: {text}");
                shell.jobs.push(Job {
                    number,
                    children,
                    text,
                });
                return STOPPED;
            }
            Err(error) => {
                eprintln!("sh: {error}");
                1
            }
        };
    }
    status
}

/// The status of a pipeline that was stopped by the terminal: 128 + SIGTSTP.
const STOPPED: u8 = 148;

/// Waits until a program ends; none if it was stopped.
fn wait(child: &Child, interactive: bool) -> Result<Option<Status>, Error> {
    if !interactive {
        return child.wait().map(Some);
    }
    loop {
        match child.wait_until(time::now()? + LOOK) {
            Err(Error::TimedOut) if child.is_stopped()? => return Ok(None),
            Err(Error::TimedOut) => {}
            other => return other.map(Some),
        }
    }
}

/// Says by what a program was ended, if the user would wonder.
fn tell(status: Status) {
    const INTERRUPT: u8 = 2;
    const BROKEN_PIPE: u8 = 13;
    match status {
        Status::Signaled(INTERRUPT) => eprintln!(),
        Status::Exited(_) | Status::Signaled(BROKEN_PIPE) => {}
        Status::Signaled(signal) => match commands::signal_name(signal) {
            Some(name) => eprintln!("sh: ended by SIG{name}"),
            None => eprintln!("sh: ended by signal {signal}"),
        },
    }
}
