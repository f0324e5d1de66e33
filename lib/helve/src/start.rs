//! What this program was given: the start block, read once at entry.

use abi::{Number, field};
use spin::Once;
use value::{Array, Document};

/// The start block and the handles that the runtime itself uses.
struct Given {
    document: Document<'static>,
    thread: Number,
}

static GIVEN: Once<Given> = Once::new();

/// Keeps the start block. False when it is not well formed, or lacks the handles that no program can do without.
pub fn begin(block: &'static [u8]) -> bool {
    let Ok(document) = Document::parse(block) else {
        return false;
    };
    let Some(thread) = number(document, "thread") else {
        return false;
    };
    GIVEN.call_once(|| Given { document, thread });
    true
}

fn number(document: Document<'_>, name: &str) -> Option<Number> {
    let number = document.document(field::HANDLES)?.int(name)?;
    u32::try_from(number).ok().map(Number)
}

/// The number of a handle that the parent, or the kernel, gave under this name.
pub fn handle(name: &str) -> Option<Number> {
    number(GIVEN.get()?.document, name)
}

/// The names of all handles given.
pub fn handle_names() -> impl Iterator<Item = &'static str> {
    let handles = GIVEN
        .get()
        .and_then(|given| given.document.document(field::HANDLES));
    handles
        .unwrap_or(Document::EMPTY)
        .iter()
        .map(|(name, _)| name)
}

/// The program's own first thread.
pub fn thread() -> Number {
    GIVEN.get().map_or(Number::NONE, |given| given.thread)
}

/// The argument list.
pub fn arguments() -> Option<Array<'static>> {
    GIVEN.get()?.document.array(field::ARGUMENTS)
}

/// The environment it started with.
pub fn environment() -> Option<Document<'static>> {
    GIVEN.get()?.document.document(field::ENVIRONMENT)
}

/// The directory it started in.
pub fn directory() -> Option<&'static str> {
    GIVEN.get()?.document.string(field::DIRECTORY)
}
