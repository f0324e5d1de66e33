//! mprotect(2).

use libc::{
    MAP_PRIVATE, MAP_SHARED, O_RDONLY, PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_NONE,
    PROT_READ, PROT_WRITE, SEEK_SET, SIGSEGV,
};
use test_programs::child::{dies_of, passes};
use test_programs::memory::{Mapping, PAGE, peek, poke, readable, writable};
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    read_only_and_back,
    no_access_and_back,
    parts_of_a_mapping,
    over_several_mappings,
    a_hole_stops_it,
    errors,
    before_the_first_touch,
    keeps_the_contents,
    executable_and_back,
    of_a_read_only_file,
    of_copy_on_write_pages,
    does_not_reach_the_child,
    is_copied_to_the_child,
    of_code_and_constants,
    of_the_stack,
    many_changes,
    a_call_sees_it_at_once,
);

const RW: i32 = PROT_READ | PROT_WRITE;

fn read_only_and_back() {
    let mapping = Mapping::private(PAGE);
    mapping.set(0, 1);
    mapping.protect(0, PAGE, PROT_READ);
    assert_eq!(mapping.get(0), 1);
    dies_of(SIGSEGV, || mapping.set(0, 2));
    mapping.protect(0, PAGE, RW);
    mapping.set(0, 3);
    assert_eq!(mapping.get(0), 3);
}

fn no_access_and_back() {
    let mapping = Mapping::private(4 * PAGE);
    (0..4).for_each(|p| mapping.set(p * PAGE, p as u8));
    mapping.protect(0, 4 * PAGE, PROT_NONE);
    assert!((0..4).all(|p| !readable(mapping.address + p * PAGE)));
    mapping.protect(0, 4 * PAGE, PROT_READ);
    assert!((0..4).all(|p| mapping.get(p * PAGE) == p as u8));
}

fn parts_of_a_mapping() {
    let mapping = Mapping::private(6 * PAGE);
    mapping.protect(PAGE, 2 * PAGE, PROT_READ);
    mapping.protect(4 * PAGE, PAGE, PROT_NONE);
    let view: String = (0..6)
        .map(|p| {
            match (
                readable(mapping.address + p * PAGE),
                writable(mapping.address + p * PAGE),
            ) {
                (true, true) => 'w',
                (true, false) => 'r',
                _ => '.',
            }
        })
        .collect();
    assert_eq!(view, "wrrw.w");
}

fn over_several_mappings() {
    let mapping = Mapping::private(6 * PAGE);
    mapping.protect(PAGE, PAGE, PROT_READ);
    mapping.protect(3 * PAGE, PAGE, PROT_NONE);
    mapping.protect(0, 6 * PAGE, RW);
    (0..6).for_each(|p| mapping.set(p * PAGE, 1));
}

fn a_hole_stops_it() {
    let mapping = Mapping::private(4 * PAGE);
    ok!(SYS_munmap, mapping.at(2 * PAGE), PAGE);
    fails!(ENOMEM, SYS_mprotect, mapping.address, 4 * PAGE, PROT_READ);
    // What came before the hole has been changed.
    assert!(!writable(mapping.address + PAGE) && writable(mapping.address + 3 * PAGE));
    fails!(ENOMEM, SYS_mprotect, mapping.at(2 * PAGE), PAGE, PROT_READ);
}

fn errors() {
    let mapping = Mapping::private(PAGE);
    fails!(EINVAL, SYS_mprotect, mapping.address + 1, PAGE, RW);
    fails!(EINVAL, SYS_mprotect, mapping.address, PAGE, 0x40);
    fails!(
        EINVAL,
        SYS_mprotect,
        mapping.address,
        PAGE,
        RW | PROT_GROWSDOWN | PROT_GROWSUP
    );
    fails!(ENOMEM, SYS_mprotect, mapping.address, usize::MAX - PAGE, RW);
    fails!(ENOMEM, SYS_mprotect, 0x10_0000_0000usize, PAGE, RW);
    gives!(0, SYS_mprotect, mapping.address, 0, PROT_NONE);
    mapping.set(0, 1);
    gives!(0, SYS_mprotect, mapping.address, 1, PROT_NONE);
    assert!(!readable(mapping.address + PAGE - 1));
}

fn before_the_first_touch() {
    let mapping = Mapping::new(2 * PAGE, PROT_NONE, MAP_PRIVATE);
    mapping.protect(0, PAGE, RW);
    assert_eq!(mapping.get(0), 0);
    mapping.set(0, 1);
    mapping.protect(PAGE, PAGE, PROT_READ);
    assert_eq!(mapping.get(PAGE), 0);
    dies_of(SIGSEGV, || mapping.set(PAGE, 1));
}

