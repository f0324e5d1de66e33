//! execve(2) of programs that name an interpreter: it is loaded too, runs first, and is told where the program is.

use super::exec::{exec, program};
use libc::{
    AT_BASE, AT_EMPTY_PATH, AT_ENTRY, AT_EXECFN, AT_HWCAP2, AT_PHDR, AT_PHENT, AT_PHNUM, AT_SECURE,
    AT_SYSINFO_EHDR, EACCES, ELIBBAD, ELOOP, ENOENT, ENOEXEC, ENOTDIR, ETXTBSY, O_CLOEXEC,
    O_RDONLY, O_WRONLY,
};
use std::collections::BTreeMap;
use std::ffi::CStr;
use test_programs::child::{Status, Strings, fork, output_bytes};
use test_programs::elf::{self, ANYWHERE, FIXED, Header};
use test_programs::raw::short::*;
use test_programs::{ok, sys};

test_programs::tests!(
    the_interpreter_runs_and_knows_the_program,
    a_program_at_fixed_addresses,
    an_interpreter_at_fixed_addresses,
    without_one_there_is_no_base,
    the_interpreter_lies_apart_from_the_heap,
    an_alignment_of_the_interpreter,
    it_is_found_as_any_path,
    it_may_be_missing,
    it_may_not_be_executable,
    it_may_be_damaged,
    its_name_may_be_damaged,
    the_first_of_two_counts,
    its_own_interpreter_is_ignored,
    it_may_not_be_open_for_writing,
    by_a_descriptor_that_closes,
    as_the_interpreter_of_a_script,
    a_program_that_is_somebody_else,
    a_failure_changes_nothing,
);

/// Writes the whole stack, and before it the address of the second word and its own; then exits with 7. The stack ends with
/// a page, so each write but the last one ends with one, too.
const TELLS: &[u8] = b"\
    \x48\x8d\x05\xf9\xff\xff\xff\
    \x50\
    \x54\
    \xbf\x01\0\0\0\
    \x48\x89\xe6\
    \x89\xf2\
    \x81\xe2\xff\x0f\0\0\
    \xf7\xda\
    \x81\xc2\0\x10\0\0\
    \xb8\x01\0\0\0\
    \x0f\x05\
    \x48\x01\xd6\
    \x85\xc0\
    \x79\xe2\
    \xbf\x07\0\0\0\
    \xb8\x3c\0\0\0\
    \x0f\x05";
// lea rax, [rip-7]; push rax; push rsp; mov edi, 1; mov rsi, rsp;
// again: edx = 0x1000 - (esi & 0xfff); write; add rsi, rdx; jns again; exit(7)

/// Exits with 9: nobody should come here.
const SILENT: &[u8] = b"\xbf\x09\0\0\0\xb8\x3c\0\0\0\x0f\x05";

/// Of the programs here, in their own addresses.
const ENTRY: u64 = elf::code_at(2);

/// A program that names its interpreter with these bytes.
fn dynamic(kind: u16, base: u64, name: &[u8]) -> Vec<u8> {
    let rest = [SILENT, name].concat();
    let size = ENTRY + rest.len() as u64;
    let headers = [
        interpreter(ENTRY + SILENT.len() as u64, name),
        whole(base, size),
    ];
    elf::file(kind, base + ENTRY, &headers, &rest)
}

fn whole(base: u64, size: u64) -> Header {
    Header::load(elf::READ_EXECUTE, base, size, size)
}

fn interpreter(offset: u64, name: &[u8]) -> Header {
    Header {
        kind: elf::INTERPRETER,
        flags: 4,
        offset,
        address: 0,
        in_file: name.len() as u64,
        in_memory: name.len() as u64,
    }
}

/// What the interpreter told: where it is, and the stack.
struct Told {
    at: u64,
    arguments: Vec<String>,
    auxiliary: BTreeMap<u64, u64>,
    /// Of `AT_EXECFN`.
    name: String,
}

