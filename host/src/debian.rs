//! Debian packages as material for tests and benchmarks: downloaded once, unpacked in the target directory, not installed.

use crate::deb;
use crate::packages::{find_program, is_root};
use crate::progress::{Show, say};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A downloaded and unpacked package.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its files, as below the root directory of a system that has it.
    pub files: PathBuf,
    /// Its version.
    pub version: String,
    /// The names of the packages that it depends on.
    pub dependencies: Vec<String>,
}

/// Gets a package by name from the system's own apt sources. The one that is in the cache stays, however old.
pub fn package(workspace: &Workspace, name: &str, show: Show) -> Result<Package> {
    let cache = workspace.directory("debian")?;
    let archive = match cached(&cache, name)? {
        Some(archive) => archive,
        None => download(&cache, name, show)?,
    };
    let control = deb::control(fs::File::open(&archive)?)?;
    let version = control.get("Version").cloned().unwrap_or_default();
    let files = archive.with_extension("files");
    if !files.exists() {
        let half = tempfile::tempdir_in(&cache)?;
        deb::unpack(&archive, half.path())?;
        // Another process may have been faster, which is as good.
        if let Err(error) = fs::rename(half.keep(), &files)
            && !files.exists()
        {
            return Err(error).context("cannot keep the unpacked package");
        }
    }
    let dependencies = control
        .get("Depends")
        .map(|field| deb::dependencies(field))
        .unwrap_or_default();
    Ok(Package {
        files,
        version,
        dependencies,
    })
}

/// Debian's kernel for virtual machines: its bzImage and its version.
pub fn linux(workspace: &Workspace, show: Show) -> Result<(PathBuf, String)> {
    let latest = package(workspace, "linux-image-cloud-amd64", show)?;
    let name = latest
        .dependencies
        .iter()
        .find(|name| name.starts_with("linux-image-"));
    let image = package(
        workspace,
        name.context("linux-image-cloud-amd64 depends on no image")?,
        show,
    )?;
    let kernel = fs::read_dir(image.files.join("boot"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        })
        .context("the Linux package has no kernel")?;
    Ok((kernel, image.version))
}

/// Debian's programs that measure latencies.
#[derive(Debug, Clone)]
pub struct RtTests {
    /// Where its files are, and those of its libraries.
    pub roots: Vec<PathBuf>,
    pub version: String,
}

impl RtTests {
    /// One of its programs, by name.
    pub fn program(&self, name: &str) -> PathBuf {
        self.roots[0].join("usr/bin").join(name)
    }
}

/// The package `rt-tests`, and the one library of it that not every machine has.
pub fn rt_tests(workspace: &Workspace, show: Show) -> Result<RtTests> {
    let programs = package(workspace, "rt-tests", show)?;
    let library = package(workspace, "libnuma1", show)?;
    Ok(RtTests {
        roots: vec![programs.files, library.files],
        version: programs.version,
    })
}

/// The package `numactl`: its program, and where its files and those of its library are.
pub fn numactl(workspace: &Workspace, show: Show) -> Result<(PathBuf, Vec<PathBuf>)> {
    let program = package(workspace, "numactl", show)?.files;
    let library = package(workspace, "libnuma1", show)?.files;
    Ok((program.join("usr/bin/numactl"), vec![program, library]))
}

/// The package `util-linux`'s `lscpu`.
pub fn lscpu(workspace: &Workspace, show: Show) -> Result<(PathBuf, Vec<PathBuf>)> {
    let programs = package(workspace, "util-linux", show)?.files;
    Ok((programs.join("usr/bin/lscpu"), vec![programs]))
}

fn cached(cache: &Path, name: &str) -> Result<Option<PathBuf>> {
    let prefix = format!("{name}_");
    let mut found: Vec<PathBuf> = fs::read_dir(cache)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    found.sort();
    Ok(found.pop())
}

fn download(cache: &Path, name: &str, show: Show) -> Result<PathBuf> {
    if find_program("apt-get").is_none() {
        bail!("Debian package {name} is needed, and there is no apt-get here to download it");
    }
    let _step = show.step(&format!("downloading Debian package {name}"));
    let directory = tempfile::tempdir_in(cache)?;
    // Lists may be missing on a fresh machine, or name versions that are gone.
    let get = || apt_get(&["download", name], directory.path());
    let downloaded = get()? || (is_root() && apt_get(&["update"], directory.path())? && get()?);
    if !downloaded {
        let advice = if is_root() {
            ""
        } else {
            " (the package lists may be too old: `sudo apt-get update`)"
        };
        bail!("apt-get cannot download {name}{advice}");
    }
    let file = fs::read_dir(directory.path())?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().ends_with(".deb"))
        .with_context(|| format!("apt-get downloaded no {name}"))?;
    let kept = cache.join(file.file_name());
    fs::rename(file.path(), &kept)?;
    Ok(kept)
}

fn apt_get(arguments: &[&str], directory: &Path) -> Result<bool> {
    let output = Command::new("apt-get")
        // As root, apt would give up its rights to a user who may not write here.
        .args(["-q", "-o", "APT::Sandbox::User=root"])
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        say(format!(
            "apt-get {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(output.status.success())
}
