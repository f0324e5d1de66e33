//! Commands that are the shell's own: those that change it, and those that only it can answer.

use crate::input::Lines;
use crate::shell::{Job, Shell};
use crate::{launch, run, run_lines};
use alloc::format;
use alloc::string::{String, ToString};
use commands::Misuse;
use commands::grant::{Grant, limit};
use core::fmt::Write;
use helve::{Error, File, Handle, Lease, Limits, Share, environment};
use shell::expand::Scope;
use shell::word::is_name;

/// What a builtin has to say. It is written when it has ended, so that it may stand in a pipeline.
#[derive(Debug, Default)]
pub struct Output {
    pub text: String,
    pub errors: String,
}

/// A command of the shell.
#[derive(Clone, Copy)]
pub struct Builtin {
    pub name: &'static str,
    usage: &'static str,
    about: &'static str,
    /// It makes sense only if it may change the shell.
    changes: bool,
    run: fn(&mut Shell, &[String], &mut Output) -> u8,
}

impl Builtin {
    /// Does it; returns the status.
    pub fn run(&self, shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
        (self.run)(shell, arguments, output)
    }

    /// Does it in a pipeline or in the background, where the shell may not be changed.
    pub fn run_apart(&self, shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
        if self.changes {
            output.fail(
                self.name,
                "has no effect in a pipeline or in the background",
            );
            return 1;
        }
        (self.run)(shell, arguments, output)
    }
}

impl Output {
    fn fail(&mut self, name: &str, why: impl core::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.errors, "{name}: {why}");
    }
}

/// The builtin of this name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

macro_rules! builtins {
    ($($name:literal $usage:literal $changes:ident $run:expr, $about:literal;)*) => {
        /// Every builtin, in the order of the alphabet.
        pub const BUILTINS: &[Builtin] = &[
            $(Builtin { name: $name, usage: $usage, about: $about, changes: builtins!($changes), run: $run },)*
        ];
    };
    (changes) => { true };
    (says) => { false };
}

builtins! {
    "." "FILE" changes source, "run a script in this shell";
    ":" "" says |_, _, _| 0, "succeed";
    "bg" "[JOB]" changes bg, "let a stopped job go on in the background";
    "cd" "[DIRECTORY]" changes cd, "change the directory";
    "echo" "[-n] [TEXT...]" says echo, "show text";
    "exit" "[STATUS]" changes exit, "leave the shell";
    "export" "[NAME[=VALUE]...]" changes export, "let programs see variables";
    "false" "" says |_, _, _| 1, "fail";
    "fg" "[JOB]" changes fg, "bring a job to the foreground";
    "help" "" says help, "show this";
    "history" "" says history, "show the lines typed before";
    "jobs" "" says jobs, "show programs in the background";
    "keep" "[NAME GRANT|LIMIT...]" changes keep, "keep a handle, which programs get that are told @NAME";
    "lend" "NAME GRANT" changes lend, "keep a handle that can be taken back from those who got it";
    "pwd" "" says pwd, "show the directory";
    "revoke" "NAME" changes revoke, "take back what was lent, and close it";
    "set" "" says set, "show the shell's variables";
    "shift" "[COUNT]" changes shift, "drop arguments of the script";
    "true" "" says |_, _, _| 0, "succeed";
    "type" "NAME..." says type_of, "show what names stand for";
    "unset" "NAME|@NAME..." changes unset, "remove variables, or close kept handles";
    "wait" "" changes wait, "wait for programs in the background";
}

fn cd(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let target = match arguments {
        [] => shell.variable("HOME").unwrap_or("/".into()),
        [dash] if dash == "-" => match shell.variable("OLDPWD") {
            Some(before) => {
                output.text = format!("{before}\n");
                before
            }
            None => {
                output.fail("cd", "there is no directory to go back to");
                return 1;
            }
        },
        [directory] => directory.clone(),
        _ => {
            output.fail("cd", "too many arguments");
            return 2;
        }
    };
    let before = environment::current_directory();
    match environment::set_current_directory(&target) {
        Ok(()) => {
            shell.set("OLDPWD", &before);
            shell.set("PWD", &environment::current_directory());
            0
        }
        Err(error) => {
            output.text.clear();
            output.fail("cd", format_args!("{target}: {error}"));
            1
        }
    }
}

fn pwd(_: &mut Shell, _: &[String], output: &mut Output) -> u8 {
    output.text = environment::current_directory() + "\n";
    0
}

fn echo(_: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    output.text = commands::echo(arguments);
    0
}

fn exit(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let status = match arguments.first().map(|text| text.parse::<i64>()) {
        None => shell.status,
        // The low eight bits, as everywhere.
        Some(Ok(number)) => number as u8,
        Some(Err(_)) => {
            output.fail("exit", "not a number");
            2
        }
    };
    shell.exit(status);
    status
}

