//! The Linux door: what a Linux thread's traps come to.

use crate::call::{Args, Call};
use crate::errno::Errno;
use crate::signal::queue::Info;
use crate::signal::set::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
use crate::signal::{deliver, send};
use crate::thread::Thread;
use crate::{exit, table};
use abi::Error;
use alloc::sync::Arc;
use machine::user::{Fault, UserContext};
use memory::Space;
use process::{Door, Flow};
use task::Task;

/// One Linux thread at its door.
pub struct LinuxDoor(pub Arc<Thread>);

/// Calls with this bit are native ones.
const NATIVE: u64 = 1 << 31;

impl Door for LinuxDoor {
    fn thread(&self) -> &Arc<process::Thread> {
        self.0.core()
    }

    fn call_name(number: u64) -> Option<&'static str> {
        match abi::decode(number) {
            Some(call) => Some(call.name()),
            None => table::name(number),
        }
    }

    #[inline]
    fn enters(&self, task: &Task, space: &Arc<Space>, user: &mut UserContext) {
        if self.0.rseq.turned(|| task.delays().1) {
            self.0.rseq.settle(&self.0, space, user);
        }
    }

    #[inline]
    fn immediate(&self, space: &Arc<Space>, user: &mut UserContext) -> Option<Flow> {
        let Some((number, args)) = asked(user) else {
            return native::call::immediate(self.0.core(), space, user);
        };
        let mut call = Call::new(&self.0, space, user);
        let answer = table::immediate(&mut call, number, args)?;
        Some(call.finish(number, answer))
    }

    async fn call(&self, space: &Arc<Space>, user: &mut UserContext) -> Flow {
        let Some((number, args)) = asked(user) else {
            let call = abi::decode(user.registers.rax);
            if call == Some(abi::Call::Registry) && !self.0.process().names_registries() {
                user.registers.rax = Error::NotFound.to_raw();
                return Flow::Continue;
            }
            return native::call(self.0.core(), space, user).await;
        };
        let mut call = Call::new(&self.0, space, user);
        let answer = table::waiting(&mut call, number, args).await;
        call.finish(number, answer)
    }

    fn fault(&self, user: &mut UserContext, fault: Fault, error: Option<Error>) -> Flow {
        self.0.note_fault(fault);
        send::force(&self.0, signal_of(fault, error, user));
        Flow::Continue
    }

    async fn checkpoint(&self, space: &Arc<Space>, user: &mut UserContext) -> Flow {
        deliver::checkpoint(&self.0, space, user).await
    }

    fn leave(&self, space: &Arc<Space>) {
        exit::leave(&self.0, space);
    }
}

/// The number and the arguments of a Linux call; `None` for a native one.
#[inline]
fn asked(user: &UserContext) -> Option<(u64, Args)> {
    let registers = &user.registers;
    let number = registers.rax;
    let args = [
        registers.rdi,
        registers.rsi,
        registers.rdx,
        registers.r10,
        registers.r8,
        registers.r9,
    ];
    (number & NATIVE == 0).then_some((number, args))
}

/// Which signal an exception becomes, and its `si_code` (Linux `arch/x86/kernel/traps.c`; sigaction(2)).
fn signal_of(fault: Fault, error: Option<Error>, user: &mut UserContext) -> Info {
    const FPE_INTDIV: i32 = 1;
    const ILL_ILLOPN: i32 = 2;
    const TRAP_TRACE: i32 = 2;
    const SEGV_MAPERR: i32 = 1;
    const SEGV_ACCERR: i32 = 2;
    const BUS_ADRALN: i32 = 1;
    const BUS_ADRERR: i32 = 2;
    let rip = user.registers.rip;
    match fault.vector {
        0 => Info::fault(SIGFPE, FPE_INTDIV, rip),
        1 => Info::fault(SIGTRAP, TRAP_TRACE, rip),
        3 => Info::kernel(SIGTRAP),
        6 => Info::fault(SIGILL, ILL_ILLOPN, rip),
        14 => match error {
            Some(Error::Denied) => Info::fault(SIGSEGV, SEGV_ACCERR, fault.address),
            Some(Error::Range | Error::Io) => Info::fault(SIGBUS, BUS_ADRERR, fault.address),
            Some(Error::NoMemory) => Info::kernel(crate::signal::set::SIGKILL),
            _ => Info::fault(SIGSEGV, SEGV_MAPERR, fault.address),
        },
        16 | 19 => Info::fault(
            SIGFPE,
            float_exception(fault.vector, user),
            user.registers.rip,
        ),
        11 | 12 => Info::kernel(SIGBUS),
        17 => Info::fault(SIGBUS, BUS_ADRALN, 0),
        _ => Info::kernel(SIGSEGV),
    }
}

/// Which floating-point exception it was: the first that happened and is not masked (Linux `fpu__exception_code`).
fn float_exception(vector: u8, user: &mut UserContext) -> i32 {
    const FPE_FLTDIV: i32 = 3;
    const FPE_FLTOVF: i32 = 4;
    const FPE_FLTUND: i32 = 5;
    const FPE_FLTRES: i32 = 6;
    const FPE_FLTINV: i32 = 7;
    let image = user.vector_image();
    let half = |at: usize| {
        image
            .get(at..at + 2)
            .map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
    };
    // The FXSAVE area: control word, status word; MXCSR, whose masks lie seven bits above its flags.
    let happened = match vector {
        16 => half(2) & !half(0),
        _ => half(24) & !(half(24) >> 7),
    };
    match happened {
        flags if flags & 0x01 != 0 => FPE_FLTINV,
        flags if flags & 0x04 != 0 => FPE_FLTDIV,
        flags if flags & 0x08 != 0 => FPE_FLTOVF,
        flags if flags & 0x12 != 0 => FPE_FLTUND,
        flags if flags & 0x20 != 0 => FPE_FLTRES,
        _ => 0,
    }
}

/// What an interrupted wait that never restarts answers.
pub fn no_restart(errno: Errno) -> Errno {
    if errno == Errno::ERESTARTSYS {
        Errno::EINTR
    } else {
        errno
    }
}
