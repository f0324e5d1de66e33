//! Makes sure that the programs which the tool needs are there: installs them where it may, else names the command.

use crate::progress::say;
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something that must be on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    name: &'static str,
    is_program: bool,
    package: &'static str,
}

impl Need {
    /// A program on the path, and the Debian package that brings it.
    pub const fn program(name: &'static str, package: &'static str) -> Need {
        Need {
            name,
            is_program: true,
            package,
        }
    }

    /// A file, and the Debian package that brings it.
    pub const fn file(path: &'static str, package: &'static str) -> Need {
        Need {
            name: path,
            is_program: false,
            package,
        }
    }

    fn met(&self) -> bool {
        if self.is_program {
            find_program(self.name).is_some()
        } else {
            Path::new(self.name).exists()
        }
    }
}

/// QEMU itself.
pub const QEMU: Need = Need::program("qemu-system-x86_64", "qemu-system-x86");

/// Where a program is on the path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Whether this process may install packages.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns when all needs are met. As root on Debian or Ubuntu it installs the missing packages, showing the command;
/// elsewhere the error says what to type.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let mut missing: Vec<&str> = needs
        .iter()
        .filter(|need| !need.met())
        .map(|need| need.package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let system = System::read();
    if !(is_root() && system == System::Debian) {
        bail!(
            "{} is missing; install it with:\n\n    {}\n",
            names(needs),
            system.command(&missing, is_root())
        );
    }
    say(format!(
        "{} is missing; as root on Debian, installing it:",
        names(needs)
    ));
    let mut install = vec!["install", "-y"];
    install.extend(&missing);
    // A fresh machine has no package lists, and old lists name versions that are gone.
    let installed = apt_get(&install)? || (apt_get(&["update"])? && apt_get(&install)?);
    if !installed {
        bail!("apt-get failed; install {} yourself", missing.join(" "));
    }
    match needs.iter().find(|need| !need.met()) {
        None => Ok(()),
        Some(need) => bail!(
            "package {} is installed, but {} is still not there",
            need.package,
            need.name
        ),
    }
}

fn names(needs: &[Need]) -> String {
    let names: Vec<&str> = needs
        .iter()
        .filter(|need| !need.met())
        .map(|need| need.name)
        .collect();
    names.join(", ")
}

fn apt_get(arguments: &[&str]) -> Result<bool> {
    say(format!("+ apt-get {}", arguments.join(" ")));
    // Standard output belongs to the guest's program: apt-get talks on standard error.
    let output = std::io::stderr();
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(rustix::io::dup(&output)?)
        .status()?;
    Ok(status.success())
}

/// What kind of system this is, as far as installing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Debian,
    Fedora,
    Suse,
    Arch,
    Alpine,
    Other,
}

impl System {
    fn read() -> System {
        System::parse(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn parse(os_release: &str) -> System {
        let words = os_release
            .lines()
            .filter_map(|line| {
                line.strip_prefix("ID=")
                    .or_else(|| line.strip_prefix("ID_LIKE="))
            })
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace());
        for word in words {
            match word {
                "debian" | "ubuntu" => return System::Debian,
                "fedora" | "rhel" | "centos" => return System::Fedora,
                "suse" | "opensuse" | "opensuse-tumbleweed" => return System::Suse,
                "arch" => return System::Arch,
                "alpine" => return System::Alpine,
                _ => {}
            }
        }
        System::Other
    }

    /// The exact command where it is known; package names are Debian's elsewhere, except QEMU's.
    fn command(self, packages: &[&str], root: bool) -> String {
        let qemu_only = packages == [QEMU.package];
        let (tool, packages) = match self {
            System::Debian => ("apt-get install -y", packages.join(" ")),
            System::Fedora if qemu_only => ("dnf install -y", "qemu-system-x86-core".into()),
            System::Suse if qemu_only => ("zypper install -y", "qemu-x86".into()),
            System::Arch if qemu_only => ("pacman -S --needed", "qemu-system-x86".into()),
            System::Alpine if qemu_only => ("apk add", "qemu-system-x86_64".into()),
            _ => {
                return format!(
                    "(your system's way to install what Debian calls {})",
                    packages.join(" ")
                );
            }
        };
        format!("{}{tool} {packages}", if root { "" } else { "sudo " })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems() {
        assert_eq!(System::parse("NAME=x\nID=debian\n"), System::Debian);
        assert_eq!(
            System::parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            System::Debian
        );
        assert_eq!(
            System::parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            System::Fedora
        );
        assert_eq!(System::parse(""), System::Other);
    }

    #[test]
    fn commands_are_exact() {
        assert_eq!(
            System::Debian.command(&["qemu-system-x86"], false),
            "sudo apt-get install -y qemu-system-x86"
        );
        assert_eq!(
            System::Fedora.command(&["qemu-system-x86"], true),
            "dnf install -y qemu-system-x86-core"
        );
        assert!(
            System::Other
                .command(&["xorriso"], true)
                .contains("xorriso")
        );
    }

    #[test]
    fn the_path_is_searched() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-here").is_none());
    }
}
