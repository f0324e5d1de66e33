//! Finds a compiler for the kernel's target, `x86_64-unknown-none`, in three ways, and says which.

use crate::packages::{self, Need};
use crate::progress::say;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kernel's target.
pub const TARGET: &str = "x86_64-unknown-none";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A way to compile for [`TARGET`].
#[derive(Debug, Clone)]
pub enum Toolchain {
    /// The active toolchain has the target.
    Installed,
    /// rustup added the target just now.
    Added,
    /// Debian's web compiler with its own library source; the linker comes from elsewhere.
    Debian {
        /// A flavour of lld.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds a way, installing what is missing where that is possible.
    pub fn find() -> Result<Toolchain> {
        if has_target() {
            return Ok(Toolchain::Installed);
        }
        say(format!(
            "the Rust target {TARGET} is not installed; trying `rustup target add {TARGET}`"
        ));
        let added = Command::new("rustup")
            .args(["target", "add", TARGET])
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .status();
        if added.is_ok_and(|status| status.success()) && has_target() {
            return Ok(Toolchain::Added);
        }
        say("rustup cannot add it; trying Debian's rustc-web, which brings the library's source");
        debian()
    }

    /// One line for the user.
    pub fn describe(&self) -> String {
        match self {
            Toolchain::Installed => {
                format!("the kernel is built by the active toolchain for {TARGET}")
            }
            Toolchain::Added => {
                format!("the kernel is built for {TARGET}, which rustup just added")
            }
            Toolchain::Debian { linker } => format!(
                "the kernel is built by Debian's rustc-web with its own core and alloc, linked by {}",
                linker.display()
            ),
        }
    }

    /// Makes a cargo command build for [`TARGET`] this way.
    pub fn apply(&self, command: &mut Command) {
        command.args(["--target", TARGET]);
        if let Toolchain::Debian { linker } = self {
            // Debian's compiler is the one that its library source belongs to; building that source asks for the switch.
            command.args([
                "-Zbuild-std=core,alloc",
                "-Zbuild-std-features=compiler-builtins-mem",
            ]);
            command
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1");
            command.env("CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER", linker);
        }
    }

    /// A word that differs when objects must not be shared, for the name of the target directory.
    pub fn directory(&self, workspace: &Workspace) -> PathBuf {
        workspace.target().join(match self {
            Toolchain::Installed | Toolchain::Added => "kernel",
            Toolchain::Debian { .. } => "kernel-debian",
        })
    }
}

fn has_target() -> bool {
    printed(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .and_then(|directory| std::fs::read_dir(directory).ok())
        .is_some_and(|files| {
            files
                .flatten()
                .any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
        })
}

fn printed(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

fn debian() -> Result<Toolchain> {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/core/src/lib.rs");
    packages::ensure(
        &[Need::file(DEBIAN_RUSTC, "rustc-web"), Need::file("/usr/lib/rustlib/src/rust/library/core/src/lib.rs", "rust-web-src")],

    )
    .with_context(|| {
        format!("no compiler for {TARGET}: install Rust with rustup and run `rustup target add {TARGET}`")
    })?;
    if !source.exists() {
        bail!("rust-web-src has no {}", source.display());
    }
    Ok(Toolchain::Debian { linker: linker()? })
}

/// The active toolchain's own `rust-lld`, or Debian's `lld`.
fn linker() -> Result<PathBuf> {
    if let Some(sysroot) = printed(Command::new("rustc").args(["--print", "sysroot"])) {
        let own = Path::new(&sysroot).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
        if own.exists() {
            return Ok(own);
        }
    }
    packages::ensure(&[Need::program("ld.lld", "lld")])?;
    Ok(PathBuf::from("ld.lld"))
}
