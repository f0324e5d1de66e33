//! Program files that are broken in every way: cut, bent, and lying about themselves. The call fails or the process dies.

use super::ending::{all_is_well, own_machine, within};
use libc::{E2BIG, EACCES, EINVAL, EIO, ENOENT, ENOEXEC, ENOMEM, EPERM, ITIMER_REAL};
use std::ffi::CStr;
use test_programs::child::{Status, Strings, fork};
use test_programs::elf::{self, Header};
use test_programs::harness::Helper;
use test_programs::pattern::Numbers;
use test_programs::raw::short::{close, create, write};
use test_programs::{ok, sys};

test_programs::tests!(
    cut_at_every_length,
    this_program_cut,
    one_byte_changed_at_a_time,
    every_header_field_at_its_extremes,
    random_headers,
    segments_that_overlap,
    segments_over_the_kernel,
    segments_without_end,
    too_many_segments,
    an_interpreter_that_is_missing,
    entry_points_anywhere,
    a_program_that_changes_while_it_starts,
    garbage_files,
    many_programs_at_once,
);

pub const HELPERS: &[Helper] = &[("nothing", |_| 23)];

/// Two segments, code and data: the program adds a byte of data to a byte of zeros and exits with it.
fn program() -> Vec<u8> {
    let (code_at, data_at) = (0x40_0000u64, 0x60_1000u64);
    // movzx edi, byte [0x601000 + offset]; add dil, [0x601800]; mov eax, 60; syscall
    let code =
        b"\x0f\xb6\x3c\x25\xc5\x10\x60\x00\x40\x02\x3c\x25\x00\x18\x60\x00\xb8\x3c\0\0\0\x0f\x05";
    // The data byte, at 0xc7: the code reads one near it, whatever it is.
    let rest = [code.as_slice(), &[42]].concat();
    let start = elf::code_at(2);
    let total = start + rest.len() as u64;
    let segments = [
        Header::load(elf::READ_EXECUTE, code_at, total, total),
        Header::load(elf::READ_WRITE, data_at, total, 0x2000),
    ];
    elf::file(elf::FIXED, code_at + start, &segments, &rest)
}

fn file(path: &CStr, bytes: &[u8]) {
    let _ = sys!(SYS_unlink, path);
    let fd = create(path);
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[write(fd, rest)..];
    }
    ok!(SYS_fchmod, fd, 0o755);
    close(fd);
}

/// Starts the file as a child that is bounded in time and memory. `Err` is the call's own refusal.
fn start(path: &CStr) -> Result<Status, i32> {
    let (argv, none) = (
        Strings::new(&["x", "--helper", "nothing"]),
        Strings::new::<&str>(&[]),
    );
    let child = fork(|| {
        let _ = sys!(SYS_setresuid, 65534, 65534, 65534);
        let bound = libc::rlimit {
            rlim_cur: 1 << 30,
            rlim_max: 1 << 30,
        };
        let _ = sys!(SYS_prlimit64, 0, libc::RLIMIT_AS, &bound, 0);
        let time = libc::timeval {
            tv_sec: 0,
            tv_usec: 500_000,
        };
        let timer = libc::itimerval {
            it_interval: time,
            it_value: time,
        };
        let _ = sys!(SYS_setitimer, ITIMER_REAL, &timer, 0);
        let refused = sys!(SYS_execve, path, argv.as_ptr(), none.as_ptr());
        // Told by a status that the programs here do not use.
        100 + refused.err().unwrap_or(0)
    });
    match within(child, 2000) {
        Status::Exited(code) if code >= 100 => Err(code - 100),
        status => Ok(status),
    }
}

/// `EPERM`: an address so low that only root may map it. Linux finds out when it is too late to refuse.
const REFUSALS: [i32; 8] = [ENOEXEC, ENOMEM, EINVAL, EACCES, ENOENT, EIO, E2BIG, EPERM];

/// Refused with a sensible error, or ended.
fn ends(path: &CStr, what: &str) {
    if let Err(errno) = start(path) {
        assert!(
            REFUSALS.contains(&errno),
            "{what}: {}",
            test_programs::raw::errno_name(errno)
        );
    }
}

