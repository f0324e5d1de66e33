//! Checks of the machine by itself, at boot, when the command line says `selftest`.
//!
//! The one idea: they use the public interface as the kernel will, and take back all that they used,
//! so a boot with them ends up like one without.

use super::cpu::PerCpu;
use super::frame::{self, Frame};
use super::paging::{Access, CopyFault, PageTable, Root};
use super::user::{Fault, Trap, UserContext};
use super::{boot, heap, irq, layout, panic, random, time};
use crate::memory::{PAGE, USER_END};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::cell::Cell;

global_asm!(include_str!("selftest.s"));

unsafe extern "C" {
    static selftest_programs: u8;
    static selftest_programs_end: u8;
}

const READ_WRITE: Access = Access::READ.union(Access::WRITE);
const READ_EXECUTE: Access = Access::READ.union(Access::EXECUTE);

/// Runs the checks if the command line asks for them. Panics at the first that fails.
pub fn run() {
    if boot::option("selftest").is_none() {
        return;
    }
    let checks: [(&str, fn()); 12] = [
        ("frames", frames),
        ("heap", heap),
        ("paging", paging),
        ("copies", copies),
        ("words", words),
        ("copy-on-write", copy_on_write),
        ("system calls", calls),
        ("faults", faults),
        ("flags and segments", flags_and_segments),
        ("vector state", vectors),
        ("preemption", preemption),
        ("clock and entropy", clock),
    ];
    // What is made once and stays: the current root's frame, per-CPU lists.
    for (_, check) in checks {
        check();
    }
    let before = frame::stats();
    for (name, check) in checks {
        check();
        panic::note(format_args!("selftest: {name} ok"));
    }
    assert_eq!(frame::stats().user, before.user, "user frames came back");
    assert!(
        frame::stats().kernel <= before.kernel,
        "kernel frames came back"
    );
    panic::note(format_args!("selftest: all ok"));
}

fn programs() -> &'static [u8] {
    let start = &raw const selftest_programs;
    let len = (&raw const selftest_programs_end).addr() - start.addr();
    // SAFETY: the bytes between the two labels are in read-only data.
    unsafe { core::slice::from_raw_parts(start, len) }
}

const CODE: usize = 0x40_0000;
const DATA: usize = 0x7fff_0000_0000;

/// A space with the programs, and two pages of data (the stack grows down from their end).
fn space() -> PageTable {
    let mut table = PageTable::new().expect("frames");
    let code = Frame::zeroed().expect("frames");
    code.write(0, programs());
    table.map(CODE, code, READ_EXECUTE).expect("frames");
    for page in [DATA, DATA + PAGE] {
        let frame = Frame::zeroed().expect("frames");
        table.map(page, frame, READ_WRITE).expect("frames");
    }
    table
}

fn thread(program: usize) -> UserContext {
    UserContext::new(CODE + program, DATA + 2 * PAGE).expect("frames")
}

fn frames() {
    let before = frame::stats();
    let one = Frame::zeroed().expect("frames");
    let mut word = [1; 8];
    one.read(PAGE - 8, &mut word);
    assert_eq!(word, [0; 8]);
    let same = one.clone();
    assert!(!one.is_unique());
    drop(same);
    assert!(one.is_unique());
    let mut many: Vec<Frame> = (0..300).map(|_| Frame::dirty().expect("frames")).collect();
    for (index, frame) in many.iter().enumerate() {
        frame.write(0, &(index as u64).to_le_bytes());
    }
    for (index, frame) in many.iter().enumerate() {
        frame.read(0, &mut word);
        assert_eq!(u64::from_le_bytes(word), index as u64);
    }
    many.swap(3, 200);
    drop((many, one));
    assert_eq!(frame::stats().user, before.user);

    let row = frame::take_row(5).expect("frames");
    frame::give_row(row, 5);
}

