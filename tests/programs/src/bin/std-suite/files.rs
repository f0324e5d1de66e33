//! `std::fs`: one file at a time.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::time::{Duration, SystemTime};
use test_programs::pattern;

test_programs::tests!(
    write_and_read_back,
    a_missing_file,
    create_new_refuses_an_old_one,
    create_truncates,
    append_goes_to_the_end,
    seek_everywhere,
    read_at_and_write_at,
    a_hole_reads_as_zeros,
    set_len_shrinks_and_grows,
    two_handles_one_file,
    try_clone_shares_the_position,
    read_only_refuses_writes,
    lines,
    buffered_writer,
    copy_a_file,
    metadata_tells,
    permissions_change,
    times_can_be_set,
    modified_moves_on,
    remove_while_open,
    rename_replaces,
    hard_links_are_one_file,
    symbolic_links,
    dangling_link,
    link_loops_end,
    canonical_paths,
    a_large_file,
    a_sparse_file_beyond_four_gigabytes,
    many_files_open,
    vectored,
    read_to_string_refuses_other_bytes,
    threads_write_their_own_parts,
    locks_exclude,
    names_with_any_bytes,
);

fn write_and_read_back() {
    fs::write("f", b"some bytes").unwrap();
    assert_eq!(fs::read("f").unwrap(), b"some bytes");
    assert_eq!(fs::read_to_string("f").unwrap(), "some bytes");
    fs::write("f", b"").unwrap();
    assert_eq!(fs::read("f").unwrap(), b"");
}

