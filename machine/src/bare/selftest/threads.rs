//! User mode, what ends it, and time.

use super::{CODE, DATA, space, thread};
use crate::bare::cpu::{self, PerCpu};
use crate::bare::exception::KernelFrame;
use crate::bare::paging::{PageTable, Root};
use crate::bare::user::{Fault, Trap, UserContext};
use crate::bare::{irq, layout, nmi, random, time};
use crate::memory::{PAGE, USER_END};
use alloc::boxed::Box;
use core::cell::Cell;

fn enter(user: &mut UserContext, root: &Root) -> Trap {
    loop {
        match user.enter(root) {
            Trap::Interrupt => {}
            trap => return trap,
        }
    }
}

pub fn calls() {
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

pub fn faults() {
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

pub fn flags_and_segments() {
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

pub fn vectors() {
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
    let mut image = moved.vector_image().to_vec();
    assert_eq!(image.len(), UserContext::vector_size());
    assert_eq!(image[160..168], moved.registers.rdi.to_le_bytes());
    let replace = |context: &mut UserContext, image: &[u8]| {
        context.replace_vector_state(|state| {
            state.copy_from_slice(image);
            true
        })
    };
    replace(&mut two, &image).expect("it came from the processor");
    two.registers.rdi = moved.registers.rdi;
    assert_eq!(enter(&mut two, &root), Trap::Call);
    assert_eq!(two.registers.rax, 20);
    assert_eq!(enter(&mut two, &root), Trap::Call);
    assert_eq!(two.registers.rax, 21);
    image[27] = 0xff;
    assert!(replace(&mut two, &image).is_err());
    assert!(two.replace_vector_state(|_| false).is_err());
    assert_eq!(two.vector_image()[160..168], [0; 8]);
    drop((moved, child));
    // A new thread sees nothing of them.
    let mut fresh = thread(192);
    let image = fresh.vector_image();
    assert_eq!(image[0..2], 0x37f_u16.to_le_bytes());
    assert!(image[32..512].iter().all(|byte| *byte == 0));
}

pub fn preemption() {
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
        cpu::idle();
    }
    time::set_alarm(None);
    irq::window();
}

/// An NMI just before a CPU halts keeps it from halting, and one at any other place changes nothing.
pub fn waiting() {
    let [halts, is_over] = nmi::wait_addresses();
    assert!(halts < is_over);
    for (rip, goes_on_at) in [(halts, is_over), (is_over, is_over), (halts - 1, halts - 1)] {
        let mut frame = KernelFrame {
            rip,
            ..KernelFrame::default()
        };
        nmi::handle(&mut frame);
        assert_eq!(frame.rip, goes_on_at);
    }
}

pub fn clock() {
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
