//! execve(2): what the new program is given, and when it is refused.

use libc::{
    AT_CLKTCK, AT_EGID, AT_EMPTY_PATH, AT_ENTRY, AT_EUID, AT_EXECFN, AT_FDCWD, AT_GID, AT_PAGESZ,
    AT_PHDR, AT_PHENT, AT_PHNUM, AT_RANDOM, AT_SECURE, AT_SYMLINK_NOFOLLOW, AT_UID, E2BIG, EACCES,
    ELOOP, ENAMETOOLONG, ENOENT, ENOEXEC, ENOMEM, ENOTDIR, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE,
    MS_ASYNC, O_CLOEXEC, O_RDONLY, O_RDWR, PR_GET_NAME, PROT_READ, PROT_WRITE, S_IFIFO, SIGUSR1,
    getauxval,
};
use std::ffi::CString;
use test_programs::child::{Status, Strings, exec_helper, fork, output, own_path, passes};
use test_programs::harness::Helper;
use test_programs::memory::{Cliff, Mapping, PAGE};
use test_programs::raw::short::*;
use test_programs::{elf, fails, ok, sys};

test_programs::tests!(
    arguments_and_environment_arrive,
    no_environment,
    empty_strings,
    no_arguments_at_all,
    missing_and_wrong_files,
    not_executable,
    not_a_program,
    empty_file,
    broken_headers,
    path_errors,
    bad_pointers,
    the_longest_argument,
    arguments_up_to_the_limit,
    too_many_arguments,
    a_failed_exec_changes_nothing,
    auxiliary_vector,
    stack_is_aligned,
    registers_are_clean,
    memory_of_the_old_program_is_gone,
    program_by_descriptor,
    relative_to_a_directory,
    a_link_to_the_program,
    exec_of_exec,
    name_of_the_process,
    exec_from_a_thread_ends_the_others,
    removed_program_runs_on,
    static_programs_of_both_kinds,
);

pub const HELPERS: &[Helper] = &[
    ("status", |a| a[0].parse().unwrap()),
    ("args", |a| {
        println!("{}", a.join("|"));
        0
    }),
    ("sizes", |a| {
        println!("{} {}", a.len(), a.iter().map(String::len).sum::<usize>());
        0
    }),
    ("env", |_| {
        println!(
            "{}",
            std::env::vars()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join("|")
        );
        0
    }),
    ("auxv", |_| auxv()),
    ("comm", |_| {
        let mut name = [0u8; 16];
        ok!(SYS_prctl, PR_GET_NAME, &mut name, 0, 0, 0);
        println!("{}", test_programs::raw::text(&name));
        0
    }),
    ("again", |a| {
        let left: u32 = a[0].parse().unwrap();
        if left == 0 {
            return 17;
        }
        exec_helper(&["again", &(left - 1).to_string()], &[])
    }),
    ("mapped", |a| {
        // Is anything at the address where the old program had a page?
        let address: usize = a[0].parse().unwrap();
        i32::from(sys!(SYS_msync, address, PAGE, MS_ASYNC) != Err(ENOMEM))
    }),
    ("numbers", |_| {
        println!("{} {} {}", pid(), ok!(SYS_gettid), ok!(SYS_getppid));
        0
    }),
    ("state", |_| super::inheritance::tell_state()),
    ("descriptors", |_| {
        let list: Vec<String> = (3..200)
            .filter(|fd| is_open(*fd))
            .map(|fd| fd.to_string())
            .collect();
        println!("{}", list.join(" "));
        0
    }),
];

