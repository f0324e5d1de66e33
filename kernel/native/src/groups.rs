//! Groups: the processes that a terminal interrupts together.
//!
//! A group has the number of the process that leads it. Native programs know groups only from `start`; a Linux program
//! that a native one started leads a Linux group of its own number besides.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use machine::sync::Spin;
use process::Process;

/// Which group a new process belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// That of its parent.
    #[default]
    Parent,
    /// One of its own.
    Own,
    /// The one that this process leads.
    Of(u32),
}

struct Member {
    group: u32,
    process: Weak<Process>,
}

/// By the number of the process. Those that have ended are taken out when others come.
static MEMBERS: Spin<BTreeMap<u32, Member>> = Spin::new(BTreeMap::new());

/// Makes a process a member of a group.
pub(crate) fn join(process: &Arc<Process>, parent: Option<&Arc<Process>>, group: Group) {
    let mut members = MEMBERS.lock();
    members.retain(|_, member| {
        member
            .process
            .upgrade()
            .is_some_and(|process| process.status().is_none())
    });
    let of_parent = parent
        .and_then(|parent| members.get(&parent.id()))
        .map(|member| member.group);
    let group = match group {
        Group::Parent => of_parent.unwrap_or(process.id()),
        Group::Own => process.id(),
        Group::Of(leader) => leader,
    };
    members.insert(
        process.id(),
        Member {
            group,
            process: Arc::downgrade(process),
        },
    );
}

/// The processes of a group that have not ended.
pub fn members(group: u32) -> Vec<Arc<Process>> {
    let members = MEMBERS.lock();
    let same = members.values().filter(|member| member.group == group);
    same.filter_map(|member| member.process.upgrade())
        .filter(|process| process.status().is_none())
        .collect()
}

/// How a terminal reaches groups: native ones, and through them the Linux groups that `linux` knows.
pub struct Jobs<L>(pub L);

impl<L: tty::Jobs> tty::Jobs for Jobs<L> {
    fn signal(&self, group: u32, signal: u8) {
        let mut reached = false;
        for member in members(group) {
            if member
                .personality()
                .is_some_and(|personality| personality.name() == crate::door::NAME)
            {
                member.signal(signal);
            } else {
                self.0.signal(member.id(), signal);
                reached |= member.id() == group;
            }
        }
        // A group inside a Linux program's session, which nobody here knows.
        if !reached {
            self.0.signal(group, signal);
        }
    }
}
