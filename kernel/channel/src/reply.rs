//! Questions and their answers.
//!
//! The one idea: who asks says how large an answer may be, so it is who answers that learns when it is too large, and can
//! send another. An answer goes straight to who waits; there is no queue, and nobody else can take it.

use crate::message::{Message, Room};
use abi::{Error, Kind};
use alloc::sync::Arc;
use machine::sync::Spin;
use object::{Object, Tenure};
use task::{Readiness, Ready};
use value::Builder;

struct Slot {
    state: Spin<State>,
    room: Room,
    /// `READ`: there is an answer, or there will be none. `HANGUP`: nobody waits for one. `WRITE`, for ports: at once.
    ready: Readiness,
}

enum State {
    Open,
    Answered(Message),
    /// Who could answer has gone.
    Unanswered,
    /// Answered and taken, or nobody waits any more.
    Over,
}

/// The side of who asks. Dropping it ends the waiting.
pub struct Question(Arc<Slot>);

/// The side of who answers, once. Dropping it unanswered tells who asks.
pub struct Reply(Arc<Slot>);

impl Question {
    /// A question, and the way back for its message. `room`: how large an answer may be.
    pub fn new(room: Room) -> (Question, Arc<Reply>) {
        let slot = Arc::new(Slot {
            state: Spin::new(State::Open),
            room,
            ready: Readiness::new(Ready::WRITE),
        });
        (Question(slot.clone()), Arc::new(Reply(slot)))
    }

    /// Waits for the answer until `deadline` (nanoseconds since boot; `None`: for ever), and as long as what was asked
    /// through is not taken back. An answer that was received is never lost: who answers is told nothing else.
    ///
    /// # Errors
    /// [`Error::Unanswered`] when there will be none, [`Error::TimedOut`], [`Error::Interrupted`], [`Error::Revoked`].
    pub async fn answer(self, tenure: &Tenure, deadline: Option<u64>) -> Result<Message, Error> {
        loop {
            if let Some(result) = self.try_answer() {
                return result;
            }
            let waited = match tenure.check() {
                Ok(()) => tenure.wait(&self.0.ready, Ready::READ, deadline).await,
                Err(error) => return self.end().unwrap_or(Err(error)),
            };
            if let Err(error) = waited {
                return self.end().unwrap_or(Err(error.into()));
            }
        }
    }

    /// Waits no longer. What was answered until now is the answer.
    fn end(&self) -> Option<Result<Message, Error>> {
        let state = core::mem::replace(&mut *self.0.state.lock(), State::Over);
        match state {
            State::Answered(message) => Some(Ok(message)),
            _ => None,
        }
    }

    /// The answer, or that there is none, if it is known.
    fn try_answer(&self) -> Option<Result<Message, Error>> {
        let mut state = self.0.state.lock();
        match core::mem::replace(&mut *state, State::Over) {
            State::Open => {
                *state = State::Open;
                None
            }
            State::Answered(message) => Some(Ok(message)),
            State::Unanswered | State::Over => Some(Err(Error::Unanswered)),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let left = core::mem::replace(&mut *self.0.state.lock(), State::Over);
        self.0.ready.set(Ready::HANGUP);
        // An answer that came too late, without the lock.
        drop(left);
    }
}

impl Reply {
    /// Answers with a message whose value has `bytes` and which has so many handles. It is made only if it is received,
    /// by `make`, in that instant; that must not wait, nor come back here.
    ///
    /// # Errors
    /// [`Error::Closed`] when nobody waits any more, [`Error::TooLarge`] when there is no room for it, what `make` says.
    /// After the last two another answer may be given.
    pub fn answer(
        &self,
        bytes: usize,
        handles: usize,
        make: impl FnOnce() -> Result<Message, Error>,
    ) -> Result<(), Error> {
        let slot = &*self.0;
        let mut state = slot.state.lock();
        if !matches!(*state, State::Open) {
            return Err(Error::Closed);
        }
        if bytes > slot.room.bytes || handles > slot.room.handles {
            return Err(Error::TooLarge);
        }
        *state = State::Answered(make()?);
        slot.ready.set(Ready::READ);
        Ok(())
    }
}

impl Object for Reply {
    fn kind(&self) -> Kind {
        Kind::Reply
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0.ready)
    }

    fn describe(&self, into: &mut Builder) {
        let waits = matches!(*self.0.state.lock(), State::Open);
        into.put("waits", waits);
        // What is larger is no different from this.
        let most = |number: usize| number.min(i64::MAX as usize);
        into.put("most-bytes", most(self.0.room.bytes))
            .put("most-handles", most(self.0.room.handles));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if matches!(*state, State::Open) {
            *state = State::Unanswered;
            self.0.ready.set(Ready::READ);
        }
    }
}
