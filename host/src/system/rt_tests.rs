//! Debian's package `rt-tests`, unmodified: what measures Linux's latencies runs in Helve. Short runs, whose output is
//! looked at; how good the numbers are is what `helve bench` tells.

use super::guest::Program;
use super::{Body, Context, Test};
use crate::debian;
use crate::exec::session::How;
use crate::progress::Show;
use crate::tap::Point;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// The longest time for one of them with a fast machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A program with its options, how it ends, and what its output must say.
struct Case {
    name: &'static str,
    words: &'static str,
    status: u8,
    check: fn(&str) -> Result<()>,
}

const CASES: &[Case] = &[
    good("cyclictest", "cyclictest -q -p 80 -m -D 1", cycles),
    good(
        "cyclictest-threads",
        "cyclictest -q -p 80 -t 3 -D 1 -i 2000",
        cycles,
    ),
    good("hackbench-processes-sockets", "hackbench -g 2 -l 20", time),
    good("hackbench-processes-pipes", "hackbench -g 2 -l 20 -p", time),
    good("hackbench-threads-sockets", "hackbench -g 2 -l 20 -T", time),
    good(
        "hackbench-threads-pipes",
        "hackbench -g 2 -l 20 -T -p",
        time,
    ),
    good(
        "pi_stress",
        "pi_stress --duration=1 --groups=1 -q",
        |text| at_least(text, "Total inversion performed:", 1),
    ),
    good("pip_stress", "pip_stress", |text| {
        says(text, "inversion incurred")
    }),
    good("signaltest", "signaltest -q -l 50", |text| {
        at_least(text, "C:", 50)
    }),
    good("sigwaittest", "sigwaittest -q -l 50", |text| {
        at_least(text, "Cycles", 50)
    }),
    good("ptsematest", "ptsematest -q -l 50", |text| {
        at_least(text, "Cycles", 50)
    }),
    good("rt-migrate-test", "rt-migrate-test -q -l 5", |text| {
        at_least(text, "Max:", 1)
    }),
    good("cyclicdeadline", "cyclicdeadline -q -i 10000 -D 1", cycles),
    good("deadline_test", "deadline_test -i 10000 -p 50", |text| {
        says(text, "deadline")
    }),
    good(
        "queuelat",
        "queuelat -m 1000000000 -c 100 -p 0.01 -f 2000 -t 1",
        |text| says(text, "Avg loop processing time:"),
    ),
    good("oslat", "oslat -q -D 1", |text| says(text, "Maximum:")),
    // These need what Helve does not have, and say so.
    Case {
        name: "pmqtest",
        words: "pmqtest -q -l 50",
        status: 1,
        check: |text| says(text, "could not open POSIX message queue"),
    },
    Case {
        name: "svsematest",
        words: "svsematest -q -l 50",
        status: 0,
        check: |text| says(text, "semget: Function not implemented"),
    },
    Case {
        name: "ssdd",
        words: "ssdd --forks=1 --iters=10",
        status: 1,
        check: |text| says(text, "attach failed"),
    },
];

const fn good(name: &'static str, words: &'static str, check: fn(&str) -> Result<()>) -> Case {
    Case {
        name,
        words,
        status: 0,
        check,
    }
}

pub fn tests() -> Vec<Test> {
    CASES
        .iter()
        .map(|case| Test {
            name: format!("debian/rt-tests/{}", case.name),
            body: Body::Many(Box::new(|context| {
                Ok(vec![Point {
                    name: "runs".into(),
                    failure: run(context, case).err().map(|error| format!("{error:#}")),
                }])
            })),
        })
        .collect()
}

fn run(context: &Context, case: &Case) -> Result<()> {
    let package = debian::rt_tests(&context.workspace, Show::Progress)?;
    let (name, words) = case.words.split_once(' ').unwrap_or((case.words, ""));
    let path = format!("/bin/{name}");
    let words: Vec<&str> = [path.as_str()]
        .into_iter()
        .chain(words.split_whitespace())
        .collect();
    let output = Program::new(&package.program(name), &words)
        .roots(&package.roots)
        .limit(LIMIT)
        .run(context, b"")?;
    ensure!(
        output.how == How::Exited(case.status),
        "{}",
        output.report()
    );
    let said = [output.output.as_slice(), &output.errors].concat();
    let said = String::from_utf8_lossy(&said);
    (case.check)(&said).with_context(|| output.report())
}

/// A measuring thread went round often enough, and its figures are in order.
fn cycles(text: &str) -> Result<()> {
    at_least(text, "C:", 50)?;
    let figure = |word| number(text, word);
    let (least, most) = (figure("Min:")?, figure("Max:")?);
    ensure!(least <= most, "the least is {least}, the most {most}");
    Ok(())
}

fn time(text: &str) -> Result<()> {
    says(text, "Time: ")
}

fn says(text: &str, words: &str) -> Result<()> {
    ensure!(text.contains(words), "it does not say `{words}`");
    Ok(())
}

fn at_least(text: &str, word: &str, least: u64) -> Result<()> {
    let number = number(text, word)?;
    ensure!(number >= least, "{word} {number}, not {least} or more");
    Ok(())
}

/// The number behind the last place of a word.
fn number(text: &str, word: &str) -> Result<u64> {
    let (_, rest) = text
        .rsplit_once(word)
        .with_context(|| format!("it does not say `{word}`"))?;
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit());
    let digits = digits.into_iter().next().unwrap_or_default();
    digits
        .parse()
        .with_context(|| format!("no number behind `{word}`"))
}
