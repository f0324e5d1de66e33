//! The verbs of an object, as it declares them: what `inspect` says under `verbs`.

use crate::handle::Handle;
use abi::{CpuSet, Error, Kind, Rights};
use alloc::boxed::Box;
use alloc::vec::Vec;
use value::{Array, Document, Element, Value};

/// What an object said about its verbs.
#[derive(Clone, Debug)]
pub struct Verbs(Value);

/// A verb. The text is borrowed from what the object said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verb<'a> {
    pub name: &'a str,
    /// Its effect, in one line.
    pub summary: &'a str,
    /// What a handle needs for it.
    pub rights: Rights,
    /// The argument: its fields, and the handles that go along.
    pub takes: Vec<Field<'a>>,
    /// The reply.
    pub gives: Vec<Field<'a>>,
}

/// One of the values that a verb takes or gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a str,
    pub of: Type<'a>,
    /// It may be left out.
    pub optional: bool,
    /// What name and type do not say; often nothing.
    pub about: &'a str,
}

/// What a value is. The native ABI has a table of what each is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type<'a> {
    Boolean,
    /// From the first to the second.
    Integer(i64, i64),
    Bytes,
    Nanoseconds,
    Seconds,
    Percent,
    /// Nanoseconds since 1970.
    Time,
    Text,
    /// One of these.
    Word(Vec<&'a str>),
    /// Text, or binary when it is not UTF-8.
    Name,
    Binary,
    Cpus,
    Document(Vec<Field<'a>>),
    List(Box<Type<'a>>),
    /// Goes along with the request, and is a number in a reply.
    Handle(Option<Kind>, Rights),
    Any,
}

impl Verbs {
    /// The verbs of what a handle names.
    ///
    /// # Errors
    /// `Denied` when it may not be inspected.
    pub fn of(handle: &Handle) -> Result<Verbs, Error> {
        let about = handle.inspect()?;
        match about.as_document().get("verbs") {
            Some(_) => Ok(Verbs(about)),
            None => Err(Error::Denied),
        }
    }

    /// All of them, the object's own first.
    pub fn iter(&self) -> impl Iterator<Item = Verb<'_>> {
        documents(self.0.as_document().array("verbs")).map(Verb::read)
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<Verb<'_>> {
        self.iter().find(|verb| verb.name == name)
    }
}

fn documents<'a>(list: Option<Array<'a>>) -> impl Iterator<Item = Document<'a>> {
    let items = list.into_iter().flatten();
    items.filter_map(|item| item.as_document())
}

fn words<'a>(list: Option<Array<'a>>) -> impl Iterator<Item = &'a str> {
    list.into_iter().flatten().filter_map(|item| item.as_str())
}

fn rights(entry: Document<'_>) -> Rights {
    words(entry.array("rights"))
        .filter_map(Rights::from_name)
        .collect()
}

impl<'a> Verb<'a> {
    fn read(entry: Document<'a>) -> Verb<'a> {
        Verb {
            name: entry.string("name").unwrap_or_default(),
            summary: entry.string("summary").unwrap_or_default(),
            rights: rights(entry),
            takes: Field::all(entry.array("takes")),
            gives: Field::all(entry.array("gives")),
        }
    }
}

impl<'a> Field<'a> {
    fn all(list: Option<Array<'a>>) -> Vec<Field<'a>> {
        let fields = documents(list).map(|entry| Field {
            name: entry.string("name").unwrap_or_default(),
            of: Type::read(entry),
            optional: entry.boolean("optional").unwrap_or(false),
            about: entry.string("about").unwrap_or_default(),
        });
        fields.collect()
    }
}

impl<'a> Type<'a> {
    fn read(entry: Document<'a>) -> Type<'a> {
        match entry.string("type").unwrap_or_default() {
            "boolean" => Type::Boolean,
            "integer" => {
                let least = entry.int("least").unwrap_or(i64::MIN);
                Type::Integer(least, entry.int("most").unwrap_or(i64::MAX))
            }
            "bytes" => Type::Bytes,
            "nanoseconds" => Type::Nanoseconds,
            "seconds" => Type::Seconds,
            "percent" => Type::Percent,
            "time" => Type::Time,
            "text" => Type::Text,
            "word" => Type::Word(words(entry.array("words")).collect()),
            "name" => Type::Name,
            "binary" => Type::Binary,
            "cpus" => Type::Cpus,
            "document" => Type::Document(Field::all(entry.array("fields"))),
            "list" => {
                let of = entry.document("of").map_or(Type::Any, Type::read);
                Type::List(Box::new(of))
            }
            "handle" => {
                let kind = entry.string("kind").and_then(Kind::from_name);
                Type::Handle(kind, rights(entry))
            }
            // A kernel may have types that this library does not know.
            _ => Type::Any,
        }
    }

    /// Whether a value in a reply is of this type.
    pub fn holds(&self, value: Element<'_>) -> bool {
        let is_from = |least: i64, most: i64| {
            let number = value.as_int();
            number.is_some_and(|number| (least..=most).contains(&number))
        };
        match self {
            Type::Boolean => value.as_bool().is_some(),
            Type::Integer(least, most) => is_from(*least, *most),
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
            Type::Document(fields) => value.as_document().is_some_and(|inner| fit(fields, inner)),
            Type::List(of) => {
                let list = value.as_array();
                list.is_some_and(|list| list.iter().all(|item| of.holds(item)))
            }
            Type::Handle(..) => is_from(0, u32::MAX.into()),
            Type::Any => true,
        }
    }
}

/// Whether a document has these fields and no others.
pub fn fit(fields: &[Field<'_>], document: Document<'_>) -> bool {
    let named = |key| fields.iter().find(|field| field.name == key);
    document
        .iter()
        .all(|(key, element)| named(key).is_some_and(|field| field.of.holds(element)))
        && fields
            .iter()
            .all(|field| field.optional || document.get(field.name).is_some())
}
