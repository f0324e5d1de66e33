//! Which processors a thread may run on: sched_setaffinity(2), getcpu(2).
//!
//! A set is a row of bits, processor 0 first. Of what a program names, only processors that run count.

use super::{find, has_privilege, owns};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use abi::{CpuSet, Rights};
use alloc::format;
use alloc::string::String;
use task::Task;

/// Bytes that a set takes, as Linux has it: whole words.
const SIZE: usize = size_of::<u64>();

const _: () = assert!(machine::cpu::MAX <= 64, "a set is one word");

pub async fn sched_setaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    // What is longer than a set is cut, what is shorter names no others.
    let mut bytes = [0; SIZE];
    let given = (size as u32 as usize).min(SIZE);
    crate::user::read_bytes(call.space, mask as usize, &mut bytes[..given]).await?;
    let thread = find(call, pid, Rights::SIGNAL)?;
    if !has_privilege(call) && !owns(call, &thread) {
        return Err(Errno::EPERM);
    }
    let task = thread.task().ok_or(Errno::ESRCH)?;
    task.set_affinity(u64::from_le_bytes(bytes))?;
    Ok(0)
}

pub async fn sched_getaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    let wanted = size as u32 as usize;
    if wanted < SIZE || !wanted.is_multiple_of(SIZE) {
        return Err(Errno::EINVAL);
    }
    let thread = find(call, pid, Rights::LIST)?;
    let set = set_of(&thread).to_le_bytes();
    crate::user::write_bytes(call.space, mask as usize, &set).await?;
    Ok(SIZE)
}

/// The running processors, one bit each.
fn running() -> u64 {
    CpuSet::first(machine::cpu::count()).0
}

fn set_of(thread: &process::Thread) -> u64 {
    let set = thread.task().map_or(u64::MAX, |task| task.affinity());
    set & running()
}

/// Whether a task may run on every processor.
pub(super) fn is_whole(task: &Task) -> bool {
    task.affinity() & running() == running()
}

pub async fn getcpu(call: &mut Call<'_>, [cpu, node, ..]: Args) -> Answer {
    call.write_if(cpu, &(machine::cpu::index() as u32)).await?;
    call.write_if(node, &0u32).await?;
    Ok(0)
}

/// The `Cpus_allowed` lines of `/proc/PID/status`.
pub fn describe(thread: &process::Thread) -> String {
    let set = set_of(thread);
    let digits = machine::cpu::count().div_ceil(4);
    let (high, low) = (set >> 32, set & 0xffff_ffff);
    let mask = match digits {
        ..=8 => format!("{low:0digits$x}"),
        _ => format!("{high:0width$x},{low:08x}", width = digits - 8),
    };
    format!(
        "Cpus_allowed:\t{mask}\nCpus_allowed_list:\t{}\n",
        CpuSet(set)
    )
}
