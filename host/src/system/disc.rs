//! The disc image under both kinds of firmware.

use super::shell::PROMPT;
use super::{Context, Test};
use crate::image;
use crate::packages::{self, Need};
use crate::progress::Show;
use crate::qemu::serial::SerialGuest;
use crate::qemu::{Boot, Machine, Uefi};
use crate::scratch::Scratch;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::time::Duration;

/// The longest time from power on to the shell with a fast machine: firmware, GRUB and Helve.
const LIMIT: Duration = Duration::from_secs(60);

/// UEFI code and an empty variable store, from Debian's package.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

pub fn tests() -> Vec<Test> {
    vec![Test::new("image/bios", bios), Test::new("image/uefi", uefi)]
}

fn bios(context: &Context) -> Result<()> {
    boot(context, false)
}

fn uefi(context: &Context) -> Result<()> {
    packages::ensure(&[Need::file(CODE, "ovmf")])?;
    boot(context, true)
}

fn boot(context: &Context, firmware: bool) -> Result<()> {
    let scratch = Scratch::new()?;
    let disc = scratch.path().join("helve.iso");
    image::write(
        &context.kernel,
        context.initramfs()?,
        "",
        &disc,
        Show::OnFailure,
    )?;
    let uefi = if firmware {
        let variables = scratch.path().join("variables");
        fs::copy(VARIABLES, &variables)?;
        Some(Uefi {
            code: CODE.into(),
            variables,
        })
    } else {
        None
    };
    let machine = Machine {
        memory: 256 << 20,
        cpus: context.cpus,
        accelerator: context.accelerator.clone(),
        boot: Boot::Disc { image: disc, uefi },
        devices: Vec::new(),
    };
    let limit = LIMIT * context.accelerator.patience();
    let mut guest = SerialGuest::start(&machine)?;
    guest
        .expect(PROMPT, limit)
        .with_context(|| guest.output())?;
    guest.type_text("poweroff\r")?;
    let status = guest.finish(limit).with_context(|| guest.output())?;
    ensure!(
        status.success(),
        "QEMU ended with {status}:\n{}",
        guest.output()
    );
    Ok(())
}
