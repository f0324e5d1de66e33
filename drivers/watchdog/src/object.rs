//! The watchdog for native programs: `device:watchdog`.

use crate::Watchdog;
use abi::{Error, Kind, Rights};
use object::{Field, Object, Type, Verb};
use value::{Document, Value};

const VERBS: &[Verb] = &[
    Verb::new(
        "status",
        Rights::INSPECT,
        "tells what it waits for, and how long still",
    )
    .gives(&[
        Field::new("identity", Type::Text),
        Field::new("runs", Type::Boolean),
        Field::new("timeout", Type::Seconds),
        Field::new("pretimeout", Type::Seconds),
        Field::new("left", Type::Seconds),
        Field::new("reset", Type::Boolean).about("it has started the machine"),
    ]),
    Verb::new(
        "start",
        Rights::ADMINISTER,
        "from now on it resets the machine unless it gets a keepalive in time",
    ),
    Verb::new("keepalive", Rights::ADMINISTER, "says that all is well"),
    Verb::new("stop", Rights::ADMINISTER, "makes it wait no longer"),
    Verb::new(
        "set",
        Rights::ADMINISTER,
        "says how long it waits; what is left out stays",
    )
    .takes(&[
        Field::optional("timeout", Type::Seconds),
        Field::optional("pretimeout", Type::Seconds).about("so long before, it warns"),
    ]),
];

impl Object for Watchdog {
    fn kind(&self) -> Kind {
        Kind::Device
    }

    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        // Who has the file has the watchdog.
        if verb != "status" && self.is_open() {
            return Err(Error::Busy);
        }
        match verb {
            "status" => {
                let status = self.status();
                return Ok(Value::build(|reply| {
                    reply
                        .put("identity", self.name())
                        .put("runs", status.runs)
                        .put("timeout", status.timeout)
                        .put("pretimeout", status.pretimeout)
                        .put("left", status.left)
                        .put("reset", status.has_reset);
                })?);
            }
            "start" => self.start(),
            "keepalive" => self.ping(None),
            "stop" => self.stop()?,
            "set" => {
                let seconds = |key| match argument.int(key) {
                    Some(seconds) => u32::try_from(seconds).map(Some).map_err(|_| Error::Invalid),
                    None => Ok(None),
                };
                let (timeout, pretimeout) = (seconds("timeout")?, seconds("pretimeout")?);
                if let Some(seconds) = timeout {
                    self.set_timeout(seconds)?;
                }
                if let Some(seconds) = pretimeout {
                    self.set_pretimeout(seconds)?;
                }
            }
            _ => return Err(Error::NotFound),
        }
        Ok(Value::default())
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }
}
