//! `helve bench`: Helve and Debian's Linux kernel in the same virtual machine, with the same programs, in turn.
//!
//! What makes it fair: one QEMU command line, one initramfs, one benchmark program as the first program of both; Linux tuned to
//! be fast; and a control that runs no kernel code at all. A pair of runs whose controls differ, or whose clocks do
//! not agree with this machine's, is thrown away and measured again.

mod image_size;
mod run;
mod table;

use crate::cli::BenchOptions;
use crate::exec::session::Give;
use crate::initramfs::Initramfs;
use crate::kernel::{Kernel, Profile};
use crate::libraries::{self, Surroundings};
use crate::packages;
use crate::programs;
use crate::progress::{Show, say};
use crate::qemu::{Accelerator, Boot, Machine};
use crate::scratch::Scratch;
use crate::workspace::Workspace;
use crate::{debian, quantity};
use anyhow::{Context, Result, bail};
use run::Run;
use std::path::{Path, PathBuf};
use std::time::Duration;
use table::Table;

/// Linux, tuned to be fair to it and hard for us.
pub const LINUX_COMMAND_LINE: &str = "mitigations=off init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off \
     audit=0 apparmor=0 nokaslr norandmaps quiet";

/// The program, among those of `bench/programs`, that measures.
const PROGRAM: &str = "bench";

/// The programs of Debian's package `rt-tests` that measure.
const DEBIAN: [&str; 2] = ["hackbench", "cyclictest"];

/// The value that no kernel has a part in.
const CONTROL: &str = "control";

/// By how much the two controls of a pair may differ.
const CONTROL_LIMIT: f64 = 0.03;

/// By how much a guest's clock may differ from ours between its first line and its last one.
const CLOCK_LIMIT: f64 = 0.02;

/// How many pairs are thrown away, for each one that is wanted, before this machine counts as too restless.
const TRIES: u32 = 3;

/// The longest time for one run.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs the command; returns the status to exit with.
pub fn bench(options: &BenchOptions) -> Result<u8> {
    packages::ensure(&[packages::QEMU])?;
    let workspace = Workspace::find()?;
    let kernel = Kernel::build(&workspace, Profile::Release, Show::Progress)?;
    let programs = programs::benchmarks(&workspace, Show::Progress)?;
    let (linux, linux_version) = debian::linux(&workspace, Show::Progress)?;
    let accelerator = if options.icount {
        Accelerator::counting()
    } else {
        Accelerator::choose(options.accel, &workspace, &kernel)?
    };
    say(accelerator.describe());
    let scratch = Scratch::new()?;
    let initramfs = scratch.path().join("initramfs");
    let borrowed = match options.wants(&DEBIAN) {
        true => borrowed(&workspace)?,
        false => Vec::new(),
    };
    write_initramfs(&programs, &borrowed, &initramfs)?;
    let bench = Bench {
        options,
        accelerator,
        initramfs,
    };
    let mut table = Table::default();
    if options.only.is_none() {
        image_size::measure(&kernel, &linux, &mut table)?;
    }
    bench.measure(&kernel.image, &linux, &mut table)?;
    let about = bench.about(&linux_version)?;
    let text = table.render(options.only.as_deref());
    println!("\n{about}\n\n{text}");
    if options.save {
        // Counts are no times, and must not pass for them.
        let (file, title) = match (options.icount, options.cpus) {
            (true, _) => (
                "bench/counts.md".to_string(),
                "Helve beside Linux, in instructions",
            ),
            (false, 1) => ("bench/results.md".to_string(), "Helve beside Linux"),
            (false, cpus) => (
                format!("bench/results-{cpus}-cpus.md"),
                "Helve beside Linux, with several processors",
            ),
        };
        let file = workspace.root().join(file);
        std::fs::write(&file, format!("# {title}\n\n{about}\n\n{text}"))
            .with_context(|| format!("cannot write {}", file.display()))?;
        say(format!("saved {}", file.display()));
    }
    Ok(0)
}

impl BenchOptions {
    /// Whether Debian's programs are needed. They take memory, so they are there only if they are what is asked for, or
    /// if there are several processors, which they are made for.
    fn wants(&self, programs: &[&str]) -> bool {
        match &self.only {
            None => self.cpus > 1,
            Some(only) => programs
                .iter()
                .any(|name| name.contains(only.as_str()) || only.contains(name)),
        }
    }
}

/// Debian's programs and the libraries that they need, each with its place in the guest.
fn borrowed(workspace: &Workspace) -> Result<Vec<Give>> {
    let package = debian::rt_tests(workspace, Show::Progress)?;
    let programs = DEBIAN.map(|name| Give::new(&package.program(name), &format!("/bin/{name}")));
    let around = Surroundings {
        roots: &package.roots,
        ..Surroundings::default()
    };
    let libraries = libraries::needed(&programs, &around)?;
    Ok([programs.to_vec(), libraries].concat())
}

