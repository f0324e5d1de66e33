//! Users, groups, names and numbers: getuid, setresuid, getgroups, uname, sysinfo, prctl, arch_prctl, capabilities of root.

use libc::{
    ENOSYS, PR_GET_DUMPABLE, PR_GET_NAME, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_SET_DUMPABLE,
    PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, SIGTERM, SIGUSR1, c_char, sysinfo, utsname,
};
use test_programs::child::{become_nobody, passes};
use test_programs::raw::short::*;
use test_programs::raw::text;
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    root_numbers,
    setuid_of_root_is_for_good,
    setresuid_of_root,
    setresuid_of_others,
    seteuid_comes_back,
    setreuid_rules,
    setgid_rules,
    setgroups_and_getgroups,
    setfsuid_tells_the_old,
    uname_fields,
    uname_can_be_changed_by_root_only,
    sysinfo_fields,
    prctl_name,
    prctl_death_signal,
    prctl_no_new_privileges,
    prctl_dumpable,
    prctl_errors,
    arch_prctl_fs_and_gs,
    arch_prctl_errors,
    getcpu_is_plausible,
    unknown_calls_give_enosys,
    personality_can_be_asked,
);

fn all() -> [usize; 4] {
    [
        ok!(SYS_getuid),
        ok!(SYS_geteuid),
        ok!(SYS_getgid),
        ok!(SYS_getegid),
    ]
}

fn root_numbers() {
    assert_eq!(all(), [0; 4]);
    let mut three = [9u32; 3];
    let [a, b, c] = &mut three;
    ok!(SYS_getresuid, a, b, c);
    assert_eq!(three, [0; 3]);
    fails!(EFAULT, SYS_getresuid, bad::<u32>(), 0, 0);
}

fn setuid_of_root_is_for_good() {
    passes(|| {
        gives!(0, SYS_setuid, 1000);
        assert_eq!(all(), [1000, 1000, 0, 0]);
        fails!(EPERM, SYS_setuid, 0);
        gives!(0, SYS_setuid, 1000);
    });
    fails!(EINVAL, SYS_setuid, -1);
}

fn setresuid_of_root() {
    passes(|| {
        gives!(0, SYS_setresuid, 1, 2, 3);
        let mut three = [9u32; 3];
        let [a, b, c] = &mut three;
        ok!(SYS_getresuid, a, b, c);
        assert_eq!(three, [1, 2, 3]);
    });
}

fn setresuid_of_others() {
    passes(|| {
        ok!(SYS_setresuid, 1, 2, 3);
        gives!(0, SYS_setresuid, -1, 1, -1);
        gives!(0, SYS_setresuid, 3, 3, 1);
        fails!(EPERM, SYS_setresuid, 2, -1, -1);
        fails!(EPERM, SYS_setresuid, -1, 0, -1);
        gives!(0, SYS_setresuid, -1, -1, -1);
    });
}

fn seteuid_comes_back() {
    passes(|| {
        ok!(SYS_setresuid, -1, 1000, -1);
        assert_eq!(ok!(SYS_geteuid), 1000);
        fails!(EPERM, SYS_setgroups, 0, 0);
        ok!(SYS_setresuid, -1, 0, -1);
        gives!(0, SYS_setgroups, 0, 0);
    });
}

fn setreuid_rules() {
    passes(|| {
        gives!(0, SYS_setreuid, 5, 6);
        let mut three = [9u32; 3];
        let [a, b, c] = &mut three;
        ok!(SYS_getresuid, a, b, c);
        assert_eq!(three, [5, 6, 6]);
        gives!(0, SYS_setreuid, 6, 5);
        fails!(EPERM, SYS_setreuid, 7, -1);
        fails!(EPERM, SYS_setreuid, -1, 7);
    });
}

fn setgid_rules() {
    passes(|| {
        gives!(0, SYS_setgid, 100);
        assert_eq!((ok!(SYS_getgid), ok!(SYS_getegid)), (100, 100));
        gives!(0, SYS_setresgid, 1, 2, 3);
        ok!(SYS_setuid, 50);
        fails!(EPERM, SYS_setgid, 0);
        gives!(0, SYS_setgid, 3);
        gives!(0, SYS_setregid, -1, 1);
        fails!(EPERM, SYS_setregid, 99, -1);
    });
}