fn auxv() -> i32 {
    // SAFETY: only reads the vector of this process.
    let value = |kind| unsafe { getauxval(kind) };
    assert_eq!(value(AT_PAGESZ), 4096);
    assert_eq!(
        (value(AT_UID), value(AT_EUID), value(AT_GID), value(AT_EGID)),
        (0, 0, 0, 0)
    );
    assert_eq!(value(AT_SECURE), 0);
    assert_eq!(value(AT_PHENT), 56);
    assert!((1..64).contains(&value(AT_PHNUM)));
    assert_ne!(value(AT_ENTRY), 0);
    assert_eq!(value(AT_CLKTCK), 100);
    // SAFETY: the kernel put a string, sixteen bytes and the program headers there.
    unsafe {
        let name = std::ffi::CStr::from_ptr(value(AT_EXECFN) as *const _);
        let random = std::slice::from_raw_parts(value(AT_RANDOM) as *const u8, 16);
        let header = std::slice::from_raw_parts(value(AT_PHDR) as *const u32, 14);
        assert!(
            (1..8).contains(&header[0]) || header[0] > 0x6000_0000,
            "segment type {}",
            header[0]
        );
        println!("{} {:02x?}", name.to_str().unwrap(), random);
    }
    0
}

pub fn exec(path: &std::ffi::CStr, arguments: &[&str], environment: &[&str]) -> Result<usize, i32> {
    let (argv, envp) = (Strings::new(arguments), Strings::new(environment));
    sys!(SYS_execve, path, argv.as_ptr(), envp.as_ptr())
}

fn says(arguments: &[&str], environment: &[&str]) -> String {
    let (status, text) = output(|| exec_helper(arguments, environment));
    assert_eq!(status, Status::Exited(0), "{text}");
    text.trim_end().to_string()
}

/// An executable file with these bytes.
pub fn program(path: &std::ffi::CStr, bytes: &[u8]) {
    let fd = file_with(path, bytes);
    ok!(SYS_fchmod, fd, 0o755);
    close(fd);
}

fn arguments_and_environment_arrive() {
    assert_eq!(
        says(&["args", "one", "two words", "", "$x", "\u{e9}"], &[]),
        "one|two words||$x|\u{e9}"
    );
    assert_eq!(
        says(&["env"], &["B=2", "A=1=1", "EMPTY="]),
        "B=2|A=1=1|EMPTY="
    );
}

fn no_environment() {
    assert_eq!(says(&["env"], &[]), "");
    let argv = Strings::new(&["tests", "--helper", "env"]);
    let (status, text) = output(|| {
        let _ = sys!(SYS_execve, own_path().as_c_str(), argv.as_ptr(), 0);
        1
    });
    assert_eq!((status, text.as_str()), (Status::Exited(0), "\n"));
}

fn empty_strings() {
    assert_eq!(says(&["sizes", "", "", ""], &[]), "3 0");
}

/// Linux gives such a program one empty argument.
fn no_arguments_at_all() {
    // mov rdi, [rsp] (the argument count); mov eax, 60; syscall
    program(c"count", &tiny(b"\x48\x8b\x3c\x24\xb8\x3c\0\0\0\x0f\x05"));
    let none = Strings::new::<&str>(&[]);
    let start = |argv: usize| {
        fork(|| {
            sys!(SYS_execve, c"count", argv, none.as_ptr())
                .err()
                .unwrap_or(0)
        })
        .wait()
    };
    assert_eq!(start(none.as_ptr() as usize), Status::Exited(1));
    assert_eq!(start(0), Status::Exited(1));
}

fn missing_and_wrong_files() {
    assert_eq!(exec(c"none", &["x"], &[]), Err(ENOENT));
    assert_eq!(exec(c"", &["x"], &[]), Err(ENOENT));
    assert_eq!(exec(c"none/x", &["x"], &[]), Err(ENOENT));
    assert_eq!(exec(c".", &["x"], &[]), Err(EACCES));
    close(create(c"f"));
    assert_eq!(exec(c"f/x", &["x"], &[]), Err(ENOTDIR));
}

fn not_executable() {
    close(file_with(c"f", b"\x7fELF and so on"));
    assert_eq!(exec(c"f", &["x"], &[]), Err(EACCES));
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o777, 0);
    assert_eq!(exec(c"fifo", &["x"], &[]), Err(EACCES));
    assert_eq!(exec(c"/dev/null", &["x"], &[]), Err(EACCES));
}

