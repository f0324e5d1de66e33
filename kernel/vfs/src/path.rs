//! From a place back to its path, for `getcwd` and `/proc/self/fd`.
//!
//! The one idea: a place knows the names above it, so its path is read upwards, through mounts, until the root of
//! whoever asks; if that root is never met, the path says so.

use crate::mount::Location;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Begins the path of a place that cannot be reached from the root of whoever asks.
pub const UNREACHABLE: &[u8] = b"(unreachable)";
/// Ends the path of a place whose name is gone.
pub const DELETED: &[u8] = b" (deleted)";

impl Location {
    /// The path of this place as seen from `root`: absolute, without `.`, `..` and links. It begins with
    /// [`UNREACHABLE`] if it does not lie below `root`, and ends with [`DELETED`] if it was removed. Something that
    /// never had a path shows its title.
    pub fn path(&self, root: &Location) -> Vec<u8> {
        let mut names: Vec<Arc<[u8]>> = Vec::new();
        let mut here = self.clone();
        let reached = loop {
            if here.is(root) {
                break true;
            }
            if here.mount.is_root(&here.dentry) {
                match here.mount.covers() {
                    Some(below) => here = below,
                    None => break false,
                }
                continue;
            }
            let volume = here.mount.volume().clone();
            let still = volume.moves.lock();
            // Within one volume nothing may change its parent meanwhile, or the path would never have existed.
            while !here.mount.is_root(&here.dentry) && !here.is(root) {
                names.push(here.dentry.name());
                match here.dentry.parent() {
                    Some(parent) => here.dentry = parent,
                    None => return names.pop().map(|title| title.to_vec()).unwrap_or_default(),
                }
            }
            drop(still);
        };
        let mut path = Vec::new();
        if !reached {
            path.extend_from_slice(UNREACHABLE);
        }
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if names.is_empty() {
            path.push(b'/');
        }
        if self.dentry.is_deleted() {
            path.extend_from_slice(DELETED);
        }
        path
    }
}
