//! `/proc/irq`: where interrupts of devices go (Documentation/core-api/irq/irq-affinity.rst).

use crate::process::Process;
use crate::schedule::affinity::{mask, read_mask};
use abi::{CpuSet, Error, Rights};
use alloc::format;
use alloc::vec::Vec;
use machine::irq::{self, Source};

/// The files in the directory of each interrupt.
pub const FILES: [&str; 4] = [
    EFFECTIVE,
    "effective_affinity_list",
    "smp_affinity",
    "smp_affinity_list",
];
const EFFECTIVE: &str = "effective_affinity";

/// The file beside these directories: where an interrupt may go that is connected from now on.
pub const DEFAULT: &str = "default_smp_affinity";

/// What it says.
pub fn default_text() -> Vec<u8> {
    let set = irq::default_route() & CpuSet::first(machine::cpu::count()).0;
    format!("{}\n", mask(set)).into_bytes()
}

/// The numbers of all that are connected.
pub fn numbers() -> impl Iterator<Item = u32> {
    let mut numbers: Vec<u32> = irq::sources()
        .iter()
        .filter_map(|(source, _)| source.number())
        .collect();
    numbers.sort_unstable();
    numbers.into_iter()
}

/// The source with this number, if it is connected.
fn source(number: u32) -> Result<Source, Error> {
    let sources = irq::sources().into_iter();
    let mut sources = sources.map(|(source, _)| source);
    sources
        .find(|source| source.number() == Some(number))
        .ok_or(Error::NotFound)
}

pub fn check(number: u32) -> Result<(), Error> {
    source(number).map(drop)
}

/// Whether a file can be written.
pub fn is_setting(file: usize) -> bool {
    FILES
        .get(file)
        .is_some_and(|name| !name.starts_with(EFFECTIVE))
}

fn is_list(file: usize) -> bool {
    FILES.get(file).is_some_and(|name| name.ends_with("_list"))
}

/// What a file says.
pub fn text(number: u32, file: usize) -> Result<Vec<u8>, Error> {
    let route = irq::route(source(number)?).ok_or(Error::NotFound)?;
    let set = match is_setting(file) {
        true => route.allowed & CpuSet::first(machine::cpu::count()).0,
        false => 1 << route.cpu,
    };
    let text = match is_list(file) {
        true => format!("{}\n", CpuSet(set)),
        false => format!("{}\n", mask(set)),
    };
    Ok(text.into_bytes())
}

/// Makes an interrupt go to the processors that were written.
///
/// # Errors
/// [`Error::Denied`]: whoever calls may not administer the system. [`Error::Invalid`]: it is no set, or none of it runs.
/// [`Error::Io`]: this interrupt cannot go elsewhere.
pub fn set(number: u32, file: usize, written: &[u8]) -> Result<(), Error> {
    if !may_set() {
        return Err(Error::Denied);
    }
    let text = core::str::from_utf8(written).map_err(|_| Error::Invalid)?;
    let set = match is_list(file) {
        true => text.parse().map(|CpuSet(set)| set).ok(),
        false => read_mask(text),
    };
    let set = set.ok_or(Error::Invalid)?;
    if set & CpuSet::first(machine::cpu::count()).0 == 0 {
        return Err(Error::Invalid);
    }
    irq::set_route(source(number)?, set).map_err(|_| Error::Io)
}

/// It concerns everybody: only for those who may administer all processes.
fn may_set() -> bool {
    let Some(caller) = super::tree::calling_process() else {
        return true;
    };
    let registry = caller.namespace().get("process");
    let has_right = registry.is_ok_and(|handle| handle.check(Rights::ADMINISTER).is_ok());
    has_right && Process::of(&caller).is_none_or(|process| process.names_registries())
}

/// The longest text that makes sense, in bytes.
pub const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::sync::Arc;

    fn read(number: u32, name: &str) -> Result<String, Error> {
        let file = FILES.iter().position(|file| *file == name).unwrap();
        text(number, file).map(|text| String::from_utf8(text).unwrap())
    }

    fn write(number: u32, name: &str, text: &str) -> Result<(), Error> {
        let file = FILES.iter().position(|file| *file == name).unwrap();
        set(number, file, text.as_bytes())
    }

    #[test]
    fn an_interrupt_goes_where_it_is_told() {
        let machine = machine::host::fresh();
        machine.enter(3);
        machine.enter(0);
        let _guard = irq::legacy(4, "test", Arc::new(|| {}));
        assert!(numbers().eq([4]));
        assert_eq!(read(5, "smp_affinity"), Err(Error::NotFound));
        let all = |number| FILES.map(|name| read(number, name).unwrap());
        assert_eq!(all(4), ["1\n", "0\n", "f\n", "0-3\n"]);
        assert_eq!(default_text(), b"f\n");
        write(4, "smp_affinity", "c\n").unwrap();
        assert_eq!(all(4), ["4\n", "2\n", "c\n", "2-3\n"]);
        // It stays where it is, if it may.
        write(4, "smp_affinity_list", "1-2").unwrap();
        assert_eq!(all(4), ["4\n", "2\n", "6\n", "1-2\n"]);
        for wrong in ["", "x", "10", "0"] {
            assert_eq!(write(4, "smp_affinity", wrong), Err(Error::Invalid));
        }
        assert_eq!(write(4, "smp_affinity_list", "4"), Err(Error::Invalid));
        assert!(is_setting(2) && is_setting(3) && !is_setting(0) && !is_setting(1));
        // A device that cannot be told where.
        let message = irq::message("test", Arc::new(|| {})).unwrap();
        let number = 16 + message.data;
        assert_eq!(write(number, "smp_affinity", "2"), Err(Error::Io));
    }
}