fn not_a_program() {
    program(c"text", b"just some words, no program at all, but long enough to hold a header or two ........................");
    assert_eq!(exec(c"text", &["x"], &[]), Err(ENOEXEC));
    program(c"short", b"\x7fELF");
    assert_eq!(exec(c"short", &["x"], &[]), Err(ENOEXEC));
    program(c"bang", b"#");
    assert_eq!(exec(c"bang", &["x"], &[]), Err(ENOEXEC));
}

fn empty_file() {
    program(c"f", b"");
    assert_eq!(exec(c"f", &["x"], &[]), Err(ENOEXEC));
}

/// The first bytes of a real program with one field wrong.
fn broken_headers() {
    let fd = open(&own_path(), O_RDONLY);
    let good = read(fd, 4096);
    for (at, value) in [(0, 0u8), (16, 4), (16, 1), (18, 40), (54, 55), (56, 0)] {
        let mut bytes = good.clone();
        bytes[at] = value;
        program(c"f", &bytes);
        assert_eq!(
            exec(c"f", &["x"], &[]),
            Err(ENOEXEC),
            "byte {at} set to {value}"
        );
    }
}

fn path_errors() {
    let long = CString::new("x".repeat(256)).unwrap();
    assert_eq!(exec(&long, &["x"], &[]), Err(ENAMETOOLONG));
    ok!(SYS_symlink, c"a", c"a");
    assert_eq!(exec(c"a", &["x"], &[]), Err(ELOOP));
}

fn bad_pointers() {
    let path = own_path();
    let list = Strings::new(&["x"]);
    fails!(
        EFAULT,
        SYS_execve,
        bad::<u8>(),
        list.as_ptr(),
        list.as_ptr()
    );
    fails!(
        EFAULT,
        SYS_execve,
        path.as_c_str(),
        bad::<u8>(),
        list.as_ptr()
    );
    fails!(
        EFAULT,
        SYS_execve,
        path.as_c_str(),
        list.as_ptr(),
        bad::<u8>()
    );
    let wrong = [c"x".as_ptr() as usize, 0x10, 0];
    fails!(EFAULT, SYS_execve, path.as_c_str(), &wrong, list.as_ptr());
    fails!(EFAULT, SYS_execve, path.as_c_str(), list.as_ptr(), &wrong);
    let cliff = Cliff::new();
    let pointer = (c"x".as_ptr() as usize).to_le_bytes();
    fails!(
        EFAULT,
        SYS_execve,
        path.as_c_str(),
        cliff.put(&pointer),
        list.as_ptr()
    );
    let unended = [cliff.put(b"no end") as usize, 0];
    fails!(EFAULT, SYS_execve, path.as_c_str(), &unended, list.as_ptr());
}

fn the_longest_argument() {
    let long = "x".repeat(131_071);
    assert_eq!(says(&["sizes", &long], &[]), "1 131071");
    let longer = "x".repeat(131_072);
    assert_eq!(exec(&own_path(), &["x", &longer], &[]), Err(E2BIG));
    assert_eq!(exec(&own_path(), &["x"], &[&longer]), Err(E2BIG));
}

/// A quarter of the stack limit (8 MiB) is for arguments: 1.5 MiB must fit.
fn arguments_up_to_the_limit() {
    let piece = "y".repeat(99_999);
    let mut list = vec!["sizes"];
    list.extend(std::iter::repeat_n(piece.as_str(), 15));
    assert_eq!(says(&list, &[]), "15 1499985");
    let many: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let mut list = vec!["sizes"];
    list.extend(many.iter().map(String::as_str));
    assert!(says(&list, &[]).starts_with("20000 "));
}

fn too_many_arguments() {
    let piece = "z".repeat(100_000);
    let list = vec![piece.as_str(); 80];
    assert_eq!(exec(&own_path(), &list, &[]), Err(E2BIG));
    assert_eq!(exec(&own_path(), &["x"], &list), Err(E2BIG));
}

