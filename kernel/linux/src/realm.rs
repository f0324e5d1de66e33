//! Which other processes a process knows of.
//!
//! The one idea: numbers of processes are names for everybody in Linux, and nothing is for everybody in Helve. What a
//! native program or the kernel starts begins a realm, and forked children stay in it. A process knows those of its
//! realm, whatever descends from them, and all others only if its namespace has the registry `process:`. What it does
//! not know is not there: no number, no signal, nothing below `/proc`.

use crate::cgroup::Hierarchy;
use crate::process::Process;
use abi::Rights;
use alloc::sync::Arc;
use vfs::Location;

/// All processes that descend from one start by forking. Told apart by where it lies in memory.
pub struct Realm {
    /// The root that the first of them was given.
    root: Location,
    cgroups: Arc<Hierarchy>,
}

impl Realm {
    /// One that sees this root and these cgroups.
    pub fn begin(root: Location, cgroups: Arc<Hierarchy>) -> Arc<Realm> {
        Arc::new(Realm { root, cgroups })
    }

    /// Its cgroups.
    pub fn cgroups(&self) -> &Arc<Hierarchy> {
        &self.cgroups
    }
}

impl Process {
    /// Whether it may still name the registries that its realm was given. Their handles know nothing of users and new
    /// roots: for whoever gave up either, they are gone.
    pub fn names_registries(&self) -> bool {
        self.identity().files.uid == 0 && self.standing().root.is(&self.realm.root)
    }
}

/// Whether `caller` knows that `other` is there (`rights` is `LIST`) or may do something with it (`SIGNAL`). What
/// mode bits and user numbers say comes on top. Cost: constant within a realm, else the generations between them.
pub fn knows(caller: &process::Process, other: &Arc<process::Process>, rights: Rights) -> bool {
    reaches(caller, other) || {
        let registry = caller.namespace().get("process");
        registry.is_ok_and(|registry| registry.check(rights).is_ok())
    }
}

/// Whether `other` is in the caller's realm or descends from it: then what is open there was within the caller's reach
/// anyhow.
pub fn reaches(caller: &process::Process, other: &Arc<process::Process>) -> bool {
    let realm = realm_of(caller);
    let mut next = Some(other.clone());
    while let Some(process) = next {
        let same = || realm.is_some() && realm_of(&process) == realm;
        if process.id() == caller.id() || same() {
            return true;
        }
        next = process.parent();
    }
    false
}

/// Whether `caller` may see what `other` has open, maps and keeps in its memory: within reach, and of the same user
/// unless the caller is uid 0 (what ptrace(2) calls access mode).
pub fn looks_into(caller: &process::Process, other: &Arc<process::Process>) -> bool {
    if !reaches(caller, other) {
        return false;
    }
    let (Some(mine), Some(theirs)) = (Process::of(caller), Process::of(other)) else {
        return true;
    };
    let (uid, them) = (mine.identity().files.uid, theirs.identity());
    uid == 0
        || mine.id() == theirs.id()
        || [them.real_uid, them.effective.uid, them.saved_uid] == [uid; 3]
}

fn realm_of(process: &process::Process) -> Option<*const Realm> {
    Process::of(process).map(|process| Arc::as_ptr(&process.realm))
}
