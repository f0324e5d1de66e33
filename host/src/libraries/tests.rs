//! A tree of made-up libraries, whose files are real ELF files.

use super::*;

const LOADER: &str = "/lib64/ld-made-up.so.2";

/// What a made-up file says.
#[derive(Default)]
struct Says<'a> {
    interpreter: Option<&'a str>,
    needed: &'a [&'a str],
    run_path: Option<&'a str>,
    old_run_path: Option<&'a str>,
}

impl Says<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut name = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let interpreter = self
            .interpreter
            .map(|path| (name(path), path.len() as u64 + 1));
        let mut entries: Vec<(u64, u64)> = Vec::new();
        entries.extend(self.needed.iter().map(|text| (1, name(text))));
        entries.extend(self.old_run_path.map(|text| (15, name(text))));
        entries.extend(self.run_path.map(|text| (29, name(text))));
        let table = 64 + 3 * 56;
        let size = (entries.len() as u64 + 2) * 16;
        let strings_at = table + size;
        entries.extend([(5, strings_at), (0, 0)]);
        let end = strings_at + strings.len() as u64;
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        for word in [0x1000, 64, 0u64] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        let (at, length) = interpreter.unwrap_or_default();
        let kind = if interpreter.is_some() { 3 } else { 0 };
        for (kind, at, size) in [
            (1u32, 0, end),
            (2, table, size),
            (kind, strings_at + at, length),
        ] {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(4u32.to_le_bytes());
            for word in [at, at, at, size, size, 1] {
                bytes.extend(word.to_le_bytes());
            }
        }
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(strings);
        bytes
    }
}

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, Says<'_>)]) -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        for (path, says) in files {
            tree.write(path, &says.bytes());
        }
        tree
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn look(
        &self,
        program: &str,
        gives: &[Give],
        environment: &[&str],
    ) -> Result<Vec<String>, Missing> {
        let environment: Vec<OsString> = environment.iter().map(OsString::from).collect();
        let around = Surroundings {
            roots: &[self.0.path().to_path_buf()],
            gives,
            environment: &environment,
        };
        let found = needed(&[Give::new(&self.path(program), program)], &around)?;
        assert!(found.iter().all(|give| give.host.is_file()));
        Ok(found.into_iter().map(|give| give.guest).collect())
    }
}