/// The same for both systems: the benchmark program as /init, its helpers in /bin, and what was borrowed.
fn write_initramfs(
    programs: &[crate::cargo::Executable],
    borrowed: &[Give],
    path: &Path,
) -> Result<()> {
    let main = programs.iter().find(|program| program.name == PROGRAM);
    let main = main.with_context(|| format!("bench/programs has no program `{PROGRAM}`"))?;
    let mut archive = Initramfs::create(path)?;
    archive.base()?;
    archive.file("/init", 0o755, &std::fs::read(&main.path)?)?;
    for program in programs.iter().filter(|program| program.name != PROGRAM) {
        archive.file(
            &format!("/bin/{}", program.name),
            0o755,
            &std::fs::read(&program.path)?,
        )?;
    }
    for file in borrowed {
        archive.copy(&file.host, &file.guest)?;
    }
    archive.finish()?;
    Ok(())
}

struct Bench<'a> {
    options: &'a BenchOptions,
    accelerator: Accelerator,
    initramfs: PathBuf,
}

impl Bench<'_> {
    fn measure(&self, helve: &Path, linux: &Path, table: &mut Table) -> Result<()> {
        let rounds = self.options.rounds;
        let (mut kept, mut thrown) = (0, 0);
        while kept < rounds {
            say(format!("round {} of {rounds}", kept + 1));
            let ours = self.run("Helve", helve, "init=/init console=ttyS0 quiet")?;
            let theirs = self.run(
                "Linux",
                linux,
                &format!("{LINUX_COMMAND_LINE} console=ttyS0 panic=-1"),
            )?;
            match self.objection(&ours, &theirs) {
                None => {
                    kept += 1;
                    table.add(ours, theirs);
                }
                Some(why) => {
                    thrown += 1;
                    say(format!("thrown away: {why}"));
                    if thrown > rounds * TRIES {
                        bail!(
                            "this machine is too restless to measure on: {thrown} pairs of runs were thrown away"
                        );
                    }
                }
            }
        }
        table.thrown = thrown;
        Ok(())
    }

    fn run(&self, name: &str, image: &Path, command_line: &str) -> Result<Run> {
        let words = self
            .options
            .only
            .as_ref()
            .map(|only| format!(" -- only={only}"))
            .unwrap_or_default();
        let machine = Machine {
            memory: self.options.memory,
            cpus: self.options.cpus,
            accelerator: self.accelerator.clone(),
            boot: Boot::Kernel {
                image: image.to_path_buf(),
                initramfs: Some(self.initramfs.clone()),
                command_line: format!("{command_line}{words}"),
            },
            devices: Vec::new(),
        };
        run::measure(&machine, LIMIT).with_context(|| format!("benchmarks on {name}"))
    }

    /// Why a pair of runs does not count.
    fn objection(&self, ours: &Run, theirs: &Run) -> Option<String> {
        if self.options.icount {
            return None;
        }
        for (name, run) in [("Helve", ours), ("Linux", theirs)] {
            if let Some(error) = run.clock_error
                && error.abs() > CLOCK_LIMIT
            {
                return Some(format!(
                    "the clock of {name} differs by {:.1} % from this machine's",
                    error * 100.0
                ));
            }
        }
        let (a, b) = (
            ours.values.get(CONTROL)?.number,
            theirs.values.get(CONTROL)?.number,
        );
        let difference = a / b - 1.0;
        (difference.abs() > CONTROL_LIMIT)
            .then(|| format!("the controls differ by {:.1} %", difference * 100.0))
    }

    fn about(&self, linux: &str) -> Result<String> {
        let version = std::process::Command::new("qemu-system-x86_64")
            .arg("--version")
            .output()?;
        let version = String::from_utf8_lossy(&version.stdout)
            .lines()
            .next()
            .unwrap_or("QEMU")
            .to_string();
        let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processor
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or("");
        let counted = if self.options.icount {
            " Instructions are counted, and the guest's clock goes one nanosecond for each: its times are numbers of \
             instructions, not speed. Only the boot is timed by the clock of the machine outside."
        } else {
            ""
        };
        Ok(format!(
            "{version}, {}, {} of memory, {}; on {}. Medians of {} rounds. Linux is Debian's cloud kernel {linux} with `{}`.{counted}",
            self.accelerator.arguments().join(" "),
            quantity::show_size(self.options.memory),
            match self.options.cpus {
                1 => "one CPU".to_string(),
                cpus => format!("{cpus} CPUs"),
            },
            processor.trim_start_matches([' ', '\t', ':']),
            self.options.rounds,
            LINUX_COMMAND_LINE,
        ))
    }
}