fn heap() {
    let before = heap::stats();
    let mut kept: Vec<Box<[u8]>> = Vec::new();
    for size in (0..5000).step_by(37).chain([100_000, 1 << 20]) {
        let mut bytes = alloc::vec![size as u8; size].into_boxed_slice();
        if let Some(last) = bytes.last_mut() {
            *last = !(size as u8);
        }
        kept.push(bytes);
    }
    for bytes in &kept {
        if let Some((last, rest)) = bytes.split_last() {
            assert!(
                rest.iter().all(|byte| *byte == !last),
                "heap objects do not overlap"
            );
        }
    }
    #[repr(align(256))]
    struct Aligned([u8; 300]);
    let aligned = Box::new(Aligned([7; 300]));
    assert!((&raw const *aligned).addr().is_multiple_of(256) && aligned.0[299] == 7);
    assert!(heap::stats().used > before.used + (1 << 20));
    drop((kept, aligned));
    assert_eq!(heap::stats().used, before.used);
}

fn paging() {
    let mut table = space();
    assert_eq!(table.resident(), 3);
    assert_eq!(table.access(CODE), Some(READ_EXECUTE));
    assert!(table.access(CODE + PAGE).is_none());
    let kernel = frame::stats().kernel;
    let far = 0x1234_5678_9000;
    let frame = Frame::zeroed().expect("frames");
    assert!(
        table
            .map(far, frame, Access::empty())
            .expect("frames")
            .is_none()
    );
    assert_eq!(frame::stats().kernel, kernel + 3);
    assert_eq!(table.access(far), Some(Access::empty()));
    assert!(table.root().copy_in(far, &mut [0]).is_err());
    table
        .move_pages(far..far + PAGE, DATA + 3 * PAGE)
        .expect("frames");
    assert_eq!(frame::stats().kernel, kernel);
    table.protect(DATA + 3 * PAGE..DATA + 4 * PAGE, READ_WRITE);
    assert_eq!(table.access(DATA + 3 * PAGE), Some(Access::READ));
    table.set_access(DATA + 3 * PAGE, READ_WRITE);
    let (frame, access) = table.take(DATA + 3 * PAGE).expect("it is there");
    assert!(frame.is_unique() && access == READ_WRITE);
    let old = table.map(DATA, frame, READ_WRITE).expect("frames");
    assert!(old.is_some_and(|old| old.is_unique()));
    // Many pages in one go: more than are forgotten one by one, over two tables.
    let many = 0x10_0000_0000 - 300 * PAGE..0x10_0000_0000 + 300 * PAGE;
    for page in many.clone().step_by(PAGE) {
        table
            .map(page, Frame::dirty().expect("frames"), READ_WRITE)
            .expect("frames");
    }
    table.root().store_u32(many.start, 1).expect("it is there");
    let user = frame::stats().user;
    table.unmap(many.start + PAGE..many.end - PAGE);
    assert_eq!(frame::stats().user, user - 598);
    assert!(table.root().load_u32(many.start + PAGE).is_err());
    table.unmap(0..USER_END);
    assert_eq!(table.resident(), 0);
    let root = table.root();
    drop(table);
    assert!(root.copy_in(DATA, &mut [0]).is_err());
}

fn fault(done: usize, address: usize, write: bool) -> Result<(), CopyFault> {
    Err(CopyFault {
        done,
        address,
        write,
    })
}

