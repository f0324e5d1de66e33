//! sigaltstack(2).

use libc::{
    CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, EPERM, PROT_NONE, SA_NODEFER,
    SA_ONSTACK, SIGSEGV, SIGUSR1, SIGUSR2, SS_DISABLE, SS_ONSTACK, c_void, clone, siginfo_t,
    stack_t,
};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use test_programs::child::{dies_of, passes};
use test_programs::memory::{Mapping, PAGE};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, catch, catch_with, handle, raise};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    none_at_first,
    told_back,
    the_handler_runs_there,
    without_the_flag_it_does_not,
    nested_handlers_stay_there,
    two_signals_share_it,
    disabled_again,
    errors,
    no_change_while_on_it,
    told_while_on_it,
    autodisarm,
    overflow_is_handled_there,
    too_small_for_the_frame,
    a_thread_has_none,
    fork_keeps_it,
    with_a_hole_in_it,
);

const SIZE: usize = 64 * 1024;

fn set(stack: &Mapping, flags: i32) {
    let stack = stack_t {
        ss_sp: stack.at(0).cast(),
        ss_flags: flags,
        ss_size: stack.len,
    };
    ok!(SYS_sigaltstack, &stack, 0);
}

fn told() -> stack_t {
    let mut stack = stack_t {
        ss_sp: 7 as *mut c_void,
        ss_flags: 7,
        ss_size: 7,
    };
    ok!(SYS_sigaltstack, 0, &mut stack);
    stack
}

/// Rust's start-up may have set one: away with it.
fn without() {
    let none = stack_t {
        ss_sp: std::ptr::null_mut(),
        ss_flags: SS_DISABLE,
        ss_size: 0,
    };
    ok!(SYS_sigaltstack, &none, 0);
}

fn on(stack: &Mapping) -> bool {
    (stack.address..stack.address + stack.len).contains(&RECORD.stack.load(Ordering::SeqCst))
}

fn none_at_first() {
    without();
    assert_eq!(told().ss_flags, SS_DISABLE);
}

fn told_back() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    let told = told();
    assert_eq!(
        (told.ss_sp as usize, told.ss_flags, told.ss_size),
        (stack.address, 0, SIZE)
    );
    without();
}

fn the_handler_runs_there() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    catch_with(SIGUSR1, SA_ONSTACK);
    raise(SIGUSR1);
    assert!(on(&stack));
    // From the top down.
    assert!(RECORD.stack.load(Ordering::SeqCst) > stack.address + SIZE - 16 * 1024);
    without();
}

fn without_the_flag_it_does_not() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    catch(SIGUSR1);
    raise(SIGUSR1);
    assert!(!on(&stack));
    without();
}

static FLAGS: AtomicI32 = AtomicI32::new(-1);
static OUTER: AtomicUsize = AtomicUsize::new(0);

extern "C" fn outer(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    let here = 0u8;
    OUTER.store(&raw const here as usize, Ordering::SeqCst);
    FLAGS.store(told().ss_flags, Ordering::SeqCst);
    raise(SIGUSR2);
}

fn nested_handlers_stay_there() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    handle(SIGUSR1, outer, SA_ONSTACK);
    catch_with(SIGUSR2, SA_ONSTACK);
    raise(SIGUSR1);
    // The second frame is below the first, not over it.
    assert!(on(&stack) && RECORD.stack.load(Ordering::SeqCst) < OUTER.load(Ordering::SeqCst));
    without();
}

fn two_signals_share_it() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    catch_with(SIGUSR1, SA_ONSTACK);
    catch_with(SIGUSR2, SA_ONSTACK);
    for n in 0..100 {
        raise(if n % 2 == 0 { SIGUSR1 } else { SIGUSR2 });
        assert!(on(&stack));
    }
    without();
}

fn disabled_again() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    without();
    catch_with(SIGUSR1, SA_ONSTACK);
    raise(SIGUSR1);
    assert!(!on(&stack));
}

fn errors() {
    let page = Mapping::private(SIZE);
    let stack = |size, flags| stack_t {
        ss_sp: page.at(0).cast(),
        ss_flags: flags,
        ss_size: size,
    };
    fails!(ENOMEM, SYS_sigaltstack, &stack(2047, 0), 0);
    fails!(ENOMEM, SYS_sigaltstack, &stack(0, 0), 0);
    fails!(EINVAL, SYS_sigaltstack, &stack(SIZE, 0x77), 0);
    fails!(EFAULT, SYS_sigaltstack, bad::<stack_t>(), 0);
    fails!(EFAULT, SYS_sigaltstack, 0, bad::<stack_t>());
    gives!(0, SYS_sigaltstack, 0, 0);
    // Size does not matter for taking it away.
    gives!(0, SYS_sigaltstack, &stack(0, SS_DISABLE), 0);
}