impl Told {
    fn value(&self, kind: u64) -> u64 {
        self.auxiliary[&kind]
    }

    fn parse(bytes: &[u8]) -> Told {
        let mut words = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        let mut next = || words.next().expect("another word");
        let start = next() - 8;
        let string = |address: u64| {
            let rest = &bytes[(address - start) as usize..];
            let end = rest.iter().position(|&byte| byte == 0).expect("an end");
            String::from_utf8(rest[..end].to_vec()).unwrap()
        };
        let at = next();
        let count = next();
        let arguments = (0..count).map(|_| string(next())).collect();
        assert_eq!(next(), 0, "the arguments end");
        while next() != 0 {}
        let mut auxiliary = BTreeMap::new();
        loop {
            let (kind, value) = (next(), next());
            if kind == 0 {
                break;
            }
            auxiliary.insert(kind, value);
        }
        Told {
            at,
            arguments,
            name: string(auxiliary[&AT_EXECFN]),
            auxiliary,
        }
    }
}

/// Runs what `start` starts, and reads what the interpreter told.
fn told(start: impl FnOnce()) -> Told {
    let (status, bytes) = output_bytes(|| {
        start();
        1
    });
    assert_eq!(status, Status::Exited(7));
    Told::parse(&bytes)
}

fn run(path: &CStr) -> Told {
    told(|| {
        let refused = exec(path, &["one", "", "three"], &["A=1"]);
        panic!("refused: {refused:?}");
    })
}

/// What execve says.
fn refused(path: &CStr) -> i32 {
    let status = fork(|| exec(path, &["x"], &[]).err().unwrap_or(0)).wait();
    match status {
        Status::Exited(errno) => errno,
        other => panic!("{other:?}"),
    }
}

/// The two files `program` and `ld`.
fn files(kind: u16, base: u64) {
    program(c"program", &dynamic(kind, base, b"./ld\0"));
    program(c"ld", &elf::program(ANYWHERE, 0, TELLS));
}

fn the_interpreter_runs_and_knows_the_program() {
    files(ANYWHERE, 0);
    let told = run(c"./program");
    assert_eq!(told.arguments, ["one", "", "three"]);
    assert_eq!(told.value(AT_BASE), told.at - elf::code_at(1));
    assert_eq!(told.value(AT_BASE) % 4096, 0);
    let base = told.value(AT_PHDR) - 64;
    assert_eq!(base % 4096, 0);
    assert_ne!(base, told.value(AT_BASE));
    assert_eq!(told.value(AT_ENTRY), base + ENTRY);
    assert_eq!((told.value(AT_PHNUM), told.value(AT_PHENT)), (2, 56));
    assert_eq!(told.value(AT_SECURE), 0);
    assert!(told.auxiliary.contains_key(&AT_HWCAP2));
    assert_ne!(told.value(AT_SYSINFO_EHDR), 0);
    assert_eq!(told.name, "./program");
}

fn a_program_at_fixed_addresses() {
    files(FIXED, 0x40_0000);
    let told = run(c"program");
    assert_eq!(told.value(AT_ENTRY), 0x40_0000 + ENTRY);
    assert_eq!(told.value(AT_PHDR), 0x40_0000 + 64);
    assert_eq!(told.value(AT_BASE), told.at - elf::code_at(1));
}

fn an_interpreter_at_fixed_addresses() {
    files(ANYWHERE, 0);
    program(c"ld", &elf::program(FIXED, 0x1234_5000, TELLS));
    let told = run(c"program");
    assert_eq!(told.at, 0x1234_5000 + elf::code_at(1));
    assert_ne!(told.value(AT_ENTRY), told.at);
}

fn without_one_there_is_no_base() {
    program(c"alone", &elf::program(ANYWHERE, 0, TELLS));
    let told = run(c"alone");
    assert_eq!(told.value(AT_BASE), 0);
    assert_eq!(told.value(AT_ENTRY), told.at);
}