fn setgroups_and_getgroups() {
    passes(|| {
        let list: Vec<u32> = (100..140).collect();
        gives!(0, SYS_setgroups, 40, list.as_ptr());
        let mut got = [0u32; 64];
        gives!(40, SYS_getgroups, 64, &mut got);
        let mut sorted = got[..40].to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, list);
        gives!(40, SYS_getgroups, 0, 0);
        fails!(EINVAL, SYS_getgroups, 39, &mut got);
        fails!(EINVAL, SYS_getgroups, -1, &mut got);
        fails!(EFAULT, SYS_getgroups, 64, bad::<u32>());
        fails!(EFAULT, SYS_setgroups, 4, bad::<u32>());
        fails!(EINVAL, SYS_setgroups, 65_537, list.as_ptr());
        gives!(0, SYS_setgroups, 0, 0);
        gives!(0, SYS_getgroups, 0, 0);
    });
}

fn setfsuid_tells_the_old() {
    passes(|| {
        gives!(0, SYS_setfsuid, 77);
        gives!(77, SYS_setfsuid, -1);
        gives!(77, SYS_setfsuid, 0);
        gives!(0, SYS_setfsgid, -1);
    });
}

fn names() -> utsname {
    // SAFETY: all-zero bytes are a valid `utsname`.
    let mut name: utsname = unsafe { std::mem::zeroed() };
    ok!(SYS_uname, &mut name);
    name
}

fn field(bytes: &[c_char; 65]) -> String {
    text(&bytes.map(|c| c as u8))
}

fn uname_fields() {
    let name = names();
    assert_eq!(
        (field(&name.sysname).as_str(), field(&name.machine).as_str()),
        ("Linux", "x86_64")
    );
    assert!(!field(&name.nodename).is_empty() && !field(&name.version).is_empty());
    // The C library refuses a kernel older than it was built for.
    let release = field(&name.release);
    let major: u32 = release.split('.').next().unwrap().parse().unwrap();
    assert!(major >= 4, "{release}");
    fails!(EFAULT, SYS_uname, bad::<utsname>());
}

fn uname_can_be_changed_by_root_only() {
    passes(|| {
        become_nobody();
        fails!(EPERM, SYS_sethostname, c"x", 1);
    });
    fails!(EINVAL, SYS_sethostname, c"x", -1);
    fails!(EINVAL, SYS_sethostname, &[0u8; 100], 65);
}

fn sysinfo_fields() {
    // SAFETY: all-zero bytes are a valid `sysinfo`.
    let mut info: sysinfo = unsafe { std::mem::zeroed() };
    gives!(0, SYS_sysinfo, &mut info);
    assert!(info.uptime >= 0 && info.procs >= 1 && info.mem_unit >= 1);
    assert!(info.totalram > 0 && info.freeram <= info.totalram);
    fails!(EFAULT, SYS_sysinfo, bad::<sysinfo>());
}

fn prctl_name() {
    let mut name = [9u8; 17];
    gives!(0, SYS_prctl, PR_SET_NAME, c"short", 0, 0, 0);
    gives!(0, SYS_prctl, PR_GET_NAME, &mut name, 0, 0, 0);
    assert_eq!(&name, b"short\0\0\0\0\0\0\0\0\0\0\0\x09");
    gives!(0, SYS_prctl, PR_SET_NAME, c"0123456789abcdefgh", 0, 0, 0);
    ok!(SYS_prctl, PR_GET_NAME, &mut name, 0, 0, 0);
    assert_eq!(text(&name), "0123456789abcde");
    fails!(EFAULT, SYS_prctl, PR_SET_NAME, bad::<u8>(), 0, 0, 0);
    fails!(EFAULT, SYS_prctl, PR_GET_NAME, bad::<u8>(), 0, 0, 0);
}

