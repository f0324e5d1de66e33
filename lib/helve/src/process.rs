//! Starting processes, waiting for them, and ending this one.

use crate::file::File;
use crate::handle::Handle;
use crate::share::Share;
use crate::terms::Terms;
use crate::{environment, path, registry, start, sys};
use abi::{Error, Events, NEVER, Number, OpenFlags, Rights, field};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use value::{Document, Value};

/// Ends this process.
pub fn exit(status: u8) -> ! {
    sys::exit(start::thread(), status)
}

/// Lets others run.
pub fn yield_now() {
    // Nothing can go wrong with the thread's own handle.
    let _ = sys::yield_now(start::thread());
}

/// The number of this process.
pub fn id() -> u32 {
    environment::handle("process").map_or(0, |handle| number_of(&handle))
}

/// The number of the process behind a handle; 0 when it does not tell.
fn number_of(handle: &Handle) -> u32 {
    let about = handle.inspect();
    let id = about
        .ok()
        .and_then(|about| about.as_document().document("object")?.int("id"));
    id.and_then(|id| u32::try_from(id).ok()).unwrap_or(0)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl Status {
    /// One number for both, as shells have it: 128 and the signal.
    pub const fn code(self) -> u8 {
        match self {
            Status::Exited(code) => code,
            Status::Signaled(signal) => 128 | signal,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Exited(code) => write!(f, "exited with {code}"),
            Status::Signaled(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}

/// What is done with a new process: start it, wait for it, end it, look at it.
const NEW: Rights = Rights::ADMINISTER
    .union(Rights::SIGNAL)
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

/// A program to be started: what it will be given. Nothing is passed on by itself but the arguments; unless told
/// otherwise, a command passes on the environment, the directory, `in`, `out` and `err`.
#[derive(Debug)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    environment: Option<Vec<(String, String)>>,
    given: Vec<(String, Number)>,
    registries: Option<Vec<(String, Number)>>,
    directory: Option<String>,
    group: Group,
    share: Option<Number>,
}

/// Which group a new process belongs to: the processes that a terminal interrupts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// That of its parent.
    #[default]
    Parent,
    /// One of its own.
    Own,
    /// The one that this process leads.
    Of(u32),
}

impl Command {
    /// A command that runs the program at `path`, with the path's last name as its first argument.
    pub fn new(path: &str) -> Command {
        Command {
            program: path.into(),
            arguments: Vec::from([path::name(path).into()]),
            environment: None,
            given: Vec::new(),
            registries: None,
            directory: None,
            group: Group::Parent,
            share: None,
        }
    }

    /// Sets the first argument: the name by which the program knows itself.
    pub fn name(&mut self, name: &str) -> &mut Command {
        if let Some(first) = self.arguments.first_mut() {
            *first = name.into();
        }
        self
    }

    /// Adds an argument.
    pub fn argument(&mut self, argument: &str) -> &mut Command {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn arguments<'a>(&mut self, arguments: impl IntoIterator<Item = &'a str>) -> &mut Command {
        self.arguments
            .extend(arguments.into_iter().map(String::from));
        self
    }

    /// Replaces the whole environment.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> &mut Command {
        self.environment = Some(variables.into_iter().collect());
        self
    }

    /// Gives the program a copy of a handle under this name. It must stay open until the start.
    pub fn give(&mut self, name: &str, handle: &Handle) -> &mut Command {
        self.given.retain(|(other, _)| other != name);
        self.given.push((name.into(), handle.number()));
        self
    }

    /// Keeps back a handle that would be passed on.
    pub fn keep(&mut self, name: &str) -> &mut Command {
        self.given.retain(|(other, _)| other != name);
        self.given.push((name.into(), Number::NONE));
        self
    }

    /// Gives the program a registry. The first use of this ends passing on all registries.
    pub fn registry(&mut self, name: &str, handle: &Handle) -> &mut Command {
        self.registries
            .get_or_insert_default()
            .push((name.into(), handle.number()));
        self
    }

    /// Gives the program no registry but those that are given one by one.
    pub fn no_registries(&mut self) -> &mut Command {
        self.registries.get_or_insert_default();
        self
    }

    /// Starts the program in this directory of its own `file:`, and not in the current one.
    pub fn directory(&mut self, path: &str) -> &mut Command {
        self.directory = Some(path.into());
        self
    }

    /// Says which group the program belongs to.
    pub fn group(&mut self, group: Group) -> &mut Command {
        self.group = group;
        self
    }

    /// Starts the program in this share of the CPUs, and not in that of this process. It must stay open until the
    /// start.
    pub fn share(&mut self, share: &Share) -> &mut Command {
        self.share = Some(share.handle().number());
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `NotExecutable` for the program; `Limit`, `NoMemory` for the process; `BadHandle` and
    /// `Denied` for what it is given.
    pub fn start(&self) -> Result<Child, Error> {
        let program = File::program(&self.program)?;
        let plan = self.plan()?;
        let handle = registry::get("process")?.open("new", NEW, OpenFlags::CREATE)?;
        sys::start(
            handle.number(),
            program.handle().number(),
            plan.as_document(),
        )?;
        let id = number_of(&handle);
        Ok(Child { handle, id })
    }

    fn plan(&self) -> Result<Value, Error> {
        let standard = ["in", "out", "err"].into_iter();
        let inherited = standard
            .filter(|name| !self.given.iter().any(|(other, _)| other == name))
            .filter_map(|name| Some((name, start::handle(name)?)));
        let given = self
            .given
            .iter()
            .map(|(name, number)| (name.as_str(), *number));
        let handles: Vec<(&str, Number)> = inherited
            .chain(given)
            .filter(|(_, number)| *number != Number::NONE)
            .collect();
        let plan = Value::build(|builder| {
            builder.array(field::ARGUMENTS, |list| {
                self.arguments.iter().for_each(|argument| {
                    list.push(argument);
                });
            });
            builder.document(field::ENVIRONMENT, |list| match &self.environment {
                Some(variables) => variables.iter().for_each(|(name, text)| {
                    list.put(name, text);
                }),
                None => environment::variables().iter().for_each(|(name, text)| {
                    list.put(name, text);
                }),
            });
            builder.document(field::HANDLES, |list| {
                handles.iter().for_each(|(name, number)| {
                    list.put(name, number.0);
                });
            });
            if let Some(registries) = &self.registries {
                builder.document(field::REGISTRIES, |list| {
                    registries.iter().for_each(|(name, number)| {
                        list.put(name, number.0);
                    });
                });
            }
            let directory = self.directory.clone();
            builder.put(
                field::DIRECTORY,
                &directory.unwrap_or_else(environment::current_directory),
            );
            if let Some(share) = self.share {
                builder.put(field::SHARE, share.0);
            }
            match self.group {
                Group::Parent => {}
                Group::Own => {
                    builder.put(field::GROUP, true);
                }
                Group::Of(leader) => {
                    builder.put(field::GROUP, leader as i32);
                }
            }
        })?;
        Ok(plan)
    }
}

/// A process by its handle. Dropping it does not end the process.
#[derive(Debug)]
pub struct Child {
    handle: Handle,
    id: u32,
}

impl Child {
    /// The process with this number.
    ///
    /// # Errors
    /// `NoProcess`.
    pub fn find(id: u32) -> Result<Child, Error> {
        let mut digits = String::new();
        // Writing to a string cannot fail.
        let _ = fmt::Write::write_fmt(&mut digits, format_args!("{id}"));
        let rights = Rights::SIGNAL | Rights::INSPECT;
        registry::get("process")?
            .open(&digits, rights, OpenFlags::empty())
            .map(|handle| Child { handle, id })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The handle, for all that it can do.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// `Interrupted` when this process is asked to end meanwhile.
    pub fn wait(&self) -> Result<Status, Error> {
        self.wait_until(NEVER)
    }

    /// Waits until it has ended, or until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`Child::wait`]; `TimedOut` when the deadline passes first.
    pub fn wait_until(&self, deadline: u64) -> Result<Status, Error> {
        loop {
            self.handle.wait_until(Events::READ, deadline)?;
            if let Some(status) = self.status()? {
                return Ok(status);
            }
        }
    }

    /// Says how its threads compete for the processors from now on.
    ///
    /// # Errors
    /// `Denied` without the right to administer it; `Invalid`, `Busy` when the scheduler refuses; `NoProcess`.
    pub fn compete(&self, terms: &Terms) -> Result<(), Error> {
        let argument = Value::build(|builder| terms.describe(builder))?;
        let argument = argument.as_document();
        self.handle.request("compete", argument).map(drop)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn status(&self) -> Result<Option<Status>, Error> {
        let reply = self.handle.ask("status")?;
        let reply = reply.as_document();
        let byte = |key| reply.int(key).map(|number| number as u8);
        Ok(byte("status")
            .map(Status::Exited)
            .or(byte("signal").map(Status::Signaled)))
    }

    /// Whether it was stopped by job control and waits to be continued.
    ///
    /// # Errors
    /// Only when the kernel cannot answer.
    pub fn is_stopped(&self) -> Result<bool, Error> {
        Ok(self.handle.ask("status")?.as_document().string("state") == Some("stopped"))
    }

    /// Asks it to end with a signal (Linux numbers); 9 cannot be refused.
    ///
    /// # Errors
    /// `NoProcess` when it has ended; `Invalid` for a number that is no signal.
    pub fn kill(&self, signal: u8) -> Result<(), Error> {
        let argument = Value::build(|builder| {
            builder.put("signal", i32::from(signal));
        })?;
        self.handle
            .request("kill", argument.as_document())
            .map(drop)
    }
}

/// One line of the process list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub id: u32,
    pub parent: u32,
    pub name: String,
    /// The argument list, as one line.
    pub command: String,
    /// `running`, `waiting`, `stopped`, `ended`.
    pub state: String,
    /// `native` or `linux`.
    pub personality: String,
    pub threads: u32,
    /// Memory present, in bytes.
    pub memory: u64,
    /// CPU time, in nanoseconds.
    pub time: u64,
}

/// All processes that the `process:` registry shows, in order of number.
///
/// # Errors
/// `NotFound` when the process was given no `process:` registry.
pub fn list() -> Result<Vec<Listed>, Error> {
    let mut all = Vec::new();
    crate::file::records(&*registry::get("process")?, |record| {
        all.push(listed(record))
    })?;
    Ok(all)
}

fn listed(record: Document<'_>) -> Listed {
    let text = |key| String::from(record.string(key).unwrap_or_default());
    let number = |key| record.unsigned(key).unwrap_or(0);
    Listed {
        id: number("id") as u32,
        parent: number("parent") as u32,
        name: text("name"),
        command: text("command"),
        state: text("state"),
        personality: text("personality"),
        threads: number("threads") as u32,
        memory: number("memory"),
        time: number("time"),
    }
}

/// Makes a byte stream between processes: the end to read, the end to write.
///
/// # Errors
/// `NotFound` when the process was given no `channel:` registry; `TooMany`, `Limit`.
pub fn pipe() -> Result<(Handle, Handle), Error> {
    let reply = registry::get("channel")?.ask("pipe")?;
    let end = |key| Handle::in_reply(&reply, key);
    Ok((end("reader")?, end("writer")?))
}
