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
    let caller = &caller;
    let result = match call {
        Call::Read => bytes::read(caller, arguments).await,
        Call::Write => bytes::write(caller, arguments).await,
        Call::Insert => bytes::insert(caller, arguments).await,
        Call::Erase => bytes::erase(caller, arguments),
        Call::Registry => objects::registry(caller, arguments).await,
        Call::Open => objects::open(caller, arguments).await,
        Call::Close => objects::close(caller, arguments),
        Call::Duplicate => objects::duplicate(caller, arguments),
        Call::Inspect => objects::inspect(caller, arguments).await,
        Call::Request => objects::request(caller, arguments).await,
        Call::Map => spaces::map(caller, arguments),
        Call::Unmap => spaces::unmap(caller, arguments),
        Call::Protect => spaces::protect(caller, arguments),
        Call::Wait => waiting::wait(caller, arguments).await,
        Call::Watch => waiting::watch(caller, arguments),
        // Loading a program needs much room for a short time: not in every thread's future.
        Call::Start => Box::pin(running::start(caller, arguments)).await,
        Call::Exit => match running::exit(caller, arguments) {
            Ok(Answer::End(flow)) => return flow,
            Ok(Answer::Value(value)) => Ok(value),
            Err(error) => Err(error),
        },
        Call::Yield => running::yield_now(caller, arguments).await,
        Call::Send => messages::send(caller, arguments).await,
        Call::Receive => messages::receive(caller, arguments).await,
        Call::Call => messages::call(caller, arguments).await,
        Call::Submit => objects::unsupported(caller, arguments),
    };
    answer(user, result)
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

/// What `exit` comes to.
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
