//! Random operations on a few names.

use proptest::prelude::*;

/// A small world, so that operations meet: two names, or sometimes a special one.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just("a".to_owned()),
        8 => Just("b".to_owned()),
        4 => Just("c".to_owned()),
        1 => Just("n".repeat(255)),
        1 => Just("n".repeat(256)),
        2 => Just(".".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let middle = prop_oneof![10 => name(), 2 => Just("..".to_owned())];
    (
        prop_oneof![6 => Just(""), 2 => Just("BASE/"), 1 => Just("./"), 1 => Just("BASE//")],
        proptest::collection::vec(middle, 0..3),
        prop_oneof![12 => name(), 1 => Just("..".to_owned()), 1 => Just(String::new())],
        prop_oneof![8 => Just(""), 2 => Just("/"), 1 => Just("//")],
    )
        .prop_map(|(start, middle, last, end)| {
            let mut path = start.to_owned();
            for name in middle {
                path.push_str(&name);
                path.push('/');
            }
            let path = path + &last + end;
            match path.trim_end_matches('/') {
                // The root is another file system there, and the base must stay where it is.
                "" if !path.is_empty() => format!("a{path}"),
                "BASE" => format!("{path}a"),
                _ => path,
            }
        })
}

/// What links point to: no `..`.
fn target() -> impl Strategy<Value = String> {
    let relative = proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..3)
        .prop_map(|names| names.join("/"));
    (
        prop_oneof![3 => Just(""), 1 => Just("BASE/")],
        relative,
        prop_oneof![4 => Just(""), 1 => Just("/"), 1 => Just("/.")],
    )
        .prop_map(|(start, names, end)| format!("{start}{names}{end}"))
}

#[derive(Clone, Debug)]
pub enum Step {
    Open {
        path: String,
        flags: u16,
        write: bool,
        text: Vec<u8>,
    },
    MakeDirectory(String),
    RemoveDirectory(String),
    Unlink(String),
    Rename(String, String, u8),
    Link(String, String, bool),
    Symlink(String, String),
    Metadata(String, bool),
    ReadLink(String),
    Truncate(String, u64),
    /// Mode bits; they matter when the test is not run by root.
    Mode(String, u16),
    Check(String, u8),
    /// Works in another directory from now on.
    Enter(String),
}

pub fn step() -> impl Strategy<Value = Step> {
    let text = proptest::collection::vec(any::<u8>(), 0..6);
    prop_oneof![
        6 => (path(), 0..256u16, any::<bool>(), text)
            .prop_map(|(path, flags, write, text)| Step::Open { path, flags, write, text }),
        5 => path().prop_map(Step::MakeDirectory),
        2 => path().prop_map(Step::RemoveDirectory),
        2 => path().prop_map(Step::Unlink),
        6 => (path(), path(), 0..4u8).prop_map(|(old, new, flags)| Step::Rename(old, new, flags)),
        3 => (path(), path(), any::<bool>()).prop_map(|(old, new, follow)| Step::Link(old, new, follow)),
        4 => (target(), path()).prop_map(|(target, path)| Step::Symlink(target, path)),
        2 => (path(), any::<bool>()).prop_map(|(path, follow)| Step::Metadata(path, follow)),
        1 => path().prop_map(Step::ReadLink),
        1 => (path(), 0..9000u64).prop_map(|(path, size)| Step::Truncate(path, size)),
        2 => (path(), 0..8u16).prop_map(|(path, digit)| Step::Mode(path, digit << 6 | 0o055)),
        1 => (path(), 0..8u8).prop_map(|(path, access)| Step::Check(path, access)),
        1 => path().prop_map(Step::Enter),
    ]
}

pub fn has(flags: u16, bit: u16) -> bool {
    flags >> bit & 1 != 0
}