fn cut_at_every_length() {
    let whole = program();
    file(c"p", &whole);
    assert_eq!(start(c"p"), Ok(Status::Exited(i32::from(whole[0xc5]))));
    for len in 0..whole.len() {
        file(c"p", &whole[..len]);
        let result = start(c"p");
        if len < 64 {
            assert_eq!(result, Err(ENOEXEC), "{len} bytes");
        }
        ends(c"p", &format!("{len} bytes"));
    }
    all_is_well();
}

fn this_program_cut() {
    let whole = std::fs::read(test_programs::harness::own_path()).unwrap();
    file(c"p", &whole);
    assert_eq!(start(c"p"), Ok(Status::Exited(23)));
    for n in 0..40 {
        let len = whole.len() * n / 40 + n;
        file(c"p", &whole[..len.min(whole.len())]);
        ends(c"p", &format!("{len} bytes"));
    }
    all_is_well();
}

fn one_byte_changed_at_a_time() {
    let whole = program();
    for at in 0..176 {
        for value in [0u8, 0xff, whole[at] ^ 1, whole[at] ^ 0x80] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            file(c"p", &bytes);
            ends(c"p", &format!("byte {at} set to {value}"));
        }
    }
    all_is_well();
}

/// Eight-byte fields at aligned places, so addresses, offsets and sizes, each with numbers that overflow something.
fn every_header_field_at_its_extremes() {
    let whole = program();
    for at in (24..176).step_by(8) {
        for value in [
            0u64,
            1,
            0xfff,
            0x1000,
            u64::MAX,
            u64::MAX - 0xfff,
            1 << 63,
            0x7fff_ffff_f000,
            0x8000_0000_0000,
            0xffff_8000_0000_0000,
        ] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            file(c"p", &bytes);
            ends(c"p", &format!("word {at} set to {value:#x}"));
        }
    }
    all_is_well();
}

fn random_headers() {
    let whole = program();
    let mut numbers = Numbers::new(77);
    for round in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..numbers.below(6) + 1 {
            let at = 16 + numbers.below(160) as usize;
            bytes[at] = numbers.word() as u8;
        }
        if numbers.below(4) == 0 {
            bytes.truncate(numbers.below(bytes.len() as u64) as usize);
        }
        file(c"p", &bytes);
        ends(c"p", &format!("round {round}"));
    }
    all_is_well();
}

