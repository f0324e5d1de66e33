//! The result for programs: one value, which is JSON when it is printed. All times are in nanoseconds.

use crate::picture::Outcome;
use crate::tally::STEPS;
use helve::{Error, Value};

/// Everything that was counted.
///
/// # Errors
/// `TooLarge`, which it is not.
pub fn value(result: &Outcome<'_>) -> Result<Value, Error> {
    Ok(Value::build(|value| {
        value
            .put("terms", &result.plan.terms())
            .put("interval", result.plan.interval)
            .put("passed", result.passed)
            .put("clock", result.clock);
        value.array("cpus", |list| {
            for tally in result.tallies {
                list.document(|entry| {
                    entry
                        .put("number", tally.cpu)
                        .put("count", tally.count)
                        .put("min", tally.least)
                        .put("average", tally.average())
                        .put("max", tally.most)
                        .put("missed", tally.missed);
                    let empty = tally.steps.iter().rev().take_while(|count| **count == 0);
                    let end = STEPS - empty.count();
                    // As the kernel's own: the first of what was less than 2 ns late, each following one twice as much.
                    entry.array("late", |list| {
                        for count in tally.steps.iter().take(end) {
                            list.push(*count);
                        }
                    });
                    let kernel = result.kernel(tally.cpu);
                    if let Some(longest) = kernel.and_then(|cpu| cpu.longest_stretch.as_ref()) {
                        entry.document("longest-stretch", |into| {
                            into.put("nanoseconds", longest.nanoseconds)
                                .put("cause", &longest.cause)
                                .put("task", &longest.task)
                                .put("process", longest.process);
                        });
                    }
                });
            }
        });
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::tally::Tally;
    use alloc::format;

    #[test]
    fn it_is_one_line_of_json() {
        let mut tally = Tally::new(0);
        tally.add(5, 1_000_000);
        let value = value(&Outcome {
            plan: &Plan::read(&[]).unwrap(),
            tallies: &[tally],
            cpus: &[],
            passed: 9,
            clock: 1,
        });
        assert_eq!(
            format!("{}", value.unwrap().as_document()),
            r#"{"terms": "priority 80", "interval": 1000000, "passed": 9, "clock": 1, "cpus": [{"number": 0, "count": 1, "min": 5, "average": 5, "max": 5, "missed": 0, "late": [0, 0, 1]}]}"#
        );
    }
}
