//! What passes over fork and exec, and what does not.

use libc::{
    F_SETFL, O_CLOEXEC, O_NONBLOCK, O_RDONLY, RLIMIT_NOFILE, SEEK_CUR, SIG_IGN, SIGHUP, SIGTERM,
    SIGUSR1, SIGUSR2, rlimit, stack_t,
};
use test_programs::child::{Status, exec_helper, output, passes, spawn};
use test_programs::raw::short::*;
use test_programs::signal;
use test_programs::{gives, ok};

test_programs::tests!(
    handlers_go_back_to_default,
    ignored_signals_stay_ignored,
    blocked_signals_stay_blocked,
    pending_signals_pass_an_exec,
    close_on_exec_closes,
    descriptors_stay_open_otherwise,
    position_and_flags_pass,
    directory_and_umask_pass,
    process_numbers_pass,
    alarm_passes_an_exec,
    alarm_does_not_pass_a_fork,
    limits_pass,
    alternate_stack_does_not_pass_an_exec,
    user_numbers_pass,
    set_user_bit_changes_the_effective_user,
    stdin_is_read_on_by_the_next_program,
);

/// The helper's view: one line per thing.
pub fn tell_state() -> i32 {
    let mut stack = stack_t {
        ss_sp: std::ptr::null_mut(),
        ss_flags: 0,
        ss_size: 0,
    };
    let mut path = [0u8; 4096];
    ok!(SYS_getcwd, &mut path, 4096);
    let mask = ok!(SYS_umask, 0);
    let mut limit = rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &mut limit);
    // Rust's start-up has put its own alternate stack and handlers in place by now: only the rest is asked.
    let mut handlers = 0u64;
    for number in [SIGUSR1, SIGUSR2, SIGHUP, SIGTERM] {
        let mut action = [0usize; 4];
        ok!(SYS_rt_sigaction, number, 0, &mut action, 8);
        if action[0] == SIG_IGN {
            handlers |= signal::bit(number);
        }
        assert!(action[0] <= 1, "signal {number} still has a handler");
    }
    ok!(SYS_sigaltstack, 0, &mut stack);
    println!("ignored {handlers:x}");
    println!("blocked {:x}", signal::blocked());
    println!("pending {:x}", signal::pending());
    println!("cwd {}", test_programs::raw::text(&path));
    println!("umask {mask:o}");
    println!(
        "pid {} ppid {} pgid {} sid {}",
        pid(),
        ok!(SYS_getppid),
        ok!(SYS_getpgid, 0),
        ok!(SYS_getsid, 0)
    );
    println!("files {}", limit.rlim_cur);
    println!("alarm {}", ok!(SYS_alarm, 0));
    println!(
        "users {} {} groups {} {}",
        ok!(SYS_getuid),
        ok!(SYS_geteuid),
        ok!(SYS_getgid),
        ok!(SYS_getegid)
    );
    0
}

/// The helper's lines after the child has done `first`.
fn state_after(first: impl FnOnce()) -> Vec<String> {
    let (status, text) = output(|| {
        first();
        exec_helper(&["state"], &[])
    });
    assert_eq!(status, Status::Exited(0));
    text.lines().map(str::to_string).collect()
}

fn has(lines: &[String], line: &str) {
    assert!(
        lines.iter().any(|l| l == line),
        "no line {line:?} in {lines:?}"
    );
}

fn handlers_go_back_to_default() {
    has(&state_after(|| signal::catch(SIGUSR1)), "ignored 0");
}

fn ignored_signals_stay_ignored() {
    let lines = state_after(|| signal::dispose(SIGUSR2, SIG_IGN));
    has(&lines, &format!("ignored {:x}", signal::bit(SIGUSR2)));
}

fn blocked_signals_stay_blocked() {
    let lines = state_after(|| signal::block(SIGUSR1));
    has(&lines, &format!("blocked {:x}", signal::bit(SIGUSR1)));
}

fn pending_signals_pass_an_exec() {
    let lines = state_after(|| {
        signal::block(SIGUSR1);
        ok!(SYS_kill, pid(), SIGUSR1);
    });
    has(&lines, &format!("pending {:x}", signal::bit(SIGUSR1)));
}

fn close_on_exec_closes() {
    let (_, text) = output(|| {
        for fd in [50, 52] {
            ok!(SYS_dup3, 0, fd, O_CLOEXEC);
        }
        for fd in [51, 53] {
            ok!(SYS_dup3, 0, fd, 0);
        }
        exec_helper(&["descriptors"], &[])
    });
    assert_eq!(text, "51 53\n");
}

