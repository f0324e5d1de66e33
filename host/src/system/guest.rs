//! Runs a program in the machine and collects what it says.

use super::Context;
use crate::exec::launch::Launch;
use crate::exec::session::{self, Give, How, Job, Log, Streams};
use crate::libraries::{self, Surroundings};
use crate::qemu::Accelerator;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A program to run, with what it needs.
#[derive(Debug, Clone)]
pub struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
    directory: String,
    gives: Vec<Give>,
    roots: Vec<PathBuf>,
    memory: u64,
    cpus: Option<u32>,
    accelerator: Option<Accelerator>,
    hardware: Vec<OsString>,
    limit: Duration,
}

/// What came out.
#[derive(Debug)]
pub struct Output {
    pub how: How,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
    pub log: String,
}

impl Program {
    /// The program at `file`, with an `argv` of its own.
    pub fn new(file: &Path, arguments: &[&str]) -> Program {
        Program {
            file: file.to_path_buf(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: vec![
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(),
                "HOME=/root".into(),
            ],
            directory: "/".into(),
            gives: Vec::new(),
            roots: Vec::new(),
            memory: 256 << 20,
            cpus: None,
            accelerator: None,
            hardware: Vec::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// Its working directory.
    pub fn directory(mut self, path: &str) -> Program {
        self.directory = path.into();
        self
    }

    /// Its whole environment.
    pub fn environment(mut self, entries: &[OsString]) -> Program {
        self.environment = entries.to_vec();
        self
    }

    /// Unpacked packages in which its libraries are looked for first.
    pub fn roots(mut self, roots: &[PathBuf]) -> Program {
        self.roots = roots.to_vec();
        self
    }

    /// The bytes of memory of its machine.
    pub fn memory(mut self, bytes: u64) -> Program {
        self.memory = bytes;
        self
    }

    /// How many CPUs its machine has, whatever was asked for.
    pub fn cpus(mut self, cpus: u32) -> Program {
        self.cpus = Some(cpus);
        self
    }

    /// On a machine whose clock counts instructions. It is slow.
    pub fn counting(mut self) -> Program {
        self.accelerator = Some(Accelerator::counting());
        self
    }

    /// The longest time that it may take, with a fast machine.
    pub fn limit(mut self, limit: Duration) -> Program {
        self.limit = limit;
        self
    }

    /// A machine with so many processors, and with what these arguments of QEMU add.
    pub fn machine(mut self, cpus: u32, hardware: &[&str]) -> Program {
        self.cpus = Some(cpus);
        self.hardware = hardware.iter().map(OsString::from).collect();
        self
    }

    /// Runs it; its path in the guest is `/bin/` and its name.
    pub fn run(self, context: &Context, input: &[u8]) -> Result<Output> {
        let Some(name) = self.file.file_name().and_then(|name| name.to_str()) else {
            bail!("a program without a name")
        };
        let path = format!("/bin/{name}");
        let around = Surroundings {
            roots: &self.roots,
            gives: &self.gives,
            environment: &self.environment,
        };
        let libraries = libraries::needed(&[Give::new(&self.file, &path)], &around)?;
        let job = Job {
            path,
            program: self.file.clone(),
            launch: Launch {
                directory: self.directory,
                arguments: self.arguments,
                environment: self.environment,
            },
            gives: [self.gives, libraries].concat(),
            memory: self.memory,
            cpus: self.cpus.unwrap_or(context.cpus),
            accelerator: self.accelerator.unwrap_or(context.accelerator.clone()),
            tty: false,
            timeout: Some(self.limit * context.accelerator.patience()),
            append: String::new(),
            hardware: self.hardware,
        };
        let (output, errors) = (Collector::default(), Collector::default());
        let streams = Streams {
            input: Box::new(Cursor::new(input.to_vec())) as Box<dyn Read + Send>,
            output: Box::new(output.clone()),
            errors: Box::new(errors.clone()),
        };
        let ending = session::run(&context.kernel, &job, streams, Log::default())?;
        Ok(Output {
            how: ending.how,
            output: output.take(),
            errors: errors.take(),
            log: ending.log,
        })
    }
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Everything that helps to understand a failure.
    pub fn report(&self) -> String {
        format!(
            "ended: {:?}\n--- standard output\n{}--- standard error\n{}--- kernel log\n{}",
            self.how,
            tail(&self.output),
            tail(&self.errors),
            tail(self.log.as_bytes())
        )
    }
}

/// The last lines of a stream.
fn tail(bytes: &[u8]) -> String {
    const LINES: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LINES);
    let mut shown = String::new();
    if skipped > 0 {
        shown = format!("({skipped} lines before)\n");
    }
    for line in &lines[skipped..] {
        shown.push_str(line);
        shown.push('\n');
    }
    shown
}

/// A writer whose bytes can be taken from another handle.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