/// The program with its second segment changed.
fn second_segment(address: u64, in_file: u64, in_memory: u64, flags: u32) -> Vec<u8> {
    let mut bytes = program();
    bytes[124..128].copy_from_slice(&flags.to_le_bytes());
    for (at, word) in [
        (136, address),
        (144, address),
        (152, in_file),
        (160, in_memory),
    ] {
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn segments_that_overlap() {
    for address in [0x40_0000u64, 0x40_0800, 0x3f_f000, 0x40_1000, 0x3f_ffff] {
        for (in_file, in_memory) in [(200, 200), (200, 0x2000), (0, 0x1000), (200, 100), (0, 0)] {
            file(c"p", &second_segment(address, in_file, in_memory, 6));
            ends(c"p", &format!("{address:#x} {in_file} {in_memory:#x}"));
        }
    }
    all_is_well();
}

fn segments_over_the_kernel() {
    for address in [
        0u64,
        0x1000,
        0x7fff_ffff_e000,
        0x7fff_ffff_f000,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        0xffff_ffff_8000_0000,
        u64::MAX - 0xfff,
    ] {
        for flags in [0, 4, 5, 6, 7] {
            file(c"p", &second_segment(address, 200, 0x2000, flags));
            ends(c"p", &format!("{address:#x} with flags {flags}"));
        }
    }
    all_is_well();
}

fn segments_without_end() {
    for in_memory in [
        1u64 << 30,
        1 << 40,
        1 << 46,
        0x7fff_ffff_0000,
        u64::MAX,
        u64::MAX - 0x60_1000,
        1 << 63,
    ] {
        for in_file in [0, 200, in_memory, 1 << 20] {
            file(c"p", &second_segment(0x60_1000, in_file, in_memory, 6));
            ends(c"p", &format!("{in_file:#x} of {in_memory:#x} bytes"));
        }
    }
    all_is_well();
}

fn too_many_segments() {
    for count in [0u16, 1, 3, 100, 1170, 1171, 0x7fff, 0xffff] {
        let mut bytes = program();
        bytes[56..58].copy_from_slice(&count.to_le_bytes());
        // Enough room for what it claims, filled with what the file begins with.
        bytes.resize(64 + usize::from(count.min(2000)) * 56 + 100, 1);
        file(c"p", &bytes);
        ends(c"p", &format!("{count} segments"));
    }
    all_is_well();
}

fn an_interpreter_that_is_missing() {
    for (offset, len) in [
        (0u64, 16u64),
        (0, 0),
        (0, 1),
        (0, 1 << 40),
        (1 << 40, 16),
        (u64::MAX, 16),
        (199, 1),
        (0, 5000),
    ] {
        let mut bytes = program();
        // The second header becomes one that names an interpreter.
        bytes[120..124].copy_from_slice(&3u32.to_le_bytes());
        bytes[128..136].copy_from_slice(&offset.to_le_bytes());
        bytes[152..160].copy_from_slice(&len.to_le_bytes());
        file(c"p", &bytes);
        let result = start(c"p");
        assert!(
            !matches!(result, Ok(Status::Exited(_))),
            "{offset:#x} {len:#x}: {result:?}"
        );
    }
    all_is_well();
}

fn entry_points_anywhere() {
    for entry in [
        0u64,
        1,
        0x40_0000,
        0x40_0fff,
        0x60_1000,
        0x7fff_ffff_ffff,
        0x8000_0000_0000,
        0xffff_ffff_8000_0000,
        u64::MAX,
    ] {
        let mut bytes = program();
        bytes[24..32].copy_from_slice(&entry.to_le_bytes());
        file(c"p", &bytes);
        let result = start(c"p");
        assert!(
            !matches!(result, Ok(Status::Exited(_))),
            "{entry:#x}: {result:?}"
        );
    }
    all_is_well();
}

/// A file that is cut and written again by another process all the time.
fn a_program_that_changes_while_it_starts() {
    let whole = program();
    file(c"p", &whole);
    let changer = fork(|| {
        loop {
            for len in [0, 64, 100, whole.len()] {
                if let Ok(fd) = sys!(SYS_open, c"p", libc::O_WRONLY, 0) {
                    let _ = sys!(SYS_ftruncate, fd, len);
                    let _ = sys!(SYS_pwrite64, fd, whole.as_ptr(), whole.len(), 0);
                    let _ = sys!(SYS_close, fd);
                }
            }
        }
    });
    for _ in 0..100 {
        let _ = start(c"p");
    }
    changer.signal(libc::SIGKILL);
    changer.wait();
    all_is_well();
}

fn garbage_files() {
    let mut numbers = Numbers::new(99);
    for size in [1usize, 10, 64, 100, 1000, 10_000] {
        let mut bytes: Vec<u8> = (0..size).map(|_| numbers.word() as u8).collect();
        file(c"p", &bytes);
        assert_eq!(start(c"p"), Err(ENOEXEC));
        if size >= 64 {
            bytes[..20].copy_from_slice(&program()[..20]);
            file(c"p", &bytes);
            ends(c"p", &format!("{size} bytes of garbage"));
        }
    }
    all_is_well();
}

fn many_programs_at_once() {
    file(c"p", &program());
    let (argv, none) = (Strings::new(&["x"]), Strings::new::<&str>(&[]));
    let count = if own_machine() { 100 } else { 200 };
    let children: Vec<_> = (0..count)
        .map(|_| {
            fork(|| {
                sys!(SYS_execve, c"p", argv.as_ptr(), none.as_ptr())
                    .err()
                    .unwrap_or(0)
            })
        })
        .collect();
    let expected = Status::Exited(i32::from(program()[0xc5]));
    assert!(children.into_iter().all(|c| c.wait() == expected));
}