fn keeps_the_contents() {
    let mapping = Mapping::private(100 * PAGE);
    (0..100 * PAGE)
        .step_by(100)
        .for_each(|at| mapping.set(at, at as u8));
    for protection in [PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, RW] {
        mapping.protect(0, 100 * PAGE, protection);
    }
    assert!(
        (0..100 * PAGE)
            .step_by(100)
            .all(|at| mapping.get(at) == at as u8)
    );
}

fn executable_and_back() {
    let mapping = Mapping::private(PAGE);
    for (i, byte) in [0xb8, 42, 0, 0, 0, 0xc3].into_iter().enumerate() {
        mapping.set(i, byte);
    }
    let call = || {
        // SAFETY: the function above: mov eax, 42; ret.
        let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(mapping.address) };
        function()
    };
    dies_of(SIGSEGV, || assert_eq!(call(), 42));
    mapping.protect(0, PAGE, PROT_READ | PROT_EXEC);
    assert_eq!(call(), 42);
    dies_of(SIGSEGV, || mapping.set(1, 43));
    mapping.protect(0, PAGE, RW);
    dies_of(SIGSEGV, || assert_eq!(call(), 42));
}

/// A shared mapping of a file that is open for reading only can never become writable; a private one can.
fn of_a_read_only_file() {
    close(file_with(c"f", &[5; PAGE]));
    let fd = open(c"f", O_RDONLY);
    fails!(EACCES, SYS_mmap, 0, PAGE, RW, MAP_SHARED, fd, 0);
    let shared = ok!(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    fails!(EACCES, SYS_mprotect, shared, PAGE, RW);
    let private = ok!(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    gives!(0, SYS_mprotect, private, PAGE, RW);
    poke(private, 6);
    assert_eq!((peek(private), peek(shared), read(fd, 1)), (6, 5, vec![5]));
}

fn of_copy_on_write_pages() {
    let mapping = Mapping::private(2 * PAGE);
    mapping.set(0, 1);
    let gate = test_programs::child::Gate::new();
    let child = test_programs::child::spawn(|| {
        gate.wait();
        assert_eq!(mapping.get(0), 1);
    });
    mapping.protect(0, PAGE, PROT_READ);
    mapping.protect(0, PAGE, RW);
    // Writable again by the tables must not mean shared with the child.
    mapping.set(0, 2);
    gate.open();
    child.passes();
    assert_eq!(mapping.get(0), 2);
}

fn does_not_reach_the_child() {
    let mapping = Mapping::private(PAGE);
    let gate = test_programs::child::Gate::new();
    let child = test_programs::child::spawn(|| {
        gate.wait();
        mapping.set(0, 1);
    });
    mapping.protect(0, PAGE, PROT_NONE);
    gate.open();
    child.passes();
}

fn is_copied_to_the_child() {
    let mapping = Mapping::private(2 * PAGE);
    mapping.protect(0, PAGE, PROT_READ);
    passes(|| {
        assert!(!writable(mapping.address) && writable(mapping.address + PAGE));
        mapping.protect(0, PAGE, RW);
        mapping.set(0, 1);
    });
    assert!(!writable(mapping.address));
}

fn of_code_and_constants() {
    static CONSTANT: [u8; 64] = [9; 64];
    dies_of(SIGSEGV, || poke(CONSTANT.as_ptr() as usize, 1));
    let code = of_code_and_constants as *const () as usize;
    dies_of(SIGSEGV, || poke(code, 1));
    passes(|| {
        let page = code & !(PAGE - 1);
        gives!(0, SYS_mprotect, page, PAGE, RW | PROT_EXEC);
        poke(code, peek(code));
    });
}

fn of_the_stack() {
    let mut room = [0u8; 3 * PAGE];
    let page = (room.as_mut_ptr() as usize).next_multiple_of(PAGE);
    gives!(0, SYS_mprotect, page, PAGE, PROT_NONE);
    assert!(!readable(page));
    gives!(0, SYS_mprotect, page, PAGE, RW);
    room[2 * PAGE] = 1;
    assert_eq!(std::hint::black_box(&room)[2 * PAGE], 1);
}

fn many_changes() {
    let mapping = Mapping::private(32 * PAGE);
    for round in 0..2000usize {
        let page = round * 7 % 32;
        mapping.protect(
            page * PAGE,
            PAGE,
            if round % 3 == 0 { PROT_READ } else { RW },
        );
        assert_eq!(writable(mapping.address + page * PAGE), round % 3 != 0);
    }
    mapping.protect(0, 32 * PAGE, RW);
    (0..32).for_each(|p| mapping.set(p * PAGE, 1));
}

fn a_call_sees_it_at_once() {
    let mapping = Mapping::private(PAGE);
    let fd = file_with(c"f", &[1; 100]);
    for _ in 0..20 {
        ok!(SYS_lseek, fd, 0, SEEK_SET);
        mapping.protect(0, PAGE, PROT_READ);
        fails!(EFAULT, SYS_read, fd, mapping.address, 10);
        mapping.protect(0, PAGE, RW);
        gives!(10, SYS_read, fd, mapping.address, 10);
    }
}
