//! `kv`: a store of values by name, and who asks it. The store is a program of its own that holds nothing but its inbox: the
//! shortest example of a service.

use crate::{Misuse, failed};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use helve::{Arena, Channel, Command, Error, File, Inbox, Message, Value, environment, println};

/// Under this name the store finds its inbox.
const INBOX: &str = "inbox";
/// The largest content that an answer carries, in bytes.
const LARGEST: usize = 2048;

/// What is kept under a name: bytes, or an arena with so many of them.
enum Content {
    Bytes(Vec<u8>),
    Arena(Arena, usize),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Content::Bytes(bytes) => bytes,
            Content::Arena(arena, length) => arena.get(..*length).unwrap_or(arena),
        }
    }
}

type Store = BTreeMap<String, Content>;

/// Answers until nobody can ask any more.
fn serve(inbox: &Inbox) -> Result<(), Error> {
    let mut store = Store::new();
    loop {
        let mut question = match inbox.receive() {
            Err(Error::Closed) => return Ok(()),
            question => question?,
        };
        let answer = match answer(&mut store, &mut question) {
            Ok(answer) => answer,
            Err(error) => Value::build(|reply| {
                reply.put("error", i32::from(error.code()));
            })?,
        };
        match question.answer(&mut answer.into()) {
            // Who asked has gone, or wants no answer: that is its own business.
            Ok(()) | Err(Error::Closed | Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
}

fn answer(store: &mut Store, question: &mut Message) -> Result<Value, Error> {
    let asked = question.value();
    let name = String::from(asked.string("name").unwrap_or_default());
    let content = asked.bytes("content").map(Vec::from);
    let length = asked.unsigned("length").unwrap_or(0) as usize;
    let found = || store.get(&name).map(Content::bytes).ok_or(Error::NotFound);
    Ok(match asked.string("verb") {
        Some("put") if !question.is_empty() => {
            store.insert(name, Content::Arena(question.take_arena(0)?, length));
            Value::default()
        }
        Some("put") => {
            store.insert(name, Content::Bytes(content.ok_or(Error::Invalid)?));
            Value::default()
        }
        Some("get") => {
            let bytes = found()?;
            let bytes = bytes.get(..LARGEST).unwrap_or(bytes);
            Value::build(|reply| {
                reply.put("content", helve::Element::text_or_bytes(bytes));
            })?
        }
        Some("size") => {
            let length = found()?.len();
            Value::build(|reply| {
                reply.put("content", &*alloc::format!("{length}"));
            })?
        }
        _ => return Err(Error::Unsupported),
    })
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    if arguments.is_empty() {
        let served = environment::copy_of_handle(INBOX).map(Inbox::from_handle);
        return Ok(match served.and_then(|inbox| serve(&inbox)) {
            Ok(()) => 0,
            Err(error) => failed("kv", INBOX, error),
        });
    }
    let channel = match start() {
        Ok(channel) => channel,
        Err(error) => return Ok(failed("kv", "the store", error)),
    };
    let mut status = 0;
    for argument in arguments {
        match ask(&channel, argument) {
            Ok(answer) => {
                if let Some(content) = answer.value().string("content") {
                    println!("{content}");
                }
            }
            Err(error) => status = failed("kv", argument, error),
        }
    }
    Ok(status)
}

/// Starts a store that can name nothing but its inbox.
fn start() -> Result<Channel, Error> {
    let (channel, inbox) = Channel::new()?;
    let mut command = Command::new("/bin/commands");
    command.argument("kv").give(INBOX, inbox.handle());
    // It maps what it is sent, with its own space; no registry is needed for that.
    command.no_registries().start()?;
    Ok(channel)
}

/// `NAME=TEXT`, `NAME@FILE`, `#NAME` or `NAME`.
fn ask(channel: &Channel, argument: &str) -> Result<Message, Error> {
    let mut arena = None;
    let value = Value::build(|asks| {
        if let Some((name, text)) = argument.split_once('=') {
            asks.put("verb", "put")
                .put("name", name)
                .put("content", text);
        } else if let Some((name, path)) = argument.split_once('@') {
            arena = Some(load(path));
            let length = match &arena {
                Some(Ok((_, length))) => *length,
                _ => 0,
            };
            asks.put("verb", "put")
                .put("name", name)
                .put("length", length);
        } else if let Some(name) = argument.strip_prefix('#') {
            asks.put("verb", "size").put("name", name);
        } else {
            asks.put("verb", "get").put("name", argument);
        }
    })?;
    let mut question = Message::from(value);
    if let Some(loaded) = arena {
        question.add_arena(loaded?.0);
    }
    let answer = channel.call(&mut question)?;
    match answer.value().unsigned("error") {
        Some(code) => Err(Error::from_code(code as u16).unwrap_or(Error::Io)),
        None => Ok(answer),
    }
}

/// A file's bytes in an arena, and how many there are.
fn load(path: &str) -> Result<(Arena, usize), Error> {
    let file = File::open(path)?;
    let size = file.metadata()?.size as usize;
    let mut arena = Arena::new(size.max(1))?;
    let mut length = 0;
    while length < size {
        match file.read(arena.get_mut(length..size).unwrap_or_default())? {
            0 => break,
            count => length += count,
        }
    }
    Ok((arena, length))
}
