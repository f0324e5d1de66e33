//! Calls about the whole system: uname(2), sysinfo(2), getrandom(2), reboot(2), prctl(2).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::time::SECOND;
use alloc::string::String;
use core::convert::Infallible;
use core::sync::atomic::Ordering;
use machine::cpu::Shared;
use machine::sync::Rcu;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What programs that look at the version see: the Linux whose calls are followed.
pub const RELEASE: &str = concat!("6.1.0-helve-", env!("CARGO_PKG_VERSION"));
pub const VERSION: &str = "Helve";
const FIELD: usize = 65;

/// The host name; "helve" until somebody sets another.
static HOST_NAME: Shared<Rcu<String>> = Shared::new(|| Rcu::new(String::from("helve")));

/// The host name.
pub fn host_name() -> String {
    HOST_NAME.get().read(String::clone)
}

pub async fn uname(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    let mut bytes = [0u8; FIELD * 6];
    HOST_NAME.get().read(|host| {
        let fields = ["Linux", host, RELEASE, VERSION, "x86_64", "(none)"];
        for (slot, field) in bytes.chunks_exact_mut(FIELD).zip(fields) {
            let length = field.len().min(FIELD - 1);
            slot[..length].copy_from_slice(&field.as_bytes()[..length]);
        }
    });
    crate::user::write_bytes(call.space, to as usize, &bytes).await?;
    Ok(0)
}

pub async fn sethostname(call: &mut Call<'_>, [name, length, ..]: Args) -> Answer {
    if call.process().identity().effective.uid != 0 {
        return Err(Errno::EPERM);
    }
    let length = length as usize;
    if length >= FIELD {
        return Err(Errno::EINVAL);
    }
    let mut bytes = alloc::vec![0u8; length];
    crate::user::read_bytes(call.space, name as usize, &mut bytes).await?;
    let name = String::from_utf8_lossy(&bytes).into_owned();
    let Ok(()) = HOST_NAME.get().change(|_| Ok::<_, Infallible>((name, ())));
    Ok(0)
}

/// `struct sysinfo`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct SystemInfo {
    uptime: u64,
    loads: [u64; 3],
    total: u64,
    free: u64,
    shared: u64,
    buffers: u64,
    total_swap: u64,
    free_swap: u64,
    processes: u16,
    padding: [u16; 3],
    total_high: u64,
    free_high: u64,
    unit: u32,
    padding_end: u32,
}

/// The load averages of sysinfo(2) have so many bits behind the point.
const LOAD_FRACTION: u32 = 16;

pub async fn sysinfo(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    let frames = machine::frame::stats();
    let info = SystemInfo {
        uptime: machine::time::now() / SECOND,
        loads: task::load::averages().map(|load| load << (LOAD_FRACTION - task::load::FRACTION)),
        total: (frames.total * machine::PAGE) as u64,
        free: (frames.free * machine::PAGE) as u64,
        processes: process::count().min(usize::from(u16::MAX)) as u16,
        unit: 1,
        ..SystemInfo::default()
    };
    call.write(to, &info).await?;
    Ok(0)
}

/// Fills with bytes from the system's generator.
pub fn fill_random(bytes: &mut [u8]) {
    devfs::fill_random(bytes);
}

pub async fn getrandom(call: &mut Call<'_>, [to, length, flags, ..]: Args) -> Answer {
    const KNOWN: u64 = 1 | 2 | 4;
    if flags & !KNOWN != 0 || flags & 6 == 6 {
        return Err(Errno::EINVAL);
    }
    let length = (length as usize).min(i32::MAX as usize);
    let mut done = 0;
    let mut chunk = [0u8; 256];
    while done < length {
        let part = &mut chunk[..(length - done).min(256)];
        fill_random(part);
        if let Err(errno) = crate::user::write_bytes(call.space, to as usize + done, part).await {
            return if done > 0 { Ok(done) } else { Err(errno) };
        }
        done += part.len();
        if done % (1 << 16) == 0 && task::should_yield() {
            task::yield_now().await;
        }
    }
    Ok(done)
}

