//! Simulated user mode: "running a user program" is calling a closure of the test.
//!
//! A context runs its own script (see [`UserContext::script`]), or else the machine's (see
//! [`set_program`]), which serves contexts that the code under test creates itself.

use super::{current, lock};
use crate::PAGE;
pub use crate::memory::OutOfFrames;
use crate::paging::Root;
pub use crate::trap::{Fault, Invalid, Registers, Trap};
use std::sync::{Arc, Mutex};

/// What stands for a user program: sees and changes registers and memory, and says why it came
/// back.
pub type Script = dyn FnMut(&mut UserView<'_>) -> Trap + Send;

/// What a [`Script`] works on.
pub struct UserView<'a> {
    pub registers: &'a mut Registers,
    pub root: &'a Root,
    pub fs_base: &'a mut u64,
    pub gs_base: &'a mut u64,
}

type Shared = Arc<Mutex<Box<Script>>>;

/// The script of contexts that have none of their own.
#[derive(Default)]
pub(super) struct Programs(Mutex<Option<Shared>>);

/// Sets what contexts without a script of their own run on this machine.
pub fn set_program(script: impl FnMut(&mut UserView<'_>) -> Trap + Send + 'static) {
    *lock(&current().0.programs.0) = Some(Arc::new(Mutex::new(Box::new(script))));
}

/// The XSAVE image of a processor with SSE only: 512 bytes of legacy state and a header of 64
/// (Intel SDM volume 1, 13.4).
const VECTOR_SIZE: usize = 512 + 64;
const FCW: usize = 0;
const MXCSR: usize = 24;
const MXCSR_MASK: u32 = 0xffff;
const XSTATE_BV: usize = 512;

fn initial_vector_state() -> Vec<u8> {
    let mut state = vec![0; VECTOR_SIZE];
    state[FCW..FCW + 2].copy_from_slice(&0x37fu16.to_le_bytes());
    state[MXCSR..MXCSR + 4].copy_from_slice(&0x1f80u32.to_le_bytes());
    state
}

fn is_acceptable(image: &[u8]) -> bool {
    let mxcsr = image.get(MXCSR..MXCSR + 4);
    let mxcsr = mxcsr.and_then(|bytes| bytes.try_into().ok());
    // Only x87 and SSE exist here; the rest of the header is reserved.
    mxcsr.is_some_and(|bytes| u32::from_le_bytes(bytes) & !MXCSR_MASK == 0)
        && image[XSTATE_BV] & !3 == 0
        && image[XSTATE_BV + 1..].iter().all(|&byte| byte == 0)
}

/// The state of one user thread.
pub struct UserContext {
    pub registers: Registers,
    pub fs_base: u64,
    pub gs_base: u64,
    vector: Vec<u8>,
    script: Option<Shared>,
}

impl UserContext {
    /// A thread that starts at `entry` with its stack pointer at `stack`; everything else is zero.
    pub fn new(entry: usize, stack: usize) -> Result<Self, OutOfFrames> {
        let mut context = UserContext {
            registers: Registers::default(),
            fs_base: 0,
            gs_base: 0,
            vector: Vec::new(),
            script: None,
        };
        context.reset(entry, stack);
        Ok(context)
    }

    /// A copy, vector state included. It runs the same script.
    pub fn fork(&mut self) -> Result<Self, OutOfFrames> {
        Ok(UserContext {
            registers: self.registers,
            fs_base: self.fs_base,
            gs_base: self.gs_base,
            vector: self.vector.clone(),
            script: self.script.clone(),
        })
    }

    /// Back to the state of a new thread, for exec.
    pub fn reset(&mut self, entry: usize, stack: usize) {
        self.registers = Registers {
            rip: entry as u64,
            rsp: stack as u64,
            rflags: 0x202,
            ..Registers::default()
        };
        self.fs_base = 0;
        self.gs_base = 0;
        self.vector = initial_vector_state();
    }

    /// Runs in user mode until something brings it back. Here: one call of the script. Panics when
    /// there is none.
    pub fn enter(&mut self, root: &Root) -> Trap {
        let script = self
            .script
            .clone()
            .or_else(|| lock(&current().0.programs.0).clone());
        let script =
            script.expect("a test gives a script: UserContext::script or host::user::set_program");
        let mut view = UserView {
            registers: &mut self.registers,
            root,
            fs_base: &mut self.fs_base,
            gs_base: &mut self.gs_base,
        };
        let mut run = lock(&script);
        run(&mut view)
    }

    /// What this context runs when it enters user mode, once per [`enter`](Self::enter).
    pub fn script(&mut self, script: impl FnMut(&mut UserView<'_>) -> Trap + Send + 'static) {
        self.script = Some(Arc::new(Mutex::new(Box::new(script))));
    }

    /// The vector state as an XSAVE image.
    pub fn vector_image(&mut self) -> &[u8] {
        &self.vector
    }

    /// Replaces the vector state by the image that `fill` writes. If `fill` answers false, or the processor would not
    /// take the image, it becomes that of a new thread.
    pub fn replace_vector_state(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> Result<(), Invalid> {
        if fill(&mut self.vector) && is_acceptable(&self.vector) {
            return Ok(());
        }
        self.vector = initial_vector_state();
        Err(Invalid)
    }

    /// Bytes of a vector state image.
    pub fn vector_size() -> usize {
        const { assert!(VECTOR_SIZE <= PAGE) };
        VECTOR_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::PageTable;

    #[test]
    fn a_script_stands_for_the_program() {
        let table = PageTable::new().unwrap();
        let mut user = UserContext::new(0x40_0000, 0x7000_0000).unwrap();
        user.script(|user| {
            user.registers.rax += 1;
            Trap::Call
        });
        assert_eq!(user.enter(&table.root()), Trap::Call);
        let mut child = user.fork().unwrap();
        assert_eq!(child.enter(&table.root()), Trap::Call);
        assert_eq!((user.registers.rax, child.registers.rax), (1, 2));
        user.reset(1, 2);
        assert_eq!(
            (user.registers.rip, user.registers.rsp, user.registers.rax),
            (1, 2, 0)
        );
    }

    #[test]
    fn bad_vector_states_are_refused() {
        let mut user = UserContext::new(0, 0).unwrap();
        let mut image = user.vector_image().to_vec();
        assert_eq!(image.len(), UserContext::vector_size());
        let replace = |user: &mut UserContext, image: &[u8]| {
            user.replace_vector_state(|state| {
                state.copy_from_slice(image);
                true
            })
        };
        image[200] = 9;
        replace(&mut user, &image).unwrap();
        assert_eq!(user.vector_image(), image);
        assert_eq!(user.replace_vector_state(|_| false), Err(Invalid));
        assert_eq!(user.vector_image()[200], 0);
        image[MXCSR + 3] = 1;
        assert_eq!(replace(&mut user, &image), Err(Invalid));
    }
}
