//! wait4(2) and waitid(2).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::limits::Usage;
use crate::process::Process;
use crate::signal::set::{SIGCHLD, SIGCONT};
use crate::stop::Change;
use alloc::sync::Arc;
use process::Status;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const WNOHANG: u64 = 1;
const WUNTRACED: u64 = 2;
const WEXITED: u64 = 4;
const WCONTINUED: u64 = 8;
const WNOWAIT: u64 = 0x0100_0000;
const WNOTHREAD: u64 = 0x2000_0000;
const WALL: u64 = 0x4000_0000;
const WCLONE: u64 = 0x8000_0000;

const P_ALL: u64 = 0;
const P_PID: u64 = 1;
const P_PGID: u64 = 2;

/// Which children.
#[derive(Clone, Copy)]
enum Which {
    Any,
    Process(u32),
    Group(u32),
}

/// What happened to a child.
#[derive(Clone, Copy)]
enum Event {
    Ended(Status),
    Changed(Change),
}

struct Found {
    pid: u32,
    uid: u32,
    event: Event,
    usage: Usage,
}

pub async fn wait4(call: &mut Call<'_>, [pid, status, options, usage, ..]: Args) -> Answer {
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE) & 0xffff_ffff != 0
    {
        return Err(Errno::EINVAL);
    }
    let which = match pid as u32 as i32 {
        -1 => Which::Any,
        0 => Which::Group(call.process().group().id()),
        i32::MIN => return Err(Errno::ESRCH),
        pid if pid < 0 => Which::Group(pid.unsigned_abs()),
        pid => Which::Process(pid as u32),
    };
    let Some(found) = wait(call, which, options | WEXITED).await? else {
        return Ok(0);
    };
    let word: u32 = match found.event {
        Event::Ended(Status::Exited(status)) => (status as u32 & 0xff) << 8,
        Event::Ended(Status::Signaled(signal)) => u32::from(signal),
        Event::Changed(Change::Stopped(signal)) => u32::from(signal) << 8 | 0x7f,
        Event::Changed(Change::Continued) => 0xffff,
    };
    call.write_if(status, &word).await?;
    call.write_if(usage, &found.usage).await?;
    Ok(found.pid as usize)
}

/// The part of `siginfo_t` that waitid fills in.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ChildInfo {
    signal: i32,
    error: i32,
    code: i32,
    padding: i32,
    pid: u32,
    uid: u32,
    status: i32,
    padding_end: i32,
}

pub async fn waitid(call: &mut Call<'_>, [kind, id, info, options, usage, _]: Args) -> Answer {
    let events = WEXITED | WUNTRACED | WCONTINUED;
    if options & !(events | WNOHANG | WNOWAIT | WNOTHREAD | WALL | WCLONE) & 0xffff_ffff != 0
        || options & events == 0
    {
        return Err(Errno::EINVAL);
    }
    let which = match kind {
        P_ALL => Which::Any,
        P_PID if id as i32 > 0 => Which::Process(id as u32),
        P_PGID if id == 0 => Which::Group(call.process().group().id()),
        P_PGID if id as i32 > 0 => Which::Group(id as u32),
        _ => return Err(Errno::EINVAL),
    };
    let found = wait(call, which, options).await?;
    let mut report = ChildInfo::default();
    if let Some(found) = &found {
        let (code, status) = match found.event {
            Event::Ended(Status::Exited(status)) => (1, status & 0xff),
            Event::Ended(Status::Signaled(signal)) => (2, i32::from(signal)),
            Event::Changed(Change::Stopped(signal)) => (5, i32::from(signal)),
            Event::Changed(Change::Continued) => (6, i32::from(SIGCONT)),
        };
        report = ChildInfo {
            signal: i32::from(SIGCHLD),
            code,
            pid: found.pid,
            uid: found.uid,
            status,
            ..report
        };
        call.write_if(usage, &found.usage).await?;
    }
    call.write_if(info, &report).await?;
    Ok(0)
}

/// Waits for an event among the children; `None` when there is none and `WNOHANG` was said.
async fn wait(call: &mut Call<'_>, which: Which, options: u64) -> Result<Option<Found>, Errno> {
    let process = call.process().clone();
    let core = call.thread.core().process().clone();
    let look = || match look(&core, which, options) {
        Ok(None) if options & WNOHANG == 0 => None,
        answer => Some(answer),
    };
    process.children_changed.wait_until(look).await?
}

/// The first child of `which` with an event; `ECHILD` if there is no such child at all.
fn look(
    parent: &Arc<process::Process>,
    which: Which,
    options: u64,
) -> Result<Option<Found>, Errno> {
    loop {
        let mut any = false;
        let found = parent.find_child(|child| {
            let side = Process::of(child)?;
            if !matches(&side, which) || !wanted_kind(&side, options) {
                return None;
            }
            any = true;
            let event = event(child, &side, options)?;
            Some((child.clone(), side.identity().real_uid, event))
        });
        let Some((child, uid, event)) = found else {
            return if any { Ok(None) } else { Err(Errno::ECHILD) };
        };
        let found = Found {
            pid: child.id(),
            uid,
            event,
            usage: Usage::of_child(&child),
        };
        if matches!(event, Event::Changed(_)) || options & WNOWAIT != 0 || child.reap() {
            return Ok(Some(found));
        }
        // Another thread was faster, and the child is no longer one: look again.
    }
}

fn matches(child: &Process, which: Which) -> bool {
    match which {
        Which::Any => true,
        Which::Process(id) => child.id() == id,
        Which::Group(id) => child.group().id() == id,
    }
}

/// Children that do not say SIGCHLD at their end are waited for with `__WCLONE` or `__WALL` only.
fn wanted_kind(child: &Process, options: u64) -> bool {
    let is_clone = child.exit_signal() != SIGCHLD;
    options & WALL != 0 || is_clone == (options & WCLONE != 0)
}

fn event(child: &process::Process, side: &Process, options: u64) -> Option<Event> {
    if let Some(status) = child.status() {
        // Until it is a zombie, it is not decided whether it can be waited for.
        return (options & WEXITED != 0 && child.is_zombie()).then_some(Event::Ended(status));
    }
    let wanted = |change| match change {
        Change::Stopped(_) => options & WUNTRACED != 0,
        Change::Continued => options & WCONTINUED != 0,
    };
    side.stop
        .take_change(wanted, options & WNOWAIT != 0)
        .map(Event::Changed)
}
