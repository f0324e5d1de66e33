//! Builds the kernel and derives from it what boots: the image without debug information, and its symbols.

use crate::cargo;
use crate::elf;
use crate::progress::Show;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Cargo profile of the kernel and the native programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Optimised: cargo profile `kernel`.
    #[default]
    Release,
    /// With debug assertions: cargo profile `dev`.
    Debug,
}

impl Profile {
    /// With debug assertions, or without.
    pub fn of(debug: bool) -> Profile {
        if debug {
            Profile::Debug
        } else {
            Profile::Release
        }
    }

    /// Its name for cargo.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Release => "kernel",
            Profile::Debug => "dev",
        }
    }
}

/// A kernel ready to boot.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The linked file with symbols and line tables, for debuggers.
    pub linked: PathBuf,
    /// The file that is booted.
    pub image: PathBuf,
    /// Text for `/boot/symbols` (see [`elf::symbols`]).
    pub symbols: PathBuf,
}

impl Kernel {
    /// Builds the kernel if its source changed.
    pub fn build(workspace: &Workspace, profile: Profile, show: Show) -> Result<Kernel> {
        let toolchain = Toolchain::find()?;
        show.say(toolchain.describe());
        let mut command = cargo::command(workspace, "build");
        command.args([
            "-p",
            "start",
            "--bin",
            "helve-kernel",
            "--profile",
            profile.name(),
        ]);
        command
            .arg("--target-dir")
            .arg(toolchain.directory(workspace));
        toolchain.apply(&mut command);
        let programs = cargo::build(command, "the kernel", show)?;
        let linked = programs
            .into_iter()
            .find(|program| program.name == "helve-kernel")
            .context("cargo made no kernel")?
            .path;
        let kernel = Kernel {
            image: linked.with_extension("image"),
            symbols: linked.with_extension("symbols"),
            linked,
        };
        kernel.derive()?;
        Ok(kernel)
    }

    /// A kernel that was built before: the image that lies beside its linked file and its symbols.
    pub fn at(image: &Path) -> Result<Kernel> {
        let kernel = Kernel {
            linked: image.with_extension(""),
            image: image.to_path_buf(),
            symbols: image.with_extension("symbols"),
        };
        for file in [&kernel.image, &kernel.symbols] {
            fs::metadata(file).with_context(|| format!("no kernel: {}", file.display()))?;
        }
        Ok(kernel)
    }

    /// Writes image and symbols unless they were made from this very linked file, whose time they carry.
    fn derive(&self) -> Result<()> {
        let linked_at = fs::metadata(&self.linked)?.modified()?;
        let fresh = |path: &Path| {
            fs::metadata(path)
                .and_then(|data| data.modified())
                .is_ok_and(|at| at == linked_at)
        };
        if fresh(&self.image) && fresh(&self.symbols) {
            return Ok(());
        }
        let bytes = fs::read(&self.linked)?;
        replace(&self.symbols, elf::symbols(&bytes)?.as_bytes(), linked_at)?;
        replace(&self.image, &elf::strip(&bytes)?, linked_at)
    }
}

/// Writes a file so that another process sees the old one or the new one, never half of it.
fn replace(path: &Path, contents: &[u8], time: SystemTime) -> Result<()> {
    let directory = path.parent().context("no directory")?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(contents)?;
    file.as_file().set_modified(time)?;
    file.persist(path)?;
    Ok(())
}
