//! Verbs: what an object can be asked for, what goes in, and what comes out.
//!
//! The one idea: a verb declares its arguments and its reply, and [`Handle::request_with`](crate::Handle::request_with)
//! holds every request against the declaration before the object sees it. So an object never meets a field that is
//! missing, of another type or unknown, and a person or a program can read in `inspect` what may be said.

use crate::object::{Given, Reply};
use abi::{CpuSet, Error, Kind, Rights, request};
use value::{Array, Builder, Document, Element};

/// A typed operation of one kind of object.
///
/// One that needs nothing but [`Rights::INSPECT`] only tells; it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb {
    /// Its name: one lower-case word, or several with hyphens.
    pub name: &'static str,
    /// The rights that a handle needs for it.
    pub rights: Rights,
    /// Its effect, in one line.
    pub summary: &'static str,
    /// The fields of its argument, and the handles that go along.
    pub takes: &'static [Field],
    /// The fields of its reply, and the handles that come with it.
    pub gives: &'static [Field],
}

impl Verb {
    /// One that takes and gives nothing.
    pub const fn new(name: &'static str, rights: Rights, summary: &'static str) -> Verb {
        Verb {
            name,
            rights,
            summary,
            takes: &[],
            gives: &[],
        }
    }

    /// The same, with these arguments.
    #[must_use]
    pub const fn takes(mut self, fields: &'static [Field]) -> Verb {
        assert!(fields.len() <= MOST_FIELDS);
        self.takes = fields;
        self
    }

    /// The same, with this reply.
    #[must_use]
    pub const fn gives(mut self, fields: &'static [Field]) -> Verb {
        assert!(fields.len() <= MOST_FIELDS);
        self.gives = fields;
        self
    }

    /// Holds an argument, and the handles that go along, against the declaration. Cost: the length of the argument times
    /// the number of fields; a field that is there twice ends it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a field or handle that is missing, not known, or there twice, and for a value of another type or
    /// out of range; [`Error::WrongKind`] and [`Error::Denied`] for a handle of another kind, or with fewer rights.
    pub fn check(&self, argument: Document<'_>, given: &Given) -> Result<(), Error> {
        let fields = argument.iter().filter(|(key, _)| *key != request::HANDLES);
        if !all_hold(self.takes, fields) {
            return Err(Error::Invalid);
        }
        for (place, (name, handle)) in given.iter().enumerate() {
            let mut fields = self.takes.iter();
            let (kind, rights) = fields
                .find(|field| field.name == name)
                .and_then(|field| field.of.as_handle())
                .ok_or(Error::Invalid)?;
            if given.iter().take(place).any(|(other, _)| other == name) {
                return Err(Error::Invalid);
            }
            if kind.is_some_and(|kind| kind != handle.kind()) {
                return Err(Error::WrongKind);
            }
            handle.check(rights)?;
        }
        let is_given = |name| given.iter().any(|(given, _)| given == name);
        match handles(self.takes).all(|field| field.optional || is_given(field.name)) {
            true => Ok(()),
            false => Err(Error::Invalid),
        }
    }

    /// Whether a reply is what the declaration says. For tests: an object that gives something else has an error.
    pub fn is_answered_by(&self, reply: &Reply) -> bool {
        let named = |name: &str| self.gives.iter().find(|field| field.name == name);
        let given = |field: &Field| reply.handles.iter().any(|(name, _)| *name == field.name);
        all_hold(self.gives, reply.value.as_document().iter())
            && handles(self.gives).all(|field| field.optional || given(field))
            && reply.handles.iter().all(|(name, handle)| {
                named(name)
                    .and_then(|field| field.of.as_handle())
                    .is_some_and(|(kind, rights)| {
                        kind.is_none_or(|kind| kind == handle.kind())
                            && handle.rights().contains(rights)
                    })
            })
    }

    /// What `inspect` says of it.
    pub(crate) fn describe(&self, into: &mut Builder) {
        into.put("name", self.name).put("summary", self.summary);
        if !self.rights.is_empty() {
            describe_rights(self.rights, into);
        }
        for (key, fields) in [("takes", self.takes), ("gives", self.gives)] {
            if !fields.is_empty() {
                describe_fields(key, fields, into);
            }
        }
    }
}

/// A document has no more fields than this: so many bits say which were seen.
const MOST_FIELDS: usize = u64::BITS as usize;

/// One of the values that a verb takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name: lower-case words with hyphens.
    pub name: &'static str,
    /// What it is.
    pub of: Type,
    /// Whether it may be left out.
    pub optional: bool,
    /// What it says, where name and type do not.
    pub about: &'static str,
}

impl Field {
    /// One that is always there.
    pub const fn new(name: &'static str, of: Type) -> Field {
        Field {
            name,
            of,
            optional: false,
            about: "",
        }
    }

    /// One that may be left out.
    pub const fn optional(name: &'static str, of: Type) -> Field {
        Field {
            optional: true,
            ..Field::new(name, of)
        }
    }

