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
use task::policy::Class;

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
    let set = u64::from_le_bytes(bytes);
    if matches!(task.class(), Class::Deadline(_)) && !is_general(set & task.allowed()) {
        return Err(Errno::EBUSY);
    }
    task.set_affinity(set)?;
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

/// Whether a task may run on every processor that is not set aside: without that Linux gives it no reservation.
pub(super) fn is_whole(task: &Task) -> bool {
    is_general(task.affinity())
}

fn is_general(set: u64) -> bool {
    let general = running() & !task::isolated();
    set & general == general
}

pub async fn getcpu(call: &mut Call<'_>, [cpu, node, ..]: Args) -> Answer {
    call.write_if(cpu, &(machine::cpu::index() as u32)).await?;
    let at = machine::node::of_cpu(machine::cpu::index()) as u32;
    call.write_if(node, &at).await?;
    Ok(0)
}

/// The `Cpus_allowed` and `Mems_allowed` lines of `/proc/PID/status`.
pub fn describe(thread: &process::Thread) -> String {
    let set = set_of(thread);
    let mask = mask(set);
    let nodes = CpuSet::first(machine::node::all().count());
    format!(
        "Cpus_allowed:\t{mask}\nCpus_allowed_list:\t{}\n\
         Mems_allowed:\t{:x}\nMems_allowed_list:\t{nodes}\n",
        CpuSet(set),
        nodes.0
    )
}

/// A set as `/proc` writes it: hexadecimal, 32 processors between commas, as many digits as there are processors for.
pub fn mask(set: u64) -> String {
    let digits = machine::cpu::count().div_ceil(4);
    let (high, low) = (set >> 32, set & 0xffff_ffff);
    match digits {
        ..=8 => format!("{low:0digits$x}"),
        _ => format!("{high:0width$x},{low:08x}", width = digits - 8),
    }
}

/// Reads what [`mask`] writes, and what people write: digits are optional, and so are commas.
pub fn read_mask(text: &str) -> Option<u64> {
    let digits: String = text.trim().chars().filter(|digit| *digit != ',').collect();
    let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(&digits, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(mask(1), "1");
        for (text, set) in [
            ("1", Some(1)),
            ("00000001,0000000f\n", Some(0x1_0000_000f)),
            ("ff", Some(255)),
            ("", None),
            ("0x3", None),
            ("+1", None),
            ("1ffffffffffffffff", None),
        ] {
            assert_eq!(read_mask(text), set, "{text}");
        }
    }
}
