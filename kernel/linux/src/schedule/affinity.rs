//! Which processors a thread may run on: sched_setaffinity(2), getcpu(2).
//!
//! Tasks do not move yet, so a set that names a processor that runs is accepted, and all that run are answered.

use super::{find, has_privilege, owns};
use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use abi::Rights;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub async fn sched_setaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    let mut bytes: Vec<u8> = alloc::vec![0; (size as usize).min(128)];
    crate::user::read_bytes(call.space, mask as usize, &mut bytes).await?;
    let thread = find(call, pid, Rights::SIGNAL)?;
    if !has_privilege(call) && !owns(call, &thread) {
        return Err(Errno::EPERM);
    }
    let named = (0..machine::cpu::count()).any(|cpu| {
        bytes
            .get(cpu / 8)
            .is_some_and(|byte| byte >> (cpu % 8) & 1 != 0)
    });
    if named { Ok(0) } else { Err(Errno::EINVAL) }
}

pub async fn sched_getaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    let words = machine::cpu::count().div_ceil(64);
    let wanted = size as u32 as usize;
    if wanted < words * 8 || !wanted.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    find(call, pid, Rights::LIST)?;
    let mut bytes: Vec<u8> = alloc::vec![0; words * 8];
    for cpu in 0..machine::cpu::count() {
        bytes[cpu / 8] |= 1 << (cpu % 8);
    }
    crate::user::write_bytes(call.space, mask as usize, &bytes).await?;
    Ok(bytes.len())
}

pub async fn getcpu(call: &mut Call<'_>, [cpu, node, ..]: Args) -> Answer {
    call.write_if(cpu, &(machine::cpu::index() as u32)).await?;
    call.write_if(node, &0u32).await?;
    Ok(0)
}

/// The `Cpus_allowed` lines of `/proc/PID/status`.
pub fn describe() -> String {
    let count = machine::cpu::count();
    let mut groups: Vec<String> = Vec::new();
    for first in (0..count).step_by(32) {
        let here = (count - first).min(32);
        let bits = (1u64 << here) - 1;
        // The highest group is only as wide as it has to be.
        let width = if first + 32 < count {
            8
        } else {
            here.div_ceil(4)
        };
        groups.insert(0, format!("{bits:0width$x}"));
    }
    let list = match count {
        1 => String::from("0"),
        _ => format!("0-{}", count - 1),
    };
    format!(
        "Cpus_allowed:\t{}\nCpus_allowed_list:\t{list}\n",
        groups.join(",")
    )
}
