//! The lines that a test program prints (a small part of the Test Anything Protocol), and what they add up to.
//!
//! ```text
//! 1..3
//! ok pipes-keep-order
//! not ok futex-wakes-one: woke 2
//! ok sleep-is-long-enough
//! ```
//! The plan comes first. A program that says less than it planned, or dies, has failed tests: silence is never success.

use std::fmt;

/// One test inside a program's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Name as printed.
    pub name: String,
    /// `None` if it passed; otherwise why not (may be empty).
    pub failure: Option<String>,
}

/// Everything that a program reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The number promised by `1..N`, if any.
    pub plan: Option<usize>,
    /// The tests, in order.
    pub points: Vec<Point>,
}

/// Why the whole report is no good although every line in it may be.
#[derive(Debug, PartialEq, Eq)]
pub enum Flaw {
    /// There was no plan line before the first test.
    NoPlan,
    /// Fewer or more lines than promised.
    Count { planned: usize, seen: usize },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NoPlan => f.write_str("printed no plan line (1..N)"),
            Flaw::Count { planned, seen } => {
                write!(f, "planned {planned} tests but reported {seen}")
            }
        }
    }
}

impl Report {
    /// Reads a program's output. Lines of other shapes are the program's own talk and are skipped.
    pub fn parse(output: &str) -> Report {
        let mut report = Report::default();
        for line in output.lines().map(str::trim_end) {
            if let Some(rest) = line.strip_prefix("ok ") {
                report.points.push(Point {
                    name: rest.trim().to_string(),
                    failure: None,
                });
            } else if let Some(rest) = line.strip_prefix("not ok ") {
                let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
                report.points.push(Point {
                    name: name.trim().to_string(),
                    failure: Some(why.to_string()),
                });
            } else if let Some(count) = line.strip_prefix("1..").and_then(|n| n.parse().ok())
                && report.points.is_empty()
            {
                report.plan = Some(count);
            }
        }
        report
    }

    /// Checks the number of lines against the plan.
    pub fn flaw(&self) -> Option<Flaw> {
        match self.plan {
            None => Some(Flaw::NoPlan),
            Some(planned) if planned != self.points.len() => Some(Flaw::Count {
                planned,
                seen: self.points.len(),
            }),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_report() {
        let report = Report::parse("hello\n1..2\nok a b\ntalk\r\nnot ok c: because: of d\r\n");
        assert_eq!(report.plan, Some(2));
        assert_eq!(
            report.points[0],
            Point {
                name: "a b".into(),
                failure: None
            }
        );
        assert_eq!(
            report.points[1],
            Point {
                name: "c".into(),
                failure: Some("because: of d".into())
            }
        );
        assert_eq!(report.flaw(), None);
    }

    #[test]
    fn silence_is_failure() {
        assert_eq!(Report::parse("").flaw(), Some(Flaw::NoPlan));
        assert_eq!(Report::parse("ok a\n1..1\n").flaw(), Some(Flaw::NoPlan));
        assert_eq!(
            Report::parse("1..3\nok a\n").flaw(),
            Some(Flaw::Count {
                planned: 3,
                seen: 1
            })
        );
        assert_eq!(
            Report::parse("1..0\nok a\n").flaw(),
            Some(Flaw::Count {
                planned: 0,
                seen: 1
            })
        );
    }

    #[test]
    fn a_failure_without_a_reason() {
        assert_eq!(
            Report::parse("1..1\nnot ok x").points[0].failure.as_deref(),
            Some("")
        );
    }
}
