//! Where things are: the source tree, its packages, and the directories that the tool writes to.

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::fs;
use std::path::{Path, PathBuf};

/// The source tree of Helve, as cargo sees it.
#[derive(Debug)]
pub struct Workspace {
    metadata: Metadata,
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
        let metadata = MetadataCommand::new()
            .cargo_path(cargo())
            .manifest_path(manifest)
            .no_deps()
            .exec()
            .context("cargo cannot read the workspace")?;
        Ok(Workspace { metadata })
    }

    /// The top of the source tree.
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Cargo's target directory.
    pub fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// A directory below the target directory, made if it is not there.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.target().join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// The packages of the workspace.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.metadata.packages.iter()
    }

    /// The packages whose manifests are below `folder` of the tree.
    pub fn packages_below(&self, folder: &str) -> Vec<&Package> {
        let folder = self.root().join(folder);
        self.packages()
            .filter(|package| package.manifest_path.as_std_path().starts_with(&folder))
            .collect()
    }
}

/// The cargo that runs us, or the one on the path.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
