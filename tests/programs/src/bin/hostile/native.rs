//! Native calls as a program makes them that means harm: void numbers, wrong rights, wrong values, all the handles there are.
//! A Linux kernel has no such calls and says so.

use super::ending::all_is_well;
use abi::{Call, Error, OpenFlags, Rights};
use std::sync::atomic::{AtomicU32, Ordering};
use test_programs::child::{become_nobody, passes};
use test_programs::memory::PAGE;
use test_programs::native::{close, is_linux, native, registry};
use test_programs::ok;
use test_programs::pattern::Numbers;

test_programs::tests!(
    numbers_that_are_not_open,
    double_close,
    a_void_number_stays_void,
    from_many_threads_each_handle_is_closed_once,
    rights_do_not_grow,
    registries_that_were_not_given,
    registries_without_root,
    handles_without_end,
    values_that_are_none,
);

/// One of the registries that the first program of a machine is given.
fn devices() -> Result<u64, Error> {
    registry("device")
}

fn numbers_that_are_not_open() {
    if is_linux() {
        return;
    }
    let mut memory = [0u64; 64];
    let good = memory.as_mut_ptr() as u64;
    let small = 64..4096;
    let odd = [u64::MAX, 1 << 31, 1 << 32, 0xffff_ffff, i64::MIN as u64];
    for handle in small.chain(odd) {
        for &call in Call::ALL {
            let arguments: &[u64] = match call {
                // The name of a registry is no handle; `wait` on none only sleeps, until the time that has passed.
                Call::Registry => continue,
                Call::Wait => &[handle, 0, good, 1, 0],
                Call::Open => &[handle, good, 0, 0, 0],
                Call::Duplicate => &[handle, 0],
                Call::Unmap | Call::Protect => &[handle, PAGE as u64, PAGE as u64, 0],
                Call::Map => &[handle, 0xffff_ffff, 0, PAGE as u64, 1, 0],
                _ => &[handle, 0, good, 8, good, 8],
            };
            let result = native(call, arguments);
            let sleeps = call == Call::Wait && handle == 0xffff_ffff;
            assert!(
                result.is_err() || sleeps && result == Ok(0),
                "{}({handle:#x}) gave {result:?}",
                call.name()
            );
        }
    }
    all_is_well();
}

fn double_close() {
    for _ in 0..200 {
        let Ok(handle) = devices() else {
            assert!(is_linux());
            return;
        };
        assert_eq!(close(handle), Ok(0));
        assert_eq!(close(handle), Err(Error::BadHandle));
    }
    all_is_well();
}

/// Also when its place in the table is taken again, very often.
fn a_void_number_stays_void() {
    if is_linux() {
        return;
    }
    let void = devices().unwrap();
    assert_eq!(close(void), Ok(0));
    for _ in 0..100_000 {
        let other = devices().unwrap();
        assert_ne!(other, void);
        assert_eq!(close(other), Ok(0));
    }
    assert_eq!(close(void), Err(Error::BadHandle));
    let mut reply = [0u8; 512];
    let inspect = [void, reply.as_mut_ptr() as u64, 512];
    assert_eq!(native(Call::Inspect, &inspect), Err(Error::BadHandle));
}

fn from_many_threads_each_handle_is_closed_once() {
    if is_linux() {
        return;
    }
    let closed = AtomicU32::new(0);
    for _ in 0..50 {
        let handle = devices().unwrap();
        closed.store(0, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if close(handle).is_ok() {
                        closed.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(closed.load(Ordering::SeqCst), 1);
    }
    all_is_well();
}

fn rights_do_not_grow() {
    if is_linux() {
        return;
    }
    let all = devices().unwrap();
    let few = Rights::LIST | Rights::DUPLICATE;
    let less = native(Call::Duplicate, &[all, few.bits().into()]).unwrap();
    for right in Rights::all().iter() {
        let again = native(Call::Duplicate, &[less, right.bits().into()]);
        assert_eq!(again.is_ok(), few.contains(right), "{right:?}");
        let path = "power";
        let rights = right.bits().into();
        let opened = native(
            Call::Open,
            &[less, path.as_ptr() as u64, path.len() as u64, rights, 0],
        );
        assert_eq!(opened.is_ok(), few.contains(right), "{right:?}");
    }
    for unknown in [1 << 12, 1 << 31, 1 << 32, u64::MAX] {
        assert!(native(Call::Duplicate, &[all, unknown]).is_err());
    }
    let create = u64::from(OpenFlags::CREATE.bits());
    let made = native(Call::Open, &[less, "new".as_ptr() as u64, 3, 0, create]);
    assert_eq!(made, Err(Error::Denied));
    all_is_well();
}

fn registries_that_were_not_given() {
    for name in [
        "file", "process", "log", "thread", "", "Device", "device\0", "device:", "../file",
    ] {
        let opened = registry(name);
        assert!(
            is_linux() || opened == Err(Error::NotFound),
            "{name:?}: {opened:?}"
        );
    }
}

/// Handles know nothing of users and of changed roots: who has given up either, names no registry any more.
fn registries_without_root() {
    let gone = || {
        let opened = devices();
        assert!(is_linux() || opened == Err(Error::NotFound), "{opened:?}");
    };
    passes(|| {
        become_nobody();
        gone();
    });
    passes(|| {
        ok!(SYS_chroot, c"/proc");
        gone();
    });
    passes(|| {
        ok!(SYS_setfsuid, 65534);
        gone();
        ok!(SYS_setfsuid, 0);
        assert!(is_linux() || devices().is_ok());
    });
}

/// Until there are no more; then all are given back, and it goes on.
fn handles_without_end() {
    if is_linux() {
        return;
    }
    for _ in 0..2 {
        let mut open = Vec::new();
        let refused = loop {
            match devices() {
                Ok(handle) => open.push(handle),
                Err(error) => break error,
            }
            assert!(open.len() < 1 << 24, "there is no limit");
        };
        assert!(
            matches!(refused, Error::TooMany | Error::Limit | Error::NoMemory),
            "after {}: {refused:?}",
            open.len()
        );
        for handle in open {
            assert_eq!(close(handle), Ok(0));
        }
        all_is_well();
    }
}

/// Arguments of a request that are no value: each is refused, whatever the lengths inside say.
fn values_that_are_none() {
    if is_linux() {
        return;
    }
    let devices = devices().unwrap();
    let verb = "no-such-verb";
    let mut numbers = Numbers::new(7);
    let mut value = [0u8; 64];
    let mut reply = [0u8; 64];
    for _ in 0..20_000 {
        value.fill_with(|| numbers.word() as u8);
        // Often a length that could be true.
        if numbers.below(2) == 0 {
            value[..4].copy_from_slice(&(numbers.below(64) as u32).to_le_bytes());
        }
        let result = native(
            Call::Request,
            &[
                devices,
                verb.as_ptr() as u64,
                verb.len() as u64,
                value.as_ptr() as u64,
                reply.as_mut_ptr() as u64,
                64,
            ],
        );
        assert!(result.is_err(), "{value:?} gave {result:?}");
    }
    all_is_well();
}