fn prctl_death_signal() {
    let mut signal = 9i32;
    gives!(0, SYS_prctl, PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
    gives!(0, SYS_prctl, PR_GET_PDEATHSIG, &mut signal, 0, 0, 0);
    assert_eq!(signal, SIGUSR1);
    fails!(EINVAL, SYS_prctl, PR_SET_PDEATHSIG, 65, 0, 0, 0);
    let (reader, writer) = pipe();
    passes(|| {
        let middle = pid();
        let _ = test_programs::child::fork(|| {
            ok!(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
            write(writer, b"x");
            // The parent may have gone before the call: then the signal does not come.
            while ok!(SYS_getppid) as i32 == middle {
                let _ = sys!(SYS_nanosleep, &timespec(1_000_000), 0);
            }
            loop {
                let _ = sys!(SYS_pause);
            }
        });
        read(reader, 1);
    });
    close(writer);
    // The end of file shows that the grandchild died.
    assert_eq!(read(reader, 1), b"");
}

fn prctl_no_new_privileges() {
    passes(|| {
        gives!(0, SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
        gives!(0, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        gives!(1, SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
        fails!(EINVAL, SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
        passes(|| {
            gives!(1, SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
        });
    });
}

fn prctl_dumpable() {
    gives!(1, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
    gives!(0, SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    gives!(0, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
    fails!(EINVAL, SYS_prctl, PR_SET_DUMPABLE, 2, 0, 0, 0);
}

fn prctl_errors() {
    fails!(EINVAL, SYS_prctl, 123_456, 0, 0, 0, 0);
    fails!(EINVAL, SYS_prctl, -1, 0, 0, 0, 0);
}

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;

fn arch_prctl_fs_and_gs() {
    let mut base = 0usize;
    gives!(0, SYS_arch_prctl, ARCH_GET_FS, &mut base);
    assert_ne!(base, 0);
    gives!(0, SYS_arch_prctl, ARCH_SET_FS, base);
    let target = [0x1122_3344_5566_7788u64, 42];
    gives!(0, SYS_arch_prctl, ARCH_SET_GS, &target);
    gives!(0, SYS_arch_prctl, ARCH_GET_GS, &mut base);
    assert_eq!(base, target.as_ptr() as usize);
    let through_gs = || {
        let mut value: u64;
        // SAFETY: gs points at `target`.
        unsafe { std::arch::asm!("mov {}, gs:[8]", out(reg) value, options(nostack)) };
        value
    };
    assert_eq!(through_gs(), 42);
    for _ in 0..100 {
        ok!(SYS_sched_yield);
        assert_eq!(through_gs(), 42);
    }
    // A child has the same base; another program has none.
    passes(|| assert_eq!(through_gs(), 42));
}

fn arch_prctl_errors() {
    fails!(EINVAL, SYS_arch_prctl, 0x9999, 0);
    fails!(EPERM, SYS_arch_prctl, ARCH_SET_GS, 1usize << 57);
    fails!(
        EPERM,
        SYS_arch_prctl,
        ARCH_SET_FS,
        0xffff_8000_0000_0000usize
    );
    fails!(EFAULT, SYS_arch_prctl, ARCH_GET_FS, bad::<usize>());
}

fn getcpu_is_plausible() {
    let (mut cpu, mut node) = (9999u32, 9999u32);
    gives!(0, SYS_getcpu, &mut cpu, &mut node, 0);
    assert!(cpu < 4096 && node < 4096);
    gives!(0, SYS_getcpu, 0, 0, 0);
    fails!(EFAULT, SYS_getcpu, bad::<u32>(), 0, 0);
    let mut set = [0u8; 128];
    let len = ok!(SYS_sched_getaffinity, 0, 128, &mut set);
    assert!(len.is_multiple_of(8) && set[(cpu / 8) as usize] & 1 << (cpu % 8) != 0);
    fails!(EINVAL, SYS_sched_getaffinity, 0, 1, &mut set);
    fails!(ESRCH, SYS_sched_getaffinity, 999_999_999, 128, &mut set);
}

fn unknown_calls_give_enosys() {
    for number in [500, 1000, 5000, 0x3fff_ffff, -1, i64::from(i32::MAX)] {
        assert_eq!(
            test_programs::raw::call(number, &[0; 6]),
            Err(ENOSYS),
            "call {number}"
        );
    }
    // Calls that were never built on this machine, or are gone.
    for number in [
        libc::SYS_nfsservctl,
        libc::SYS_getpmsg,
        libc::SYS_tuxcall,
        libc::SYS_security,
        libc::SYS_vserver,
    ] {
        assert_eq!(
            test_programs::raw::call(number, &[0; 6]),
            Err(ENOSYS),
            "call {number}"
        );
    }
}

fn personality_can_be_asked() {
    gives!(0, SYS_personality, u32::MAX);
}