fn export(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    if arguments.is_empty() {
        for (name, content) in environment::variables() {
            let _ = writeln!(output.text, "export {name}={}", quoted(&content));
        }
    }
    let mut status = 0;
    for argument in arguments {
        let (name, content) = match argument.split_once('=') {
            Some((name, content)) => (name, Some(content)),
            None => (argument.as_str(), None),
        };
        if !is_name(name) {
            output.fail("export", format_args!("{name}: not a name"));
            status = 1;
            continue;
        }
        if let Some(content) = content {
            shell.set(name, content);
        }
        shell.export(name);
    }
    status
}

fn unset(shell: &mut Shell, arguments: &[String], _: &mut Output) -> u8 {
    arguments.iter().for_each(|name| shell.unset(name));
    0
}

/// Keeps what is granted, or a new share of the processors with these limits. Without arguments: what is kept.
fn keep(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let [name, rest @ ..] = arguments else {
        for (name, handle) in &shell.kept {
            let kind = handle.kind().map_or("?", |kind| kind.name());
            let lent = if shell.leases.contains_key(name) {
                "  lent"
            } else {
                ""
            };
            let _ = writeln!(output.text, "@{name}  {kind}{lent}");
        }
        return 0;
    };
    let grant = |handle| Ok((handle, None));
    keep_under(shell, "keep", name, rest, grant, output)
}

/// Keeps what is granted as something lent, until this shell ends.
fn lend(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let (name, rest) = match arguments {
        [name, rest @ ..] => (name.as_str(), rest),
        [] => ("", arguments),
    };
    let grant = |handle: Handle| {
        let (lent, lease) = handle.lend_bound()?;
        Ok((lent, Some(lease)))
    };
    keep_under(shell, "lend", name, rest, grant, output)
}

/// Keeps under `name` what `grant` makes of what the words grant.
fn keep_under(
    shell: &mut Shell,
    command: &str,
    name: &str,
    words: &[String],
    grant: impl FnOnce(Handle) -> Result<(Handle, Option<Lease>), Error>,
    output: &mut Output,
) -> u8 {
    if !is_name(name) || words.is_empty() {
        output.fail(command, "a name and what is to be kept under it are wanted");
        return 2;
    }
    match kept(shell, words).map(|handle| handle.and_then(grant)) {
        Ok(Ok(kept)) => {
            shell.keep(name, Some(kept));
            0
        }
        Ok(Err(error)) => {
            output.fail(command, format_args!("{}: {error}", words.join(" ")));
            1
        }
        Err(Misuse(why)) => {
            output.fail(command, why);
            2
        }
    }
}

fn revoke(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let [name] = arguments else {
        output.fail("revoke", "the name of what was lent is wanted");
        return 2;
    };
    let name = name.strip_prefix('@').unwrap_or(name);
    match shell.leases.get(name).map(Lease::revoke) {
        Some(Ok(())) => {
            shell.keep(name, None);
            0
        }
        Some(Err(error)) => {
            output.fail("revoke", format_args!("@{name}: {error}"));
            1
        }
        None => {
            output.fail("revoke", format_args!("@{name}: not lent"));
            1
        }
    }
}

/// The handle that these words grant.
fn kept(shell: &Shell, words: &[String]) -> Result<Result<Handle, Error>, Misuse> {
    let mut limits = Limits::default();
    let mut grant = None;
    for word in words {
        match limit(&mut limits, word) {
            Some(taken) => taken?,
            None if grant.is_none() => grant = Some(Grant::parse(word)?),
            None => return Err(Misuse(format!("{word}: one thing at a time"))),
        }
    }
    let of_shell = |name: &str| shell.kept.get(name).ok_or(Error::NotFound)?.copy();
    let handle = grant.map(|grant| grant.open(of_shell));
    if limits == Limits::default() {
        return handle.ok_or_else(|| Misuse("nothing is granted".into()));
    }
    // A share in the one that is named, or in our own.
    Ok(match handle {
        Some(around) => around.and_then(|around| Share::from_handle(around).within(&limits)),
        None => Share::new(&limits),
    }
    .map(Share::into_handle))
}

fn set(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    if !arguments.is_empty() {
        output.fail("set", "options are not supported by this shell");
        return 2;
    }
    for (name, content) in environment::variables() {
        let _ = writeln!(output.text, "{name}={}", quoted(&content));
    }
    for (name, content) in shell.own_variables() {
        let _ = writeln!(output.text, "{name}={}", quoted(content));
    }
    0
}

