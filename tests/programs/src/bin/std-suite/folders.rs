//! `std::fs`: directories and trees.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

test_programs::tests!(
    make_and_remove,
    make_all_and_remove_all,
    a_full_directory_stays,
    read_dir_lists_everything,
    read_dir_of_a_big_directory,
    read_dir_while_removing,
    file_types_in_the_listing,
    link_counts_of_directories,
    dot_and_dot_dot,
    working_directory_moves,
    rename_a_directory,
    rename_into_itself_is_refused,
    rename_over_an_empty_directory,
    mode_of_a_new_directory,
    deep_tree,
    walk_a_tree,
    remove_dir_all_does_not_follow_links,
);

fn names(path: impl AsRef<Path>) -> BTreeSet<String> {
    fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn make_and_remove() {
    fs::create_dir("d").unwrap();
    assert_eq!(
        fs::create_dir("d").unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert!(fs::metadata("d").unwrap().is_dir());
    assert!(fs::remove_file("d").is_err());
    fs::remove_dir("d").unwrap();
    assert_eq!(fs::remove_dir("d").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        fs::create_dir("none/d").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    fs::write("f", "").unwrap();
    assert_eq!(
        fs::remove_dir("f").unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    assert_eq!(
        fs::create_dir("f/d").unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
}

fn make_all_and_remove_all() {
    fs::create_dir_all("a/b/c/d").unwrap();
    fs::create_dir_all("a/b/c/d").unwrap();
    for i in 0..20 {
        fs::write(format!("a/b/c/f{i}"), "x").unwrap();
    }
    fs::remove_dir_all("a").unwrap();
    assert!(!fs::exists("a").unwrap());
    fs::create_dir("a").unwrap();
    assert!(names("a").is_empty());
}

fn a_full_directory_stays() {
    fs::create_dir_all("d/e").unwrap();
    assert_eq!(
        fs::remove_dir("d").unwrap_err().kind(),
        ErrorKind::DirectoryNotEmpty
    );
}

fn read_dir_lists_everything() {
    assert!(names(".").is_empty());
    for name in ["b", "a", ".hidden"] {
        fs::write(name, "").unwrap();
    }
    fs::create_dir("sub").unwrap();
    fs::write("sub/inner", "").unwrap();
    assert_eq!(
        names("."),
        [".hidden", "a", "b", "sub"].map(String::from).into()
    );
    assert_eq!(
        fs::read_dir("a").unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    assert_eq!(
        fs::read_dir("none").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

fn read_dir_of_a_big_directory() {
    let expected: BTreeSet<String> = (0..2000)
        .map(|i| format!("a-rather-long-file-name-{i:06}"))
        .collect();
    for name in &expected {
        fs::write(name, "").unwrap();
    }
    let mut seen = Vec::new();
    for entry in fs::read_dir(".").unwrap() {
        seen.push(entry.unwrap().file_name().into_string().unwrap());
    }
    assert_eq!(seen.len(), 2000);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

fn read_dir_while_removing() {
    for i in 0..1000 {
        fs::write(format!("f{i}"), "").unwrap();
    }
    let mut removed = 0;
    for entry in fs::read_dir(".").unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
        removed += 1;
    }
    assert_eq!(removed, 1000);
    assert!(names(".").is_empty());
}

fn file_types_in_the_listing() {
    fs::write("file", "12345").unwrap();
    fs::create_dir("dir").unwrap();
    std::os::unix::fs::symlink("file", "link").unwrap();
    for entry in fs::read_dir(".").unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        match entry.file_name().to_str().unwrap() {
            "file" => assert!(kind.is_file() && entry.metadata().unwrap().len() == 5),
            "dir" => assert!(kind.is_dir()),
            _ => assert!(kind.is_symlink()),
        }
    }
}

fn link_counts_of_directories() {
    fs::create_dir("d").unwrap();
    assert_eq!(fs::metadata("d").unwrap().nlink(), 2);
    fs::create_dir("d/e").unwrap();
    assert_eq!(fs::metadata("d").unwrap().nlink(), 3);
    fs::remove_dir("d/e").unwrap();
    assert_eq!(fs::metadata("d").unwrap().nlink(), 2);
}

fn dot_and_dot_dot() {
    fs::create_dir_all("d/e").unwrap();
    let same = |a: &str, b: &str| {
        assert_eq!(
            fs::metadata(a).unwrap().ino(),
            fs::metadata(b).unwrap().ino()
        )
    };
    same("d/e/..", "d");
    same("d/.", "d");
    same("/..", "/");
    same("d//e///", "d/e");
}

fn working_directory_moves() {
    let start = std::env::current_dir().unwrap();
    fs::create_dir_all("d/e").unwrap();
    std::env::set_current_dir("d/e").unwrap();
    assert_eq!(std::env::current_dir().unwrap(), start.join("d/e"));
    std::env::set_current_dir("../..").unwrap();
    assert_eq!(std::env::current_dir().unwrap(), start);
    assert!(std::env::set_current_dir("none").is_err());
    std::env::set_current_dir("/").unwrap();
    assert_eq!(std::env::current_dir().unwrap().to_str(), Some("/"));
}

fn rename_a_directory() {
    fs::create_dir_all("a/b").unwrap();
    fs::write("a/b/f", "x").unwrap();
    fs::create_dir("c").unwrap();
    fs::rename("a/b", "c/d").unwrap();
    assert_eq!(fs::read("c/d/f").unwrap(), b"x");
    assert!(names("a").is_empty());
    assert_eq!(
        fs::metadata("c/d/..").unwrap().ino(),
        fs::metadata("c").unwrap().ino()
    );
}

fn rename_into_itself_is_refused() {
    fs::create_dir_all("a/b").unwrap();
    assert_eq!(
        fs::rename("a", "a/b/c").unwrap_err().raw_os_error(),
        Some(libc::EINVAL)
    );
}

fn rename_over_an_empty_directory() {
    fs::create_dir_all("a/in").unwrap();
    fs::create_dir("empty").unwrap();
    fs::create_dir_all("full/x").unwrap();
    fs::write("f", "").unwrap();
    assert_eq!(
        fs::rename("a", "full").unwrap_err().kind(),
        ErrorKind::DirectoryNotEmpty
    );
    assert_eq!(
        fs::rename("a", "f").unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    assert_eq!(
        fs::rename("f", "empty").unwrap_err().kind(),
        ErrorKind::IsADirectory
    );
    fs::rename("a", "empty").unwrap();
    assert_eq!(names("empty"), ["in".to_string()].into());
}

fn mode_of_a_new_directory() {
    fs::DirBuilder::new().mode(0o700).create("d").unwrap();
    let meta = fs::metadata("d").unwrap();
    assert_eq!(meta.mode() & libc::S_IFMT, libc::S_IFDIR);
    assert_eq!(meta.permissions().mode() & 0o777, 0o700);
}

fn deep_tree() {
    let deep = "d/".repeat(200);
    fs::create_dir_all(&deep).unwrap();
    fs::write(format!("{deep}f"), "deep").unwrap();
    assert_eq!(fs::read(format!("{deep}f")).unwrap(), b"deep");
    fs::remove_dir_all("d").unwrap();
}

fn walk_a_tree() {
    fn walk(path: &Path) -> usize {
        fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| {
                if e.file_type().unwrap().is_dir() {
                    walk(&e.path())
                } else {
                    1
                }
            })
            .sum()
    }
    for a in 0..8 {
        for b in 0..8 {
            fs::create_dir_all(format!("{a}/{b}")).unwrap();
            for f in 0..8 {
                fs::write(format!("{a}/{b}/f{f}"), "").unwrap();
            }
        }
    }
    assert_eq!(walk(Path::new(".")), 512);
}

fn remove_dir_all_does_not_follow_links() {
    fs::create_dir("keep").unwrap();
    fs::write("keep/f", "").unwrap();
    fs::create_dir("go").unwrap();
    std::os::unix::fs::symlink("../keep", "go/link").unwrap();
    fs::remove_dir_all("go").unwrap();
    assert!(fs::exists("keep/f").unwrap());
}