/// However large a stack may grow, the interpreter is not in its way, nor in the heap's.
fn the_interpreter_lies_apart_from_the_heap() {
    files(ANYWHERE, 0);
    for stack in [1u64 << 20, 8 << 20, 1 << 30] {
        let told = told(|| {
            let limit = libc::rlimit {
                rlim_cur: stack,
                rlim_max: libc::RLIM_INFINITY,
            };
            ok!(SYS_prlimit64, 0, libc::RLIMIT_STACK, &limit, 0);
            let refused = exec(c"program", &["one"], &[]);
            panic!("refused: {refused:?}");
        });
        let (base, own) = (told.value(AT_BASE), told.value(AT_PHDR));
        assert!(base > own + (1 << 30), "{base:#x} {own:#x}");
        // But for the strings and one page of the interpreter.
        let top = told.value(AT_EXECFN) + (64 << 10);
        assert!(top > base + stack, "{top:#x} {base:#x} {stack:#x}");
    }
}

fn an_alignment_of_the_interpreter() {
    files(ANYWHERE, 0);
    let mut large = elf::program(ANYWHERE, 0, TELLS);
    large[64 + 48..64 + 56].copy_from_slice(&0x20_0000u64.to_le_bytes());
    program(c"ld", &large);
    let told = run(c"program");
    assert_eq!(told.value(AT_BASE), told.at - elf::code_at(1));
}

fn it_is_found_as_any_path() {
    files(ANYWHERE, 0);
    ok!(SYS_mkdir, c"deep", 0o755);
    ok!(SYS_rename, c"ld", c"deep/ld");
    ok!(SYS_symlink, c"deep/ld", c"ld");
    run(c"program");
    // What is not absolute begins where the caller is, not where the program is.
    ok!(SYS_chdir, c"deep");
    run(c"../program");
    ok!(SYS_rename, c"ld", c"other");
    assert_eq!(refused(c"../program"), ENOENT);
}

fn it_may_be_missing() {
    files(ANYWHERE, 0);
    ok!(SYS_unlink, c"ld");
    assert_eq!(refused(c"program"), ENOENT);
    ok!(SYS_symlink, c"nowhere", c"ld");
    assert_eq!(refused(c"program"), ENOENT);
    ok!(SYS_unlink, c"ld");
    ok!(SYS_symlink, c"ld", c"ld");
    assert_eq!(refused(c"program"), ELOOP);
    program(c"program", &dynamic(ANYWHERE, 0, b"program/ld\0"));
    assert_eq!(refused(c"program"), ENOTDIR);
}

fn it_may_not_be_executable() {
    files(ANYWHERE, 0);
    ok!(SYS_chmod, c"ld", 0o644);
    assert_eq!(refused(c"program"), EACCES);
    for name in [&b"/\0"[..], b"/dev/null\0", b"\0\0"] {
        program(c"program", &dynamic(ANYWHERE, 0, name));
        assert_eq!(refused(c"program"), EACCES, "{name:?}");
    }
}

fn it_may_be_damaged() {
    files(ANYWHERE, 0);
    let whole = elf::program(ANYWHERE, 0, TELLS);
    let mut other = whole.clone();
    other[18] = 0xb7;
    let mut no_headers = whole.clone();
    no_headers[56] = 0;
    let mut far_headers = whole.clone();
    far_headers[39] = 0x7f;
    for (what, bytes) in [
        ("text", &[b'x'; 200][..]),
        (
            "a script",
            &[b"#!/bin/sh\n".as_slice(), &[b'\n'; 100]].concat(),
        ),
        ("another machine", &other),
        ("no headers", &no_headers),
        ("headers beyond the file", &far_headers),
    ] {
        program(c"ld", bytes);
        assert_eq!(refused(c"program"), ELIBBAD, "{what}");
    }
}

