//! How threads compete for the processors.

use abi::CpuSet;
use alloc::string::ToString;
use value::Builder;

/// How threads compete for the processors, as far as it is said: what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub class: Option<Class>,
    /// Where they may run.
    pub cpus: Option<CpuSet>,
}

/// A line of the scheduler; the first one that has somebody runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// So many nanoseconds in every period.
    Deadline { runtime: u64, period: u64 },
    /// The highest of 1 to 99 first; equals in the order in which they come.
    Realtime { priority: u8 },
    /// A share.
    Fair,
}

impl Terms {
    pub(crate) fn describe(&self, into: &mut Builder) {
        match self.class {
            Some(Class::Deadline { runtime, period }) => into
                .put("class", "deadline")
                .put("runtime", runtime)
                .put("period", period),
            Some(Class::Realtime { priority }) => into
                .put("class", "realtime")
                .put("priority", u32::from(priority)),
            Some(Class::Fair) => into.put("class", "fair"),
            None => into,
        };
        if let Some(cpus) = self.cpus {
            into.put("cpus", &cpus.to_string());
        }
    }
}
