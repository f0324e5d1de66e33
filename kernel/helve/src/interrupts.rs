//! Interrupts as the whole machine sees them: CPUs that they keep off, and sources that interrupt all the time.

use crate::command_line::CommandLine;
use abi::CpuSet;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::irq::{self, Source};

/// `isolcpus=SET` on the command line: neither tasks that were not told to run there nor interrupts of devices go to these
/// CPUs. Said before the first task is spawned. CPU 0 boots the machine and cannot be set aside.
pub fn isolate(line: CommandLine<'_>) {
    let Some(text) = line.value("isolcpus") else {
        return;
    };
    match set(text) {
        Some(CpuSet(cpus)) if cpus & 1 == 0 => {
            task::isolate(cpus);
            irq::set_default_route(!cpus);
            ::log::info!("processors set aside: {}", CpuSet(cpus));
        }
        _ => ::log::warn!("isolcpus={text}: no set of processors without number 0"),
    }
}

/// The set, without Linux's words for what shall be kept off: here it is always the same.
fn set(text: &str) -> Option<CpuSet> {
    let mut rest = text;
    for word in ["nohz,", "domain,", "managed_irq,"] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.parse().ok().filter(|set| *set != CpuSet(0))
}

/// For how long a source is not heard that interrupted all the time, in nanoseconds: longer each time.
const FIRST_SILENCE: u64 = 1_000_000_000;
const MOST_DOUBLINGS: u32 = 6;

/// From now on storms are ended.
pub fn watch() {
    irq::on_storm(storm);
}

/// Some source interrupts all the time, and has been silenced if it can be. Called where handlers are.
fn storm(source: Source) {
    let doublings = irq::storms(source).saturating_sub(1).min(MOST_DOUBLINGS);
    let silence = FIRST_SILENCE << doublings;
    let sources = irq::sources();
    let found = sources.iter().find(|(other, _)| *other == source);
    let names = found.map(|(_, names)| names.join(", ")).unwrap_or_default();
    let seconds = silence / FIRST_SILENCE;
    ::log::error!("interrupt storm from {source} ({names}): it is not heard for {seconds} s");
    let waits = async move {
        // Nothing interrupts this task.
        let _ = task::sleep_until(task::clock::now().saturating_add(silence)).await;
        irq::resume(source);
    };
    if task::spawn("storm", waits).is_err() {
        ::log::error!("no memory to hear {source} again: it stays silent");
    }
}

/// `selftest=storm` on the command line: a line that interrupts again and again until it is silenced.
pub fn test(line: CommandLine<'_>) {
    static HAS_SEEN_THE_END: AtomicBool = AtomicBool::new(false);
    if line.value("selftest") == Some("storm") {
        machine::selftest::storm(&HAS_SEEN_THE_END);
        let says = async {
            while !HAS_SEEN_THE_END.load(Ordering::Acquire) {
                let _ = task::sleep_until(task::clock::now().saturating_add(10_000_000)).await;
            }
            ::log::info!("selftest: the storm is over");
        };
        let _ = task::spawn("storm test", says);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_as_linux_writes_them() {
        assert_eq!(set("1-2"), Some(CpuSet(6)));
        assert_eq!(set("nohz,domain,3"), Some(CpuSet(8)));
        assert_eq!(set("managed_irq,1,3"), Some(CpuSet(10)));
        for wrong in ["", "nohz", "all", "1-"] {
            assert_eq!(set(wrong), None, "{wrong}");
        }
    }
}