    /// The same, with what there is to say of it.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Field {
        self.about = about;
        self
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Boolean,
    /// A whole number, from the first to the second.
    Integer(i64, i64),
    /// How many bytes.
    Bytes,
    /// A length of time in nanoseconds.
    Nanoseconds,
    /// A length of time in seconds.
    Seconds,
    /// A part of a hundred.
    Percent,
    /// A moment: nanoseconds since 1970.
    Time,
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text, or binary when it is not UTF-8: names and arguments.
    Name,
    /// Bytes that mean something else than text.
    Binary,
    /// A set of processors: text like `0-2,5`, or the number of one.
    Cpus,
    /// A document with these fields.
    Document(&'static [Field]),
    /// A list of these.
    List(&'static Type),
    /// A handle to an object of this kind, or of any, with these rights at least.
    Handle(Option<Kind>, Rights),
    /// Whatever it is.
    Any,
}

impl Type {
    /// A number that counts something, or says which.
    pub const NUMBER: Type = Type::Integer(0, i64::MAX);

    /// The word for it in `inspect`.
    pub const fn name(&self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::Integer(..) => "integer",
            Type::Bytes => "bytes",
            Type::Nanoseconds => "nanoseconds",
            Type::Seconds => "seconds",
            Type::Percent => "percent",
            Type::Time => "time",
            Type::Text => "text",
            Type::Word(_) => "word",
            Type::Name => "name",
            Type::Binary => "binary",
            Type::Cpus => "cpus",
            Type::Document(_) => "document",
            Type::List(_) => "list",
            Type::Handle(..) => "handle",
            Type::Any => "any",
        }
    }

    /// Whether a value is of this type. A handle is no value: it goes beside them.
    pub fn holds(&self, value: Element<'_>) -> bool {
        let is_from = |least: i64, most: i64| {
            let number = value.as_int();
            number.is_some_and(|number| (least..=most).contains(&number))
        };
        match *self {
            Type::Boolean => value.as_bool().is_some(),
            Type::Integer(least, most) => is_from(least, most),
            Type::Bytes | Type::Nanoseconds | Type::Seconds => is_from(0, i64::MAX),
            Type::Percent => is_from(0, 100),
            Type::Time => value.as_int().is_some(),
            Type::Text => value.as_str().is_some(),
            Type::Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Type::Name => value.as_bytes().is_some(),
            Type::Binary => matches!(value, Element::Binary(..)),
            Type::Cpus => match value.as_str() {
                Some(text) => text.parse::<CpuSet>().is_ok(),
                None => is_from(0, i64::from(CpuSet::MOST) - 1),
            },
            Type::Document(fields) => value
                .as_document()
                .is_some_and(|document| all_hold(fields, document.iter())),
            Type::List(of) => {
                let each = |list: Array<'_>| list.iter().all(|item| of.holds(item));
                value.as_array().is_some_and(each)
            }
            Type::Handle(..) => false,
            Type::Any => true,
        }
    }

    const fn as_handle(&self) -> Option<(Option<Kind>, Rights)> {
        match *self {
            Type::Handle(kind, rights) => Some((kind, rights)),
            _ => None,
        }
    }

    fn describe(&self, into: &mut Builder) {
        into.put("type", self.name());
        match *self {
            Type::Integer(least, most) => {
                if least != i64::MIN {
                    into.put("least", least);
                }
                if most != i64::MAX {
                    into.put("most", most);
                }
            }
            Type::Word(words) => {
                into.array("words", |list| {
                    for word in words {
                        list.push(*word);
                    }
                });
            }
            Type::Document(fields) => describe_fields("fields", fields, into),
            Type::List(of) => {
                into.document("of", |into| of.describe(into));
            }
            Type::Handle(kind, rights) => {
                if let Some(kind) = kind {
                    into.put("kind", kind.name());
                }
                if !rights.is_empty() {
                    describe_rights(rights, into);
                }
            }
            _ => {}
        }
    }
}

fn handles(fields: &'static [Field]) -> impl Iterator<Item = &'static Field> {
    fields.iter().filter(|field| field.of.as_handle().is_some())
}

/// Whether these are the fields, each once, with nothing missing and nothing else. Handles are looked at elsewhere.
fn all_hold<'a>(fields: &[Field], elements: impl Iterator<Item = (&'a str, Element<'a>)>) -> bool {
    let mut seen = 0u64;
    for (key, element) in elements {
        let place = fields.iter().position(|field| field.name == key);
        let Some((place, field)) = place.and_then(|place| Some((place, fields.get(place)?))) else {
            return false;
        };
        let bit = 1 << place;
        if seen & bit != 0 || !field.of.holds(element) {
            return false;
        }
        seen |= bit;
    }
    let is_there = |place: usize| seen >> place & 1 != 0;
    fields
        .iter()
        .enumerate()
        .all(|(place, field)| field.optional || is_there(place) || field.of.as_handle().is_some())
}

fn describe_rights(rights: Rights, into: &mut Builder) {
    into.array("rights", |list| {
        for (name, _) in rights.iter_names() {
            list.push(name);
        }
    });
}

fn describe_fields(key: &str, fields: &[Field], into: &mut Builder) {
    into.array(key, |list| {
        for field in fields {
            list.document(|entry| {
                entry.put("name", field.name);
                field.of.describe(entry);
                if field.optional {
                    entry.put("optional", true);
                }
                if !field.about.is_empty() {
                    entry.put("about", field.about);
                }
            });
        }
    });
}
