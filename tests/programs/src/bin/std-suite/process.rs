//! `std::process`: this program starts itself again as a helper.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::thread;
use test_programs::harness::{Helper, own_path};
use test_programs::pattern;

test_programs::tests!(
    exit_codes,
    output_is_collected,
    both_streams_at_once,
    arguments_arrive,
    environment_arrives,
    environment_can_be_cleared,
    current_dir_of_the_child,
    stdin_is_fed,
    stdin_null_is_empty,
    big_output,
    talk_back_and_forth,
    pipeline_of_two,
    output_to_a_file,
    kill_a_child,
    killed_by_its_own_signal,
    abort_is_a_signal,
    try_wait_does_not_block,
    a_missing_program,
    a_file_that_is_not_a_program,
    a_program_without_permission,
    pre_exec_runs_in_the_child,
    exec_replaces_the_program,
    argv0_can_be_chosen,
    process_group_of_the_child,
    many_children_at_once,
    children_from_many_threads,
    descriptors_do_not_leak,
    ids_are_right,
    a_stack_overflow_is_told_and_ends_it,
    a_panic_exits_with_101,
);

pub const HELPERS: &[Helper] = &[
    ("exit", |a| a[0].parse().unwrap()),
    ("echo", |a| {
        println!("{}", a.join("|"));
        0
    }),
    ("both", |_| {
        println!("to stdout");
        eprintln!("to stderr");
        0
    }),
    ("env", |a| {
        match a.first() {
            Some(name) => println!("{}", std::env::var(name).unwrap_or("unset".into())),
            None => println!(
                "{}",
                std::env::vars()
                    .map(|(k, v)| format!("{k}={v}"))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
        }
        0
    }),
    ("pwd", |_| {
        println!("{}", std::env::current_dir().unwrap().display());
        0
    }),
    ("cat", |_| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).unwrap();
        0
    }),
    ("upper", |_| {
        for line in std::io::stdin().lines() {
            println!("{}", line.unwrap().to_uppercase());
        }
        0
    }),
    ("pattern", |a| {
        let mut bytes = vec![0; a[0].parse().unwrap()];
        pattern::fill(5, 0, &mut bytes);
        std::io::stdout().write_all(&bytes).unwrap();
        0
    }),
    ("hang", |_| {
        println!("ready");
        loop {
            thread::park();
        }
    }),
    ("abort", |_| std::process::abort()),
    ("panic", |_| panic!("as asked")),
    ("overflow", |_| {
        fn deeper(n: u64) -> u64 {
            let frame = std::hint::black_box([n; 100]);
            if std::hint::black_box(n) == u64::MAX {
                0
            } else {
                deeper(n + 1) + frame[7]
            }
        }
        deeper(0) as i32
    }),
    ("term", |_| {
        test_programs::signal::raise(libc::SIGTERM);
        0
    }),
    ("open-descriptors", |_| {
        println!(
            "{}",
            (3..100)
                .filter(|fd| test_programs::raw::short::is_open(*fd))
                .count()
        );
        0
    }),
    ("ids", |_| {
        println!(
            "{} {}",
            std::process::id(),
            std::os::unix::process::parent_id()
        );
        0
    }),
    ("name", |_| {
        println!("{}", std::env::args().next().unwrap());
        0
    }),
];

fn helper(name: &str) -> Command {
    let mut command = Command::new(own_path());
    command.args(["--helper", name]);
    command
}

fn says(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{:?}", output);
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_string()
}

fn exit_codes() {
    for code in [0, 1, 2, 42, 126, 127, 255] {
        let status = helper("exit").arg(code.to_string()).status().unwrap();
        assert_eq!(status.code(), Some(code));
        assert_eq!(status.success(), code == 0);
    }
}

fn output_is_collected() {
    let output = helper("both").output().unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"to stdout\n"[..], &b"to stderr\n"[..])
    );
}

fn both_streams_at_once() {
    let mut child = helper("both")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("to stdout\n", "to stderr\n"));
    assert!(child.wait().unwrap().success());
    assert!(child.wait().unwrap().success());
}

fn arguments_arrive() {
    assert_eq!(
        says(helper("echo").args(["a b", "", "ünïcode", "*"])),
        "a b||ünïcode|*"
    );
    let many: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    assert_eq!(says(helper("echo").args(&many)), many.join("|"));
}

fn environment_arrives() {
    assert_eq!(
        says(helper("env").arg("FLAVOUR").env("FLAVOUR", "sour cherry")),
        "sour cherry"
    );
    assert_eq!(
        says(helper("env").arg("FLAVOUR").env_remove("FLAVOUR")),
        "unset"
    );
}

fn environment_can_be_cleared() {
    assert_eq!(says(helper("env").env_clear()), "");
    assert_eq!(
        says(helper("env").env_clear().env("B", "2").env("A", "1")),
        "A=1,B=2"
    );
}