fn a_failed_exec_changes_nothing() {
    passes(|| {
        let page = Mapping::private(PAGE);
        page.set(0, 5);
        let fd = open(c"/dev/null", O_RDWR | O_CLOEXEC);
        test_programs::signal::catch(SIGUSR1);
        program(c"broken", b"\x7fELF");
        assert_eq!(exec(c"broken", &["x"], &[]), Err(ENOEXEC));
        assert_eq!(exec(c"none", &["x"], &[]), Err(ENOENT));
        assert!(is_open(fd) && page.get(0) == 5);
        test_programs::signal::raise(SIGUSR1);
        assert_eq!(test_programs::signal::RECORD.count(), 1);
    });
}

fn auxiliary_vector() {
    let first = says(&["auxv"], &[]);
    let second = says(&["auxv"], &[]);
    let path = own_path().into_string().unwrap();
    assert!(
        first.starts_with(&path) && second.starts_with(&path),
        "{first}"
    );
    assert_ne!(first, second, "the sixteen random bytes are the same twice");
}

/// A program of a few instructions, without any C library.
fn tiny(code: &[u8]) -> Vec<u8> {
    elf::program(elf::FIXED, 0x40_0000, code)
}

fn runs(code: &[u8]) -> Status {
    program(c"tiny", &tiny(code));
    fork(|| {
        exec(c"tiny", &["tiny", "argument"], &["A=1"])
            .err()
            .unwrap_or(0)
    })
    .wait()
}

fn stack_is_aligned() {
    // mov rdi, rsp; and edi, 15; mov eax, 60; syscall
    assert_eq!(
        runs(b"\x48\x89\xe7\x83\xe7\x0f\xb8\x3c\0\0\0\x0f\x05"),
        Status::Exited(0)
    );
    // mov rdi, [rsp] (the argument count); mov eax, 60; syscall
    assert_eq!(
        runs(b"\x48\x8b\x3c\x24\xb8\x3c\0\0\0\x0f\x05"),
        Status::Exited(2)
    );
    // mov rdi, [rsp+8]; movzx edi, byte [rdi] (first byte of the first argument)
    assert_eq!(
        runs(b"\x48\x8b\x7c\x24\x08\x0f\xb6\x3f\xb8\x3c\0\0\0\x0f\x05"),
        Status::Exited(i32::from(b't'))
    );
}

/// Nothing of the old program or the kernel is left in the registers.
fn registers_are_clean() {
    // or rdi with every general register but rsp, then setnz dil; movzx edi, dil; mov eax, 60; syscall
    let code = b"\x48\x09\xc7\x48\x09\xdf\x48\x09\xcf\x48\x09\xd7\x48\x09\xf7\x48\x09\xef\x4c\x09\xc7\x4c\x09\xcf\x4c\x09\xd7\
        \x4c\x09\xdf\x4c\x09\xe7\x4c\x09\xef\x4c\x09\xf7\x4c\x09\xff\x40\x0f\x95\xc7\x40\x0f\xb6\xff\xb8\x3c\0\0\0\x0f\x05";
    assert_eq!(runs(code), Status::Exited(0));
}

fn memory_of_the_old_program_is_gone() {
    let address = 0x1234_5000usize;
    let got = ok!(
        SYS_mmap,
        address,
        PAGE,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
        -1,
        0
    );
    assert_eq!(got, address);
    test_programs::memory::poke(address, 1);
    let status = fork(|| exec_helper(&["mapped", &address.to_string()], &[])).wait();
    assert_eq!(status, Status::Exited(0));
}

fn program_by_descriptor() {
    let fd = open(&own_path(), O_RDONLY | O_CLOEXEC);
    let argv = Strings::new(&["tests", "--helper", "status", "31"]);
    let status = fork(|| {
        let _ = sys!(
            SYS_execveat,
            fd,
            c"",
            argv.as_ptr(),
            argv.as_ptr(),
            AT_EMPTY_PATH
        );
        1
    });
    assert_eq!(status.wait(), Status::Exited(31));
    fails!(
        EBADF,
        SYS_execveat,
        500,
        c"x",
        argv.as_ptr(),
        argv.as_ptr(),
        0
    );
    fails!(
        EINVAL,
        SYS_execveat,
        AT_FDCWD,
        c"x",
        argv.as_ptr(),
        argv.as_ptr(),
        0x1
    );
    fails!(
        ENOENT,
        SYS_execveat,
        fd,
        c"",
        argv.as_ptr(),
        argv.as_ptr(),
        0
    );
}

