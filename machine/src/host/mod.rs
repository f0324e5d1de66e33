//! The host back end: a simulated machine in plain std code, so that everything above `machine`
//! runs under `cargo test` on the developer's computer.
//!
//! The one idea: **every test thread has its own machine.** Frames, clock, alarms, serial port and
//! devices belong to a [`Machine`], and a thread that touches any of them for the first time gets a
//! fresh one. So tests that run side by side never see each other's frame counts or clocks. A test
//! that starts threads hands its machine to them: `let machine = host::current(); spawn(move || {
//! machine.enter(1); … })`.

pub mod boot;
pub mod clock;
pub mod clock_page;
pub mod cpu;
pub mod dma;
pub mod frame;
pub mod heap;
pub mod irq;
pub mod mmio;
pub mod node;
pub mod paging;
pub mod panic;
pub mod port;
pub mod power;
pub mod random;
pub mod rtc;
pub mod serial;
pub mod snapshot;
pub mod time;
pub mod user;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One simulated machine. Cheap to clone: a handle to shared state.
#[derive(Clone, Default)]
pub struct Machine(Arc<State>);

#[derive(Default)]
struct State {
    frames: Arc<frame::Ledger>,
    clock: clock::Clock,
    kicks: cpu::Kicks,
    values: cpu::Values,
    lines: irq::Lines,
    counts: irq::CountsOfAll,
    serial: serial::State,
    memory: dma::Regions,
    windows: mmio::Windows,
    ports: port::Claims,
    boot: boot::State,
    seed: random::State,
    rtc: rtc::Rtc,
    programs: user::Programs,
}

thread_local! {
    static CURRENT: RefCell<Machine> = RefCell::default();
}

/// The machine that the calling thread runs on.
pub fn current() -> Machine {
    CURRENT.with(|current| current.borrow().clone())
}

/// Puts the calling thread on a new machine of its own, as CPU 0. For test runners that use one
/// thread for several tests.
pub fn fresh() -> Machine {
    let machine = Machine::default();
    machine.enter(0);
    machine
}

impl Machine {
    /// Puts the calling thread on this machine, as CPU number `cpu`.
    pub fn enter(&self, cpu: usize) {
        CURRENT.with(|current| *current.borrow_mut() = self.clone());
        cpu::set_index(cpu);
    }
}

/// A lock that a panicking test cannot poison for the checks that follow it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the machine: on the host there is nothing to set up.
pub fn start(main: fn() -> !) -> ! {
    main()
}
