//! How long a CPU keeps interrupts out, at worst, and where.
//!
//! The one idea: kernel code runs with interrupts off, so a *stretch* is what lies between two moments at which they
//! were let in: user mode, idling, or a [`window`]. Only the longest is kept, so noting one is a subtraction and a
//! comparison.
//!
//! The executor looks at the clock anyway, so turns that stay in the kernel cost no more than that. To look at it
//! whenever a program enters the kernel or leaves it would cost more than many a call itself; that is done only while
//! somebody wants it, see [`Exact`].

use crate::clock;
use crate::cpu::{Cpu, LOCAL, this};
use crate::stats::add;
use crate::task::{Name, Task};
use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use machine::irq;
use machine::sync::Spin;

/// What a stretch began with.
#[derive(Clone, Copy)]
pub enum Cause {
    /// A turn of a task that had waited in the kernel.
    Turn,
    /// A call of a program, and what gives such numbers their names.
    Call(u64, fn(u64) -> Option<&'static str>),
    /// An exception in user mode: its vector (Intel SDM volume 3, 6.15).
    Fault(u8),
    /// An interrupt in user mode.
    Interrupt(irq::Source),
    /// Long work that had let interrupts in there.
    Window(&'static Location<'static>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Turn => f.write_str("turn"),
            Cause::Call(number, name) => match name(*number) {
                Some(name) => write!(f, "call {name}"),
                None => write!(f, "call {number}"),
            },
            Cause::Fault(14) => f.write_str("page fault"),
            Cause::Fault(vector) => write!(f, "exception {vector}"),
            Cause::Interrupt(source) => write!(f, "interrupt {source}"),
            Cause::Window(place) => write!(f, "{}:{}", place.file(), place.line()),
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The longest one of something, and where it happened.
#[derive(Clone, Copy, Debug)]
pub struct Longest {
    /// How long it was.
    pub nanoseconds: u64,
    /// When it was over, in nanoseconds since boot.
    pub ended: u64,
    /// What it began with.
    pub cause: Cause,
    task: Name,
    /// The task's tag: the process it belongs to, or 0.
    pub tag: u64,
    /// The type of the task's future: which code it is.
    pub work: &'static str,
}

impl Longest {
    /// The name of the task.
    pub fn task(&self) -> &str {
        self.task.as_str()
    }
}

/// Keeps the longest. One CPU offers; anybody reads.
#[derive(Default)]
pub(crate) struct Record {
    nanoseconds: AtomicU64,
    /// Taken for a new longest one only, which comes ever more seldom.
    longest: Spin<Option<Longest>>,
}

impl Record {
    /// It took so long until `ended`, which may be the longest.
    #[inline]
    pub fn offer(&self, nanoseconds: u64, ended: u64, cause: Cause, task: &Task) {
        if nanoseconds > self.nanoseconds.load(Relaxed) {
            self.keep(nanoseconds, ended, cause, task);
        }
    }

    #[cold]
    fn keep(&self, nanoseconds: u64, ended: u64, cause: Cause, task: &Task) {
        let mut longest = self.longest.lock();
        self.nanoseconds.store(nanoseconds, Relaxed);
        *longest = Some(Longest {
            nanoseconds,
            ended,
            cause,
            task: task.short_name(),
            tag: task.tag(),
            work: task.work(),
        });
    }

    pub fn read(&self) -> Option<Longest> {
        *self.longest.lock()
    }

    /// From now on another one is the longest.
    pub fn forget(&self) {
        let mut longest = self.longest.lock();
        self.nanoseconds.store(0, Relaxed);
        *longest = None;
    }
}

/// The stretch that goes on. Own CPU only.
#[derive(Default)]
pub(crate) struct Stretch {
    /// When it began; 0: in user mode, or in a call that is not looked at.
    since: AtomicU64,
    /// The current turn has been in user mode.
    left: AtomicBool,
}

impl Stretch {
    /// Interrupts have been let in up to now.
    pub fn restart(&self, now: u64) {
        self.since.store(now.max(1), Relaxed);
    }

    /// A turn of a task begins.
    #[inline]
    pub fn begin_turn(&self, now: u64) {
        self.left.store(false, Relaxed);
        if !self.goes_on() {
            self.restart(now);
        }
    }

    #[inline]
    fn goes_on(&self) -> bool {
        self.since.load(Relaxed) != 0
    }

    /// Whether the turn that ends has never been in user mode.
    #[inline]
    pub fn stayed(&self) -> bool {
        !self.left.load(Relaxed)
    }

    /// The stretch is as long as this by now.
    #[inline]
    pub fn note(&self, now: u64, cause: Cause, task: &Task, record: &Record) {
        let since = self.since.load(Relaxed);
        if since != 0 {
            record.offer(now.saturating_sub(since), now, cause, task);
        }
    }
}

/// The CPU that a piece of kernel code runs on which does not wait: finding it once is cheaper than each time.
#[derive(Clone, Copy)]
pub struct Here {
    cpu: &'static Cpu,
    /// After a wait it may be another one.
    not_send: PhantomData<*const ()>,
}

/// This CPU.
#[inline]
pub fn here() -> Here {
    Here {
        cpu: this(),
        not_send: PhantomData,
    }
}

impl Here {
    /// See [`crate::should_yield`].
    #[inline]
    pub fn should_yield(self) -> bool {
        self.cpu.should_yield()
    }

    /// The user mode of `task`, which has a turn, is about to begin. Costs two instructions, but the first time in a turn.
    #[inline]
    pub fn leave_kernel(self, task: &Task) {
        if self.cpu.stretch.goes_on() {
            self.end_stretch(task);
        }
    }

    /// The kernel was entered from the user mode of `task`, by something that happens all the time.
    #[inline]
    pub fn enter_kernel_often(self, task: &Task, cause: impl FnOnce() -> Cause) {
        if task.split.counts_down() || is_exact() {
            self.enter_kernel(task, cause());
        }
    }

    #[inline(never)]
    fn end_stretch(self, task: &Task) {
        let stretch = &self.cpu.stretch;
        let splits = task.split.is_timing();
        let cause = LOCAL.with(|local| local.cause.get());
        let noted = is_exact() || !matches!(cause, Cause::Turn);
        if noted || splits {
            let now = clock::now();
            if noted {
                stretch.note(now, cause, task, &self.cpu.longest_stretch);
            }
            if splits {
                task.split.left(task.cpu_time_at(now));
                self.cpu.counters.user.begin(now, task.nice() > 0);
            }
        }
        stretch.left.store(true, Relaxed);
        stretch.since.store(0, Relaxed);
    }

    /// The kernel was entered from the user mode of `task`, by something that happens less often than calls and faults.
    pub fn enter_kernel(self, task: &Task, cause: Cause) {
        add(&self.cpu.counters.entries, 1);
        let now = match cause {
            // Its handler has run meanwhile.
            Cause::Interrupt(_) => irq::last().0,
            _ => clock::now(),
        };
        if !self.cpu.stretch.goes_on() {
            self.cpu.stretch.restart(now);
        }
        LOCAL.with(|local| local.cause.set(cause));
        let user = task.split.entered(task.cpu_time_at(now));
        self.cpu.counters.user.end(user, task.nice() > 0);
    }
}

/// The stretch is as long as it is now.
fn note(cpu: &Cpu) {
    LOCAL.with(|local| {
        if let Some(task) = &*local.current.borrow() {
            let cause = local.cause.get();
            cpu.stretch
                .note(clock::now(), cause, task, &cpu.longest_stretch);
        }
    });
}

/// Lets pending interrupts in. For long work that has no better place to stop.
#[track_caller]
pub fn window() {
    let cpu = this();
    let place = Location::caller();
    if cpu.stretch.goes_on() {
        note(cpu);
    }
    irq::window();
    let now = clock::now();
    cpu.stretch.restart(now);
    LOCAL.with(|local| {
        local.cause.set(Cause::Window(place));
        if let Some(task) = &*local.current.borrow() {
            let user = task.split.is_in_kernel(task.cpu_time_at(now));
            cpu.counters.user.end(user, task.nice() > 0);
        }
    });
}

/// How many of [`Exact`] there are.
static EXACT: AtomicUsize = AtomicUsize::new(0);

/// While there is one, every call and every fault is looked at.
#[derive(Debug)]
#[must_use = "it counts while it is kept"]
pub struct Exact(());

impl Exact {
    /// From now on.
    #[expect(
        clippy::new_without_default,
        reason = "making one is not a matter of course"
    )]
    pub fn new() -> Exact {
        EXACT.fetch_add(1, Relaxed);
        Exact(())
    }
}

impl Drop for Exact {
    fn drop(&mut self) {
        EXACT.fetch_sub(1, Relaxed);
    }
}

/// Whether every call and every fault is looked at.
#[inline]
pub fn is_exact() -> bool {
    EXACT.load(Relaxed) != 0
}