fn current_dir_of_the_child() {
    fs::create_dir("sub").unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        says(helper("pwd").current_dir("sub")),
        here.join("sub").to_str().unwrap()
    );
    assert_eq!(
        helper("pwd")
            .current_dir("none")
            .status()
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

fn stdin_is_fed() {
    let mut child = helper("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        let mut bytes = vec![0; 300_000];
        pattern::fill(6, 0, &mut bytes);
        stdin.write_all(&bytes).unwrap();
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(output.stdout.len(), 300_000);
    assert_eq!(pattern::mismatch(6, 0, &output.stdout), None);
}

fn stdin_null_is_empty() {
    assert_eq!(says(helper("cat").stdin(Stdio::null())), "");
    assert!(
        helper("both")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
}

fn big_output() {
    let output = helper("pattern").arg("5000000").output().unwrap();
    assert_eq!(output.stdout.len(), 5_000_000);
    assert_eq!(pattern::mismatch(5, 0, &output.stdout), None);
}

fn talk_back_and_forth() {
    let mut child = helper("upper")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    for i in 0..200 {
        writeln!(to, "line {i}").unwrap();
        let mut answer = String::new();
        from.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("LINE {i}\n"));
    }
    drop(to);
    assert!(child.wait().unwrap().success());
}

fn pipeline_of_two() {
    let mut first = helper("echo")
        .arg("quiet")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let second = helper("upper")
        .stdin(first.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(second.stdout, b"QUIET\n");
}

fn output_to_a_file() {
    let file = fs::File::create("out").unwrap();
    assert!(
        helper("echo")
            .arg("written")
            .stdout(file)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(fs::read("out").unwrap(), b"written\n");
    let again = fs::OpenOptions::new().append(true).open("out").unwrap();
    assert!(
        helper("cat")
            .stdin(fs::File::open("out").unwrap())
            .stdout(Stdio::piped())
            .output()
            .unwrap()
            .stdout
            == b"written\n"
    );
    assert!(
        helper("echo")
            .arg("more")
            .stdout(again)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(fs::read("out").unwrap(), b"written\nmore\n");
}

fn kill_a_child() {
    let mut child = helper("hang").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        (status.code(), status.signal()),
        (None, Some(libc::SIGKILL))
    );
    child.kill().unwrap();
}

fn killed_by_its_own_signal() {
    assert_eq!(
        helper("term").status().unwrap().signal(),
        Some(libc::SIGTERM)
    );
}

fn abort_is_a_signal() {
    assert_eq!(
        helper("abort")
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .signal(),
        Some(libc::SIGABRT)
    );
}

fn try_wait_does_not_block() {
    let mut child = helper("cat").stdin(Stdio::piped()).spawn().unwrap();
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        thread::yield_now();
    }
    assert!(child.try_wait().unwrap().is_some());
}

fn a_missing_program() {
    assert_eq!(
        Command::new("/nowhere/at/all").spawn().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        Command::new("no-such-program-in-the-path")
            .env("PATH", "/bin:/usr/bin")
            .spawn()
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

fn a_file_that_is_not_a_program() {
    use std::os::unix::fs::PermissionsExt;
    fs::write("f", [0x7f, b'E', b'L', b'F', 1, 2, 3]).unwrap();
    fs::set_permissions("f", fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        Command::new("./f").spawn().unwrap_err().raw_os_error(),
        Some(libc::ENOEXEC)
    );
}

fn a_program_without_permission() {
    fs::write("f", "#!/bin/sh\n").unwrap();
    assert_eq!(
        Command::new("./f").spawn().unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        Command::new(".").spawn().unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

fn pre_exec_runs_in_the_child() {
    fs::create_dir("chosen").unwrap();
    let mut command = helper("pwd");
    // SAFETY: changing the directory is safe between fork and exec.
    unsafe {
        command.pre_exec(|| std::env::set_current_dir("chosen"));
    }
    assert!(says(&mut command).ends_with("/chosen"));
    assert!(!std::env::current_dir().unwrap().ends_with("chosen"));
}

fn exec_replaces_the_program() {
    let child = test_programs::child::fork(|| {
        let _ = helper("exit").arg("33").exec();
        1
    });
    assert_eq!(child.wait(), test_programs::child::Status::Exited(33));
}

fn argv0_can_be_chosen() {
    assert_eq!(says(helper("name").arg0("another name")), "another name");
}

fn process_group_of_the_child() {
    let mut child = helper("cat")
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = test_programs::ok!(SYS_getpgid, child.id());
    assert_eq!(group as u32, child.id());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn many_children_at_once() {
    let children: Vec<_> = (0..40)
        .map(|i| {
            helper("exit")
                .arg((i % 7).to_string())
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for (i, mut child) in children.into_iter().enumerate() {
        assert_eq!(child.wait().unwrap().code(), Some(i as i32 % 7));
    }
}

fn children_from_many_threads() {
    thread::scope(|s| {
        for t in 0..6 {
            s.spawn(move || {
                for i in 0..5 {
                    let text = format!("{t}.{i}");
                    assert_eq!(says(helper("echo").arg(&text)), text);
                }
            });
        }
    });
}

fn descriptors_do_not_leak() {
    fs::write("f", "").unwrap();
    let _open: Vec<_> = (0..10).map(|_| fs::File::open("f").unwrap()).collect();
    assert_eq!(says(&mut helper("open-descriptors")), "0");
}

fn ids_are_right() {
    let mut child = helper("ids").stdout(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(
        text.trim_end(),
        format!("{} {}", child.id(), std::process::id())
    );
    child.wait().unwrap();
}

/// The runtime catches SIGSEGV on the guard page on an alternate stack, says so, and ends by SIGABRT.
fn a_stack_overflow_is_told_and_ends_it() {
    let output = helper("overflow").output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has overflowed its stack"));
}

fn a_panic_exits_with_101() {
    let output = helper("panic").output().unwrap();
    assert_eq!(output.status.code(), Some(101));
    assert!(String::from_utf8_lossy(&output.stderr).contains("as asked"));
}
