//! The limit of what a real-time thread may use without waiting (`RLIMIT_RTTIME`, getrlimit(2)).
//!
//! The one idea: what counts begins anew whenever the thread waits, so the limit can only be reached later than it looks
//! now. An alarm on the thread's CPU time is set for then, and when it rings and the thread has waited meanwhile, it is set
//! again. Who has no limit, or no priority, has no alarm.

use crate::errno::Errno;
use crate::limits::INFINITY;
use crate::process::Process;
use crate::signal::queue::Info;
use crate::signal::send;
use crate::signal::set::{SIGKILL, SIGXCPU};
use crate::thread::Thread;
use crate::time::clock::{Alarm, Clock};
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;
use machine::sync::{Once, Spin};
use task::policy::Class;

/// Nanoseconds in the unit of the limit.
const MICROSECOND: u64 = 1000;

/// What watches one thread, from the first time on that there is something to watch.
#[derive(Default)]
pub struct RealtimeLimit(Once<Arc<Watch>>);

struct Watch {
    thread: Weak<Thread>,
    alarm: Spin<Option<Alarm>>,
}

/// Watches all threads of a process whose limit has changed.
///
/// # Errors
/// `ENOMEM`.
pub fn watch_process(process: &Process) -> Result<(), Errno> {
    let threads = process.core().map(|core| core.threads());
    for thread in threads.iter().flatten() {
        let class = thread.task().map(|task| task.class());
        if let (Some(class), Some(side)) = (class, Thread::of(thread)) {
            watch(&side, &class)?;
        }
    }
    Ok(())
}

/// Watches a thread that has this class, or is about to get it, if it has a limit.
///
/// # Errors
/// `ENOMEM`.
pub fn watch(thread: &Arc<Thread>, class: &Class) -> Result<(), Errno> {
    let limited = || thread.process().limits.lock().realtime().soft != INFINITY;
    let watched = thread.realtime_limit.0.get();
    if !matches!(class, Class::Realtime { .. }) || (watched.is_none() && !limited()) {
        return Ok(());
    }
    let watch = thread.realtime_limit.0.get_or_init(|| {
        Arc::new(Watch {
            thread: Arc::downgrade(thread),
            alarm: Spin::default(),
        })
    });
    watch.set(thread)
}

impl Watch {
    /// Sets the alarm for when the limit can be reached at the earliest.
    fn set(self: &Arc<Watch>, thread: &Thread) -> Result<(), Errno> {
        let limit = thread.process().limits.lock().realtime();
        let alarm = match limit.soft.min(limit.hard) {
            INFINITY => None,
            limit => {
                let clock = Clock::Thread(Arc::downgrade(thread.core()));
                let used = clock.now().unwrap_or(0);
                let counted = since_wait(thread);
                let limit = limit.saturating_mul(MICROSECOND);
                let at = used.saturating_sub(counted).saturating_add(limit);
                Some(clock.alarm(at, Waker::from(self.clone()))?)
            }
        };
        let old = core::mem::replace(&mut *self.alarm.lock(), alarm);
        drop(old);
        Ok(())
    }
}

fn since_wait(thread: &Thread) -> u64 {
    thread.core().task().map_or(0, |task| task.since_wait())
}

impl Wake for Watch {
    /// At the soft limit, which moves on by a second each time, the process is told; at the hard limit it ends.
    fn wake(self: Arc<Watch>) {
        let Some(thread) = self.thread.upgrade() else {
            return;
        };
        let class = thread.core().task().map(|task| task.class());
        if !matches!(class, Some(Class::Realtime { .. })) {
            // With a priority it is watched again.
            return;
        }
        let counted = since_wait(&thread) / MICROSECOND;
        let mut limits = thread.process().limits.lock();
        let limit = limits.realtime();
        let signal = if counted >= limit.hard {
            Some(SIGKILL)
        } else if counted >= limit.soft {
            limits.allow_another_realtime_second();
            Some(SIGXCPU)
        } else {
            None
        };
        drop(limits);
        if let Some(signal) = signal {
            // A standard signal never overflows the queue.
            let _ = send::to_process(thread.process(), Info::kernel(signal));
        }
        if signal != Some(SIGKILL) {
            // There is room: that of the alarm that rang.
            let _ = self.set(&thread);
        }
    }
}
