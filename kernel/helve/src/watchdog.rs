//! The watchdog: CPUs that do not get on any more are noticed, and so are kernel tasks that never wait.
//!
//! The one idea: two CPUs, the *guards*, look at all others and at each other a few times in a limit; no other CPU has
//! a tick for it. What a stalled CPU does is found out by an interrupt that it cannot keep out, and is first of all
//! printed, without any lock, because it may hold every one of them.

mod locks;
mod report;
mod stall;

pub use stall::stall;

use crate::command_line::CommandLine;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::cpu;
use task::policy::{Class, INHERITED_PRIORITY};
use task::{LOOKS, Terms, Verdict, Watch};
use watchdog::Watchdog;

/// What `watchdog=` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Nanoseconds after which a CPU counts as stalled.
    pub limit: u64,
    /// Then the machine starts again.
    pub reboots: bool,
}

const SECOND: u64 = 1_000_000_000;
/// As Linux has it for CPUs that keep interrupts out.
const LIMIT: u64 = 10;

impl Plan {
    /// `off`, `report`, `reboot`, each but the first with `:SECONDS`.
    ///
    /// # Errors
    /// It says something else.
    fn read(text: &str) -> Result<Option<Plan>, ()> {
        let (what, seconds) = text.split_once(':').unwrap_or((text, ""));
        let limit = match (what, seconds) {
            ("off", "") => return Ok(None),
            ("report" | "reboot", "") if !text.ends_with(':') => LIMIT,
            ("report" | "reboot", seconds) => match seconds.parse() {
                Ok(limit @ 1..=3600) => limit,
                _ => return Err(()),
            },
            _ => return Err(()),
        };
        Ok(Some(Plan {
            limit: limit * SECOND,
            reboots: what == "reboot",
        }))
    }

    /// What the command line says; without a word, stalls are reported.
    pub fn of(line: CommandLine<'_>) -> Option<Plan> {
        let text = line.value("watchdog").unwrap_or("report");
        Plan::read(text).unwrap_or_else(|()| {
            ::log::warn!("watchdog={text}: neither off nor report[:SECONDS] nor reboot[:SECONDS]");
            Plan::read("report").ok().flatten()
        })
    }
}

/// Starts the guards. All CPUs run already. If the machine shall start again, a hardware watchdog is armed for the case
/// that nobody is left to see to that; without one, a single CPU is watched by nobody.
pub fn start(plan: Plan, hardware: Option<Arc<Watchdog>>) {
    locks::watch(plan);
    let hardware = hardware.filter(|_| plan.reboots);
    if let Some(hardware) = &hardware {
        // So late that there is a report first, if there can be one.
        hardware.start_for_kernel((2 * plan.limit / SECOND) as u32);
    }
    if cpu::count() < 2 && hardware.is_none() {
        if plan.reboots {
            ::log::warn!("watchdog: one processor, and no hardware to watch it");
        }
        return;
    }
    for me in guards(task::isolated(), cpu::count()) {
        let terms = Terms {
            // Nobody who asks for a priority is before it.
            class: Class::Realtime {
                priority: INHERITED_PRIORITY,
                rotates: false,
            },
            nice: 0,
            affinity: 1 << me,
            group: None,
        };
        if task::spawn_with("watchdog", terms, guard(plan, me, hardware.clone())).is_err() {
            ::log::warn!("watchdog: no memory for processor {me}'s");
        }
    }
}

/// The first two CPUs that are not set aside; with fewer of those, one that is.
fn guards(isolated: u64, count: usize) -> impl Iterator<Item = usize> {
    let is_set_aside = move |cpu: &usize| isolated >> cpu & 1 != 0;
    let general = (0..count).filter(move |cpu| !is_set_aside(cpu));
    general.chain((0..count).filter(is_set_aside)).take(2)
}

/// Somebody has said that this CPU is stalled: it is said once, whoever sees it first.
static REPORTED: [AtomicBool; cpu::MAX] = [const { AtomicBool::new(false) }; cpu::MAX];

async fn guard(plan: Plan, me: usize, hardware: Option<Arc<Watchdog>>) {
    let mut watches = [Watch::default(); cpu::MAX];
    let step = plan.limit / u64::from(LOOKS);
    loop {
        // Nothing interrupts this task.
        let _ = task::sleep_until(task::clock::now().saturating_add(step)).await;
        let mut all_is_well = true;
        for (other, watch) in watches.iter_mut().enumerate().take(cpu::count()) {
            if other != me {
                all_is_well &= look(plan, watch, other);
            }
        }
        // Both must get on: the second is seen by the first, and the first feeds.
        if let Some(hardware) = hardware.as_ref().filter(|_| all_is_well && me == 0) {
            hardware.feed();
        }
    }
}

/// Whether the other one gets on, as far as can be told.
fn look(plan: Plan, watch: &mut Watch, other: usize) -> bool {
    let now = task::clock::now();
    let sign = task::sign(other);
    let verdict = watch.look(sign, now, plan.limit);
    match verdict {
        Verdict::Fine | Verdict::StillStalled(_) => {}
        Verdict::Ask => cpu::kick(other),
        Verdict::Stalled(since) => {
            if !REPORTED[other].swap(true, Ordering::AcqRel) {
                report::stalled(plan, other, sign.tag, now.saturating_sub(since));
            }
        }
        Verdict::GoesOn(since) => {
            if REPORTED[other].swap(false, Ordering::AcqRel) {
                let seconds = now.saturating_sub(since) / SECOND;
                ::log::warn!("watchdog: processor {other} goes on, after {seconds} s");
            }
        }
    }
    !matches!(verdict, Verdict::Stalled(_) | Verdict::StillStalled(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_guards_that_have_time() {
        assert!(guards(0, 4).eq([0, 1]));
        assert!(guards(0b0010, 4).eq([0, 2]));
        assert!(guards(0b1110, 4).eq([0, 1]));
        assert!(guards(0, 1).eq([0]));
    }

    #[test]
    fn what_the_word_means() {
        let plan = |seconds, reboots| {
            Ok(Some(Plan {
                limit: seconds * SECOND,
                reboots,
            }))
        };
        assert_eq!(Plan::read("off"), Ok(None));
        assert_eq!(Plan::read("report"), plan(10, false));
        assert_eq!(Plan::read("report:3"), plan(3, false));
        assert_eq!(Plan::read("reboot"), plan(10, true));
        assert_eq!(Plan::read("reboot:60"), plan(60, true));
        for wrong in [
            "",
            "on",
            "off:3",
            "report:",
            "reboot:0",
            "reboot:x",
            "reboot:9999",
        ] {
            assert_eq!(Plan::read(wrong), Err(()), "{wrong}");
        }
        assert_eq!(
            Plan::of(CommandLine("quiet")),
            Plan::read("report").unwrap()
        );
    }
}
