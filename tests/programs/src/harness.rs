//! Runs a list of named tests and says how they went, in a form a machine can read: `1..N`, then one `ok NAME` or
//! `not ok NAME: why` for each.
//!
//! The idea: the harness itself does almost nothing. It forks a child for each test, so a test may crash, change user, close
//! everything or hang, and the next one starts from the same clean state: an empty directory of its own as the working
//! directory, default signals, its own process group. A panic in the child or in any of its children leaves its message on
//! a page that all of them share.

use crate::child::{self, Status};
use crate::memory::Shared;
use std::fs;
use std::io::Write;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

/// One test: it passes if the function returns.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    pub name: &'static str,
    pub run: fn(),
}

/// A module's tests, under its name.
pub type Group = (&'static str, &'static [Test]);

/// A second life of the program: what it does when a test starts it again with `--helper NAME ...`.
pub type Helper = (&'static str, fn(&[String]) -> i32);

/// `tests!(a, b)` in a module lists its tests as `TESTS`. A test left out is dead code, which the compiler reports.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub const TESTS: &[$crate::harness::Test] = &[$($crate::harness::Test { name: stringify!($name), run: $name }),*];
    };
}

/// A whole program.
#[derive(Debug)]
pub struct Suite {
    pub groups: &'static [Group],
    pub helpers: &'static [Helper],
    /// The seconds that one test may take.
    pub limit: u32,
    /// Whether the tests change users or make devices. If somebody else than root starts such a suite, it says so and runs
    /// nothing.
    pub root: bool,
    /// Whether the tests change what the whole machine has, its clock for one. They run only as the first program of a
    /// machine, which is then theirs; elsewhere the suite says so and runs nothing.
    pub machine: bool,
}

impl Suite {
    /// The program's `main`.
    pub fn main(&self) -> ExitCode {
        let arguments: Vec<String> = std::env::args_os()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        if arguments.get(1).is_some_and(|a| a == "--helper") {
            let name = arguments.get(2).map_or("", String::as_str);
            return match self.helpers.iter().find(|(n, _)| *n == name) {
                Some((_, life)) => ExitCode::from(life(&arguments[3..]) as u8),
                None => ExitCode::from(127),
            };
        }
        let list = arguments.get(1).is_some_and(|a| a == "--list");
        let filter = if list { None } else { arguments.get(1) };
        let chosen = self.chosen(filter.map_or("", String::as_str));
        if list {
            chosen.iter().for_each(|(name, _)| println!("{name}"));
            return ExitCode::SUCCESS;
        }
        if self.root && sys!(SYS_geteuid) != Ok(0) {
            println!("1..0\n# only root can run these tests");
            return ExitCode::SUCCESS;
        }
        if self.machine && std::process::id() != 1 {
            println!("1..0\n# only the first program of a machine can run these tests");
            return ExitCode::SUCCESS;
        }
        run_all(&chosen, self.limit)
    }

    /// The tests whose name contains the word.
    fn chosen(&self, word: &str) -> Vec<(String, Test)> {
        let all = self.groups.iter().flat_map(|(group, tests)| {
            tests
                .iter()
                .map(move |t| (format!("{group}/{}", t.name), *t))
        });
        all.filter(|(name, _)| name.contains(word)).collect()
    }
}

