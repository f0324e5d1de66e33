//! QEMU as this tool uses it: one description of the machine for every command.

pub mod accelerator;
pub mod serial;

pub use accelerator::{Accelerator, Choice};

use crate::children;
use anyhow::Result;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The I/O port of the test device, by which a guest ends the machine with a status.
const TEST_DEVICE: &str = "isa-debug-exit,iobase=0xf4,iosize=4";

/// What the machine starts from.
#[derive(Debug, Clone)]
pub enum Boot {
    /// A kernel loaded by QEMU (PVH, or Linux's own protocol).
    Kernel {
        image: PathBuf,
        initramfs: Option<PathBuf>,
        command_line: String,
    },
    /// A CD image through firmware: SeaBIOS, or UEFI code with its variable store.
    Disc { image: PathBuf, uefi: Option<Uefi> },
}

/// UEFI firmware in two flash files.
#[derive(Debug, Clone)]
pub struct Uefi {
    /// Read-only code.
    pub code: PathBuf,
    /// A private copy of the variables.
    pub variables: PathBuf,
}

/// A virtual machine to start.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Bytes of memory, a whole number of MiB.
    pub memory: u64,
    /// Number of CPUs.
    pub cpus: u32,
    /// How it runs.
    pub accelerator: Accelerator,
    /// What it starts from.
    pub boot: Boot,
    /// Further arguments: devices and character devices.
    pub devices: Vec<OsString>,
}

impl Machine {
    /// QEMU's arguments.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut all: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| all.extend(words.iter().map(OsString::from));
        // Firmware that finds no disk controllers has nothing to wait for.
        let chipset = match self.boot {
            Boot::Kernel { .. } => "q35,sata=off,smbus=off",
            Boot::Disc { .. } => "q35",
        };
        add(&[
            "-M",
            chipset,
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        add(&["-device", TEST_DEVICE]);
        add(&[
            "-m",
            &format!("{}M", self.memory >> 20),
            "-smp",
            &self.cpus.to_string(),
        ]);
        add(self.accelerator.arguments());
        match &self.boot {
            Boot::Kernel {
                image,
                initramfs,
                command_line,
            } => {
                all.extend(["-kernel".into(), image.into()]);
                if let Some(initramfs) = initramfs {
                    all.extend(["-initrd".into(), initramfs.into()]);
                }
                all.extend(["-append".into(), command_line.into()]);
            }
            Boot::Disc { image, uefi } => {
                if let Some(uefi) = uefi {
                    all.extend([
                        "-drive".into(),
                        option("if=pflash,format=raw,readonly=on,file=", &uefi.code),
                    ]);
                    all.extend([
                        "-drive".into(),
                        option("if=pflash,format=raw,file=", &uefi.variables),
                    ]);
                }
                all.extend([
                    "-drive".into(),
                    option("if=ide,media=cdrom,format=raw,readonly=on,file=", image),
                ]);
            }
        }
        all.extend(self.devices.iter().cloned());
        all
    }

    /// The command that starts it; QEMU dies with this process.
    pub fn command(&self) -> Result<Command> {
        children::command(OsStr::new("qemu-system-x86_64"), &self.arguments())
    }
}

/// `prefix` and a path inside a QEMU option list, where a comma must be doubled.
pub fn option(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(escaped(path.as_os_str()));
    text
}

fn escaped(text: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = Vec::with_capacity(text.len());
    for &byte in text.as_bytes() {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_describe_the_machine() {
        let machine = Machine {
            memory: 256 << 20,
            cpus: 2,
            accelerator: Accelerator::tcg("because"),
            boot: Boot::Kernel {
                image: "/k".into(),
                initramfs: Some("/i,n".into()),
                command_line: "console=ttyS0 quiet".into(),
            },
            devices: vec!["-serial".into(), "stdio".into()],
        };
        let arguments = machine.arguments();
        let pair = |first: &str, second: &str| {
            arguments
                .windows(2)
                .any(|two| two[0] == first && two[1] == second)
        };
        assert!(
            pair("-m", "256M")
                && pair("-smp", "2")
                && pair("-accel", "tcg,thread=multi")
                && pair("-cpu", "max")
        );
        assert!(
            pair("-kernel", "/k")
                && pair("-initrd", "/i,n")
                && pair("-append", "console=ttyS0 quiet")
        );
        // Lists of options are split at commas, plain arguments are not.
        assert_eq!(option("file=", Path::new("/i,n")), "file=/i,,n");
        assert!(pair("-serial", "stdio") && arguments.contains(&"-nodefaults".into()));
    }
}
