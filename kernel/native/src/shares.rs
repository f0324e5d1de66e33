//! Shares of the CPUs: groups of threads with a weight, a quota and a set of CPUs, behind handles.
//!
//! A program is started in one, or moved to one by whoever may administer both; everything that it starts is in it too,
//! and by itself nothing leads out. A share that is made lies in the one that its maker is in, so nobody gives more than
//! it has.

use crate::cpus;
use abi::{CpuSet, Error, Kind, Rights};
use alloc::string::ToString;
use alloc::sync::Arc;
use object::{Field, Given, Handle, Object, Reply, Type, Verb};
use task::policy::{LARGEST_WEIGHT, NORMAL_WEIGHT, Quota};
use task::{Group, Terms};
use value::{Builder, Document, Value};

/// A verb of `process:` and of shares.
pub const SHARE: Verb = Verb::new(
    "share",
    Rights::ADMINISTER,
    "makes a part of the CPUs to start programs in",
)
.takes(LIMITS)
.gives(&[Field::new(
    "share",
    Type::Handle(Some(Kind::Share), Rights::all()),
)]);

const LIMIT: Verb = Verb::new(
    "limit",
    Rights::ADMINISTER,
    "says what all in it may use together; what is left out stays",
)
.takes(LIMITS);

const LIMITS: &[Field] = &[
    Field::optional("weight", Type::Integer(1, LARGEST)).about("100 is normal"),
    Field::optional("runtime", Type::Nanoseconds).about("in every period; 0 for no quota"),
    Field::optional("period", Type::Nanoseconds).about("1 ms to 1 s, or else 100 ms"),
    Field::optional("cpus", Type::Cpus),
];

/// The weight of a share that nobody gave one. The scale is that of Linux's control groups.
pub const NORMAL: i64 = 100;
const LARGEST: i64 = 10_000;
/// The period of a quota that names none, in nanoseconds.
const PERIOD: i64 = 100_000_000;

/// A share behind a handle.
#[derive(Debug)]
pub struct Share(Arc<Group>);

impl Share {
    /// A new one in that of the caller, with these limits.
    ///
    /// # Errors
    /// As [`limit`]; [`Error::Limit`] for too many in each other.
    pub fn begin(limits: Document<'_>) -> Result<Reply, Error> {
        Share::within(Terms::ordinary().group, limits)
    }

    fn within(parent: Option<Arc<Group>>, limits: Document<'_>) -> Result<Reply, Error> {
        let group = Group::new(parent)?;
        limit(&group, limits)?;
        let handle = Handle::new(Arc::new(Share(group)), Rights::all());
        Ok(Reply::from([(SHARE.name, handle)]))
    }

    /// The group.
    pub fn group(&self) -> &Arc<Group> {
        &self.0
    }
}

/// Sets what `limits` names: all of it or nothing.
fn limit(group: &Group, limits: Document<'_>) -> Result<(), Error> {
    let number = |key| match limits.get(key) {
        Some(element) => element.as_int().map(Some).ok_or(Error::Invalid),
        None => Ok(None),
    };
    let weight = number("weight")?;
    let (runtime, period) = (number("runtime")?, number("period")?);
    let cpus = cpus::read_set(limits)?;
    if cpus == Some(CpuSet(0)) {
        return Err(Error::Invalid);
    }
    let quota = match (runtime, period) {
        (None, None) => None,
        (Some(0), _) => Some(None),
        (runtime, period) => {
            let now = group.quota();
            let unsigned = |number: i64| u64::try_from(number).map_err(|_| Error::Invalid);
            let runtime = runtime.map(unsigned).transpose()?;
            let runtime = runtime.or(now.map(|now| now.runtime));
            let period = period.map(unsigned).transpose()?;
            let period = period.or(now.map(|now| now.period));
            Some(Some(Quota {
                runtime: runtime.ok_or(Error::Invalid)?,
                period: period.unwrap_or(PERIOD as u64),
            }))
        }
    };
    // Only these can still be refused, and not both: where there is a quota there is no reservation that could be in the
    // way of a set.
    if let Some(Some(quota)) = quota {
        group.set_quota(Some(quota))?;
    }
    if let Some(cpus) = cpus {
        group.set_cpus(cpus.0)?;
    }
    if quota == Some(None) {
        group.set_quota(None)?;
    }
    if let Some(weight) = weight {
        let scaled = weight * i64::from(NORMAL_WEIGHT) / NORMAL;
        group.set_weight(u32::try_from(scaled).unwrap_or(LARGEST_WEIGHT))?;
    }
    Ok(())
}

impl Object for Share {
    fn kind(&self) -> Kind {
        Kind::Share
    }

    fn request(&self, verb: &str, argument: Document<'_>) -> Result<Value, Error> {
        match verb {
            "limit" => limit(&self.0, argument).map(|()| Value::default()),
            _ => Err(Error::NotFound),
        }
    }

    fn request_with_handles(
        &self,
        verb: &str,
        argument: Document<'_>,
        _: &Given,
    ) -> Result<Reply, Error> {
        match verb {
            "share" => Share::within(Some(self.0.clone()), argument),
            _ => self.request(verb, argument).map(Reply::from),
        }
    }

    fn describe(&self, into: &mut Builder) {
        let usage = self.0.usage();
        let weight = i64::from(self.0.weight()) * NORMAL;
        into.put("number", self.0.number())
            .put("weight", (weight as u64).div_ceil(NORMAL_WEIGHT.into()))
            .put("threads", self.0.members().len());
        if let Some(quota) = self.0.quota() {
            into.put("runtime", quota.runtime)
                .put("period", quota.period);
        }
        let cpus = cpus::running(self.0.allowed());
        into.put("cpus", &*cpus.to_string())
            .put("used", usage.used)
            .put("periods", usage.periods)
            .put("exhausted", usage.exhausted)
            .put("paused", usage.paused);
    }

    fn verbs(&self) -> &'static [Verb] {
        &[LIMIT, SHARE]
    }
}
