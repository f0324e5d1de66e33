//! Process groups and sessions: job control (credentials(7), POSIX 2.4 and 11.1).
//!
//! A session has at most one terminal; the terminal has one foreground group. A group is found by its number in a
//! map, so signalling one costs what its members cost, not what the system's processes cost.

use crate::process::Process;
use crate::signal::queue::{Info, SI_KERNEL};
use crate::signal::send;
use crate::signal::set::{SIGCONT, SIGHUP, Signal};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use machine::sync::Spin;
use tty::Tty;

static GROUPS: Spin<BTreeMap<u32, Weak<Group>>> = Spin::new(BTreeMap::new());

/// A session: groups that may share a terminal.
pub struct Session {
    id: u32,
    terminal: Spin<Option<Arc<Tty>>>,
}

impl Session {
    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn terminal(&self) -> Option<Arc<Tty>> {
        self.terminal.lock().clone()
    }

    pub fn set_terminal(&self, terminal: Option<Arc<Tty>>) {
        *self.terminal.lock() = terminal;
    }
}

/// A process group.
pub struct Group {
    id: u32,
    session: Arc<Session>,
    members: Spin<BTreeSet<u32>>,
}

impl Group {
    /// A new session with a new group, both of this number (setsid(2)).
    pub fn new_session(id: u32) -> Arc<Group> {
        Group::enter(
            id,
            Arc::new(Session {
                id,
                terminal: Spin::new(None),
            }),
        )
    }

    /// A new group in the session (setpgid(2)).
    pub fn new_in(id: u32, session: &Arc<Session>) -> Arc<Group> {
        Group::enter(id, session.clone())
    }

    fn enter(id: u32, session: Arc<Session>) -> Arc<Group> {
        let group = Arc::new(Group {
            id,
            session,
            members: Spin::new(BTreeSet::new()),
        });
        GROUPS.lock().insert(id, Arc::downgrade(&group));
        group
    }

    pub fn find(id: u32) -> Option<Arc<Group>> {
        let group = GROUPS.lock().get(&id).and_then(Weak::upgrade)?;
        let empty = group.members.lock().is_empty();
        (!empty).then_some(group)
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub fn session_id(&self) -> u32 {
        self.session.id
    }

    pub fn members(&self) -> Vec<Arc<Process>> {
        let ids: Vec<u32> = self.members.lock().iter().copied().collect();
        ids.into_iter().filter_map(Process::by_id).collect()
    }

    pub(crate) fn join(&self, process: u32) {
        self.members.lock().insert(process);
    }

    pub(crate) fn leave(&self, process: u32) {
        self.members.lock().remove(&process);
    }

    /// Sends to every member; true if there was one.
    pub fn signal(&self, info: Info) -> bool {
        let members = self.members();
        for member in &members {
            // A full real-time queue of one member does not keep the signal from the others.
            let _ = send::to_process(member, info);
        }
        !members.is_empty()
    }

    /// No member has a parent in another group of the same session: nobody would continue it.
    pub fn is_orphaned(&self) -> bool {
        self.is_orphaned_without(None)
    }

    /// As [`Group::is_orphaned`], as if one member were not there any more.
    fn is_orphaned_without(&self, gone: Option<u32>) -> bool {
        !self.members().iter().any(|member| {
            let Some(core) = member.core() else {
                return false;
            };
            if core.status().is_some() || Some(core.id()) == gone {
                return false;
            }
            match core.parent().map(|parent| Process::of(&parent)) {
                // A native parent controls its child by its handle and can continue it.
                Some(None) => true,
                Some(Some(parent)) => {
                    let group = parent.group();
                    group.id != self.id && group.session_id() == self.session.id
                }
                None => false,
            }
        })
    }

    /// A member is ending: if it led the session, the terminal is given up; if it was what tied its own group to the
    /// session, nobody is left to continue those of the group that are stopped (POSIX `_exit`).
    pub(crate) fn process_ended(&self, process: &Arc<process::Process>) {
        if process.id() == self.session.id
            && let Some(terminal) = self.session.terminal.lock().take()
        {
            let foreground = terminal.foreground();
            terminal.release_session(self.session.id);
            if let Some(group) = foreground.and_then(Group::find) {
                group.hang_up();
            }
        }
        let parent = process.parent().and_then(|parent| Process::of(&parent));
        let tied = parent.is_some_and(|parent| {
            let group = parent.group();
            group.id != self.id && group.session_id() == self.session.id
        });
        if tied && self.has_stopped() && self.is_orphaned_without(Some(process.id())) {
            self.hang_up();
        }
    }

    /// Children of an ending member have another parent now: the same for their groups, if it was what tied them.
    pub(crate) fn children_left(&self, children: &[Arc<process::Process>]) {
        for child in children {
            let Some(child) = Process::of(child) else {
                continue;
            };
            let group = child.group();
            let was_tied = group.id != self.id && group.session_id() == self.session.id;
            if was_tied && group.has_stopped() && group.is_orphaned() {
                group.hang_up();
            }
        }
    }

    fn hang_up(&self) {
        self.signal(Info::kernel(SIGHUP));
        self.signal(Info::kernel(SIGCONT));
    }

    fn has_stopped(&self) -> bool {
        let alive = |member: &Process| member.core().is_some_and(|core| core.status().is_none());
        self.members()
            .iter()
            .any(|member| member.stop.is_stopped() && alive(member))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut groups = GROUPS.lock();
        // A newer group may have taken the number over.
        if groups
            .get(&self.id)
            .is_some_and(|group| group.strong_count() == 0)
        {
            groups.remove(&self.id);
        }
    }
}

/// How a terminal reaches the groups: it knows numbers only.
pub struct Jobs;

impl tty::Jobs for Jobs {
    fn signal(&self, group: u32, signal: Signal) {
        if let Some(group) = Group::find(group) {
            group.signal(Info {
                code: SI_KERNEL,
                ..Info::kernel(signal)
            });
        }
    }
}
