//! What a verb declares, and what becomes of requests that are not like that.

use crate::object::{Given, Reply};
use crate::{Field, Handle, Kind, Object, Rights, Type, Verb};
use abi::{Error, request};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use value::{Builder, Document, Element, Value};

/// Counts what reaches it.
#[derive(Default)]
struct Oven(AtomicUsize);

const VERBS: &[Verb] = &[
    Verb::new("bake", Rights::WRITE, "bakes what is given").takes(&[
        Field::new("minutes", Type::Integer(1, 90)),
        Field::optional("heat", Type::Word(&["low", "high"])).about("high, if nothing is said"),
        Field::optional(
            "cakes",
            Type::List(&Type::Document(&[
                Field::new("name", Type::Name),
                Field::optional("weight", Type::Bytes),
            ])),
        ),
        Field::optional("door", Type::Handle(Some(Kind::Device), Rights::WRITE)),
        Field::optional("note", Type::Any),
        Field::optional("racks", Type::Cpus),
    ]),
    Verb::new("fit", Rights::empty(), "puts a door in").takes(&[Field::new(
        "door",
        Type::Handle(Some(Kind::Device), Rights::WRITE),
    )]),
    Verb::new("look", Rights::INSPECT, "tells how warm it is").gives(&[
        Field::new("degrees", Type::Integer(0, 300)),
        Field::optional("open", Type::Boolean),
    ]),
];

impl Object for Oven {
    fn kind(&self) -> Kind {
        Kind::Device
    }

    fn request(&self, _: &str, _: Document<'_>) -> Result<Value, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Value::default())
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }
}

fn oven() -> (Arc<Oven>, Handle) {
    let oven = Arc::new(Oven::default());
    let handle = Handle::new(oven.clone(), Rights::all());
    (oven, handle)
}

fn value(fill: impl FnOnce(&mut Builder)) -> Value {
    Value::build(fill).unwrap()
}

#[test]
fn what_is_declared_comes_through() {
    let (oven, handle) = oven();
    let full = value(|argument| {
        argument.put("heat", "low").put("minutes", 45);
        argument.array("cakes", |list| {
            list.document(|cake| {
                cake.put("name", Element::Binary(0, &[0xff]))
                    .put("weight", 500u64);
            });
            list.document(|cake| {
                cake.put("name", "sponge");
            });
        });
        argument.put("note", Element::Null).put("racks", "0-1,3");
        // The door of the system reads these.
        argument.document(request::HANDLES, |_| {});
    });
    let least = value(|argument| {
        argument.put("minutes", 1i64).put("racks", 63);
    });
    for (times, argument) in [full, least].iter().enumerate() {
        let door = handle.restrict(Rights::WRITE);
        let given = Given::new(Vec::from([(String::from("door"), door)]));
        for given in [Given::default(), given] {
            handle
                .request_with("bake", argument.as_document(), &given)
                .unwrap();
        }
        assert_eq!(oven.0.load(Ordering::Relaxed), 2 * (times + 1));
    }
}

#[test]
fn what_is_not_declared_is_refused_before_the_object_sees_it() {
    let (oven, handle) = oven();
    let wrong: &[fn(&mut Builder)] = &[
        // Missing.
        |_| {},
        |argument| {
            argument.put("heat", "low");
        },
        // Out of range, or of another type.
        |argument| {
            argument.put("minutes", 0);
        },
        |argument| {
            argument.put("minutes", 91i64);
        },
        |argument| {
            argument.put("minutes", "45");
        },
        |argument| {
            argument.put("minutes", 45.0);
        },
        |argument| {
            argument.put("minutes", Element::Null);
        },
        |argument| {
            argument.put("minutes", 5).put("heat", "mild");
        },
        |argument| {
            argument.put("minutes", 5).put("heat", 1);
        },
        |argument| {
            argument.put("minutes", 5).put("racks", "0-64");
        },
        |argument| {
            argument.put("minutes", 5).put("racks", 64);
        },
        // Not known, or there twice.
        |argument| {
            argument.put("minutes", 5).put("hours", 5);
        },
        |argument| {
            argument.put("minutes", 5).put("minutes", 5);
        },
        // A handle is no value.
        |argument| {
            argument.put("minutes", 5).put("door", 5);
        },
        // Deeper down.
        |argument| {
            argument.put("minutes", 5).put("cakes", "many");
        },
        |argument| {
            argument.put("minutes", 5).array("cakes", |list| {
                list.document(|cake| {
                    cake.put("name", "a");
                });
                list.document(|_| {});
            });
        },
        |argument| {
            argument.put("minutes", 5).array("cakes", |list| {
                list.document(|cake| {
                    cake.put("name", "a").put("weight", -1);
                });
            });
        },
        |argument| {
            argument.put("minutes", 5).array("cakes", |list| {
                list.document(|cake| {
                    cake.put("name", "a").put("colour", "b");
                });
            });
        },
    ];
    for fill in wrong {
        let argument = value(fill);
        let answer = handle.request("bake", argument.as_document());
        assert_eq!(answer.err(), Some(Error::Invalid), "{argument:?}");
    }
    // A missing right is told first, and a missing verb before that.
    let weak = handle.restrict(Rights::READ);
    let ask = |verb| weak.request(verb, Document::EMPTY).err();
    assert_eq!(ask("bake"), Some(Error::Denied));
    assert_eq!(ask("burn"), Some(Error::NotFound));
    assert_eq!(oven.0.load(Ordering::Relaxed), 0);
}

