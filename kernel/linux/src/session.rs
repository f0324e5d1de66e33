//! Process groups and sessions: the calls (setpgid(2), setsid(2)).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::jobs::Group;
use crate::process::Process;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

pub fn getpgrp(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.process().group().id() as usize)
}

pub fn getpgid(call: &mut Call<'_>, [pid, ..]: Args) -> Answer {
    Ok(find(call, pid)?.group().id() as usize)
}

pub fn getsid(call: &mut Call<'_>, [pid, ..]: Args) -> Answer {
    Ok(find(call, pid)?.group().session_id() as usize)
}

pub fn setsid(call: &mut Call<'_>, _: Args) -> Answer {
    let process = call.process();
    if Group::find(process.id()).is_some() {
        return Err(Errno::EPERM);
    }
    process.set_group(Group::new_session(process.id()));
    Ok(process.id() as usize)
}

pub fn setpgid(call: &mut Call<'_>, [pid, group, ..]: Args) -> Answer {
    let caller = call.process();
    if (group as u32 as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let target = find(call, pid)?;
    if !Arc::ptr_eq(&target, caller) {
        let is_child = target
            .core()
            .and_then(|core| core.parent())
            .is_some_and(|parent| parent.id() == caller.id());
        if !is_child {
            return Err(Errno::ESRCH);
        }
        if target.has_executed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    let before = target.group();
    if before.session_id() != caller.group().session_id() || before.session_id() == target.id() {
        return Err(Errno::EPERM);
    }
    let id = if group == 0 {
        target.id()
    } else {
        group as u32
    };
    if id == before.id() {
        return Ok(0);
    }
    let group = if id == target.id() {
        Group::find(id).unwrap_or_else(|| Group::new_in(id, before.session()))
    } else {
        Group::find(id).ok_or(Errno::EPERM)?
    };
    if group.session_id() != before.session_id() {
        return Err(Errno::EPERM);
    }
    target.set_group(group);
    Ok(0)
}

fn find(call: &Call<'_>, pid: u64) -> Result<Arc<Process>, Errno> {
    match pid as u32 {
        0 => Ok(call.process().clone()),
        pid => call.process().find(pid).ok_or(Errno::ESRCH),
    }
}
