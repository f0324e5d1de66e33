//! Registries by name, and objects by URI: `<registry>:<path>`.
//!
//! The handles of registries that were asked for are kept, so opening a file costs one call and not three.

use crate::handle::Handle;
use crate::{path, sys};
use abi::{Error, OpenFlags, Rights};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use spin::Mutex;

static KNOWN: Mutex<BTreeMap<String, Arc<Handle>>> = Mutex::new(BTreeMap::new());

/// The registry of this name in the process's namespace.
///
/// # Errors
/// `NotFound` when the process was given none of that name.
pub fn get(name: &str) -> Result<Arc<Handle>, Error> {
    if let Some(known) = KNOWN.lock().get(name) {
        return Ok(known.clone());
    }
    let handle = Arc::new(Handle::from_number(sys::registry(name)?));
    KNOWN.lock().insert(name.into(), handle.clone());
    Ok(handle)
}

/// Opens a URI. Without a registry's name it is a file, relative to the current directory.
///
/// # Errors
/// `NotFound`, `Denied`, `Exists` and whatever else the registry says.
pub fn open(uri: &str, rights: Rights, flags: OpenFlags) -> Result<Handle, Error> {
    match path::split_registry(uri) {
        Some(("file", path)) if !path.starts_with('/') => {
            get("file")?.open(&path::join("/", path), rights, flags)
        }
        Some((registry, path)) => get(registry)?.open(path, rights, flags),
        None => {
            let directory = crate::environment::current_directory();
            get("file")?.open(&path::join(&directory, uri), rights, flags)
        }
    }
}
