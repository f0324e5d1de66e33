//! What the arguments ask for.

use alloc::format;
use alloc::string::String;
use commands::Misuse;
use commands::options::{Options, positive};
use commands::sleep::duration;
use helve::CpuSet;
use helve::terms::Class;

pub const USAGE: &str = "\
usage: latency [OPTION...]

Measures how late a processor comes back to somebody who has slept until a time.
A process on each processor sleeps until its next time, looks at the clock, and
tells by how much it is past; the look itself is part of that. Beside it stands
the longest time for which the kernel kept interrupts out meanwhile, and where.

  -a CPUS      on these processors, such as 0,2-3; without it on all
  -p PRIORITY  1 to 99; 0: an ordinary share (80)
  -r US        instead: so many microseconds reserved in every interval
  -i US        the interval in microseconds (1000)
  -l COUNT     end after so many wake-ups of each
  -D TIME      end after this time: 10, 1.5m, 2h
  -x US        end when one is later than this; the exit status is 3 then
  -q           only the result, no screen; without a screen and -D, -l is 10000
  -j           the result as one line of JSON, after it has ended

On a terminal: q ends it, r begins again with nothing counted.
";

/// What is to be measured, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `None`: all.
    pub cpus: Option<CpuSet>,
    pub class: Class,
    /// In nanoseconds.
    pub interval: u64,
    /// Wake-ups of each; [`u64::MAX`]: no end.
    pub count: u64,
    /// In nanoseconds.
    pub time: Option<u64>,
    /// Nanoseconds; who is later than this ends it.
    pub limit: Option<u64>,
    pub quiet: bool,
    pub json: bool,
}

/// Nanoseconds in a microsecond.
const MICROSECOND: u64 = 1_000;
/// What a process without end and without a screen would never tell.
const ENOUGH: u64 = 10_000;

impl Plan {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They make no sense.
    pub fn read(arguments: &[String]) -> Result<Plan, Misuse> {
        let options = Options::new(arguments, "a:p:r:i:l:D:x:qj")?;
        options.no_operands()?;
        let time = |letter| {
            let microseconds = |text: &str| positive(text)?.checked_mul(MICROSECOND);
            options.value(letter, "a number of microseconds", microseconds)
        };
        let set = |text: &str| text.parse().ok().filter(|set| *set != CpuSet(0));
        let priority = |text: &str| text.parse::<u8>().ok().filter(|number| *number < 100);
        let interval = time('i')?.unwrap_or(1000 * MICROSECOND);
        let priority = options.value('p', "a priority", priority)?;
        let class = match (time('r')?, priority.unwrap_or(80)) {
            (Some(runtime), _) if priority.is_none() => Class::Deadline {
                runtime,
                period: interval,
            },
            (Some(_), _) => return Err(Misuse("-p and -r exclude each other".into())),
            (None, 0) => Class::Fair,
            (None, priority) => Class::Realtime { priority },
        };
        let length = |text: &str| duration(text).filter(|length| *length > 0);
        Ok(Plan {
            cpus: options.value('a', "a set of processors", set)?,
            class,
            interval,
            count: options
                .value('l', "a number of wake-ups", positive)?
                .unwrap_or(u64::MAX),
            time: options.value('D', "a time", length)?,
            limit: time('x')?,
            quiet: options.has('q'),
            json: options.has('j'),
        })
    }

    /// The same, for somebody who cannot be asked to stop.
    pub fn with_an_end(mut self) -> Plan {
        if self.time.is_none() && self.count == u64::MAX {
            self.count = ENOUGH;
        }
        self
    }

    /// How those who measure compete, in words.
    pub fn terms(&self) -> String {
        match self.class {
            Class::Deadline { runtime, .. } => format!("{} us reserved", runtime / MICROSECOND),
            Class::Realtime { priority } => format!("priority {priority}"),
            Class::Fair => String::from("ordinary share"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn plan(arguments: &str) -> Option<Plan> {
        let arguments: Vec<String> = arguments.split_whitespace().map(String::from).collect();
        Plan::read(&arguments).ok()
    }

    #[test]
    fn what_the_arguments_mean() {
        let plain = Plan {
            cpus: None,
            class: Class::Realtime { priority: 80 },
            interval: 1_000_000,
            count: u64::MAX,
            time: None,
            limit: None,
            quiet: false,
            json: false,
        };
        assert_eq!(plan(""), Some(plain.clone()));
        assert_eq!(plain.clone().with_an_end().count, ENOUGH);
        let reserved = Plan {
            cpus: Some(CpuSet(0b1101)),
            class: Class::Deadline {
                runtime: 50_000,
                period: 200_000,
            },
            interval: 200_000,
            count: 7,
            time: Some(90_000_000_000),
            limit: Some(300_000),
            quiet: true,
            json: true,
        };
        let read = plan("-a 0,2-3 -r 50 -i200 -l 7 -D 1.5m -x 300 -qj");
        assert_eq!(read, Some(reserved.clone()));
        assert_eq!(reserved.clone().with_an_end(), reserved);
        assert_eq!(plan("-p 0").unwrap().class, Class::Fair);
        assert_eq!(plan("-p 0").unwrap().terms(), "ordinary share");
        for wrong in [
            "-a x",
            "-a 64",
            "-p 100",
            "-p 1 -r 5",
            "-r 0",
            "-i 0",
            "-l 0",
            "-D 0",
            "0",
            "-x",
            "-x 0",
            "-z",
        ] {
            assert_eq!(plan(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_usage_fits_a_terminal() {
        assert!(USAGE.lines().all(|line| line.chars().count() <= 80));
        assert!(USAGE.lines().count() <= 24);
    }
}
