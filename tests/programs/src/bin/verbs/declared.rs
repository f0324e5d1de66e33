//! What `inspect` says of verbs, held against what they do.

use helve::file::records;
use helve::verb::{Type, Verb, Verbs, fit};
use helve::{Document, Error, Handle, Kind, OpenFlags, Rights, Value, registry};
use std::collections::BTreeSet;
use test_programs::native::is_linux;

test_programs::tests!(
    replies_are_as_declared,
    arguments_that_are_not_declared_are_refused,
    every_verb_says_what_it_is,
);

/// Set where the program has all the registries of the first program, and not only those of a session.
fn has_all() -> bool {
    std::env::var_os("ALL_REGISTRIES").is_some()
}

/// Everything that has a name here, with all the rights that there are for it.
fn objects() -> Vec<(String, Handle)> {
    let mut objects = Vec::new();
    for name in [
        "file", "process", "device", "log", "event", "channel", "memory",
    ] {
        let registry = match registry::get(name) {
            Err(Error::NotFound) if !has_all() => continue,
            registry => registry.expect("the first program has all registries"),
        };
        objects.push((format!("{name}:"), registry.copy().expect("a copy")));
        let mut names = BTreeSet::new();
        if name == "device" {
            let list = |record: Document<'_>| {
                names.insert(record.string("name").expect("a name").to_string());
            };
            records(&registry, list).expect("a list");
        }
        if name == "process" {
            names.insert(std::process::id().to_string());
        }
        for inner in names {
            let opened = open(&registry, &inner);
            objects.push((format!("{name}:{inner}"), opened));
        }
    }
    let made = |registry: &str, verb: &str, argument: &Value, keys: &[&str]| {
        let registry = registry::get(registry).expect("a registry");
        let reply = registry.request(verb, argument.as_document());
        let reply = reply.expect("it is made");
        keys.iter()
            .map(|key| {
                (
                    key.to_string(),
                    Handle::in_reply(&reply, key).expect("a handle"),
                )
            })
            .collect::<Vec<_>>()
    };
    let empty = Value::default();
    let page = Value::build(|argument| {
        argument.put("bytes", 4096);
    });
    objects.extend(made("channel", "new", &empty, &["sender", "receiver"]));
    objects.extend(made("channel", "pipe", &empty, &["reader", "writer"]));
    objects.extend(made("memory", "new", &page.expect("small"), &["memory"]));
    if has_all() {
        let file = registry::get("file").expect("files");
        let flags = OpenFlags::CREATE;
        let rights = Rights::all() - Rights::LIST - Rights::EXECUTE - Rights::MAP;
        std::fs::write("bytes", "some").expect("a file");
        let path = std::env::current_dir().expect("a directory").join("bytes");
        let path = path.to_str().expect("text").to_string();
        objects.push((
            "a file".into(),
            file.open(&path, rights, flags).expect("it opens"),
        ));
        objects.extend(made("process", "share", &empty, &["share"]));
        objects.extend(made("process", "measure", &empty, &["measurement"]));
        objects.extend(made("process", "lend", &empty, &["lease"]));
    }
    objects
}

/// With as many of the rights as it gives.
fn open(registry: &Handle, name: &str) -> Handle {
    let mut wanted = Rights::INSPECT;
    for right in Rights::all().iter() {
        if registry
            .open(name, wanted | right, OpenFlags::empty())
            .is_ok()
        {
            wanted |= right;
        }
    }
    let opened = registry.open(name, wanted, OpenFlags::empty());
    opened.expect("it opens with what it gave before")
}

/// Whether asking for it does nothing that matters.
fn is_harmless(verb: &Verb<'_>) -> bool {
    verb.rights == Rights::INSPECT
        || matches!(verb.name, "status" | "lend" | "pipe" | "share" | "measure")
        || verb.name == "new" && verb.takes.iter().all(|field| field.optional)
}

fn replies_are_as_declared() {
    if is_linux() {
        return;
    }
    let mut asked = BTreeSet::new();
    for (name, object) in objects() {
        let verbs = Verbs::of(&object).expect("it tells");
        let rights = object.rights().expect("rights");
        for verb in verbs.iter().filter(is_harmless) {
            if !rights.contains(verb.rights) {
                continue;
            }
            let reply = match object.ask(verb.name) {
                // A Linux process has it open.
                Err(Error::Busy) if name == "device:watchdog" => continue,
                reply => reply.unwrap_or_else(|error| panic!("{name} {}: {error}", verb.name)),
            };
            let document = reply.as_document();
            assert!(
                fit(&verb.gives, document),
                "{name} {}: {document} is not {:?}",
                verb.name,
                verb.gives
            );
            // They are ours to close.
            for field in &verb.gives {
                if let Type::Handle(kind, least) = field.of {
                    let handle = Handle::in_reply(&reply, field.name).expect("a handle");
                    assert!(kind.is_none_or(|kind| handle.kind() == Ok(kind)), "{name}");
                    assert!(handle.rights().expect("rights").contains(least), "{name}");
                }
            }
            asked.insert(verb.name.to_string());
        }
    }
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let all: &[&str] = if has_all() {
        &ALL
    } else {
        &["lend", "new", "pipe"]
    };
    assert_eq!(asked, all, "what was asked for");
}

const ALL: [&str; 13] = [
    "cpus",
    "interrupts",
    "lend",
    "locks",
    "measure",
    "memory",
    "mode",
    "new",
    "pipe",
    "share",
    "size",
    "status",
    "time",
];

/// What is refused has no effect: not even `off` with a field too much.
fn arguments_that_are_not_declared_are_refused() {
    if is_linux() {
        return;
    }
    let unknown = Value::build(|argument| {
        argument.put("no-verb-has-this-field", 1);
    });
    let unknown = unknown.expect("small");
    for (name, object) in objects() {
        let verbs = Verbs::of(&object).expect("it tells");
        let rights = object.rights().expect("rights");
        for verb in verbs.iter() {
            let refused = |argument: &Value| {
                let expected = match rights.contains(verb.rights) {
                    true => Error::Invalid,
                    false => Error::Denied,
                };
                let answer = object.request(verb.name, argument.as_document()).err();
                assert_eq!(answer, Some(expected), "{name} {} {argument:?}", verb.name);
            };
            refused(&unknown);
            for field in &verb.takes {
                // Of another type; nothing takes this one.
                let wrong = Value::build(|argument| {
                    argument.put(field.name, helve::Element::MinKey);
                });
                if field.of != Type::Any {
                    refused(&wrong.expect("small"));
                }
            }
            let is_needed = |field: &&helve::verb::Field<'_>| !field.optional;
            if verb.takes.iter().any(|field| is_needed(&field)) {
                refused(&Value::default());
            }
        }
    }
}

fn every_verb_says_what_it_is() {
    if is_linux() {
        return;
    }
    let mut kinds = BTreeSet::new();
    for (name, object) in objects() {
        kinds.insert(object.kind().map(Kind::name).expect("a kind"));
        let verbs = Verbs::of(&object).expect("it tells");
        let mut names: Vec<String> = verbs.iter().map(|verb| verb.name.into()).collect();
        assert_eq!(names.last().map(String::as_str), Some("lend"), "{name}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), verbs.iter().count(), "{name}: {names:?}");
        for verb in verbs.iter() {
            assert!(!verb.summary.is_empty(), "{name} {}", verb.name);
            assert!(!verb.rights.is_empty(), "{name} {}", verb.name);
        }
    }
    assert!(kinds.len() >= if has_all() { 9 } else { 5 }, "{kinds:?}");
}
