//! `device:power`: who holds it with `ADMINISTER` may switch the machine off.

use abi::{Error, Kind, Rights};
use object::{Object, Verb};
use value::{Document, Value};

/// The machine's power.
pub struct Power;

impl Object for Power {
    fn kind(&self) -> Kind {
        Kind::Device
    }

    fn request(&self, verb: &str, _: Document<'_>) -> Result<Value, Error> {
        match verb {
            "off" => machine::power::off(),
            "reboot" => machine::power::reset(),
            _ => Err(Error::NotFound),
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }
}

const VERBS: &[Verb] = &[
    Verb::new(
        "off",
        Rights::ADMINISTER,
        "switches the machine off; no reply",
    ),
    Verb::new(
        "reboot",
        Rights::ADMINISTER,
        "starts the machine again; no reply",
    ),
];
