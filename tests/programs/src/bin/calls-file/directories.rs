//! getdents64 and getdents.

use libc::{
    DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, ENOENT, O_DIRECTORY, O_RDONLY, S_IFCHR, S_IFIFO,
    SEEK_SET,
};
use std::collections::BTreeMap;
use std::ffi::CString;
use test_programs::raw::short::*;
use test_programs::raw::text;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    an_empty_directory_has_its_dots,
    entries_say_what_they_are,
    many_entries_in_small_pieces,
    a_buffer_too_small_for_one,
    records_are_aligned,
    the_end_stays_the_end,
    rewinding,
    seeking_back_to_an_entry,
    new_entries_show_after_rewinding,
    removing_while_listing_misses_none,
    not_a_directory,
    bad_buffer,
    a_removed_directory_is_empty,
    old_getdents,
    inode_numbers_match,
);

/// Names with their types and offsets, as one call gives them.
fn list(fd: usize, room: usize) -> Vec<(String, u8, i64, u64)> {
    let mut buffer = vec![0u8; room];
    let len = ok!(SYS_getdents64, fd, buffer.as_mut_ptr(), room);
    let mut entries = Vec::new();
    let mut at = 0;
    while at < len {
        let word = |o: usize| u64::from_le_bytes(buffer[at + o..at + o + 8].try_into().unwrap());
        let size = usize::from(u16::from_le_bytes([buffer[at + 16], buffer[at + 17]]));
        assert!(
            size >= 20 && size.is_multiple_of(8) && at + size <= len,
            "record of {size} bytes at {at} of {len}"
        );
        entries.push((
            text(&buffer[at + 19..at + size]),
            buffer[at + 18],
            word(8) as i64,
            word(0),
        ));
        at += size;
    }
    entries
}

fn all(fd: usize, room: usize) -> BTreeMap<String, u8> {
    let mut names = BTreeMap::new();
    loop {
        let part = list(fd, room);
        if part.is_empty() {
            return names;
        }
        for (name, kind, _, _) in part {
            assert!(names.insert(name.clone(), kind).is_none(), "{name} twice");
        }
    }
}

fn dir(path: &std::ffi::CStr) -> usize {
    open(path, O_RDONLY | O_DIRECTORY)
}

fn fill(count: usize) {
    for n in 0..count {
        close(create(&CString::new(format!("file{n:05}")).unwrap()));
    }
}

fn an_empty_directory_has_its_dots() {
    let names = all(dir(c"."), 4096);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [(".".to_string(), DT_DIR), ("..".to_string(), DT_DIR)]
    );
}

fn entries_say_what_they_are() {
    close(create(c"file"));
    ok!(SYS_mkdir, c"dir", 0o755);
    ok!(SYS_symlink, c"x", c"link");
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    ok!(SYS_mknod, c"char", S_IFCHR | 0o600, 0x103);
    let names = all(dir(c"."), 4096);
    for (name, kind) in [
        ("file", DT_REG),
        ("dir", DT_DIR),
        ("link", DT_LNK),
        ("fifo", DT_FIFO),
        ("char", DT_CHR),
    ] {
        assert_eq!(names[name], kind, "{name}");
    }
    assert_eq!(names.len(), 7);
}

fn many_entries_in_small_pieces() {
    fill(500);
    for room in [100, 512, 4096, 65536] {
        assert_eq!(all(dir(c"."), room).len(), 502, "with a buffer of {room}");
    }
}

fn a_buffer_too_small_for_one() {
    close(create(c"a-name-of-some-length"));
    fails!(EINVAL, SYS_getdents64, dir(c"."), &mut [0u8; 8], 8);
    fails!(EINVAL, SYS_getdents64, dir(c"."), &mut [0u8; 8], 0);
}

fn records_are_aligned() {
    for len in 1..40 {
        close(create(&CString::new("x".repeat(len)).unwrap()));
    }
    assert_eq!(all(dir(c"."), 300).len(), 41);
}

fn the_end_stays_the_end() {
    let fd = dir(c".");
    while !list(fd, 4096).is_empty() {}
    assert!(list(fd, 4096).is_empty());
}

fn rewinding() {
    fill(20);
    let fd = dir(c".");
    assert_eq!(all(fd, 200).len(), 22);
    gives!(0, SYS_lseek, fd, 0, SEEK_SET);
    assert_eq!(all(fd, 4096).len(), 22);
}

fn seeking_back_to_an_entry() {
    fill(50);
    let fd = dir(c".");
    let entries = list(fd, 65536);
    assert_eq!(entries.len(), 52);
    for at in [3, 17, 40] {
        ok!(SYS_lseek, fd, entries[at].2, SEEK_SET);
        let rest = list(fd, 65536);
        assert_eq!(rest[0].0, entries[at + 1].0);
        assert_eq!(rest.len(), 52 - at - 1);
    }
}

fn new_entries_show_after_rewinding() {
    let fd = dir(c".");
    assert_eq!(all(fd, 4096).len(), 2);
    close(create(c"f"));
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    assert_eq!(all(fd, 4096).len(), 3);
}

fn removing_while_listing_misses_none() {
    fill(300);
    let fd = dir(c".");
    let mut removed = 0;
    loop {
        let part = list(fd, 400);
        if part.is_empty() {
            break;
        }
        for (name, kind, _, _) in part {
            if kind == DT_REG {
                ok!(SYS_unlink, CString::new(name).unwrap().as_c_str());
                removed += 1;
            }
        }
    }
    assert_eq!(removed, 300);
}

fn not_a_directory() {
    fails!(ENOTDIR, SYS_getdents64, create(c"f"), &mut [0u8; 300], 300);
    fails!(ENOTDIR, SYS_getdents64, pipe().0, &mut [0u8; 300], 300);
}

fn bad_buffer() {
    fails!(EFAULT, SYS_getdents64, dir(c"."), bad::<u8>(), 300);
}

fn a_removed_directory_is_empty() {
    ok!(SYS_mkdir, c"d", 0o755);
    let fd = dir(c"d");
    ok!(SYS_rmdir, c"d");
    match test_programs::sys!(SYS_getdents64, fd, &mut [0u8; 300], 300) {
        Ok(0) | Err(ENOENT) => {}
        other => panic!("getdents64 {}", test_programs::raw::outcome(other)),
    }
}

/// The old record has the type in its last byte.
fn old_getdents() {
    close(create(c"f"));
    let mut buffer = [0u8; 1024];
    let len = ok!(SYS_getdents, dir(c"."), &mut buffer, 1024);
    let mut names = BTreeMap::new();
    let mut at = 0;
    while at < len {
        let size = usize::from(u16::from_le_bytes([buffer[at + 16], buffer[at + 17]]));
        names.insert(text(&buffer[at + 18..at + size]), buffer[at + size - 1]);
        at += size;
    }
    assert_eq!(
        names,
        [(".", DT_DIR), ("..", DT_DIR), ("f", DT_REG)]
            .map(|(n, t)| (n.to_string(), t))
            .into()
    );
}

fn inode_numbers_match() {
    close(create(c"f"));
    ok!(SYS_mkdir, c"d", 0o755);
    for (name, _, _, inode) in list(dir(c"."), 4096) {
        assert_eq!(
            lstat(&CString::new(name.clone()).unwrap()).unwrap().st_ino,
            inode,
            "{name}"
        );
    }
}
