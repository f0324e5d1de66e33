//! `inspect`: what objects say about themselves.

use crate::options::Options;
use crate::{Misuse, failed};
use alloc::string::String;
use helve::{Handle, OpenFlags, Rights, Value, environment, registry};

/// Opens what a URI names; a registry's name with nothing behind the colon is the registry, and `@NAME` is what the
/// shell keeps under that name.
pub fn open(uri: &str, rights: Rights) -> Result<Handle, helve::Error> {
    if uri.starts_with('@') {
        return environment::copy_of_handle(uri);
    }
    match uri.strip_suffix(':') {
        Some(name) => registry::get(name)?.copy(),
        None => registry::open(uri, rights, OpenFlags::empty()),
    }
}

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "")?;
    options.some_operands()?;
    let mut status = 0;
    for uri in options.operands {
        match open(uri, Rights::INSPECT).and_then(|handle| handle.inspect()) {
            Ok(about) => show(&about),
            Err(error) => status = failed("inspect", uri, error),
        }
    }
    Ok(status)
}

/// A value over several lines.
pub fn show(value: &Value) {
    helve::println!("{}", value.as_document().pretty());
}