fn no_change_while_on_it() {
    static RESULT: AtomicI32 = AtomicI32::new(0);
    extern "C" fn tries(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        let none = stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: SS_DISABLE,
            ss_size: 0,
        };
        RESULT.store(
            sys!(SYS_sigaltstack, &none, 0).err().unwrap_or(0),
            Ordering::SeqCst,
        );
    }
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    handle(SIGUSR1, tries, SA_ONSTACK);
    raise(SIGUSR1);
    assert_eq!(RESULT.load(Ordering::SeqCst), EPERM);
    without();
}

fn told_while_on_it() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    handle(SIGUSR1, outer, SA_ONSTACK);
    catch(SIGUSR2);
    raise(SIGUSR1);
    assert_eq!(
        (FLAGS.load(Ordering::SeqCst), told().ss_flags),
        (SS_ONSTACK, 0)
    );
    without();
}

/// With SS_AUTODISARM the stack is taken away during the handler, and is there again after it.
fn autodisarm() {
    const AUTODISARM: i32 = i32::MIN;
    let stack = Mapping::private(SIZE);
    set(&stack, AUTODISARM);
    assert_eq!(told().ss_flags, AUTODISARM);
    handle(SIGUSR1, outer, SA_ONSTACK);
    catch(SIGUSR2);
    raise(SIGUSR1);
    assert_eq!(FLAGS.load(Ordering::SeqCst), SS_DISABLE);
    assert_eq!(
        (told().ss_flags, told().ss_sp as usize),
        (AUTODISARM, stack.address)
    );
    without();
}

fn overflow_is_handled_there() {
    extern "C" fn good(_: i32, info: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: the kernel's record.
        let code = unsafe { (*info).si_code };
        test_programs::child::exit(if code == 1 { 0 } else { code });
    }
    fn deeper(n: u64) -> u64 {
        let frame = std::hint::black_box([n; 512]);
        if std::hint::black_box(n) == u64::MAX {
            0
        } else {
            deeper(n + 1) + frame[5]
        }
    }
    passes(|| {
        let stack = Mapping::private(SIZE);
        set(&stack, 0);
        handle(SIGSEGV, good, SA_ONSTACK);
        deeper(0);
    });
}

/// A stack that the frame does not fit on ends the process instead of writing below it.
fn too_small_for_the_frame() {
    dies_of(SIGSEGV, || {
        let stack = Mapping::private(2 * PAGE);
        stack.protect(0, PAGE, PROT_NONE);
        let small = stack_t {
            ss_sp: stack.at(PAGE).cast(),
            ss_flags: 0,
            ss_size: PAGE,
        };
        ok!(SYS_sigaltstack, &small, 0);
        catch_with(SIGUSR1, SA_ONSTACK | SA_NODEFER);
        handle(SIGUSR1, again, SA_ONSTACK | SA_NODEFER);
        raise(SIGUSR1);
    });
    extern "C" fn again(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        raise(SIGUSR1);
    }
}

fn a_thread_has_none() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    // A raw thread: one of the standard library would set its own.
    static SEEN: AtomicI32 = AtomicI32::new(-1);
    extern "C" fn body(_: *mut c_void) -> i32 {
        let mut stack = stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: 7,
            ss_size: 7,
        };
        let _ = sys!(SYS_sigaltstack, 0, &mut stack);
        SEEN.store(stack.ss_flags, Ordering::SeqCst);
        let _ = sys!(SYS_exit, 0);
        0
    }
    let room = Mapping::private(SIZE);
    let flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    // SAFETY: the thread's stack stays mapped until the process ends.
    let number = unsafe { clone(body, room.at(SIZE).cast(), flags, std::ptr::null_mut()) };
    assert!(number > 0);
    test_programs::child::until(|| SEEN.load(Ordering::SeqCst) != -1);
    assert_eq!(SEEN.load(Ordering::SeqCst), SS_DISABLE);
    std::mem::forget(room);
    without();
}

fn fork_keeps_it() {
    let stack = Mapping::private(SIZE);
    set(&stack, 0);
    passes(|| {
        assert_eq!(told().ss_sp as usize, stack.address);
        catch_with(SIGUSR1, SA_ONSTACK);
        raise(SIGUSR1);
        assert!(on(&stack));
    });
    without();
}

fn with_a_hole_in_it() {
    dies_of(SIGSEGV, || {
        let stack = Mapping::private(SIZE);
        set(&stack, 0);
        stack.protect(0, SIZE, PROT_NONE);
        catch_with(SIGUSR1, SA_ONSTACK);
        raise(SIGUSR1);
    });
}
