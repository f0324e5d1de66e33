//! The system tests: programs and sessions in the booted machine. `helve test` runs them, `cargo test` runs every crate's own
//! tests before them.
//!
//! One test is a name and a body; a body that is a test program reports many points, each counted as a test of its own.
//! Nothing here waits for ever: every boot has a deadline, and a watchdog ends the whole run.

mod busybox;
pub mod crates;
mod disc;
mod exec;
mod guest;
mod interrupts;
mod nodes;
mod rt_tests;
mod shell;
mod soak;
mod suites;
mod typist;
mod watchdog;

use crate::cli::TestOptions;
use crate::kernel::{Kernel, Profile};
use crate::packages;
use crate::progress::{Show, say};
use crate::qemu::{Accelerator, Choice};
use crate::run;
use crate::tap::Point;
use crate::workspace::Workspace;
use crate::{children, programs};
use anyhow::Result;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// After this the whole run is hung, whatever each test believes.
const WATCHDOG: Duration = Duration::from_secs(45 * 60);

/// What every test may use.
#[derive(Debug)]
pub struct Context {
    pub workspace: Workspace,
    pub kernel: Kernel,
    pub accelerator: Accelerator,
    /// How many CPUs the machines have.
    pub cpus: u32,
    /// The programs of `tests/programs` by name.
    pub programs: BTreeMap<String, PathBuf>,
    /// The `helve` command itself.
    pub helve: PathBuf,
    initramfs: OnceLock<PathBuf>,
}

impl Context {
    /// The initramfs with init and the shell, made for the first test that asks.
    pub fn initramfs(&self) -> Result<&Path> {
        if let Some(made) = self.initramfs.get() {
            return Ok(made);
        }
        let made = run::system_initramfs(
            &self.workspace,
            &self.kernel,
            Profile::Release,
            &[],
            Show::Progress,
        )?;
        Ok(self.initramfs.get_or_init(|| made))
    }
}

/// A body that reports points.
type Suite = Box<dyn Fn(&Context) -> Result<Vec<Point>>>;

/// What a test does.
enum Body {
    /// It passes if this returns.
    One(fn(&Context) -> Result<()>),
    /// It reports points.
    Many(Suite),
}

/// A named test.
struct Test {
    name: String,
    body: Body,
}

impl Test {
    fn new(name: &str, body: fn(&Context) -> Result<()>) -> Test {
        Test {
            name: name.into(),
            body: Body::One(body),
        }
    }
}

/// Passed and failed tests so far.
#[derive(Debug, Default)]
pub struct Tally {
    pub passed: usize,
    pub failures: Vec<(String, String)>,
}

impl Tally {
    /// Counts and prints one test.
    pub fn record(&mut self, name: &str, failure: Option<String>, took: Option<Duration>) {
        let time = took
            .map(|took| format!(" ({:.1} s)", took.as_secs_f64()))
            .unwrap_or_default();
        match failure {
            None => {
                self.passed += 1;
                print(&format!("ok      {name}{time}"));
            }
            Some(why) => {
                print(&format!("FAILED  {name}{time}\n{}", indented(&why)));
                self.failures.push((name.to_string(), why));
            }
        }
    }

    /// Prints what failed and the line that counts; returns the status to exit with. That nothing ran is a failure: a
    /// filter with a slip in it must not look like success.
    pub fn finish(&self) -> u8 {
        if self.passed == 0 && self.failures.is_empty() {
            print("\nno test has such a name (`cargo run -q -- test --list` prints all)");
            return 1;
        }
        if !self.failures.is_empty() {
            print("\nfailed:");
            for (name, why) in &self.failures {
                print(&format!("    {name}: {}", why.lines().next().unwrap_or("")));
            }
        }
        print(&format!(
            "\n{} passed, {} failed",
            self.passed,
            self.failures.len()
        ));
        u8::from(!self.failures.is_empty())
    }
}

/// Ends the process if it is still running after the longest time that a whole run may take.
pub fn start_watchdog() {
    std::thread::spawn(|| {
        std::thread::sleep(WATCHDOG);
        say(format!(
            "the tests are not done after {} minutes: giving up",
            WATCHDOG.as_secs() / 60
        ));
        children::kill_all();
        std::process::exit(1);
    });
}

