//! Leases: what is lent can be taken back.
//!
//! The one idea: a lent handle carries its *tenure*, and so does everything that comes of it: copies, what is opened
//! through it, what its verbs give. Ending a lease sets one flag in the tenures that hang on it, so using a handle costs
//! one more look at most, however often it was lent on, and there is no list of handles to go through.

use crate::object::Reply;
use crate::{Field, Kind, Object, Type, Verb};
use abi::{Error, Rights};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use machine::sync::Spin;
use task::{Readiness, Ready, WaitError};
use value::{Builder, Document, Value};

/// How long something may be used: for ever, or until the lease that it was lent under ends, or one that this was lent
/// under. Cloning counts a reference.
#[derive(Clone, Default)]
pub struct Tenure(Option<Arc<Term>>);

struct Term {
    /// `READ` once it is over.
    over: Readiness,
    /// Those that end with it.
    within: Spin<Within>,
}

#[derive(Default)]
struct Within {
    terms: Vec<Weak<Term>>,
    /// As many as make those that have gone be taken out: twice what was left the last time.
    due: usize,
}

/// Fewest terms that are looked through for those that have gone.
const FEW: usize = 8;

impl Tenure {
    /// What was never lent.
    pub const FOREVER: Tenure = Tenure(None);

    /// One that ends with each of `outer`, or before.
    fn within<'a>(outer: impl IntoIterator<Item = &'a Tenure>) -> Result<Tenure, Error> {
        if !machine::frame::heap_room() {
            return Err(Error::NoMemory);
        }
        let term = Arc::new(Term {
            over: Readiness::new(Ready::empty()),
            within: Spin::default(),
        });
        for outer in outer.into_iter().filter_map(|outer| outer.0.as_ref()) {
            outer.add(&term)?;
        }
        Ok(Tenure(Some(term)))
    }

    /// Whether it never ends.
    #[inline]
    pub fn is_forever(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it has ended. One load.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|term| term.is_over())
    }

    /// Nothing, or what those are told who come too late.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    #[inline]
    pub fn check(&self) -> Result<(), Error> {
        if self.is_over() {
            Err(Error::Revoked)
        } else {
            Ok(())
        }
    }

    /// Has `READ` once it is over; `None`: that never happens.
    pub fn ended(&self) -> Option<&Readiness> {
        self.0.as_ref().map(|term| &term.over)
    }

    /// Waits until `readiness` has `interest`, as [`Readiness::wait`], or until it is over, which the next
    /// [`check`](Self::check) finds out.
    ///
    /// # Errors
    /// The current task was interrupted, or `deadline` passed first.
    pub async fn wait(
        &self,
        readiness: &Readiness,
        interest: Ready,
        deadline: Option<u64>,
    ) -> Result<Ready, WaitError> {
        let Some(ended) = self.ended() else {
            return readiness.wait(interest, deadline).await;
        };
        let both = [(readiness, interest), (ended, Ready::READ)];
        // Lent things are few: their waits are not in every thread's future.
        Box::pin(task::wait_any(&both, deadline)).await?;
        Ok(readiness.get())
    }

    /// The tenure of what was found by means of two things: over as soon as one of theirs is.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::Revoked`] if one is over already.
    pub fn and(&self, other: &Tenure) -> Result<Tenure, Error> {
        if other.is_forever() || self == other {
            Ok(self.clone())
        } else if self.is_forever() {
            Ok(other.clone())
        } else {
            Tenure::within([self, other])
        }
    }

    /// How many are remembered that end with it.
    #[cfg(test)]
    pub(crate) fn inner_terms(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |term| term.within.lock().terms.len())
    }

    /// Ends it and all that hang on it, without recursion.
    fn end(&self) {
        let mut todo: Vec<Arc<Term>> = self.0.iter().cloned().collect();
        while let Some(term) = todo.pop() {
            // In this order: whoever is added after this sees that it is over.
            term.over.set(Ready::READ);
            let within = core::mem::take(&mut *term.within.lock());
            todo.extend(within.terms.iter().filter_map(Weak::upgrade));
        }
    }
}

impl PartialEq for Tenure {
    fn eq(&self, other: &Tenure) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (one, two) => one.is_none() && two.is_none(),
        }
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_over() { "over" } else { "lasts" };
        write!(f, "Tenure({state})")
    }
}

impl Term {
    fn is_over(&self) -> bool {
        !self.over.get().is_empty()
    }

    fn add(&self, inner: &Arc<Term>) -> Result<(), Error> {
        let mut within = self.within.lock();
        if self.is_over() {
            return Err(Error::Revoked);
        }
        if within.terms.len() >= within.due.max(FEW) {
            within.terms.retain(|term| term.strong_count() > 0);
            within.due = 2 * within.terms.len();
        }
        let room = within.terms.try_reserve(1);
        room.map_err(|_| Error::NoMemory)?;
        within.terms.push(Arc::downgrade(inner));
        Ok(())
    }
}

/// What whoever lends keeps: the object with which it takes back what it lent.
pub struct Lease {
    tenure: Tenure,
    /// It ends with the last handle to this object.
    bound: bool,
}

impl Lease {
    /// A lease of something that is used under `outer`.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::Revoked`] if that is over.
    pub fn new(outer: &Tenure, bound: bool) -> Result<Lease, Error> {
        let tenure = Tenure::within([outer])?;
        Ok(Lease { tenure, bound })
    }

    /// The tenure of whatever is lent under it.
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Takes back what was lent, with everything that came of it. Again: nothing. Cost: the leases under this one.
    pub fn revoke(&self) {
        self.tenure.end();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.bound {
            self.revoke();
        }
    }
}

impl Object for Lease {
    fn kind(&self) -> Kind {
        Kind::Lease
    }

    fn request(&self, verb: &str, _: Document<'_>) -> Result<Value, Error> {
        match verb {
            "revoke" => {
                self.revoke();
                Ok(Value::default())
            }
            _ => Err(Error::NotFound),
        }
    }

    fn readiness(&self) -> Option<&Readiness> {
        self.tenure.ended()
    }

    fn describe(&self, into: &mut Builder) {
        into.put("ended", self.tenure.is_over())
            .put("bound", self.bound);
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }
}

const VERBS: &[Verb] = &[Verb::new(
    "revoke",
    Rights::SIGNAL,
    "takes back at once what was lent, with copies, what was opened through it and lent on",
)];

/// What the holder of a lease may do: wait for it, describe it, end it, copy it and hand it on.
const HOLDER: Rights = Rights::SIGNAL
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

/// The verb that every object has.
pub(crate) const LEND: Verb = Verb::new(
    "lend",
    Rights::DUPLICATE,
    "makes a handle to the same object that can be taken back",
)
.takes(&[Field::optional("bound", Type::Boolean).about("the lease ends with its last handle")])
.gives(&[
    Field::new("handle", Type::Handle(None, Rights::empty())),
    Field::new("lease", Type::Handle(Some(Kind::Lease), HOLDER)),
]);

/// Lends what `handle` names.
pub(crate) fn lend(handle: &crate::Handle, argument: Document<'_>) -> Result<Reply, Error> {
    let bound = argument.boolean("bound").unwrap_or(false);
    let (handle, lease) = handle.lend(bound)?;
    let lease = crate::Handle::new(Arc::new(lease), HOLDER);
    Ok(Reply::from([("handle", handle), ("lease", lease)]))
}
