//! The watchdog for native programs: `device:watchdog`.

use crate::Watchdog;
use abi::{Error, Kind, Rights};
use object::{Object, Verb};
use value::{Document, Value};

const VERBS: &[Verb] = &[
    Verb {
        name: "status",
        rights: Rights::INSPECT,
        summary: "gives identity, runs, timeout, pretimeout and left in seconds, reset: it has started the machine",
    },
    Verb {
        name: "start",
        rights: Rights::ADMINISTER,
        summary: "from now on it resets the machine unless it gets a keepalive in time",
    },
    Verb {
        name: "keepalive",
        rights: Rights::ADMINISTER,
        summary: "says that all is well",
    },
    Verb {
        name: "stop",
        rights: Rights::ADMINISTER,
        summary: "it waits no longer",
    },
    Verb {
        name: "set",
        rights: Rights::ADMINISTER,
        summary: "timeout, pretimeout: in seconds",
    },
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
