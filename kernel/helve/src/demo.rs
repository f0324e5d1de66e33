//! `demo=patterns` on the command line: tasks of the kernel that draw, each its own pattern, all at once.
//!
//! Each computes for a while before every line and then sleeps, so on several processors they spread over them, and on
//! one they take turns.

use crate::command_line::CommandLine;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use machine::cpu;
use task::WaitQueue;

/// Lines of each task, and how long it computes before each and sleeps after it, in nanoseconds.
const LINES: usize = 12;
const WORK: u64 = 4_000_000;
const PAUSE: u64 = 20_000_000;
const WIDTH: usize = 32;

type Pattern = fn(usize, usize) -> char;

/// What each draws in a column of a line.
const PATTERNS: [(&str, Pattern); 4] = [
    ("slope", |line, column| {
        ['/', ' '][usize::from((line + column) % 4 > 0)]
    }),
    ("wave", |line, column| {
        ['_', '.', '-', '\'', '-', '.'][(column + WIDTH - line) % 6]
    }),
    ("steps", |line, column| {
        if column < line * WIDTH / LINES {
            '#'
        } else {
            '.'
        }
    }),
    ("zigzag", |line, column| {
        let at = line * 5 % (2 * WIDTH);
        if column == at.min(2 * WIDTH - 1 - at) {
            'o'
        } else {
            ' '
        }
    }),
];

/// Draws, if that was asked for; ends when all have drawn their last line.
pub async fn run(line: CommandLine<'_>) {
    match line.value("demo") {
        None => return,
        Some("patterns") => {}
        Some(other) => return ::log::warn!("demo={other}: there is only demo=patterns"),
    }
    let left = Arc::new((AtomicUsize::new(0), WaitQueue::new()));
    for (name, pattern) in PATTERNS {
        let ended = left.clone();
        let drawing = async move {
            draw(name, pattern).await;
            ended.0.fetch_sub(1, Ordering::Release);
            ended.1.wake_all();
        };
        left.0.fetch_add(1, Ordering::Relaxed);
        if task::spawn(name, drawing).is_err() {
            left.0.fetch_sub(1, Ordering::Relaxed);
            ::log::warn!("demo: no memory for {name}");
        }
    }
    let none = || (left.0.load(Ordering::Acquire) == 0).then_some(());
    // Nothing interrupts this task.
    let _ = left.1.wait_until(none).await;
}

async fn draw(name: &str, pattern: Pattern) {
    let mut seen = 0u64;
    for line in 0..LINES {
        let end = task::clock::now().saturating_add(WORK);
        while task::clock::now() < end {
            task::rest().await;
        }
        let here = cpu::index();
        seen |= 1 << here;
        let text: String = (0..WIDTH).map(|column| pattern(line, column)).collect();
        ::log::info!("{name:>6} on {here} |{text}|");
        // Nothing interrupts this task.
        let _ = task::sleep_until(task::clock::now().saturating_add(PAUSE)).await;
    }
    let used = task::with_current(|task| task.cpu_time()).unwrap_or(0);
    ::log::info!(
        "{name:>6} drew {LINES} lines in {} ms of processor time, on {}",
        used / 1_000_000,
        abi::CpuSet(seen)
    );
}
