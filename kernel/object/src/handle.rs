//! A handle: an object, and what may be done with it.
//!
//! The one idea: rights only ever shrink. There is no way from a handle to one with more rights than it has.
//!
//! | right | lets its holder |
//! |---|---|
//! | `READ` | read bytes, receive messages |
//! | `WRITE` | write, insert, erase and cut bytes, send messages |
//! | `EXECUTE` | run it as a program, map it for execution |
//! | `MAP` | map it, or change an address space |
//! | `LIST` | list what is in it, and open what is below it |
//! | `CREATE` | make new things in it |
//! | `DELETE` | remove it, or things in it |
//! | `DUPLICATE` | have a second handle in the same table |
//! | `TRANSFER` | give the handle to another process |
//! | `SIGNAL` | wait for it, signal it, end it |
//! | `INSPECT` | describe it beyond kind and rights |
//! | `ADMINISTER` | change settings that concern more than the holder |
//!
//! What is opened through a handle gets at most the rights that were asked for, and what the object there has to give.
//!
//! A handle that was lent ([`lease`](crate::lease)) is good for nothing once the lease has ended: [`Error::Revoked`].

use crate::lease::{self, Lease, Tenure};
use crate::object::{Given, Opened, Reply};
use crate::{Kind, Object, OpenFlags, Rights, Verb};
use abi::Error;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use task::{Ready, WaitError};
use value::{Builder, Document, Value};

/// An object and the rights to it. Cloning counts one more reference to the object.
#[derive(Clone)]
pub struct Handle {
    object: Arc<dyn Object>,
    rights: Rights,
    tenure: Tenure,
}

impl Handle {
    /// A handle to `object`. Only for whoever made the object, or found it by its own authority.
    pub fn new(object: Arc<dyn Object>, rights: Rights) -> Self {
        Handle {
            object,
            rights,
            tenure: Tenure::FOREVER,
        }
    }

    /// How long it may be used.
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Nothing, or [`Error::Revoked`]: it was lent, and taken back. One load.
    ///
    /// # Errors
    /// That one.
    #[inline]
    pub fn holds(&self) -> Result<(), Error> {
        self.tenure.check()
    }

    /// This handle as something that was found by means of what is used under `tenure`.
    ///
    /// # Errors
    /// As [`Tenure::and`].
    pub fn under(mut self, tenure: &Tenure) -> Result<Handle, Error> {
        if !tenure.is_forever() {
            self.tenure = self.tenure.and(tenure)?;
        }
        Ok(self)
    }

    /// The same handle as something lent, and the lease. `bound`: that ends when it is dropped.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; [`Error::Revoked`] if this was lent itself, and taken back.
    pub fn lend(&self, bound: bool) -> Result<(Handle, Lease), Error> {
        let lease = Lease::new(&self.tenure, bound)?;
        let mut lent = self.clone();
        lent.tenure = lease.tenure().clone();
        Ok((lent, lease))
    }

    /// Waits until the object is ready for `interest`, as [`task::Readiness::wait`]; or until it is taken back, which
    /// the next use of the handle finds out. Something that never makes anybody wait is ready for everything.
    ///
    /// # Errors
    /// The current task was interrupted, or `deadline` passed first.
    pub async fn wait(&self, interest: Ready, deadline: Option<u64>) -> Result<Ready, WaitError> {
        match self.object.readiness() {
            Some(readiness) => self.tenure.wait(readiness, interest, deadline).await,
            None => Ok(interest),
        }
    }

    /// What kind of object it names.
    pub fn kind(&self) -> Kind {
        self.object.kind()
    }

    /// The object. Rights are the caller's business.
    pub(crate) fn object(&self) -> &Arc<dyn Object> {
        &self.object
    }

    /// What may be done with it.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The object, if the handle has all of `needed`. O(1), counts no reference.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Revoked`].
    #[inline]
    pub fn check(&self, needed: Rights) -> Result<&dyn Object, Error> {
        self.holds()?;
        if self.rights.contains(needed) {
            Ok(&*self.object)
        } else {
            Err(Error::Denied)
        }
    }

    /// As [`check`](Self::check), and counts a reference: for what outlives the handle.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Revoked`].
    pub fn share(&self, needed: Rights) -> Result<Arc<dyn Object>, Error> {
        self.check(needed)?;
        Ok(self.object.clone())
    }

    /// The same object with the rights that are in both.
    #[must_use]
    pub fn restrict(&self, rights: Rights) -> Handle {
        self.clone().into_restricted(rights)
    }

