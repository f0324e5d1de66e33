//! `poweroff` and `reboot`.

use crate::options::Options;
use crate::{Misuse, failed};
use alloc::string::String;
use helve::system;

pub fn off(arguments: &[String]) -> Result<u8, Misuse> {
    Options::new(arguments, "f")?.no_operands()?;
    Ok(system::power_off().map_or_else(|error| failed("poweroff", "device:power", error), |()| 0))
}

pub fn reboot(arguments: &[String]) -> Result<u8, Misuse> {
    Options::new(arguments, "f")?.no_operands()?;
    Ok(system::reboot().map_or_else(|error| failed("reboot", "device:power", error), |()| 0))
}
