//! Chooses between KVM and software emulation (TCG).
//!
//! A KVM device that opens is no promise: some hosts emulate it in ways that cannot run an unmodified kernel. So Helve's own
//! kernel is booted once, with `probe` on its command line, and must start user mode and say so. The answer is kept until the
//! machine is booted again.

use super::serial::SerialGuest;
use super::{Boot, Machine};
use crate::kernel::Kernel;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// The line by which the kernel says that it has been to user mode and back.
const MARKER: &str = "helve: probe ok";

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Choice {
    /// KVM if it truly works, else TCG
    #[default]
    Auto,
    /// KVM, without asking whether it works
    Kvm,
    /// Software emulation
    Tcg,
}

/// How a machine runs, and why so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accelerator {
    kind: Kind,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kvm,
    Tcg,
    /// TCG that counts instructions instead of time: repeatable, and the guest's clock is not the host's.
    Counting,
}

impl Accelerator {
    /// Software emulation.
    pub fn tcg(why: &str) -> Accelerator {
        Accelerator {
            kind: Kind::Tcg,
            why: why.into(),
        }
    }

    /// KVM.
    pub fn kvm(why: &str) -> Accelerator {
        Accelerator {
            kind: Kind::Kvm,
            why: why.into(),
        }
    }

    /// Software emulation in which an instruction takes exactly one nanosecond.
    pub fn counting() -> Accelerator {
        Accelerator {
            kind: Kind::Counting,
            why: "instructions are counted (--icount)".into(),
        }
    }

    /// Decides. Builds nothing: the kernel for the probe is given.
    pub fn choose(choice: Choice, workspace: &Workspace, kernel: &Kernel) -> Result<Accelerator> {
        match choice {
            Choice::Tcg => Ok(Accelerator::tcg("asked for")),
            Choice::Kvm => match fs::File::options().read(true).write(true).open("/dev/kvm") {
                Ok(_) => Ok(Accelerator::kvm("asked for")),
                Err(error) => bail!("/dev/kvm cannot be opened: {error}"),
            },
            Choice::Auto => match fs::File::options().read(true).write(true).open("/dev/kvm") {
                Ok(_) => probe_once(workspace, kernel),
                Err(error) => Ok(Accelerator::tcg(&format!(
                    "/dev/kvm cannot be opened: {error}"
                ))),
            },
        }
    }

    /// One line for the user.
    pub fn describe(&self) -> String {
        let name = match self.kind {
            Kind::Kvm => "KVM",
            Kind::Tcg | Kind::Counting => "software emulation (TCG)",
        };
        format!("running with {name}: {}", self.why)
    }

    /// Whether it is KVM.
    pub fn is_kvm(&self) -> bool {
        self.kind == Kind::Kvm
    }

    /// A factor for time limits: emulation is slow.
    pub fn patience(&self) -> u32 {
        if self.kind == Kind::Kvm { 1 } else { 4 }
    }

    /// QEMU's arguments for it.
    pub fn arguments(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Kvm => &["-accel", "kvm", "-cpu", "host"],
            // With a thread for each CPU, whatever QEMU would choose.
            Kind::Tcg => &["-accel", "tcg,thread=multi", "-cpu", "max"],
            Kind::Counting => &[
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-icount",
                "shift=0,sleep=off",
            ],
        }
    }
}

/// The kept answer, or a new one.
fn probe_once(workspace: &Workspace, kernel: &Kernel) -> Result<Accelerator> {
    let file = workspace.directory("helve")?.join("accelerator");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let image = fs::metadata(&kernel.image)?;
    let this_kernel = format!("{}.{}", image.mtime(), image.mtime_nsec());
    // A "no" may be the kernel's own fault, so it holds for this kernel only.
    let (yes, no) = (
        format!("{} kvm", boot.trim()),
        format!("{} tcg {this_kernel}", boot.trim()),
    );
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let works = if kept == yes {
        true
    } else if kept == no {
        false
    } else {
        let works = probe(kernel);
        fs::write(&file, if works { yes } else { no })?;
        works
    };
    Ok(if works {
        Accelerator::kvm("/dev/kvm runs an unmodified kernel")
    } else {
        Accelerator::tcg("/dev/kvm opens, but does not run an unmodified kernel")
    })
}

fn probe(kernel: &Kernel) -> bool {
    let machine = Machine {
        memory: 64 << 20,
        cpus: 1,
        accelerator: Accelerator::kvm("probe"),
        boot: Boot::Kernel {
            image: kernel.image.clone(),
            initramfs: None,
            command_line: "probe console=ttyS0 quiet panic=-1".into(),
        },
        devices: Vec::new(),
    };
    SerialGuest::start_silently(&machine)
        .and_then(|mut guest| guest.expect(MARKER, Duration::from_secs(2)))
        .is_ok()
}