fn descriptors_stay_open_otherwise() {
    let (_, text) = output(|| {
        ok!(SYS_dup2, open(c"/dev/null", O_RDONLY), 40);
        let (reader, writer) = pipe();
        ok!(SYS_dup2, reader, 41);
        ok!(SYS_dup2, writer, 42);
        ok!(SYS_close_range, 3, 39, 0);
        exec_helper(&["descriptors"], &[])
    });
    assert_eq!(text, "40 41 42\n");
}

fn position_and_flags_pass() {
    let fd = file_with(c"f", b"0123456789");
    read(fd, 4);
    passes(|| {
        gives!(4, SYS_lseek, fd, 0, SEEK_CUR);
        ok!(SYS_fcntl, fd, F_SETFL, O_NONBLOCK);
    });
    assert!(status_flags(fd) & O_NONBLOCK != 0);
}

fn directory_and_umask_pass() {
    let here = std::env::current_dir().unwrap();
    let lines = state_after(|| {
        ok!(SYS_mkdir, c"d", 0o755);
        ok!(SYS_chdir, c"d");
        ok!(SYS_umask, 0o037);
    });
    has(&lines, &format!("cwd {}/d", here.display()));
    has(&lines, "umask 37");
}

fn process_numbers_pass() {
    let (reader, writer) = pipe();
    let lines = state_after(|| {
        ok!(SYS_setsid);
        write(writer, &pid().to_le_bytes());
    });
    let child = i32::from_le_bytes(read(reader, 4).try_into().unwrap());
    has(
        &lines,
        &format!("pid {child} ppid {} pgid {child} sid {child}", pid()),
    );
}

fn alarm_passes_an_exec() {
    let lines = state_after(|| {
        ok!(SYS_alarm, 1000);
    });
    assert!(
        lines.iter().any(|l| l == "alarm 1000" || l == "alarm 999"),
        "{lines:?}"
    );
}

fn alarm_does_not_pass_a_fork() {
    ok!(SYS_alarm, 1000);
    passes(|| {
        gives!(0, SYS_alarm, 0);
    });
    assert!(ok!(SYS_alarm, 0) > 900);
}

fn limits_pass() {
    let lines = state_after(|| {
        let limit = rlimit {
            rlim_cur: 123,
            rlim_max: 456,
        };
        ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, 0);
    });
    has(&lines, "files 123");
}

/// The page is gone with the old program: a signal must not be delivered there.
fn alternate_stack_does_not_pass_an_exec() {
    let lines = state_after(|| {
        let page = test_programs::memory::Mapping::private(65536);
        let stack = stack_t {
            ss_sp: page.at(0).cast(),
            ss_flags: 0,
            ss_size: page.len,
        };
        ok!(SYS_sigaltstack, &stack, 0);
        std::mem::forget(page);
    });
    has(&lines, "pending 0");
}

fn user_numbers_pass() {
    let lines = state_after(|| {
        ok!(SYS_setresgid, 6, 6, 6);
        ok!(SYS_setresuid, 5, 5, 5);
    });
    has(&lines, "users 5 5 groups 6 6");
}

fn set_user_bit_changes_the_effective_user() {
    let bytes = std::fs::read(test_programs::harness::own_path()).unwrap();
    let fd = file_with(c"copy", &bytes);
    ok!(SYS_fchown, fd, 77, 78);
    ok!(SYS_fchmod, fd, 0o6755);
    close(fd);
    ok!(SYS_chmod, c".", 0o755);
    let argv = test_programs::child::Strings::new(&["x", "--helper", "state"]);
    let none = test_programs::child::Strings::new::<&str>(&[]);
    let (status, text) = output(|| {
        test_programs::child::become_nobody();
        let _ = test_programs::sys!(SYS_execve, c"./copy", argv.as_ptr(), none.as_ptr());
        1
    });
    assert_eq!(status, Status::Exited(0));
    assert!(text.contains("users 65534 77 groups 65534 78"), "{text}");
}

fn stdin_is_read_on_by_the_next_program() {
    let (reader, writer) = pipe();
    write(writer, b"abcdef");
    spawn(|| assert_eq!(read(reader, 2), b"ab")).passes();
    spawn(|| assert_eq!(read(reader, 2), b"cd")).passes();
    assert_eq!(read(reader, 9), b"ef");
}
