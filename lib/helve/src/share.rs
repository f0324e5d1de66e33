//! Shares of the CPUs: what the programs that are started in one may use together.

use crate::handle::Handle;
use crate::registry;
use abi::{CpuSet, Error, Rights};
use alloc::string::ToString;
use value::{Document, Value};

/// A part of the CPUs. Programs are started in it by [`crate::Command::share`] or come by [`take`](Self::take), and what
/// these start is in it too.
/// Dropping it leaves them there.
#[derive(Debug)]
pub struct Share {
    handle: Handle,
}

/// What a share may use. What is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How much it counts beside others if all want the CPUs: 1 to 10000, 100 is normal.
    pub weight: Option<u16>,
    /// How much of the CPUs it gets at most.
    pub quota: Option<Quota>,
    /// On which CPUs it runs.
    pub cpus: Option<CpuSet>,
}

/// So much time in every period, on all CPUs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// In nanoseconds, at least a millisecond; 0: as much as it can get.
    pub runtime: u64,
    /// In nanoseconds, a millisecond to a second.
    pub period: u64,
}

impl Limits {
    fn value(&self) -> Result<Value, Error> {
        Ok(Value::build(|limits| {
            if let Some(weight) = self.weight {
                limits.put("weight", i32::from(weight));
            }
            if let Some(quota) = self.quota {
                limits
                    .put("runtime", quota.runtime)
                    .put("period", quota.period);
            }
            if let Some(cpus) = self.cpus {
                limits.put("cpus", &*cpus.to_string());
            }
        })?)
    }
}

impl Share {
    /// A new one, in the share that this process is in.
    ///
    /// # Errors
    /// `NotFound` and `Denied` when the process may not administer a `process:` registry; `Invalid` for limits that make
    /// no sense; `Limit` for too many in each other.
    pub fn new(limits: &Limits) -> Result<Share, Error> {
        Share::of(&*registry::get("process")?, limits)
    }

    /// A new one, in this one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn within(&self, limits: &Limits) -> Result<Share, Error> {
        Share::of(&self.handle, limits)
    }

    /// The share behind this handle.
    pub fn from_handle(handle: Handle) -> Share {
        Share { handle }
    }

    /// The handle, which keeps it.
    pub fn into_handle(self) -> Handle {
        self.handle
    }

    fn of(giver: &Handle, limits: &Limits) -> Result<Share, Error> {
        let reply = giver.request("share", limits.value()?.as_document())?;
        let handle = Handle::in_reply(&reply, "share")?;
        Ok(Share { handle })
    }

    /// Sets limits.
    ///
    /// # Errors
    /// `Invalid`; `Busy` for a quota while a member has a priority or a reservation.
    pub fn limit(&self, limits: &Limits) -> Result<(), Error> {
        let limits = limits.value()?;
        let reply = self.handle.request("limit", limits.as_document());
        reply.map(drop)
    }

    /// Moves a process here, with all its threads and all that it starts from now on.
    ///
    /// # Errors
    /// `Denied` when one of the two may not be administered; `NoProcess`; `Forbidden` when one of its threads has a
    /// priority or a reservation and the share a quota; `Busy` when the share's CPUs have no room for a reservation.
    pub fn take(&self, process: &Handle) -> Result<(), Error> {
        let here = [("share", &self.handle, Rights::ADMINISTER)];
        let reply = process.request_with("join", Document::EMPTY, &here);
        reply.map(drop)
    }

    /// The handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}