fn copies() {
    let table = space();
    let root = table.root();
    let text: Vec<u8> = (0..2 * PAGE)
        .map(|index| (index.wrapping_mul(7)) as u8)
        .collect();
    let mut back = alloc::vec![0; 2 * PAGE];
    let end = DATA + 2 * PAGE;
    for (start, len) in [
        (0, 2 * PAGE),
        (1, 77),
        (PAGE - 3, 8),
        (PAGE - 40, 100),
        (5, 0),
    ] {
        root.zero_out(DATA, 2 * PAGE).expect("it is there");
        root.copy_out(DATA + start, &text[..len])
            .expect("it is there");
        root.copy_in(DATA + start, &mut back[..len])
            .expect("it is there");
        assert_eq!(text[..len], back[..len]);
        root.copy_in(DATA, &mut back).expect("it is there");
        let zeros = back[..start].iter().chain(&back[start + len..]);
        assert!(
            zeros.copied().all(|byte| byte == 0),
            "nothing else was written"
        );
    }
    for over in [1, 7, 8, 31, 32, 33, 64, 100] {
        for len in [over, over + 1, over + 8, over + 32, over + 45] {
            let len = len.max(over);
            let at = end - over;
            let want = if len == over {
                Ok(())
            } else {
                fault(over, end, true)
            };
            assert_eq!(root.copy_out(at, &text[..len]), want);
            assert_eq!(root.zero_out(at, len), want);
            let want = if len == over {
                Ok(())
            } else {
                fault(over, end, false)
            };
            assert_eq!(root.copy_in(at, &mut back[..len]), want);
        }
    }
    assert_eq!(root.copy_out(CODE, &[1]), fault(0, CODE, true));
    for bad in [
        0,
        0x1000,
        USER_END,
        1 << 47,
        layout::DIRECT,
        layout::KERNEL,
        usize::MAX,
    ] {
        assert_eq!(root.copy_in(bad, &mut [0; 3]), fault(0, bad, false));
        assert_eq!(root.copy_out(bad, &[0; 3]), fault(0, bad, true));
        assert_eq!(root.zero_out(bad, 3), fault(0, bad, true));
        assert!(root.load_u32(bad & !7).is_err() && root.store_u64(bad & !7, 1).is_err());
    }
    let frame = Frame::dirty().expect("frames");
    root.copy_out(DATA, &text[..PAGE]).expect("it is there");
    root.copy_in_frame(DATA + 100, &frame, 50, 1000)
        .expect("it is there");
    root.copy_out_frame(DATA + PAGE, &frame, 50, 1000)
        .expect("it is there");
    root.copy_in(DATA + PAGE, &mut back[..1000])
        .expect("it is there");
    assert_eq!(back[..1000], text[100..1100]);
}

fn words() {
    let table = space();
    let root = table.root();
    root.store_u32(DATA + 8, 5).expect("it is there");
    assert_eq!(root.compare_exchange_u32(DATA + 8, 5, 6), Ok(Ok(5)));
    assert_eq!(root.compare_exchange_u32(DATA + 8, 5, 7), Ok(Err(6)));
    assert_eq!(root.update_u32(DATA + 8, |word| word + 1), Ok(6));
    assert_eq!(root.load_u64(DATA + 8), Ok(7));
    root.store_u64(DATA + 8, 1 << 40).expect("it is there");
    assert_eq!(root.load_u32(DATA + 12), Ok(1 << 8));
    assert!(root.load_u32(DATA + 2).is_err() && root.load_u64(DATA + 4).is_err());
    assert!(root.compare_exchange_u32(CODE, 0, 1).is_err());
}

fn copy_on_write() {
    let mut parent = space();
    parent.root().copy_out(DATA, b"hello").expect("it is there");
    let mut child = PageTable::new().expect("frames");
    parent
        .share_into(&mut child, 0..USER_END, true)
        .expect("frames");
    assert_eq!(child.resident(), parent.resident());
    assert!(parent.root().copy_out(DATA, b"x").is_err());
    assert!(!parent.make_writable_if_unique(DATA));
    let (old, _) = parent.get(DATA).expect("it is there");
    let copy = Frame::dirty().expect("frames");
    copy.copy_from(&old);
    drop(parent.map(DATA, copy, READ_WRITE));
    drop(old);
    parent
        .root()
        .copy_out(DATA, b"world")
        .expect("it is writable");
    let mut seen = [0; 5];
    child.root().copy_in(DATA, &mut seen).expect("it is there");
    assert_eq!(&seen, b"hello");
    assert!(child.make_writable_if_unique(DATA));
    child
        .root()
        .copy_out(DATA, b"child")
        .expect("it is writable");
    parent.root().copy_in(DATA, &mut seen).expect("it is there");
    assert_eq!(&seen, b"world");
}

fn enter(user: &mut UserContext, root: &Root) -> Trap {
    loop {
        match user.enter(root) {
            Trap::Interrupt => {}
            trap => return trap,
        }
    }
}