fn run_all(chosen: &[(String, Test)], limit: u32) -> ExitCode {
    println!("1..{}", chosen.len());
    let _ = std::env::current_exe().map(|path| OWN_PATH.set(path));
    let root = format!("/tmp/tests-{}", std::process::id());
    let _ = fs::create_dir("/tmp");
    let _ = fs::create_dir(&root);
    REPORT.get_or_init(Shared::new);
    // Whatever the starter left open would be in the way of tests that count descriptors.
    for fd in 3..1024 {
        let _ = sys!(SYS_close, fd);
    }
    let mut failed = 0;
    for (number, (name, test)) in chosen.iter().enumerate() {
        match run_one(test.run, &format!("{root}/{number}"), limit) {
            Ok(()) => println!("ok {name}"),
            Err(why) => {
                failed += 1;
                println!("not ok {name}: {why}");
            }
        }
    }
    let _ = fs::remove_dir_all(&root);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_one(test: fn(), directory: &str, limit: u32) -> Result<(), String> {
    let report = REPORT.get_or_init(Shared::new);
    report.clear();
    let _ = fs::create_dir(directory);
    let _ = std::io::stdout().flush();
    let child = child::fork(|| {
        let _ = sys!(SYS_setpgid, 0, 0);
        // Rust's start-up ignores one of these and catches the others.
        for signal in [libc::SIGPIPE, libc::SIGSEGV, libc::SIGBUS] {
            crate::signal::dispose(signal, libc::SIG_DFL);
        }
        panic::set_hook(Box::new(|info| {
            let message = info.payload_as_str().unwrap_or("panic");
            let place = info.location().map(|l| {
                format!(
                    " ({}:{})",
                    l.file().rsplit('/').next().unwrap_or(""),
                    l.line()
                )
            });
            REPORT
                .get_or_init(Shared::new)
                .record(&format!("{message}{}", place.unwrap_or_default()));
        }));
        if let Err(error) = std::env::set_current_dir(directory) {
            panic!("cannot enter {directory}: {error}");
        }
        test();
        0
    });
    let status = wait_or_kill(child.pid, limit);
    // Whatever the test left behind in its group goes with it; as process 1 we also inherit its orphans.
    let _ = sys!(SYS_kill, -child.pid, libc::SIGKILL);
    if std::process::id() == 1 {
        while matches!(sys!(SYS_wait4, -1, 0, libc::WNOHANG, 0), Ok(pid) if pid > 0) {}
    }
    let _ = fs::remove_dir_all(directory);
    match (status, report.message()) {
        (None, _) => Err(format!("not done after {limit} s")),
        (Some(Status::Exited(0)), _) => Ok(()),
        (Some(Status::Exited(_)), Some(message)) => Err(message),
        (Some(status), Some(message)) => Err(format!("{status:?}, {message}")),
        (Some(status), None) => Err(format!("{status:?}")),
    }
}

static TIME_IS_UP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_alarm(_: i32) {
    TIME_IS_UP.store(true, Ordering::SeqCst);
}

/// Waits for the test, but not for ever. A kernel without `alarm` still runs the tests, only without the limit.
fn wait_or_kill(pid: i32, limit: u32) -> Option<Status> {
    TIME_IS_UP.store(false, Ordering::SeqCst);
    // SAFETY: zeros are a valid `sigaction`; the handler only stores a flag; no SA_RESTART, so the wait below ends.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
    }
    let _ = sys!(SYS_alarm, limit);
    let mut word = 0i32;
    let mut late = false;
    // Process 1 buries everybody's orphans, and some tests wait for that.
    let whom = if std::process::id() == 1 { -1 } else { pid };
    loop {
        match sys!(SYS_wait4, whom, &mut word, 0, 0) {
            Ok(found) if found as i32 == pid => break,
            Ok(_) => {}
            Err(libc::EINTR) if TIME_IS_UP.load(Ordering::SeqCst) => {
                late = true;
                let _ = sys!(SYS_kill, pid, libc::SIGKILL);
            }
            Err(libc::EINTR) => {}
            Err(errno) => {
                println!("# wait4: {}", crate::raw::errno_name(errno));
                return None;
            }
        }
    }
    let _ = sys!(SYS_alarm, 0);
    // SAFETY: as above; the test's children must start with the default.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
    }
    (!late).then(|| Status::from_word(word))
}

/// The page on which the panics of a test and its children leave their words, one after another.
#[derive(Debug)]
struct Report {
    len: AtomicUsize,
    text: [AtomicU8; 2048],
}

static REPORT: OnceLock<Shared<Report>> = OnceLock::new();

impl Report {
    fn clear(&self) {
        self.len.store(0, Ordering::SeqCst);
    }
    fn record(&self, message: &str) {
        let start = self.len.fetch_add(message.len() + 3, Ordering::SeqCst);
        for (i, byte) in message.bytes().chain(*b" / ").enumerate() {
            if let Some(to) = self.text.get(start + i) {
                to.store(if byte == b'\n' { b' ' } else { byte }, Ordering::SeqCst);
            }
        }
    }
    fn message(&self) -> Option<String> {
        let len = self.len.load(Ordering::SeqCst).min(self.text.len());
        let bytes: Vec<u8> = self.text[..len]
            .iter()
            .map(|b| b.load(Ordering::SeqCst))
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        (len > 0).then(|| text.trim_end_matches(" / ").to_string())
    }
}

static OWN_PATH: OnceLock<PathBuf> = OnceLock::new();

/// The path of the running program, to start it again. Asked once at the start: after a change of user the link in
/// `/proc` cannot be read any more.
pub fn own_path() -> PathBuf {
    OWN_PATH
        .get_or_init(|| std::env::current_exe().expect("/proc/self/exe names the program"))
        .clone()
}
