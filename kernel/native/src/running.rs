//! Processes and threads: `start`, `exit`, `yield`.

use crate::call::{Answer, Arguments};
use crate::caller::Caller;
use crate::first::{self, Start};
use crate::groups::Group;
use crate::processes::{ProcessObject, ThreadObject};
use crate::shares::Share;
use abi::{Error, Number, Rights, field};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use object::{Handle, Namespace};
use process::{Flow, Status};
use value::Document;
use vfs::Description;

pub async fn start(
    caller: &Caller<'_>,
    [process, program, plan, ..]: Arguments,
) -> Result<u64, Error> {
    let process = caller.handle(process)?;
    process.check(Rights::ADMINISTER)?;
    let process = process
        .downcast::<ProcessObject>()
        .ok_or(Error::WrongKind)?;
    let program = caller.handle(program)?;
    program.check(Rights::EXECUTE)?;
    let program = program.downcast::<Description>().ok_or(Error::WrongKind)?;
    let plan = caller.value(plan).await?;
    let plan = plan.as_document();
    let begun = process.begin()?;
    let started = first::start(Start {
        program,
        arguments: arguments(plan)?,
        environment: environment(plan)?,
        directory: plan.string(field::DIRECTORY).unwrap_or("/").into(),
        handles: handles(caller, plan)?,
        namespace: namespace(caller, plan)?,
        parent: Some(caller.thread.process().clone()),
        group: group(plan)?,
        share: share(caller, plan)?,
    });
    begun.set(started.await?);
    Ok(0)
}

/// A list of texts, or of bytes where they are no UTF-8. None of them has a zero byte.
fn arguments(plan: Document<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let Some(list) = plan.array(field::ARGUMENTS) else {
        return Ok(Vec::new());
    };
    list.iter()
        .map(|element| {
            element
                .as_bytes()
                .ok_or(Error::Invalid)
                .and_then(without_zero)
        })
        .collect()
}

fn environment(plan: Document<'_>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let list = plan.document(field::ENVIRONMENT).unwrap_or(Document::EMPTY);
    let entries = list.iter().map(|(name, element)| {
        let content = element
            .as_bytes()
            .ok_or(Error::Invalid)
            .and_then(without_zero)?;
        if name.is_empty() || name.contains('=') {
            return Err(Error::Invalid);
        }
        Ok((name.into(), content))
    });
    entries.collect()
}

fn without_zero(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.contains(&0) {
        Err(Error::Invalid)
    } else {
        Ok(bytes.into())
    }
}

/// The caller's handles that the child gets copies of.
fn handles(caller: &Caller<'_>, plan: Document<'_>) -> Result<Vec<(String, Handle)>, Error> {
    let list = plan.document(field::HANDLES).unwrap_or(Document::EMPTY);
    list.iter()
        .map(|(name, element)| Ok((name.into(), given(caller, element.as_int())?)))
        .collect()
}

fn given(caller: &Caller<'_>, number: Option<i64>) -> Result<Handle, Error> {
    let number = number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or(Error::BadHandle)?;
    let handle = caller.handles.get(Number(number))?;
    handle.check(Rights::TRANSFER)?;
    Ok(handle)
}

/// The registries that the child can name: those in the plan, or the parent's own.
fn namespace(caller: &Caller<'_>, plan: Document<'_>) -> Result<Namespace, Error> {
    let Some(list) = plan.document(field::REGISTRIES) else {
        return Ok(caller.thread.process().namespace().clone());
    };
    let namespace = Namespace::new();
    for (name, element) in list {
        namespace.insert(name, given(caller, element.as_int())?)?;
    }
    Ok(namespace)
}

/// The share of the CPUs that is given to the child.
fn share(caller: &Caller<'_>, plan: Document<'_>) -> Result<Option<Arc<task::Group>>, Error> {
    let Some(number) = plan.get(field::SHARE) else {
        return Ok(None);
    };
    let handle = given(caller, number.as_int())?;
    let share = handle.downcast_ref::<Share>().ok_or(Error::WrongKind)?;
    Ok(Some(share.group().clone()))
}

fn group(plan: Document<'_>) -> Result<Group, Error> {
    let Some(group) = plan.get(field::GROUP) else {
        return Ok(Group::Parent);
    };
    match (group.as_bool(), group.as_int().map(u32::try_from)) {
        (Some(own), _) => Ok(if own { Group::Own } else { Group::Parent }),
        (_, Some(Ok(leader))) if process::find(leader).is_some() => Ok(Group::Of(leader)),
        // The leader has ended already: the others go on without it.
        (_, Some(Ok(_))) => Ok(Group::Own),
        _ => Err(Error::Invalid),
    }
}

pub fn exit(caller: &Caller<'_>, [target, status, ..]: Arguments) -> Result<Answer, Error> {
    let target = caller.handle(target)?;
    target.check(Rights::SIGNAL)?;
    // The low eight bits, as a parent sees them.
    let status = Status::Exited(i32::from(status as u8));
    if let Some(thread) = target.downcast_ref::<ThreadObject>() {
        if thread.0.id() == caller.thread.id() {
            return Ok(Answer::End(Flow::Exit(status)));
        }
        thread.0.kill();
        return Ok(Answer::Value(0));
    }
    let target = target
        .downcast_ref::<ProcessObject>()
        .ok_or(Error::WrongKind)?;
    let process = target.get().ok_or(Error::NoProcess)?;
    if process.status().is_some() {
        return Err(Error::NoProcess);
    }
    process.end(status);
    match process.id() == caller.thread.process().id() {
        true => Ok(Answer::End(Flow::Exit(status))),
        false => Ok(Answer::Value(0)),
    }
}

pub async fn yield_now(caller: &Caller<'_>, [thread, ..]: Arguments) -> Result<u64, Error> {
    let thread = caller.handle(thread)?;
    let thread = thread
        .downcast_ref::<ThreadObject>()
        .ok_or(Error::WrongKind)?;
    if thread.0.id() != caller.thread.id() {
        return Err(Error::Invalid);
    }
    task::yield_now().await;
    Ok(0)
}
