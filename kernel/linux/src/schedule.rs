//! The scheduler's calls, as far as they are there: yielding, nice values, affinity on the processors that run.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::process::Process;
use alloc::sync::Arc;
use alloc::vec::Vec;

const PRIO_PROCESS: u64 = 0;

pub async fn sched_yield(_: &mut Call<'_>, _: Args) -> Answer {
    task::yield_now().await;
    Ok(0)
}

/// Answers 20 - nice, as the bare call does.
pub fn getpriority(call: &mut Call<'_>, [which, who, ..]: Args) -> Answer {
    let process = target(call, which, who)?;
    let nice = process
        .threads()
        .first()
        .and_then(|thread| thread.core().task().map(|task| task.nice()))
        .unwrap_or(0);
    Ok((20 - i32::from(nice)) as usize)
}

pub fn setpriority(call: &mut Call<'_>, [which, who, nice, ..]: Args) -> Answer {
    let process = target(call, which, who)?;
    let nice = (nice as i32).clamp(-20, 19) as i8;
    for thread in process.threads() {
        if let Some(task) = thread.core().task() {
            task.set_nice(nice);
        }
    }
    Ok(0)
}

fn target(call: &Call<'_>, which: u64, who: u64) -> Result<Arc<Process>, Errno> {
    if which != PRIO_PROCESS {
        return Err(Errno::EINVAL);
    }
    if who == 0 {
        Ok(call.process().clone())
    } else {
        Process::find(who as u32).ok_or(Errno::ESRCH)
    }
}

/// Accepts any set that names a processor that runs: with one processor there is nothing to move.
pub async fn sched_setaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    find(call, pid)?;
    let mut bytes: Vec<u8> = alloc::vec![0; (size as usize).min(128)];
    crate::user::read_bytes(call.space, mask as usize, &mut bytes).await?;
    let named = (0..machine::cpu::count()).any(|cpu| {
        bytes
            .get(cpu / 8)
            .is_some_and(|byte| byte >> (cpu % 8) & 1 != 0)
    });
    if named { Ok(0) } else { Err(Errno::EINVAL) }
}

pub async fn sched_getaffinity(call: &mut Call<'_>, [pid, size, mask, ..]: Args) -> Answer {
    find(call, pid)?;
    let count = machine::cpu::count();
    if size < 8 || size % 8 != 0 {
        return Err(Errno::EINVAL);
    }
    let all = if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    };
    call.write(mask, &all).await?;
    Ok(8)
}

fn find(call: &Call<'_>, pid: u64) -> Result<(), Errno> {
    if pid == 0 || pid as u32 == call.thread.id() || process::find_thread(pid as u32).is_some() {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

pub async fn getcpu(call: &mut Call<'_>, [cpu, node, ..]: Args) -> Answer {
    call.write_if(cpu, &(machine::cpu::index() as u32)).await?;
    call.write_if(node, &0u32).await?;
    Ok(0)
}
