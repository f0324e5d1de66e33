//! `crowd [COUNT]`: how many threads one process can have asleep, what each of them costs, and whether making and waking
//! them becomes slower with their number. Prints a line for each tenth of the way.

use std::hint::black_box;
use test_programs::crowd::Crowd;
use test_programs::memory::free;
use test_programs::raw::short::monotonic;

/// How many are woken, all over the crowd, to find what waking takes.
const CALLS: usize = 1000;

fn main() {
    let argument = std::env::args().nth(1);
    let count: usize = match argument.as_deref().map(str::parse) {
        None => 100_000,
        Some(Ok(count)) if count >= 10 => count,
        Some(_) => {
            eprintln!("usage: crowd [COUNT]   (at least 10)");
            std::process::exit(2);
        }
    };
    let mut crowd = Crowd::with_room(count);
    println!(
        "{:>8}  {:>10}  {:>10}  {:>12}",
        "threads", "made in", "woken in", "memory each"
    );
    for tenth in 1..=10 {
        let goal = count * tenth / 10;
        let before = free();
        let (start, more) = (monotonic(), goal - crowd.present());
        while crowd.present() < goal {
            if let Err(error) = crowd.join() {
                println!(
                    "the next one after {} was refused: {error}",
                    crowd.present()
                );
                std::process::exit(1);
            }
        }
        let made = (monotonic() - start) / more as u64;
        let memory = before.saturating_sub(free()) / more as u64;
        let start = monotonic();
        for n in 0..CALLS {
            // Steps that share no factor with any round number visit all parts.
            crowd.call(n * 7919 % goal);
        }
        let woken = (monotonic() - start) / CALLS as u64;
        println!("{goal:>8}  {made:>7} ns  {woken:>7} ns  {memory:>10} B");
    }
    let start = monotonic();
    drop(black_box(crowd));
    println!(
        "all ended in {} ns each",
        (monotonic() - start) / count as u64
    );
}