fn relative_to_a_directory() {
    ok!(SYS_symlink, own_path().as_c_str(), c"link");
    let dir = open(c".", O_RDONLY);
    let argv = Strings::new(&["tests", "--helper", "status", "32"]);
    let child = fork(|| {
        ok!(SYS_chdir, c"/");
        let _ = sys!(SYS_execveat, dir, c"link", argv.as_ptr(), argv.as_ptr(), 0);
        1
    });
    assert_eq!(child.wait(), Status::Exited(32));
    fails!(
        ELOOP,
        SYS_execveat,
        dir,
        c"link",
        argv.as_ptr(),
        argv.as_ptr(),
        AT_SYMLINK_NOFOLLOW
    );
}

fn a_link_to_the_program() {
    ok!(SYS_symlink, own_path().as_c_str(), c"first");
    ok!(SYS_symlink, c"first", c"second");
    let status = fork(|| {
        exec(c"second", &["x", "--helper", "status", "33"], &[])
            .err()
            .unwrap_or(0)
    })
    .wait();
    assert_eq!(status, Status::Exited(33));
}

fn exec_of_exec() {
    assert_eq!(
        fork(|| exec_helper(&["again", "20"], &[])).wait(),
        Status::Exited(17)
    );
}

fn name_of_the_process() {
    ok!(
        SYS_symlink,
        own_path().as_c_str(),
        c"a-rather-long-link-name"
    );
    let (_, text) = output(|| {
        exec(
            c"a-rather-long-link-name",
            &["zero", "--helper", "comm"],
            &[],
        )
        .err()
        .unwrap_or(0)
    });
    assert_eq!(text, "a-rather-long-l\n");
}

/// The new program has the number of the process, whichever thread asked, and is alone.
fn exec_from_a_thread_ends_the_others() {
    let (reader, writer) = pipe();
    let child = fork(|| {
        ok!(SYS_dup2, writer, 1);
        close(writer);
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
        std::thread::spawn(|| exec_helper(&["numbers"], &[]))
            .join()
            .unwrap()
    });
    close(writer);
    let text = String::from_utf8(read(reader, 100)).unwrap();
    assert_eq!(text, format!("{0} {0} {1}\n", child.pid, pid()));
    assert_eq!(read(reader, 100), b"");
    child.passes();
}

fn removed_program_runs_on() {
    let bytes = std::fs::read(test_programs::harness::own_path()).unwrap();
    program(c"copy", &bytes);
    let gate = test_programs::child::Gate::new();
    let child = fork(|| {
        gate.wait();
        exec(c"copy", &["x", "--helper", "again", "0"], &[])
            .err()
            .unwrap_or(0)
    });
    gate.open();
    assert_eq!(child.wait(), Status::Exited(17));
    ok!(SYS_unlink, c"copy");
}

/// Fixed addresses and position-independent, each with a code and a data segment.
fn static_programs_of_both_kinds() {
    // mov edi, 7; mov eax, 60; syscall
    let code = b"\xbf\x07\0\0\0\xb8\x3c\0\0\0\x0f\x05";
    assert_eq!(runs(code), Status::Exited(7));
    let mut moved = tiny(code);
    moved[16] = 3;
    for at in [24, 80, 88] {
        // Addresses from zero: the kernel chooses the place.
        moved[at + 2] = 0;
    }
    program(c"moved", &moved);
    assert_eq!(
        fork(|| exec(c"moved", &["x"], &[]).err().unwrap_or(0)).wait(),
        Status::Exited(7)
    );
}