fn its_name_may_be_damaged() {
    let long = [vec![b'/'; 4096], b"\0".to_vec()].concat();
    for name in [&b""[..], b"\0", b"./ld", &long] {
        program(c"program", &dynamic(ANYWHERE, 0, name));
        assert_eq!(refused(c"program"), ENOEXEC, "{name:?}");
    }
    // Up to the first zero.
    files(ANYWHERE, 0);
    program(c"program", &dynamic(ANYWHERE, 0, b"./ld\0/more\0"));
    run(c"program");
}

fn the_first_of_two_counts() {
    files(ANYWHERE, 0);
    let name = b"./ld\0none\0";
    let rest = [SILENT, name].concat();
    let at = elf::code_at(3) + SILENT.len() as u64;
    let size = elf::code_at(3) + rest.len() as u64;
    let headers = [
        interpreter(at, b"./ld\0"),
        interpreter(at + 5, b"none\0"),
        whole(0, size),
    ];
    program(
        c"program",
        &elf::file(ANYWHERE, elf::code_at(3), &headers, &rest),
    );
    let told = run(c"program");
    assert_eq!(told.value(AT_PHNUM), 3);
}

fn its_own_interpreter_is_ignored() {
    files(ANYWHERE, 0);
    for name in [&b"/no/such/file\0"[..], b"no end"] {
        let rest = [TELLS, name].concat();
        let size = ENTRY + rest.len() as u64;
        let headers = [
            interpreter(ENTRY + TELLS.len() as u64, name),
            whole(0, size),
        ];
        program(c"ld", &elf::file(ANYWHERE, ENTRY, &headers, &rest));
        let told = run(c"program");
        assert_eq!(told.value(AT_BASE), told.at - ENTRY);
    }
}

fn it_may_not_be_open_for_writing() {
    files(ANYWHERE, 0);
    let fd = open(c"ld", O_WRONLY);
    assert_eq!(refused(c"program"), ETXTBSY);
    close(fd);
    run(c"program");
}

fn by_a_descriptor_that_closes() {
    files(ANYWHERE, 0);
    let fd = open(c"program", O_RDONLY | O_CLOEXEC);
    let told = told(|| {
        let (argv, none) = (Strings::new(&["one"]), Strings::new::<&str>(&[]));
        let refused = sys!(
            SYS_execveat,
            fd,
            c"",
            argv.as_ptr(),
            none.as_ptr(),
            AT_EMPTY_PATH
        );
        panic!("refused: {refused:?}");
    });
    assert_eq!(told.name, format!("/dev/fd/{fd}"));
}

fn as_the_interpreter_of_a_script() {
    files(ANYWHERE, 0);
    program(c"script", b"#!./program arg\n");
    let told = told(|| {
        let refused = exec(c"./script", &["replaced", "last"], &[]);
        panic!("refused: {refused:?}");
    });
    assert_eq!(told.arguments, ["./program", "arg", "./script", "last"]);
    assert_eq!(told.name, "./script");
    assert_eq!(told.value(AT_PHNUM), 2);
}

fn a_program_that_is_somebody_else() {
    files(ANYWHERE, 0);
    // Where the program is, everybody must find the interpreter.
    ok!(SYS_chown, c"program", 1234, 1234);
    ok!(SYS_chmod, c"program", 0o4755);
    assert_eq!(run(c"program").value(AT_SECURE), 1);
    // The mode of the interpreter means nothing.
    ok!(SYS_chmod, c"program", 0o755);
    ok!(SYS_chown, c"ld", 1234, 1234);
    ok!(SYS_chmod, c"ld", 0o4755);
    assert_eq!(run(c"program").value(AT_SECURE), 0);
}

fn a_failure_changes_nothing() {
    files(ANYWHERE, 0);
    ok!(SYS_unlink, c"ld");
    let fd = open(c"program", O_RDONLY | O_CLOEXEC);
    assert_eq!(exec(c"program", &["x"], &[]), Err(ENOENT));
    assert!(is_open(fd));
    // The program is no longer held as one that runs.
    close(open(c"program", O_WRONLY));
}