const LINUX_REBOOT_MAGIC1: u64 = 0xfee1_dead;
const LINUX_REBOOT_MAGIC2: [u64; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
const LINUX_REBOOT_CMD_RESTART: u64 = 0x0123_4567;
const LINUX_REBOOT_CMD_HALT: u64 = 0xcdef_0123;
const LINUX_REBOOT_CMD_POWER_OFF: u64 = 0x4321_fedc;
const LINUX_REBOOT_CMD_CAD_ON: u64 = 0x89ab_cdef;
const LINUX_REBOOT_CMD_CAD_OFF: u64 = 0;

/// Whether the machine is the caller's: it is user 0 and was given the devices, as the first program of a machine is.
pub fn owns_machine(call: &Call<'_>) -> bool {
    let process = call.thread.core().process();
    call.process().identity().effective.uid == 0 && process.namespace().get("device").is_ok()
}

/// reboot(2).
pub fn reboot(call: &mut Call<'_>, [first, second, command, ..]: Args) -> Answer {
    if first as u32 as u64 != LINUX_REBOOT_MAGIC1
        || !LINUX_REBOOT_MAGIC2.contains(&(second as u32 as u64))
    {
        return Err(Errno::EINVAL);
    }
    if !owns_machine(call) {
        return Err(Errno::EPERM);
    }
    match command as u32 as u64 {
        LINUX_REBOOT_CMD_RESTART => crate::power::request(crate::power::Request::Reset),
        LINUX_REBOOT_CMD_HALT | LINUX_REBOOT_CMD_POWER_OFF => {
            crate::power::request(crate::power::Request::Off)
        }
        LINUX_REBOOT_CMD_CAD_ON | LINUX_REBOOT_CMD_CAD_OFF => return Ok(0),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

const PR_SET_PDEATHSIG: u64 = 1;
const PR_GET_PDEATHSIG: u64 = 2;
const PR_GET_DUMPABLE: u64 = 3;
const PR_SET_DUMPABLE: u64 = 4;
const PR_SET_NAME: u64 = 15;
const PR_GET_NAME: u64 = 16;
const PR_CAPBSET_READ: u64 = 23;
const PR_SET_TIMERSLACK: u64 = 29;
const PR_GET_TIMERSLACK: u64 = 30;
const PR_SET_CHILD_SUBREAPER: u64 = 36;
const PR_GET_CHILD_SUBREAPER: u64 = 37;
const PR_SET_NO_NEW_PRIVS: u64 = 38;
const PR_GET_NO_NEW_PRIVS: u64 = 39;
const PR_SET_VMA: u64 = 0x5356_4d41;

pub async fn prctl(call: &mut Call<'_>, [operation, first, ..]: Args) -> Answer {
    let process = call.process().clone();
    match operation {
        PR_SET_PDEATHSIG if first < 65 => call
            .thread
            .parent_death_signal
            .store(first as u32, Ordering::Relaxed),
        PR_GET_PDEATHSIG => {
            call.write(
                first,
                &call.thread.parent_death_signal.load(Ordering::Relaxed),
            )
            .await?
        }
        PR_GET_DUMPABLE => return Ok(usize::from(process.dumpable.load(Ordering::Relaxed))),
        PR_SET_DUMPABLE if first <= 1 => process.dumpable.store(first == 1, Ordering::Relaxed),
        PR_SET_NAME => {
            let mut name = [0u8; 16];
            crate::user::read_bytes(call.space, first as usize, &mut name).await?;
            let length = name.iter().position(|&byte| byte == 0).unwrap_or(15);
            process.set_command(&name[..length]);
        }
        PR_GET_NAME => {
            let mut name = [0u8; 16];
            let current = call.thread.core().process().name();
            let length = current.len().min(15);
            name[..length].copy_from_slice(&current.as_bytes()[..length]);
            crate::user::write_bytes(call.space, first as usize, &name).await?;
        }
        PR_CAPBSET_READ if first <= 40 => return Ok(1),
        PR_SET_TIMERSLACK => {}
        PR_GET_TIMERSLACK => return Ok(50_000),
        PR_SET_CHILD_SUBREAPER => process.child_subreaper.store(first != 0, Ordering::Relaxed),
        PR_GET_CHILD_SUBREAPER => {
            call.write(
                first,
                &u32::from(process.child_subreaper.load(Ordering::Relaxed)),
            )
            .await?;
        }
        PR_SET_NO_NEW_PRIVS if first == 1 => {
            process.no_new_privileges.store(true, Ordering::Relaxed)
        }
        PR_GET_NO_NEW_PRIVS => {
            return Ok(usize::from(
                process.no_new_privileges.load(Ordering::Relaxed),
            ));
        }
        // Naming memory is for people who look into it; kernels without the option answer this too.
        PR_SET_VMA => return Err(Errno::EINVAL),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;

pub async fn arch_prctl(call: &mut Call<'_>, [operation, value, ..]: Args) -> Answer {
    let in_user_half = (value as usize) < machine::USER_END;
    match operation {
        ARCH_SET_FS | ARCH_SET_GS if !in_user_half => return Err(Errno::EPERM),
        ARCH_SET_FS => call.user.fs_base = value,
        ARCH_SET_GS => call.user.gs_base = value,
        ARCH_GET_FS => call.write(value, &call.user.fs_base).await?,
        ARCH_GET_GS => call.write(value, &call.user.gs_base).await?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// personality(2): asked with all bits set. Of the flags only the one is accepted that asks for what is so anyway.
pub fn personality(call: &mut Call<'_>, [wanted, ..]: Args) -> Answer {
    const ASK: u32 = u32::MAX;
    const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;
    let bits = &call.process().personality_bits;
    match wanted as u32 {
        ASK => Ok(bits.load(Ordering::Relaxed) as usize),
        wanted if wanted & !ADDR_NO_RANDOMIZE == 0 => {
            Ok(bits.swap(wanted, Ordering::Relaxed) as usize)
        }
        _ => Err(Errno::EINVAL),
    }
}
