//! ioctl(2) for `/dev/watchdog` (Documentation/watchdog/watchdog-api.rst, include/uapi/linux/watchdog.h).

use crate::call::Call;
use crate::errno::{Answer, Errno};
use ::watchdog::{Status, Watchdog};
use zerocopy::{Immutable, IntoBytes};

const WDIOC_GETSUPPORT: u64 = 0x8028_5700;
const WDIOC_GETSTATUS: u64 = 0x8004_5701;
const WDIOC_GETBOOTSTATUS: u64 = 0x8004_5702;
const WDIOC_SETOPTIONS: u64 = 0x8004_5704;
const WDIOC_KEEPALIVE: u64 = 0x8004_5705;
const WDIOC_SETTIMEOUT: u64 = 0xc004_5706;
const WDIOC_GETTIMEOUT: u64 = 0x8004_5707;
const WDIOC_SETPRETIMEOUT: u64 = 0xc004_5708;
const WDIOC_GETPRETIMEOUT: u64 = 0x8004_5709;
const WDIOC_GETTIMELEFT: u64 = 0x8004_570a;

const WDIOF_CARDRESET: u32 = 0x20;
const WDIOF_SETTIMEOUT: u32 = 0x80;
const WDIOF_MAGICCLOSE: u32 = 0x100;
const WDIOF_PRETIMEOUT: u32 = 0x200;
const WDIOF_KEEPALIVEPING: u32 = 0x8000;

const WDIOS_DISABLECARD: u32 = 1;
const WDIOS_ENABLECARD: u32 = 2;

/// `struct watchdog_info`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Info {
    options: u32,
    firmware: u32,
    identity: [u8; 32],
}

pub async fn request(call: &Call<'_>, dog: &Watchdog, request: u64, argument: u64) -> Answer {
    match request {
        WDIOC_GETSUPPORT => {
            let mut identity = [0; 32];
            let name = dog.name().as_bytes().iter().take(31);
            identity
                .iter_mut()
                .zip(name)
                .for_each(|(to, from)| *to = *from);
            let info = Info {
                options: WDIOF_SETTIMEOUT
                    | WDIOF_MAGICCLOSE
                    | WDIOF_KEEPALIVEPING
                    | WDIOF_PRETIMEOUT,
                firmware: 0,
                identity,
            };
            call.write(argument, &info).await?;
        }
        WDIOC_GETSTATUS => {
            let mut bits = boot_status(&dog.status());
            if dog.status().may_stop {
                bits |= WDIOF_MAGICCLOSE;
            }
            if dog.take_pinged() {
                bits |= WDIOF_KEEPALIVEPING;
            }
            call.write(argument, &bits).await?;
        }
        WDIOC_GETBOOTSTATUS => call.write(argument, &boot_status(&dog.status())).await?,
        WDIOC_SETOPTIONS => {
            let options: u32 = call.read(argument).await?;
            if options & (WDIOS_DISABLECARD | WDIOS_ENABLECARD) == 0 {
                return Err(Errno::ENOTTY);
            }
            if options & WDIOS_DISABLECARD != 0 {
                dog.stop()?;
            }
            if options & WDIOS_ENABLECARD != 0 {
                dog.start();
            }
        }
        WDIOC_KEEPALIVE => dog.ping(None),
        WDIOC_SETTIMEOUT => {
            dog.set_timeout(call.read(argument).await?)?;
            call.write(argument, &dog.status().timeout).await?;
        }
        WDIOC_GETTIMEOUT => call.write(argument, &dog.status().timeout).await?,
        WDIOC_SETPRETIMEOUT => dog.set_pretimeout(call.read(argument).await?)?,
        WDIOC_GETPRETIMEOUT => call.write(argument, &dog.status().pretimeout).await?,
        WDIOC_GETTIMELEFT => call.write(argument, &dog.status().left).await?,
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// Why the machine was started the last time.
fn boot_status(status: &Status) -> u32 {
    match status.has_reset {
        true => WDIOF_CARDRESET,
        false => 0,
    }
}