fn a_missing_file() {
    assert_eq!(
        File::open("nothing").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        fs::metadata("nothing/below").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    fs::write("f", "x").unwrap();
    assert_eq!(
        File::open("f/below").unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    assert_eq!(fs::read(".").unwrap_err().kind(), ErrorKind::IsADirectory);
    assert!(!fs::exists("nothing").unwrap());
}

fn create_new_refuses_an_old_one() {
    File::create_new("f").unwrap();
    assert_eq!(
        File::create_new("f").unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
}

fn create_truncates() {
    fs::write("f", "a long text").unwrap();
    File::create("f").unwrap().write_all(b"ab").unwrap();
    assert_eq!(fs::read("f").unwrap(), b"ab");
}

fn append_goes_to_the_end() {
    fs::write("f", "one").unwrap();
    let mut file = OpenOptions::new()
        .append(true)
        .read(true)
        .open("f")
        .unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(b" two").unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open("f")
        .unwrap()
        .write_all(b" three")
        .unwrap();
    file.write_all(b" four").unwrap();
    assert_eq!(fs::read("f").unwrap(), b"one two three four");
}

fn seek_everywhere() {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open("f")
        .unwrap();
    file.write_all(b"0123456789").unwrap();
    assert_eq!(file.stream_position().unwrap(), 10);
    assert_eq!(file.seek(SeekFrom::Start(3)).unwrap(), 3);
    let mut two = [0; 2];
    file.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"34");
    assert_eq!(file.seek(SeekFrom::Current(-4)).unwrap(), 1);
    assert_eq!(file.seek(SeekFrom::End(-1)).unwrap(), 9);
    assert_eq!(file.seek(SeekFrom::End(5)).unwrap(), 15);
    assert_eq!(file.read(&mut two).unwrap(), 0);
    assert!(file.seek(SeekFrom::Current(-16)).is_err());
    file.rewind().unwrap();
    assert_eq!(file.stream_position().unwrap(), 0);
}

fn read_at_and_write_at() {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("f")
        .unwrap();
    file.write_all_at(b"hello", 5).unwrap();
    let mut got = [9; 10];
    file.read_exact_at(&mut got, 0).unwrap();
    assert_eq!(&got, b"\0\0\0\0\0hello");
    assert_eq!((&file).stream_position().unwrap(), 0);
    assert_eq!(file.read_at(&mut got, 10).unwrap(), 0);
    assert_eq!(
        file.read_exact_at(&mut got, 5).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}

fn a_hole_reads_as_zeros() {
    let mut file = File::create("f").unwrap();
    file.write_all(b"a").unwrap();
    file.seek(SeekFrom::Start(100_000)).unwrap();
    file.write_all(b"z").unwrap();
    let bytes = fs::read("f").unwrap();
    assert_eq!(bytes.len(), 100_001);
    assert_eq!((bytes[0], bytes[100_000]), (b'a', b'z'));
    assert!(bytes[1..100_000].iter().all(|b| *b == 0));
}

fn set_len_shrinks_and_grows() {
    fs::write("f", [7; 9000]).unwrap();
    let file = File::options().write(true).open("f").unwrap();
    file.set_len(5).unwrap();
    file.set_len(5000).unwrap();
    let bytes = fs::read("f").unwrap();
    assert_eq!(bytes.len(), 5000);
    assert_eq!(bytes[..5], [7; 5]);
    assert!(bytes[5..].iter().all(|b| *b == 0));
}

fn two_handles_one_file() {
    let mut writer = File::create("f").unwrap();
    let mut reader = File::open("f").unwrap();
    let mut bytes = Vec::new();
    writer.write_all(b"first ").unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    writer.write_all(b"second").unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"first second");
}

fn try_clone_shares_the_position() {
    let mut file = File::create("f").unwrap();
    let mut clone = file.try_clone().unwrap();
    file.write_all(b"one ").unwrap();
    clone.write_all(b"two ").unwrap();
    drop(clone);
    file.write_all(b"three").unwrap();
    assert_eq!(fs::read("f").unwrap(), b"one two three");
}

fn read_only_refuses_writes() {
    fs::write("f", "x").unwrap();
    assert!(File::open("f").unwrap().write(b"y").is_err());
    assert!(
        File::options()
            .write(true)
            .open("f")
            .unwrap()
            .read(&mut [0])
            .is_err()
    );
}

fn lines() {
    let text: String = (0..5000).map(|i| format!("line {i}\n")).collect();
    fs::write("f", &text).unwrap();
    let reader = BufReader::new(File::open("f").unwrap());
    for (i, line) in reader.lines().enumerate() {
        assert_eq!(line.unwrap(), format!("line {i}"));
    }
}

fn buffered_writer() {
    let mut writer = BufWriter::new(File::create("f").unwrap());
    for i in 0..10_000u32 {
        writer.write_all(&i.to_le_bytes()).unwrap();
    }
    writer.into_inner().unwrap().sync_all().unwrap();
    let bytes = fs::read("f").unwrap();
    assert!(
        bytes
            .chunks(4)
            .zip(0..10_000u32)
            .all(|(b, i)| b == i.to_le_bytes())
    );
    assert_eq!(bytes.len(), 40_000);
}

fn copy_a_file() {
    let mut bytes = vec![0; 300_000];
    pattern::fill(3, 0, &mut bytes);
    fs::write("from", &bytes).unwrap();
    fs::set_permissions("from", fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(fs::copy("from", "to").unwrap(), 300_000);
    assert_eq!(fs::read("to").unwrap(), bytes);
    assert_eq!(
        fs::metadata("to").unwrap().permissions().mode() & 0o777,
        0o640
    );
    let (mut reader, mut writer) = (File::open("from").unwrap(), File::create("again").unwrap());
    assert_eq!(io::copy(&mut reader, &mut writer).unwrap(), 300_000);
    assert_eq!(fs::read("again").unwrap(), bytes);
}

fn metadata_tells() {
    fs::write("f", [1; 1234]).unwrap();
    let meta = fs::metadata("f").unwrap();
    assert!(meta.is_file() && !meta.is_dir() && !meta.is_symlink());
    assert_eq!((meta.len(), meta.nlink()), (1234, 1));
    assert_eq!(meta.mode() & libc::S_IFMT, libc::S_IFREG);
    assert!(meta.blocks() * 512 >= 1234);
    assert_eq!(
        File::open("f").unwrap().metadata().unwrap().ino(),
        meta.ino()
    );
    assert!(fs::metadata(".").unwrap().is_dir());
    assert!(fs::metadata("f").unwrap().ino() != fs::metadata(".").unwrap().ino());
}

fn permissions_change() {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o604)
        .open("f")
        .unwrap();
    assert_eq!(
        file.metadata().unwrap().permissions().mode() & 0o7777,
        0o604
    );
    fs::set_permissions("f", fs::Permissions::from_mode(0o4711)).unwrap();
    assert_eq!(fs::metadata("f").unwrap().mode() & 0o7777, 0o4711);
    let mut permissions = fs::metadata("f").unwrap().permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions).unwrap();
    assert!(fs::metadata("f").unwrap().permissions().readonly());
}

fn times_can_be_set() {
    let file = File::create("f").unwrap();
    let (accessed, modified) = (
        SystemTime::UNIX_EPOCH + Duration::new(1_000_000, 123),
        SystemTime::UNIX_EPOCH + Duration::new(2_000_000, 456),
    );
    file.set_times(
        FileTimes::new()
            .set_accessed(accessed)
            .set_modified(modified),
    )
    .unwrap();
    let meta = fs::metadata("f").unwrap();
    assert_eq!(
        (meta.accessed().unwrap(), meta.modified().unwrap()),
        (accessed, modified)
    );
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (2_000_000, 456));
}

