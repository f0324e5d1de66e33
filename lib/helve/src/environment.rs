//! Arguments, environment variables, named handles, and the current directory.
//!
//! Variables and directory begin as the parent gave them and are the program's own from then on; children get what
//! they are at that moment.

use crate::handle::Handle;
use crate::{path, start};
use abi::{Error, Rights};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::mem::ManuallyDrop;
use spin::Mutex;

struct State {
    variables: BTreeMap<String, String>,
    directory: String,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn with<T>(look: impl FnOnce(&mut State) -> T) -> T {
    let mut state = STATE.lock();
    look(state.get_or_insert_with(|| {
        let given = start::environment().unwrap_or(value::Document::EMPTY);
        State {
            variables: given
                .iter()
                .filter_map(|(name, element)| Some((name.into(), element.as_str()?.into())))
                .collect(),
            directory: start::directory().unwrap_or("/").into(),
        }
    }))
}

/// The arguments, the program's own name first. One that is not UTF-8 reads as what can be read of it.
pub fn arguments() -> impl Iterator<Item = String> {
    let given = start::arguments().map(|array| array.iter());
    given.into_iter().flatten().map(|element| {
        element
            .as_bytes()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .unwrap_or_default()
    })
}

/// The last name of the first argument.
pub fn program_name() -> String {
    arguments()
        .next()
        .map(|name| path::name(&name).to_string())
        .unwrap_or_default()
}

/// The variable of this name.
pub fn variable(name: &str) -> Option<String> {
    with(|state| state.variables.get(name).cloned())
}

/// All variables, in order of their names.
pub fn variables() -> BTreeMap<String, String> {
    with(|state| state.variables.clone())
}

/// Sets a variable.
pub fn set_variable(name: &str, content: &str) {
    with(|state| state.variables.insert(name.into(), content.into()));
}

/// Removes a variable.
pub fn remove_variable(name: &str) {
    with(|state| state.variables.remove(name));
}

/// The directory that relative paths start from; absolute.
pub fn current_directory() -> String {
    with(|state| state.directory.clone())
}

/// Changes the current directory.
///
/// # Errors
/// `NotFound`, `NotDirectory`, `Denied`.
pub fn set_current_directory(directory: &str) -> Result<(), Error> {
    let target = path::tidy(&path::join(&current_directory(), directory));
    crate::Directory::open(&target)?;
    with(|state| state.directory = target);
    Ok(())
}

/// A handle given under this name. It belongs to the program as a whole, so dropping the result does not close it.
///
/// # Errors
/// `NotFound` when none was given.
pub fn handle(name: &str) -> Result<ManuallyDrop<Handle>, Error> {
    let number = start::handle(name).ok_or(Error::NotFound)?;
    Ok(ManuallyDrop::new(Handle::from_number(number)))
}

/// A copy, with the same rights, of a handle given under this name.
///
/// # Errors
/// `NotFound` when none was given; `Denied` when it may not be duplicated.
pub fn copy_of_handle(name: &str) -> Result<Handle, Error> {
    handle(name)?.copy()
}

/// The names of all handles given, with the rights they carry.
pub fn handles() -> impl Iterator<Item = (&'static str, Rights)> {
    start::handle_names()
        .filter_map(|name| Some((name, handle(name).ok()?.rights().unwrap_or(Rights::empty()))))
}
