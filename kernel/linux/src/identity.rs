//! Who the caller is: process numbers, users and groups (credentials(7)).
//!
//! uid 0 is the owner of the tree it was handed and of nothing beyond: these numbers decide between files and
//! processes inside, never about handles.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::process::Identity;
use alloc::sync::Arc;
use alloc::vec::Vec;

const NGROUPS_MAX: usize = 65_536;
/// "Leave it as it is."
const KEEP: u32 = u32::MAX;

pub fn getpid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.process().id() as usize)
}

pub fn gettid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.thread.id() as usize)
}

pub fn getppid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.thread.core().process().parent_id() as usize)
}

pub fn getuid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.process().identity().real_uid as usize)
}

pub fn geteuid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.process().identity().effective.uid as usize)
}

pub fn getgid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.process().identity().real_gid as usize)
}

pub fn getegid(call: &mut Call<'_>, _: Args) -> Answer {
    Ok(call.process().identity().effective.gid as usize)
}

pub fn setuid(call: &mut Call<'_>, [uid, ..]: Args) -> Answer {
    let uid = valid(uid)?;
    let mut identity = current(call);
    if identity.effective.uid == 0 {
        (identity.real_uid, identity.saved_uid) = (uid, uid);
    } else if uid != identity.real_uid && uid != identity.saved_uid {
        return Err(Errno::EPERM);
    }
    identity.effective.uid = uid;
    set(call, identity)
}

pub fn setgid(call: &mut Call<'_>, [gid, ..]: Args) -> Answer {
    let gid = valid(gid)?;
    let mut identity = current(call);
    if identity.effective.uid == 0 {
        (identity.real_gid, identity.saved_gid) = (gid, gid);
    } else if gid != identity.real_gid && gid != identity.saved_gid {
        return Err(Errno::EPERM);
    }
    identity.effective.gid = gid;
    set(call, identity)
}

pub fn setreuid(call: &mut Call<'_>, [real, effective, ..]: Args) -> Answer {
    let before = current(call);
    let (real, effective) = (real as u32, effective as u32);
    let allowed = [
        before.real_uid,
        before.effective.uid,
        before.saved_uid,
        KEEP,
    ];
    let may = before.effective.uid == 0
        || ([before.real_uid, before.effective.uid, KEEP].contains(&real)
            && allowed.contains(&effective));
    if !may {
        return Err(Errno::EPERM);
    }
    let mut identity = before.clone();
    identity.real_uid = pick(real, before.real_uid);
    identity.effective.uid = pick(effective, before.effective.uid);
    if real != KEEP || (effective != KEEP && effective != before.real_uid) {
        identity.saved_uid = identity.effective.uid;
    }
    set(call, identity)
}

pub fn setregid(call: &mut Call<'_>, [real, effective, ..]: Args) -> Answer {
    let before = current(call);
    let (real, effective) = (real as u32, effective as u32);
    let allowed = [
        before.real_gid,
        before.effective.gid,
        before.saved_gid,
        KEEP,
    ];
    let may = before.effective.uid == 0
        || ([before.real_gid, before.effective.gid, KEEP].contains(&real)
            && allowed.contains(&effective));
    if !may {
        return Err(Errno::EPERM);
    }
    let mut identity = before.clone();
    identity.real_gid = pick(real, before.real_gid);
    identity.effective.gid = pick(effective, before.effective.gid);
    if real != KEEP || (effective != KEEP && effective != before.real_gid) {
        identity.saved_gid = identity.effective.gid;
    }
    set(call, identity)
}

pub fn setresuid(call: &mut Call<'_>, [real, effective, saved, ..]: Args) -> Answer {
    let before = current(call);
    let wanted = [real as u32, effective as u32, saved as u32];
    let mine = [
        before.real_uid,
        before.effective.uid,
        before.saved_uid,
        KEEP,
    ];
    if before.effective.uid != 0 && !wanted.iter().all(|id| mine.contains(id)) {
        return Err(Errno::EPERM);
    }
    let mut identity = before.clone();
    identity.real_uid = pick(wanted[0], before.real_uid);
    identity.effective.uid = pick(wanted[1], before.effective.uid);
    identity.saved_uid = pick(wanted[2], before.saved_uid);
    set(call, identity)
}