    /// As [`restrict`](Self::restrict), for the only copy.
    #[must_use]
    pub fn into_restricted(mut self, rights: Rights) -> Handle {
        self.rights &= rights;
        self
    }

    /// The object as what it really is. Rights are the caller's business.
    pub fn downcast<T: Object>(&self) -> Option<Arc<T>> {
        let any: Arc<dyn Any + Send + Sync> = self.object.clone();
        any.downcast().ok()
    }

    /// As [`downcast`](Self::downcast), without counting a reference.
    pub fn downcast_ref<T: Object>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.object;
        any.downcast_ref()
    }

    /// Opens what is at `path` in the object: needs `needed`, and gives no more than `rights`. What is opened through
    /// something lent is lent. Where the path leads on, the same is to be asked of what it leads through, so that nothing is
    /// found with more rights than everything on the way has.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Revoked`], and as [`Object::open`].
    #[inline]
    pub fn open<'p>(
        &self,
        needed: Rights,
        path: &'p str,
        rights: Rights,
        flags: OpenFlags,
    ) -> Result<Opened<'p>, Error> {
        Ok(match self.check(needed)?.open(path, rights, flags)? {
            Opened::Object(handle) => {
                Opened::Object(handle.into_restricted(rights).under(&self.tenure)?)
            }
            Opened::Beyond(handle, rest) => Opened::Beyond(handle.under(&self.tenure)?, rest),
        })
    }

    /// Whether both name the same object.
    pub fn is_same_object(&self, other: &Handle) -> bool {
        Arc::as_ptr(&self.object).addr() == Arc::as_ptr(&other.object).addr()
    }

    /// How many references to the object there are, this one included.
    pub fn references(&self) -> usize {
        Arc::strong_count(&self.object)
    }

    /// Every verb that can be asked for: those of the object, and the one that all have. An object's own come first.
    pub fn verbs(&self) -> impl Iterator<Item = &'static Verb> {
        self.object.verbs().iter().chain([&lease::LEND])
    }

    /// Asks the object to do what `verb` says, if it has that verb, the handle has the right to it, and the argument is
    /// what the verb takes.
    ///
    /// # Errors
    /// [`Error::NotFound`] (no such verb), [`Error::Denied`], [`Error::Revoked`], as [`Verb::check`], and the verb's own.
    pub fn request(&self, verb: &str, argument: Document<'_>) -> Result<Reply, Error> {
        self.request_with(verb, argument, &Given::default())
    }

    /// The same, with handles that go along.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn request_with(
        &self,
        verb: &str,
        argument: Document<'_>,
        given: &Given,
    ) -> Result<Reply, Error> {
        let declared = self.verbs().find(|known| known.name == verb);
        let declared = declared.ok_or(Error::NotFound)?;
        let object = self.check(declared.rights)?;
        declared.check(argument, given)?;
        let mut reply = match verb == lease::LEND.name {
            true => return lease::lend(self, argument),
            false => object.request_with_handles(verb, argument, given)?,
        };
        debug_assert!(declared.is_answered_by(&reply), "{verb}: {:?}", reply.value);
        if !self.tenure.is_forever() {
            for (_, handle) in &mut reply.handles {
                *handle = handle.clone().under(&self.tenure)?;
            }
        }
        Ok(reply)
    }

    /// What `inspect` gives: `kind`, `rights` (the names), and with [`Rights::INSPECT`] also `references`, `verbs` and
    /// `object`: what the object tells about itself. One that was lent says so in `lease`; once it is taken back, that is all.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn inspect(&self) -> Result<Value, Error> {
        let value = Value::build(|builder| self.describe(builder));
        value.map_err(Error::from)
    }

    fn describe(&self, into: &mut Builder) {
        into.put("kind", self.kind().name());
        into.array("rights", |list| {
            for (name, _) in self.rights.iter_names() {
                list.push(name);
            }
        });
        if !self.tenure.is_forever() {
            let over = self.tenure.is_over();
            into.put("lease", if over { "ended" } else { "lasts" });
        }
        if !self.rights.contains(Rights::INSPECT) || self.holds().is_err() {
            return;
        }
        into.put("references", self.references());
        into.array("verbs", |list| {
            for verb in self.verbs() {
                list.document(|entry| verb.describe(entry));
            }
        });
        into.document("object", |entry| self.object.describe(entry));
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({}, {:?})", self.kind(), self.rights)
    }
}