#[test]
fn handles_are_of_the_kind_and_have_the_rights_that_are_declared() {
    let (oven, handle) = oven();
    let registry = Handle::new(Arc::new(crate::Registry::new()), Rights::all());
    let weak = handle.restrict(Rights::READ);
    let (lent, lease) = handle.lend(false).unwrap();
    lease.revoke();
    let cases: [(&[(&str, &Handle)], _); 7] = [
        (&[("door", &handle)], None),
        (&[], Some(Error::Invalid)),
        (&[("roof", &handle)], Some(Error::Invalid)),
        (
            &[("door", &handle), ("door", &handle)],
            Some(Error::Invalid),
        ),
        (&[("door", &registry)], Some(Error::WrongKind)),
        (&[("door", &weak)], Some(Error::Denied)),
        (&[("door", &lent)], Some(Error::Revoked)),
    ];
    for (given, error) in cases {
        let named = |(name, handle): &(&str, &Handle)| (String::from(*name), (*handle).clone());
        let given = Given::new(given.iter().map(named).collect());
        let answer = handle.request_with("fit", Document::EMPTY, &given);
        assert_eq!(answer.err(), error, "{given:?}");
    }
    assert_eq!(oven.0.load(Ordering::Relaxed), 1);
    // One that takes none.
    let given = Given::new(Vec::from([(String::from("door"), handle.clone())]));
    let answer = handle.request_with("look", Document::EMPTY, &given);
    assert_eq!(answer.err(), Some(Error::Invalid));
}

#[test]
fn replies_are_held_against_the_declaration_too() {
    let look = VERBS.iter().find(|verb| verb.name == "look").unwrap();
    let told = |fill: fn(&mut Builder)| look.is_answered_by(&Reply::from(value(fill)));
    assert!(told(|reply| {
        reply.put("degrees", 180);
    }));
    assert!(told(|reply| {
        reply.put("open", true).put("degrees", 180);
    }));
    assert!(!told(|_| {}));
    assert!(!told(|reply| {
        reply.put("degrees", 301);
    }));
    assert!(!told(|reply| {
        reply.put("degrees", 180).put("smoke", 1);
    }));
    let (_, handle) = oven();
    let mut reply = Reply::from([("door", handle)]);
    reply.value = value(|reply| {
        reply.put("degrees", 180);
    });
    assert!(!look.is_answered_by(&reply), "nobody expects a handle");
}

#[test]
#[should_panic(expected = "look: {}")]
fn an_object_that_breaks_its_word_is_found_in_tests() {
    let (_, handle) = oven();
    drop(handle.request("look", Document::EMPTY));
}

#[test]
fn inspect_tells_everything_that_is_declared() {
    let (_, handle) = oven();
    let about = handle.inspect().unwrap();
    let verbs = about.as_document().array("verbs").unwrap();
    let told: Vec<String> = verbs.iter().map(|verb| alloc::format!("{verb}")).collect();
    assert_eq!(
        told,
        [
            concat!(
                r#"{"name": "bake", "summary": "bakes what is given", "rights": ["WRITE"], "takes": ["#,
                r#"{"name": "minutes", "type": "integer", "least": 1, "most": 90}, "#,
                r#"{"name": "heat", "type": "word", "words": ["low", "high"], "optional": true, "#,
                r#""about": "high, if nothing is said"}, "#,
                r#"{"name": "cakes", "type": "list", "of": {"type": "document", "fields": ["#,
                r#"{"name": "name", "type": "name"}, {"name": "weight", "type": "bytes", "optional": true}]}, "#,
                r#""optional": true}, "#,
                r#"{"name": "door", "type": "handle", "kind": "device", "rights": ["WRITE"], "optional": true}, "#,
                r#"{"name": "note", "type": "any", "optional": true}, "#,
                r#"{"name": "racks", "type": "cpus", "optional": true}]}"#,
            ),
            concat!(
                r#"{"name": "fit", "summary": "puts a door in", "takes": ["#,
                r#"{"name": "door", "type": "handle", "kind": "device", "rights": ["WRITE"]}]}"#,
            ),
            concat!(
                r#"{"name": "look", "summary": "tells how warm it is", "rights": ["INSPECT"], "gives": ["#,
                r#"{"name": "degrees", "type": "integer", "least": 0, "most": 300}, "#,
                r#"{"name": "open", "type": "boolean", "optional": true}]}"#,
            ),
            concat!(
                r#"{"name": "lend", "summary": "makes a handle to the same object that can be taken back", "#,
                r#""rights": ["DUPLICATE"], "takes": ["#,
                r#"{"name": "bound", "type": "boolean", "optional": true, "about": "the lease ends with its last handle"}], "#,
                r#""gives": [{"name": "handle", "type": "handle"}, "#,
                r#"{"name": "lease", "type": "handle", "kind": "lease", "rights": ["DUPLICATE", "TRANSFER", "SIGNAL", "INSPECT"]}]}"#,
            ),
        ]
    );
}
