//! Load for a while: random trees of processes, and very many threads.
//!
//! What is found here depends on what happened to meet, so the seed is told, and another one is tried by
//! `cargo run -q -- exec --cpus 4 -- target/.../soak SECONDS SEED`.

use super::guest::{Output, Program};
use super::{Context, Test};
use crate::exec::session::How;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// How long the trees grow, in seconds.
const SECONDS: &str = "60";
const SEED: &str = "1";

/// The longest time for one of these with a fast machine.
const LIMIT: Duration = Duration::from_secs(200);

/// How many threads sleep at the end.
const CROWD: &str = "30000";

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("soak/trees", trees),
        Test::new("soak/crowd", crowd),
    ]
}

/// On four CPUs, whatever was asked for: on more than this computer has, they are disturbed at any place.
fn trees(context: &Context) -> Result<()> {
    let output = run(context, "soak", &[SECONDS, SEED], |program| program.cpus(4))?;
    ensure!(
        output.text().contains("all is well after"),
        "{}",
        output.report()
    );
    Ok(())
}

/// Making a thread and waking one costs as much with thirty thousand as with three thousand. Counted in instructions, so that it
/// does not matter what else this computer does.
fn crowd(context: &Context) -> Result<()> {
    let output = run(context, "crowd", &[CROWD], |program| {
        program.cpus(1).counting().memory(512 << 20)
    })?;
    let rows = rows(&output.text()).with_context(|| output.report())?;
    ensure!(rows.len() == 10, "{}", output.report());
    let (first, last) = (rows[0], rows[9]);
    ensure!(
        last.made <= first.made * 5 / 4 && last.woken <= first.woken * 5 / 4,
        "the first tenth: {first:?}\nthe last tenth: {last:?}\n{}",
        output.report()
    );
    Ok(())
}

/// What the program tells of a tenth of the way: nanoseconds, which are instructions here.
#[derive(Clone, Copy, Debug)]
struct Row {
    made: u64,
    woken: u64,
}

fn rows(text: &str) -> Option<Vec<Row>> {
    let table = text.lines().filter(|line| line.ends_with(" B"));
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let mut number = |skipped| words.nth(skipped)?.parse().ok();
        Some(Row {
            made: number(1)?,
            woken: number(1)?,
        })
    };
    table.map(row).collect()
}

fn run(
    context: &Context,
    name: &str,
    arguments: &[&str],
    on: impl FnOnce(Program) -> Program,
) -> Result<Output> {
    let program = context.programs.get(name).context("it was not built")?;
    let words = [&[name], arguments].concat();
    let output = on(Program::new(program, &words).limit(LIMIT)).run(context, b"")?;
    ensure!(
        matches!(output.how, How::Exited(0)),
        "{name} {}: {}",
        arguments.join(" "),
        output.report()
    );
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let text =
            " threads     made in    woken in   memory each\n    1000   12 ns   345 ns   6300 B\n";
        let rows = rows(text).expect("numbers");
        assert_eq!((rows[0].made, rows[0].woken, rows.len()), (12, 345, 1));
        assert!(super::rows("what B").is_none());
    }
}