pub fn setresgid(call: &mut Call<'_>, [real, effective, saved, ..]: Args) -> Answer {
    let before = current(call);
    let wanted = [real as u32, effective as u32, saved as u32];
    let mine = [
        before.real_gid,
        before.effective.gid,
        before.saved_gid,
        KEEP,
    ];
    if before.effective.uid != 0 && !wanted.iter().all(|id| mine.contains(id)) {
        return Err(Errno::EPERM);
    }
    let mut identity = before.clone();
    identity.real_gid = pick(wanted[0], before.real_gid);
    identity.effective.gid = pick(wanted[1], before.effective.gid);
    identity.saved_gid = pick(wanted[2], before.saved_gid);
    set(call, identity)
}

pub fn setfsuid(call: &mut Call<'_>, [uid, ..]: Args) -> Answer {
    let mut identity = current(call);
    let (uid, before) = (uid as u32, identity.files.uid);
    let mine = [
        identity.real_uid,
        identity.effective.uid,
        identity.saved_uid,
        before,
    ];
    if uid != KEEP && (identity.effective.uid == 0 || mine.contains(&uid)) {
        identity.files.uid = uid;
        call.process().set_identity(identity);
    }
    Ok(before as usize)
}

pub fn setfsgid(call: &mut Call<'_>, [gid, ..]: Args) -> Answer {
    let mut identity = current(call);
    let (gid, before) = (gid as u32, identity.files.gid);
    let mine = [
        identity.real_gid,
        identity.effective.gid,
        identity.saved_gid,
        before,
    ];
    if gid != KEEP && (identity.effective.uid == 0 || mine.contains(&gid)) {
        identity.files.gid = gid;
        call.process().set_identity(identity);
    }
    Ok(before as usize)
}

pub async fn getresuid(call: &mut Call<'_>, [real, effective, saved, ..]: Args) -> Answer {
    let identity = call.process().identity();
    call.write(real, &identity.real_uid).await?;
    call.write(effective, &identity.effective.uid).await?;
    call.write(saved, &identity.saved_uid).await?;
    Ok(0)
}

pub async fn getresgid(call: &mut Call<'_>, [real, effective, saved, ..]: Args) -> Answer {
    let identity = call.process().identity();
    call.write(real, &identity.real_gid).await?;
    call.write(effective, &identity.effective.gid).await?;
    call.write(saved, &identity.saved_gid).await?;
    Ok(0)
}

pub async fn getgroups(call: &mut Call<'_>, [size, list, ..]: Args) -> Answer {
    let identity = call.process().identity();
    let groups = &identity.effective.groups;
    let size = size as u32 as i32;
    if size < 0 || (size != 0 && (size as usize) < groups.len()) {
        return Err(Errno::EINVAL);
    }
    if size != 0 {
        for (index, group) in groups.iter().enumerate() {
            call.write(list.wrapping_add(index as u64 * 4), group)
                .await?;
        }
    }
    Ok(groups.len())
}

pub async fn setgroups(call: &mut Call<'_>, [size, list, ..]: Args) -> Answer {
    let mut identity = current(call);
    if identity.effective.uid != 0 {
        return Err(Errno::EPERM);
    }
    let size = size as usize;
    if size > NGROUPS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut groups = Vec::new();
    for index in 0..size {
        groups.push(
            call.read::<u32>(list.wrapping_add(index as u64 * 4))
                .await?,
        );
    }
    identity.effective.groups = Arc::from(groups);
    set(call, identity)
}

fn current(call: &Call<'_>) -> Identity {
    Identity::clone(&call.process().identity())
}

/// Makes it the caller's identity. The file systems see the effective one from now on.
fn set(call: &Call<'_>, mut identity: Identity) -> Answer {
    identity.files = identity.effective.clone();
    call.process().set_identity(identity);
    Ok(0)
}

fn valid(id: u64) -> Result<u32, Errno> {
    match id as u32 {
        KEEP => Err(Errno::EINVAL),
        id => Ok(id),
    }
}

const fn pick(wanted: u32, before: u32) -> u32 {
    if wanted == KEEP { before } else { wanted }
}