fn program<'a>(needed: &'a [&'a str]) -> Says<'a> {
    Says {
        interpreter: Some(LOADER),
        needed,
        ..Says::default()
    }
}

fn library<'a>(needed: &'a [&'a str]) -> Says<'a> {
    Says {
        needed,
        ..Says::default()
    }
}

#[test]
fn libraries_of_libraries_and_the_loader() {
    let tree = Tree::new(&[
        ("/bin/p", program(&["liba-made.so", "ld-made-up.so.2"])),
        (LOADER, library(&[])),
        (
            "/usr/lib/liba-made.so",
            library(&["libb-made.so", "liba-made.so"]),
        ),
        (
            "/lib/x86_64-linux-gnu/libb-made.so",
            library(&["liba-made.so"]),
        ),
    ]);
    let expected = [
        "/lib/x86_64-linux-gnu/libb-made.so",
        LOADER,
        "/usr/lib/liba-made.so",
    ];
    assert_eq!(tree.look("/bin/p", &[], &[]).unwrap(), expected);
}

#[test]
fn static_programs_and_other_files_need_nothing() {
    let tree = Tree::new(&[]);
    tree.write("/bin/text", b"no ELF file at all");
    assert_eq!(tree.look("/bin/text", &[], &[]).unwrap(), [""; 0]);
}

#[test]
fn what_is_missing_is_named() {
    let tree = Tree::new(&[
        ("/bin/p", program(&["liba-made.so"])),
        ("/bin/q", program(&["libnone.so.1"])),
        (
            "/lib/liba-made.so",
            Says {
                run_path: Some("/opt/x:/opt/y"),
                ..library(&["libb-made.so"])
            },
        ),
    ]);
    let missing = |name| tree.look(name, &[], &[]).unwrap_err().to_string();
    assert_eq!(
        missing("/bin/p"),
        format!("/bin/p needs {LOADER}, which is not on this machine")
    );
    tree.write(LOADER, &library(&[]).bytes());
    assert_eq!(
        missing("/bin/p"),
        "/lib/liba-made.so needs libb-made.so, which is in none of /opt/x, /opt/y"
    );
    assert_eq!(
        missing("/bin/q"),
        "/bin/q needs libnone.so.1, which is not on this machine"
    );
}

#[test]
fn run_paths_come_first_and_know_where_the_program_is() {
    let tree = Tree::new(&[
        (
            "/opt/p/bin/p",
            Says {
                run_path: Some("$ORIGIN/../lib"),
                ..program(&["liba-made.so"])
            },
        ),
        (LOADER, library(&[])),
        ("/opt/p/lib/liba-made.so", library(&["libb-made.so"])),
        ("/lib/liba-made.so", library(&[])),
        ("/opt/p/lib/libb-made.so", library(&[])),
    ]);
    // A new run path is for what the program itself needs.
    assert!(tree.look("/opt/p/bin/p", &[], &[]).is_err());
    tree.write("/lib/libb-made.so", &library(&[]).bytes());
    let expected = ["/lib/libb-made.so", LOADER, "/opt/p/lib/liba-made.so"];
    assert_eq!(tree.look("/opt/p/bin/p", &[], &[]).unwrap(), expected);
    // An old one is inherited.
    tree.write(
        "/opt/p/bin/p",
        &Says {
            old_run_path: Some("${ORIGIN}/../lib"),
            ..program(&["liba-made.so"])
        }
        .bytes(),
    );
    let expected = [LOADER, "/opt/p/lib/liba-made.so", "/opt/p/lib/libb-made.so"];
    assert_eq!(tree.look("/opt/p/bin/p", &[], &[]).unwrap(), expected);
}

#[test]
fn the_environment_of_the_program_counts() {
    let tree = Tree::new(&[
        ("/bin/p", program(&["liba-made.so"])),
        (LOADER, library(&[])),
        ("/opt/liba-made.so", library(&[])),
        ("/lib/liba-made.so", library(&[])),
        ("/opt/libpre.so", library(&[])),
    ]);
    let environment = ["LD_LIBRARY_PATH=/none:/opt", "LD_PRELOAD=/opt/libpre.so"];
    let expected = [LOADER, "/opt/liba-made.so", "/opt/libpre.so"];
    assert_eq!(tree.look("/bin/p", &[], &environment).unwrap(), expected);
}

#[test]
fn what_is_given_is_there_and_is_looked_at_itself() {
    let tree = Tree::new(&[
        ("/bin/p", program(&["liba-made.so"])),
        (LOADER, library(&[])),
        ("/else/liba-made.so", library(&["libb-made.so"])),
        ("/lib/libb-made.so", library(&[])),
        (
            "/plugins/one.so",
            library(&["libc-made.so", "libmissing.so"]),
        ),
        ("/lib/libc-made.so", library(&[])),
    ]);
    let gives = [
        Give::new(&tree.path("/else/liba-made.so"), "/lib/liba-made.so"),
        Give::new(&tree.path("/plugins"), "/plugins"),
    ];
    let expected = ["/lib/libb-made.so", "/lib/libc-made.so", LOADER];
    assert_eq!(tree.look("/bin/p", &gives, &[]).unwrap(), expected);
}

#[test]
fn the_list_is_given_if_only_it_knows_the_place() {
    let around = Surroundings::default();
    let shell = needed(&[Give::new(Path::new("/bin/sh"), "/bin/sh")], &around).unwrap();
    let names: Vec<_> = shell.iter().map(|give| give.guest.as_str()).collect();
    assert!(
        names.iter().any(|name| name.ends_with("/libc.so.6")),
        "{names:?}"
    );
    assert!(!names.contains(&CACHE), "{names:?}");
}

#[test]
fn a_program_elsewhere_keeps_what_is_beside_it() {
    let tree = Tree::new(&[
        (
            "/a dir/p",
            Says {
                run_path: Some("$ORIGIN"),
                ..program(&["liba-made.so"])
            },
        ),
        (LOADER, library(&[])),
        ("/a dir/liba-made.so", library(&[])),
    ]);
    let around = Surroundings {
        roots: &[tree.0.path().to_path_buf()],
        ..Surroundings::default()
    };
    let found = needed(&[Give::new(&tree.path("/a dir/p"), "/program")], &around).unwrap();
    let beside = found
        .iter()
        .find(|give| give.guest == "/liba-made.so")
        .unwrap();
    assert!(beside.host.ends_with("a dir/liba-made.so"));
}