/// `helve test`.
pub fn test(options: &TestOptions) -> Result<u8> {
    start_watchdog();
    let mut tally = Tally::default();
    let helve = std::env::current_exe()?;
    if options.list {
        list(options)?;
        return Ok(0);
    }
    run_system(options, helve, &mut tally)?;
    Ok(tally.finish())
}

/// Builds everything and runs the system tests whose names contain one of the filters, on machines that are run in this
/// way and have so many CPUs.
pub fn run_system(options: &TestOptions, helve: PathBuf, tally: &mut Tally) -> Result<()> {
    let context = prepare(options, helve)?;
    let tests = catalogue(&context, &options.filters)?;
    print(&format!(
        "\nsystem tests with {} CPU{}: {}",
        options.cpus,
        if options.cpus == 1 { "" } else { "s" },
        context.accelerator.describe(),
    ));
    for test in tests {
        let start = Instant::now();
        // A test that panics is a test that fails.
        let result = catch_unwind(AssertUnwindSafe(|| match &test.body {
            Body::One(body) => body(&context).map(|()| None),
            Body::Many(body) => body(&context).map(Some),
        }));
        let took = Some(start.elapsed());
        match result {
            Ok(Ok(None)) => tally.record(&test.name, None, took),
            Ok(Ok(Some(points))) => {
                print(&format!(
                    "{} ({:.1} s)",
                    test.name,
                    start.elapsed().as_secs_f64()
                ));
                for point in points {
                    tally.record(
                        &format!("{}/{}", test.name, point.name),
                        point.failure,
                        None,
                    );
                }
            }
            Ok(Err(error)) => tally.record(&test.name, Some(format!("{error:#}")), took),
            Err(_) => tally.record(&test.name, Some("the test panicked".into()), took),
        }
    }
    Ok(())
}

fn prepare(options: &TestOptions, helve: PathBuf) -> Result<Context> {
    packages::ensure(&[packages::QEMU])?;
    let workspace = Workspace::find()?;
    let kernel = Kernel::build(&workspace, options.profile(), Show::Progress)?;
    let built = programs::tests(&workspace, Show::Progress)?;
    let accelerator = Accelerator::choose(options.accel, &workspace, &kernel)?;
    let programs = built
        .into_iter()
        .map(|program| (program.name, program.path))
        .collect();
    Ok(Context {
        workspace,
        kernel,
        accelerator,
        cpus: options.cpus,
        programs,
        helve,
        initramfs: OnceLock::new(),
    })
}

/// Every test that the filters choose, in the order in which they run: simple ones first.
fn catalogue(context: &Context, filters: &[String]) -> Result<Vec<Test>> {
    let mut tests = vec![
        Test::new("machine/self-test", shell::machine_checks_itself),
        Test::new("machine/each-clock", shell::each_clock),
    ];
    tests.extend(exec::tests());
    tests.extend(shell::tests());
    tests.extend(busybox::tests(context)?);
    tests.extend(disc::tests());
    tests.extend(watchdog::tests());
    tests.extend(rt_tests::tests());
    tests.extend(interrupts::tests());
    tests.extend(soak::tests());
    tests.extend(nodes::tests());
    tests.retain(|test| chosen(&test.name, filters));
    tests.extend(suites::tests(context, filters)?);
    Ok(tests)
}

fn list(options: &TestOptions) -> Result<()> {
    // Nothing is run, so nothing need be able to.
    let options = TestOptions {
        accel: Choice::Tcg,
        cpus: 1,
        ..options.clone()
    };
    let context = prepare(&options, std::env::current_exe()?)?;
    for test in catalogue(&context, &options.filters)? {
        print(&test.name);
    }
    Ok(())
}

/// Whether a name is asked for.
fn chosen(name: &str, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

fn print(text: &str) {
    // Nobody may be reading any more; only in this crate's own tests the lines are libtest's to keep.
    if cfg!(test) {
        println!("{text}");
    } else {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("        {line}\n"))
        .collect()
}