fn calls() {
    let table = space();
    let root = table.root();
    let mut user = thread(0);
    user.registers.r15 = 0xf00d;
    user.registers.rax = 1;
    for count in 1..1000 {
        assert_eq!(enter(&mut user, &root), Trap::Call);
        let registers = &user.registers;
        assert_eq!(
            (registers.rbx, registers.rax, registers.r15),
            (count, count, 0xf00d)
        );
        assert_eq!(
            (registers.rcx, registers.r11),
            (registers.rip, registers.rflags)
        );
        assert_eq!(registers.rsp as usize, DATA + 2 * PAGE);
        user.registers.rax += 1;
    }
    let mut child = user.fork().expect("frames");
    child.registers.rcx = 7;
    assert_eq!(enter(&mut child, &root), Trap::Call);
    assert_eq!(child.registers.rbx, 1000);
    user.reset(CODE + 64, DATA + PAGE);
    assert_eq!(
        (user.registers.rbx, user.registers.rsp as usize),
        (0, DATA + PAGE)
    );
    user.registers.rdi = DATA as u64;
    user.registers.rax = 0x1122_3344;
    assert_eq!(enter(&mut user, &root), Trap::Call);
    assert_eq!(root.load_u32(DATA), Ok(0x1122_3344));
}

fn faults() {
    let table = space();
    let root = table.root();
    let end = |program: usize, rdi: u64| {
        let mut user = thread(program);
        user.registers.rdi = rdi;
        (enter(&mut user, &root), user.registers.rip)
    };
    let fault = |vector, code, address| {
        Trap::Fault(Fault {
            vector,
            code,
            address,
        })
    };
    let kernel = layout::DIRECT as u64 + 0x20_0000;
    for (program, rdi, want) in [
        (64, 0x1000, fault(14, 6, 0x1000)),
        (64, CODE as u64, fault(14, 7, CODE as u64)),
        (64, kernel, fault(14, 7, kernel)),
        (64, 1 << 47, fault(13, 0, 0)),
        (256, 0, fault(13, 0, 0)),
        (320, 0, fault(3, 0, 0)),
        (384, 0, fault(13, 0x402, 0)),
        (448, 0, fault(0, 0, 0)),
        (512, 0, fault(14, 0x14, 0)),
        (512, USER_END as u64, fault(14, 0x14, USER_END as u64)),
    ] {
        let (mut got, _) = end(program, rdi);
        // The hole around the image may be there or not, and an emulator gives the code of `int`
        // in a way of its own.
        if let Trap::Fault(fault) = &mut got {
            match program {
                384 => fault.code = 0x402,
                _ if rdi == kernel => fault.code |= 1,
                _ => {}
            }
        }
        assert_eq!(got, want, "program {program} with {rdi:#x}");
    }
    if crate::features::features().nx {
        let (got, _) = end(512, DATA as u64);
        assert_eq!(got, fault(14, 0x15, DATA as u64));
    }
    let mut user = thread(0);
    for rip in [1 << 47, kernel, u64::MAX, 1 << 63] {
        user.registers.rip = rip;
        assert_eq!(enter(&mut user, &root), fault(13, 0, 0));
    }
    // A stack pointer from anywhere is the thread's own trouble.
    user.registers.rip = CODE as u64;
    user.registers.rsp = 1 << 62;
    assert_eq!(enter(&mut user, &root), Trap::Call);
    // An empty space.
    let empty = PageTable::new().expect("frames");
    user.registers.rip = CODE as u64;
    let got = enter(&mut user, &empty.root());
    assert_eq!(got, fault(14, 0x14, CODE as u64));
}

fn flags_and_segments() {
    let table = space();
    let root = table.root();
    let mut user = thread(576);
    user.registers.rflags = !0x100;
    assert_eq!(enter(&mut user, &root), Trap::Call);
    assert_eq!(user.registers.rflags & 0x4_0400, 0x4_0400);
    // The kernel's own flags are clean: a copy goes the right way, and SMAP holds.
    root.copy_out(DATA, &[1; 100]).expect("it is there");
    // Single steps end after one instruction.
    let mut user = thread(0);
    user.registers.rflags |= 0x100;
    let step = Trap::Fault(Fault {
        vector: 1,
        code: 0,
        address: 0,
    });
    assert_eq!(enter(&mut user, &root), step);
    assert_eq!(
        (user.registers.rbx, user.registers.rip as usize),
        (1, CODE + 3)
    );

    root.store_u64(DATA, 111).expect("it is there");
    root.store_u64(DATA + 8, 222).expect("it is there");
    let (mut one, mut two) = (thread(640), thread(640));
    one.fs_base = DATA as u64;
    two.fs_base = DATA as u64 + 8;
    two.gs_base = 1 << 60;
    assert_eq!(enter(&mut one, &root), Trap::Call);
    assert_eq!(one.registers.rax, 111);
    assert_eq!(enter(&mut one, &root), Trap::Call);
    assert_eq!(enter(&mut two, &root), Trap::Call);
    assert_eq!((two.registers.rax, two.gs_base), (222, 0));
    let mut three = thread(640);
    three.fs_base = DATA as u64;
    assert_eq!(enter(&mut one, &root), Trap::Call);
    assert_eq!(enter(&mut three, &root), Trap::Call);
    assert_eq!(three.registers.rax, 111);
}

