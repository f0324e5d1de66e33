//! Where things are: the source tree, its packages, and the directories that the tool writes to.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The source tree of Helve, as cargo sees it.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The folder of its manifest.
    pub folder: PathBuf,
    /// Whether it has a library with tests.
    pub has_library_tests: bool,
}

impl Workspace {
    /// Finds the tree that this program was built from.
    pub fn find() -> Result<Workspace> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        if !manifest.exists() {
            bail!(
                "the source tree is no longer at {}; build `helve` again where it is now",
                env!("CARGO_MANIFEST_DIR")
            );
        }
        let output = Command::new(cargo())
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(manifest)
            .stdin(Stdio::null())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("cargo cannot read the workspace:\n{}", why.trim_end());
        }
        parse(&output.stdout).context("cargo describes the workspace in an unknown way")
    }

    /// The top of the source tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A directory below the target directory, made if it is not there.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.target().join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// The packages of the workspace.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The packages whose manifests are below `folder` of the tree.
    pub fn packages_below(&self, folder: &str) -> impl Iterator<Item = &Package> {
        let folder = self.root().join(folder);
        self.packages
            .iter()
            .filter(move |package| package.folder.starts_with(&folder))
    }
}

/// Reads what `cargo metadata` prints.
fn parse(metadata: &[u8]) -> Option<Workspace> {
    let metadata: Value = serde_json::from_slice(metadata).ok()?;
    let packages = metadata["packages"].as_array()?.iter().map(|package| {
        let library = |target: &Value| {
            let kinds = target["kind"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
                && target["test"] == true
        };
        Some(Package {
            name: package["name"].as_str()?.into(),
            folder: Path::new(package["manifest_path"].as_str()?)
                .parent()?
                .into(),
            has_library_tests: package["targets"].as_array()?.iter().any(library),
        })
    });
    Some(Workspace {
        root: metadata["workspace_root"].as_str()?.into(),
        target: metadata["target_directory"].as_str()?.into(),
        packages: packages.collect::<Option<_>>()?,
    })
}

/// The cargo that runs us, or the one on the path.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_found() {
        let workspace = Workspace::find().unwrap();
        let host = workspace.packages_below("host").next().unwrap();
        assert_eq!((host.name.as_str(), host.has_library_tests), ("host", true));
        assert!(workspace.root().join("host").ends_with("host"));
    }
}
