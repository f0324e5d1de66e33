//! What the shell remembers between commands.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use helve::process::Child;
use helve::{Directory, Handle, Kind, Lease, Status, environment, eprintln};
use shell::expand::{Name, Scope};
use shell::history::History;

/// A pipeline in the background.
#[derive(Debug)]
pub struct Job {
    pub number: u32,
    pub children: Vec<Child>,
    pub text: String,
}

/// The state of one shell.
#[derive(Debug, Default)]
pub struct Shell {
    /// Of the last pipeline.
    pub status: u8,
    /// Variables that programs do not see; the others are the environment.
    variables: BTreeMap<String, String>,
    /// `$0`, `$1`, ...
    arguments: Vec<String>,
    /// Handles that programs get when their names are mentioned: `@NAME`.
    pub kept: BTreeMap<String, Handle>,
    /// The leases of those that are lent. What is dropped here is taken back.
    pub leases: BTreeMap<String, Lease>,
    pub history: History,
    pub jobs: Vec<Job>,
    /// Of the last program in the background: `$!`.
    pub last_background: Option<u32>,
    /// `exit` was called with this status.
    leaving: Option<u8>,
    /// Whether a user watches.
    pub interactive: bool,
    /// How deep scripts run each other with `.`.
    pub depth: u32,
}

impl Shell {
    /// A shell with these arguments, its name first.
    pub fn new(arguments: Vec<String>) -> Shell {
        Shell {
            arguments,
            ..Shell::default()
        }
    }

    /// Sets a variable; programs see it if they saw it before.
    pub fn set(&mut self, name: &str, content: &str) {
        if environment::variable(name).is_some() {
            environment::set_variable(name, content);
        } else {
            self.variables.insert(name.into(), content.into());
        }
    }

    /// Makes a variable one that programs see.
    pub fn export(&mut self, name: &str) {
        let content = self
            .variables
            .remove(name)
            .or_else(|| environment::variable(name));
        environment::set_variable(name, &content.unwrap_or_default());
    }

    /// Removes a variable, or closes a kept handle: `@NAME`.
    pub fn unset(&mut self, name: &str) {
        if let Some(kept) = name.strip_prefix('@') {
            self.keep(kept, None);
            return;
        }
        self.variables.remove(name);
        environment::remove_variable(name);
    }

    /// Keeps a handle under a name, with its lease if it is lent; or nothing. What was kept there is closed, and taken back
    /// if it was lent.
    pub fn keep(&mut self, name: &str, kept: Option<(Handle, Option<Lease>)>) {
        self.kept.remove(name);
        self.leases.remove(name);
        if let Some((handle, lease)) = kept {
            self.kept.insert(name.into(), handle);
            if let Some(lease) = lease {
                self.leases.insert(name.into(), lease);
            }
        }
    }

    /// The variables that programs do not see.
    pub fn own_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_str()))
    }

    /// Drops the first of `$1`, `$2`, ...
    pub fn shift(&mut self, count: usize) -> bool {
        let possible = count < self.arguments.len();
        if possible {
            self.arguments.drain(1..=count);
        }
        possible
    }

    /// Makes the shell end after this command.
    pub fn exit(&mut self, status: u8) {
        self.leaving = Some(status);
    }

    /// Whether the shell shall end.
    pub fn leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// The status to end with.
    pub fn leave(&self) -> u8 {
        self.leaving.unwrap_or(self.status)
    }

    /// Reports text that is no command.
    pub fn complain(&mut self, error: impl Display) {
        eprintln!("sh: {error}");
        self.status = 2;
    }

    /// The number of the next job.
    pub fn next_job(&self) -> u32 {
        self.jobs.iter().map(|job| job.number).max().unwrap_or(0) + 1
    }

    /// Tells about programs in the background that have ended, and forgets them.
    pub fn report_jobs(&mut self) {
        let interactive = self.interactive;
        self.jobs.retain_mut(|job| {
            let mut last = Ok(None);
            for child in &job.children {
                last = child.status();
                if matches!(last, Ok(None)) {
                    return true;
                }
            }
            if interactive {
                let status = match last {
                    Ok(Some(Status::Exited(0))) | Ok(None) => "done".to_string(),
                    Ok(Some(status)) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                eprintln!("[{}] {status}: {}", job.number, job.text);
            }
            false
        });
    }
}

impl Scope for Shell {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "$" => Some(helve::process::id().to_string()),
            "!" => self.last_background.map(|id| id.to_string()),
            "#" => Some(self.arguments.len().saturating_sub(1).to_string()),
            name => match name.parse::<usize>() {
                Ok(place) => self.arguments.get(place).cloned(),
                Err(_) => self
                    .variables
                    .get(name)
                    .cloned()
                    .or_else(|| environment::variable(name)),
            },
        }
    }

    fn arguments(&self) -> Vec<String> {
        self.arguments.iter().skip(1).cloned().collect()
    }

    fn names(&self, directory: &str) -> Vec<Name> {
        let entries = Directory::open(directory)
            .and_then(|open| open.entries())
            .unwrap_or_default();
        let named = |entry: helve::file::Entry| {
            // A link that leads to a directory can be entered like one.
            let is_directory = entry.kind == Kind::Directory
                || entry.kind == Kind::Link
                    && Directory::open(&helve::path::join(directory, &entry.name)).is_ok();
            Name {
                name: entry.name,
                is_directory,
            }
        };
        entries.into_iter().map(named).collect()
    }
}