fn vectors() {
    let table = space();
    let root = table.root();
    let (mut one, mut two) = (thread(192), thread(192));
    one.registers.rdi = 0x0123_4567_89ab_cdef;
    two.registers.rdi = !one.registers.rdi;
    for count in 0..20 {
        assert_eq!(enter(&mut one, &root), Trap::Call);
        assert_eq!(enter(&mut two, &root), Trap::Call);
        assert_eq!((one.registers.rax, two.registers.rax), (count, count));
    }
    // A copy has the registers; a moved context is still the owner.
    let mut child = one.fork().expect("frames");
    assert_eq!(enter(&mut child, &root), Trap::Call);
    assert_eq!(child.registers.rax, 20);
    let mut moved = Box::new(one);
    assert_eq!(enter(&mut moved, &root), Trap::Call);
    assert_eq!(moved.registers.rax, 20);
    let mut image = Vec::new();
    moved.vector_state(&mut image);
    assert_eq!(image.len(), UserContext::vector_size());
    assert_eq!(image[160..168], moved.registers.rdi.to_le_bytes());
    two.set_vector_state(&image)
        .expect("it came from the processor");
    two.registers.rdi = moved.registers.rdi;
    assert_eq!(enter(&mut two, &root), Trap::Call);
    assert_eq!(two.registers.rax, 20);
    two.set_vector_state(&image[..512]).expect("a legacy image");
    assert_eq!(enter(&mut two, &root), Trap::Call);
    assert_eq!(two.registers.rax, 21);
    image[27] = 0xff;
    assert!(two.set_vector_state(&image).is_err());
    assert!(two.set_vector_state(&image[1..]).is_err());
    drop((moved, child));
    // A new thread sees nothing of them.
    let mut fresh = thread(192);
    let mut image = Vec::new();
    fresh.vector_state(&mut image);
    assert_eq!(image[0..2], 0x37f_u16.to_le_bytes());
    assert!(image[32..512].iter().all(|byte| *byte == 0));
}

fn preemption() {
    let table = space();
    let root = table.root();
    let mut user = thread(128);
    // On a busy emulator the alarm may be due before the thread has run at all.
    for _ in 0..100 {
        let deadline = time::now() + 1_000_000;
        time::set_alarm(Some(deadline));
        let mut early = 0;
        loop {
            assert_eq!(user.enter(&root), Trap::Interrupt);
            if time::now() >= deadline {
                break;
            }
            early += 1;
            assert!(early < 10, "the alarm rings once");
        }
        if user.registers.rax > 100 {
            break;
        }
    }
    assert!(
        user.registers.rax > 100,
        "a thread that spins runs until the alarm"
    );
    // And while idle.
    let deadline = time::now() + 1_000_000;
    time::set_alarm(Some(deadline));
    while time::now() < deadline {
        super::cpu::idle();
    }
    time::set_alarm(None);
    irq::window();
}

fn clock() {
    static CALLS: PerCpu<Cell<u32>> = PerCpu::new(|| Cell::new(5));
    CALLS.with(|calls| calls.set(calls.get() + 1));
    assert!(CALLS.with(Cell::get) > 5);
    let mut last = time::now();
    for _ in 0..1000 {
        let now = time::now();
        assert!(now >= last, "time does not go back");
        last = now;
    }
    assert!(time::wall_at_boot() > 1_600_000_000_000_000_000);
    assert_ne!(random::seed(), random::seed());
}