fn modified_moves_on() {
    let mut file = File::create("f").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    file.set_modified(old).unwrap();
    file.write_all(b"x").unwrap();
    let modified = fs::metadata("f").unwrap().modified().unwrap();
    // Stamps may come from a coarse clock that is one tick behind.
    assert!(modified > old && modified <= SystemTime::now());
}

fn remove_while_open() {
    fs::write("f", "still here").unwrap();
    let mut file = File::open("f").unwrap();
    fs::remove_file("f").unwrap();
    assert_eq!(fs::metadata("f").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still here");
    fs::write("f", "new").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10);
}

fn rename_replaces() {
    fs::write("a", "a").unwrap();
    fs::write("b", "b").unwrap();
    fs::rename("a", "b").unwrap();
    assert!(!fs::exists("a").unwrap());
    assert_eq!(fs::read("b").unwrap(), b"a");
    assert_eq!(
        fs::rename("a", "c").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

fn hard_links_are_one_file() {
    fs::write("a", "text").unwrap();
    fs::hard_link("a", "b").unwrap();
    assert_eq!(fs::metadata("a").unwrap().nlink(), 2);
    assert_eq!(
        fs::metadata("a").unwrap().ino(),
        fs::metadata("b").unwrap().ino()
    );
    fs::write("b", "changed").unwrap();
    assert_eq!(fs::read("a").unwrap(), b"changed");
    fs::remove_file("a").unwrap();
    assert_eq!(fs::read("b").unwrap(), b"changed");
    assert_eq!(fs::metadata("b").unwrap().nlink(), 1);
    assert_eq!(
        fs::hard_link("a", "c").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

fn symbolic_links() {
    fs::create_dir("d").unwrap();
    fs::write("d/f", "text").unwrap();
    std::os::unix::fs::symlink("d/f", "link").unwrap();
    std::os::unix::fs::symlink("f", "d/near").unwrap();
    assert_eq!(fs::read("link").unwrap(), b"text");
    assert_eq!(fs::read("d/near").unwrap(), b"text");
    assert_eq!(fs::read_link("link").unwrap().to_str(), Some("d/f"));
    assert!(fs::symlink_metadata("link").unwrap().is_symlink());
    assert_eq!(fs::symlink_metadata("link").unwrap().len(), 3);
    assert!(fs::metadata("link").unwrap().is_file());
    fs::write("link", "through").unwrap();
    assert_eq!(fs::read("d/f").unwrap(), b"through");
    fs::remove_file("link").unwrap();
    assert!(fs::exists("d/f").unwrap());
}

fn dangling_link() {
    std::os::unix::fs::symlink("nowhere", "link").unwrap();
    assert_eq!(fs::read("link").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!fs::exists("link").unwrap());
    assert!(fs::symlink_metadata("link").is_ok());
    fs::write("link", "made").unwrap();
    assert_eq!(fs::read("nowhere").unwrap(), b"made");
}

fn link_loops_end() {
    std::os::unix::fs::symlink("b", "a").unwrap();
    std::os::unix::fs::symlink("a", "b").unwrap();
    assert_eq!(fs::read("a").unwrap_err().raw_os_error(), Some(libc::ELOOP));
}

fn canonical_paths() {
    fs::create_dir_all("x/y").unwrap();
    fs::write("x/y/f", "").unwrap();
    std::os::unix::fs::symlink("x/y", "short").unwrap();
    let here = fs::canonicalize(".").unwrap();
    assert_eq!(
        fs::canonicalize("short/../y/./f").unwrap(),
        here.join("x/y/f")
    );
    assert_eq!(fs::canonicalize("/").unwrap().to_str(), Some("/"));
    assert!(fs::canonicalize("x/none").is_err());
}

fn a_large_file() {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("f")
        .unwrap();
    let mut block = vec![0; 1 << 20];
    for i in 0..16 {
        pattern::fill(9, i << 20, &mut block);
        file.write_all(&block).unwrap();
    }
    assert_eq!(file.metadata().unwrap().len(), 16 << 20);
    file.rewind().unwrap();
    let mut offset = 0;
    let mut odd = vec![0; 70_001];
    loop {
        let n = file.read(&mut odd).unwrap();
        if n == 0 {
            break;
        }
        assert_eq!(pattern::mismatch(9, offset, &odd[..n]), None);
        offset += n as u64;
    }
    assert_eq!(offset, 16 << 20);
}

fn a_sparse_file_beyond_four_gigabytes() {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("f")
        .unwrap();
    let far = (5u64 << 30) + 123;
    file.write_all_at(b"far", far).unwrap();
    assert_eq!(file.metadata().unwrap().len(), far + 3);
    let mut got = [1; 6];
    file.read_exact_at(&mut got, far - 3).unwrap();
    assert_eq!(&got, b"\0\0\0far");
    assert!(file.metadata().unwrap().blocks() * 512 < 1 << 30);
    file.set_len(1).unwrap();
    assert_eq!(file.read_at(&mut got, 0).unwrap(), 1);
}

fn many_files_open() {
    let mut files: Vec<File> = (0..500)
        .map(|i| {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(format!("f{i}"))
                .unwrap();
            file.write_all(format!("number {i}").as_bytes()).unwrap();
            file
        })
        .collect();
    for (i, file) in files.iter_mut().enumerate().rev() {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("number {i}"));
    }
}

fn vectored() {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("f")
        .unwrap();
    let parts = [
        io::IoSlice::new(b"one"),
        io::IoSlice::new(b""),
        io::IoSlice::new(b"two"),
    ];
    assert_eq!(file.write_vectored(&parts).unwrap(), 6);
    file.rewind().unwrap();
    let (mut a, mut b) = ([0; 4], [0; 4]);
    let n = file
        .read_vectored(&mut [io::IoSliceMut::new(&mut a), io::IoSliceMut::new(&mut b)])
        .unwrap();
    assert_eq!((n, &a, &b), (6, b"onet", b"wo\0\0"));
}

fn read_to_string_refuses_other_bytes() {
    fs::write("f", [0xff, 0xfe]).unwrap();
    assert_eq!(
        fs::read_to_string("f").unwrap_err().kind(),
        ErrorKind::InvalidData
    );
}

fn threads_write_their_own_parts() {
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("f")
        .unwrap();
    std::thread::scope(|s| {
        for t in 0..8u64 {
            let file = &file;
            s.spawn(move || {
                let mut block = vec![0; 5000];
                for i in 0..20 {
                    let offset = (t * 20 + i) * 5000;
                    pattern::fill(4, offset, &mut block);
                    file.write_all_at(&block, offset).unwrap();
                }
            });
        }
    });
    let bytes = fs::read("f").unwrap();
    assert_eq!(bytes.len(), 800_000);
    assert_eq!(pattern::mismatch(4, 0, &bytes), None);
}

fn locks_exclude() {
    let (a, b) = (File::create("f").unwrap(), File::open("f").unwrap());
    a.lock().unwrap();
    assert!(matches!(b.try_lock(), Err(fs::TryLockError::WouldBlock)));
    assert!(matches!(
        b.try_lock_shared(),
        Err(fs::TryLockError::WouldBlock)
    ));
    a.unlock().unwrap();
    b.lock_shared().unwrap();
    a.lock_shared().unwrap();
    drop(b);
    a.try_lock().unwrap();
}

fn names_with_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"\xff \n\x01name");
    fs::write(odd, "x").unwrap();
    let names: Vec<_> = fs::read_dir(".")
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, [odd]);
    let long = "n".repeat(255);
    fs::write(&long, "y").unwrap();
    assert_eq!(fs::read(&long).unwrap(), b"y");
    assert_eq!(
        fs::write("n".repeat(256), "").unwrap_err().raw_os_error(),
        Some(libc::ENAMETOOLONG)
    );
}
