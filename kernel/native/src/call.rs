//! The native calls: one table, one signature.
//!
//! A handler gets the [`Caller`] and the six argument registers, and gives the content of `rax`. Those that may wait are
//! futures polled in place; the others are plain functions.

use crate::caller::Caller;
use crate::{bytes, messages, objects, running, spaces, waiting};
use abi::{Call, Error};
use alloc::boxed::Box;
use alloc::sync::Arc;
use machine::user::UserContext;
use memory::Space;
use process::{Flow, Thread};

/// The argument registers, in the order of [`abi::Call`].
pub type Arguments = [u64; 6];

/// Answers the native call in the registers: the result is in `rax` afterwards. For native threads, and for threads of
/// any other door that made a call with bit 31 set.
pub async fn call(thread: &Arc<Thread>, space: &Arc<Space>, user: &mut UserContext) -> Flow {
    let arguments = arguments(user);
    let Some(call) = abi::decode(user.registers.rax) else {
        return answer(user, Err(Error::NoCall));
    };
    let Some(handles) = thread.process().handles() else {
        // The process is ending.
        return answer(user, Err(Error::Interrupted));
    };
    let caller = Caller {
        thread,
        space,
        handles: &handles,
    };
    match caller.answer(call, arguments).await {
        Ok(Answer::Value(value)) => answer(user, Ok(value)),
        Ok(Answer::End(flow)) => flow,
        Err(error) => answer(user, Err(error)),
    }
}

/// Answers a native call that need not wait now, without making a future. `None`: nothing has happened, and [`call`] does
/// all of it. Only for the calls that are made most.
pub fn immediate(thread: &Arc<Thread>, space: &Arc<Space>, user: &mut UserContext) -> Option<Flow> {
    let handler = match abi::decode(user.registers.rax)? {
        Call::Send => messages::send_now,
        Call::Receive => messages::receive_now,
        _ => return None,
    };
    let handles = thread.process().handles()?;
    let caller = Caller {
        thread,
        space,
        handles: &handles,
    };
    let result = handler(&caller, arguments(user))?;
    Some(answer(user, result))
}

fn arguments(user: &UserContext) -> Arguments {
    let registers = &user.registers;
    [
        registers.rdi,
        registers.rsi,
        registers.rdx,
        registers.r10,
        registers.r8,
        registers.r9,
    ]
}

/// What a call comes to.
pub(crate) enum Answer {
    /// Back to the program with this value.
    Value(u64),
    /// Not back to the program.
    End(Flow),
}

fn answer(user: &mut UserContext, result: Result<u64, Error>) -> Flow {
    user.registers.rax = match result {
        Ok(value) => value,
        Err(error) => error.to_raw(),
    };
    Flow::Continue
}

impl Caller<'_> {
    async fn answer(&self, call: Call, arguments: Arguments) -> Result<Answer, Error> {
        let value = match call {
            Call::Read => bytes::read(self, arguments).await,
            Call::Write => bytes::write(self, arguments).await,
            Call::Insert => bytes::insert(self, arguments).await,
            Call::Erase => bytes::erase(self, arguments),
            Call::Registry => objects::registry(self, arguments).await,
            Call::Open => objects::open(self, arguments).await,
            Call::Close => objects::close(self, arguments),
            Call::Duplicate => objects::duplicate(self, arguments),
            Call::Inspect => objects::inspect(self, arguments).await,
            Call::Request => objects::request(self, arguments).await,
            Call::Map => spaces::map(self, arguments),
            Call::Unmap => spaces::unmap(self, arguments),
            Call::Protect => spaces::protect(self, arguments),
            Call::Wait => waiting::wait(self, arguments).await,
            Call::Watch => waiting::watch(self, arguments),
            // Loading a program needs much room for a short time: not in every thread's future.
            Call::Start => Box::pin(running::start(self, arguments)).await,
            Call::Exit => return running::exit(self, arguments),
            Call::Yield => running::yield_now(self, arguments).await,
            Call::Send => messages::send(self, arguments).await,
            Call::Receive => messages::receive(self, arguments).await,
            Call::Call => messages::call(self, arguments).await,
            Call::Submit => objects::unsupported(self, arguments),
        };
        value.map(Answer::Value)
    }
}