/// Text that the shell reads as itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn shift(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let count = arguments.first().map_or(Ok(1), |text| text.parse());
    match count {
        Ok(count) if shell.shift(count) => 0,
        _ => {
            output.fail("shift", "not that many arguments");
            1
        }
    }
}

fn history(shell: &mut Shell, _: &[String], output: &mut Output) -> u8 {
    for (number, line) in shell.history.lines().enumerate() {
        let _ = writeln!(output.text, "{:>5}  {line}", number + 1);
    }
    0
}

/// Takes the job of this number, or the newest, out of the list and lets it go on.
fn resume(name: &str, shell: &mut Shell, arguments: &[String], output: &mut Output) -> Option<Job> {
    const CONTINUE: u8 = 18;
    let wanted = arguments
        .first()
        .map(|text| text.trim_start_matches('%').parse::<u32>());
    let place = match wanted {
        None => shell.jobs.len().checked_sub(1),
        Some(number) => shell
            .jobs
            .iter()
            .position(|job| number.as_ref() == Ok(&job.number)),
    };
    let Some(place) = place else {
        output.fail(name, "no such job");
        return None;
    };
    let job = shell.jobs.remove(place);
    for child in &job.children {
        // One that has ended needs nothing.
        let _ = child.kill(CONTINUE);
    }
    Some(job)
}

fn fg(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let Some(job) = resume("fg", shell, arguments, output) else {
        return 1;
    };
    helve::println!("{}", job.text);
    run::hand_over(shell);
    run::foreground(shell, job.children, job.text)
}

fn bg(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let Some(job) = resume("bg", shell, arguments, output) else {
        return 1;
    };
    let _ = writeln!(output.text, "[{}] {} &", job.number, job.text);
    shell.jobs.push(job);
    0
}

fn jobs(shell: &mut Shell, _: &[String], output: &mut Output) -> u8 {
    for job in &shell.jobs {
        let running = job
            .children
            .iter()
            .any(|child| matches!(child.status(), Ok(None)));
        let stopped = job
            .children
            .iter()
            .any(|child| child.is_stopped() == Ok(true));
        let state = match (running, stopped) {
            (_, true) => "stopped",
            (true, _) => "running",
            (false, _) => "done",
        };
        let _ = writeln!(output.text, "[{}] {state}: {}", job.number, job.text);
    }
    0
}

fn wait(shell: &mut Shell, _: &[String], output: &mut Output) -> u8 {
    let mut status = 0;
    for job in core::mem::take(&mut shell.jobs) {
        for child in job.children {
            match child.wait() {
                Ok(ended) => status = ended.code(),
                Err(error) => output.fail("wait", error),
            }
        }
    }
    status
}

fn type_of(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let mut status = 0;
    for name in arguments {
        let found = match launch::find(shell, name) {
            _ if find(name).is_some() => "a command of the shell".to_string(),
            Some(_) if commands::find(name).is_some() => "a native command".to_string(),
            Some(path) => path,
            None => {
                output.fail("type", format_args!("{name}: not found"));
                status = 1;
                continue;
            }
        };
        let _ = writeln!(output.text, "{name} is {found}");
    }
    status
}

/// Scripts may run each other this deep.
const DEEPEST: u32 = 50;

fn source(shell: &mut Shell, arguments: &[String], output: &mut Output) -> u8 {
    let Some(path) = arguments.first() else {
        output.fail(".", "a file is missing");
        return 2;
    };
    if shell.depth == DEEPEST {
        output.fail(".", "scripts run each other too deeply");
        return 1;
    }
    match File::open(path) {
        Ok(file) => {
            shell.depth += 1;
            run_lines(shell, &mut Lines::new(file.handle(), true));
            shell.depth -= 1;
            shell.status
        }
        Err(error) => {
            output.fail(".", format_args!("{path}: {error}"));
            1
        }
    }
}

fn help(_: &mut Shell, _: &[String], output: &mut Output) -> u8 {
    output.text.push_str("Commands of the shell:\n");
    for Builtin {
        name, usage, about, ..
    } in BUILTINS
    {
        let _ = writeln!(output.text, "  {:<28} {about}", format!("{name} {usage}"));
    }
    output
        .text
        .push_str("Native commands (NAME --help says more):\n");
    for command in commands::COMMANDS {
        let _ = writeln!(
            output.text,
            "  {:<28} {}",
            format!("{} {}", command.name, command.usage),
            command.about
        );
    }
    output.text.push_str(
        "Programs, native and Linux, run by path or from PATH. Also: ; && || ! | & < > >> 2> 2>&1 \"\" '' \\ $NAME * ? [ ] ~ #\n\
         Keys: Tab completes, arrows move and recall, ^R searches, ^A ^E ^K ^U ^W ^Y ^L edit, ^C gives up, ^D leaves.\n",
    );
    0
}
