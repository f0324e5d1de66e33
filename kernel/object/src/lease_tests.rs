//! Leases: what ends with which.

use crate::{Handle, Kind, Lease, Object, OpenFlags, Opened, Registry, Rights, Table, Tenure};
use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proptest::prelude::*;
use task::{Observer, Readiness, Ready, block_on};
use value::{Document, Value};

/// Something that is never ready by itself.
struct Thing(Readiness);

impl Object for Thing {
    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn readiness(&self) -> Option<&Readiness> {
        Some(&self.0)
    }
}

fn thing() -> Handle {
    let thing = Thing(Readiness::new(Ready::empty()));
    Handle::new(Arc::new(thing), Rights::all())
}

/// Lends as a program does.
fn lend(handle: &Handle, bound: bool) -> Result<(Handle, Handle), Error> {
    let argument = Value::build(|builder| {
        builder.put("bound", bound);
    })?;
    let mut reply = handle.request("lend", argument.as_document())?;
    assert_eq!(reply.handles.len(), 2);
    let (name, lease) = reply.handles.pop().unwrap();
    assert_eq!(name, "lease");
    let (name, lent) = reply.handles.pop().unwrap();
    assert_eq!(name, "handle");
    Ok((lent, lease))
}

fn revoke(lease: &Handle) {
    lease.request("revoke", Document::EMPTY).unwrap();
}

#[test]
fn what_was_lent_is_taken_back_with_its_copies() {
    let mine = thing();
    let (lent, lease) = lend(&mine, false).unwrap();
    assert_eq!((lent.rights(), lease.kind()), (mine.rights(), Kind::Lease));
    let table = Table::new();
    let number = table.insert(lent.clone()).unwrap();
    let copy = table.duplicate(number, Rights::READ).unwrap();
    let narrow = lent.restrict(Rights::READ);
    assert!(lent.check(Rights::WRITE).is_ok() && narrow.check(Rights::READ).is_ok());
    revoke(&lease);
    revoke(&lease);
    for handle in [&lent, &narrow, &table.get(copy).unwrap()] {
        assert_eq!(handle.check(Rights::empty()).err(), Some(Error::Revoked));
        assert_eq!(handle.share(Rights::READ).err(), Some(Error::Revoked));
        let opened = handle.open(Rights::LIST, "x", Rights::READ, OpenFlags::empty());
        assert_eq!(opened.err(), Some(Error::Revoked));
        assert_eq!(lend(handle, false).err(), Some(Error::Revoked));
    }
    let refused = table.duplicate(copy, Rights::READ);
    assert_eq!(refused, Err(Error::Revoked));
    assert!(mine.check(Rights::all()).is_ok(), "who lent it keeps it");
    assert!(lend(&mine, false).is_ok());
}

#[test]
fn lending_takes_a_right_and_a_sound_argument() {
    let mine = thing().restrict(Rights::all() - Rights::DUPLICATE);
    assert_eq!(lend(&mine, false).err(), Some(Error::Denied));
    let argument = Value::build(|builder| {
        builder.put("bound", "yes");
    });
    let refused = thing().request("lend", argument.unwrap().as_document());
    assert_eq!(refused.err(), Some(Error::Invalid));
    let (_, lease) = lend(&thing(), false).unwrap();
    let weak = lease.restrict(Rights::INSPECT);
    let refused = weak.request("revoke", Document::EMPTY);
    assert_eq!(refused.err(), Some(Error::Denied));
}

#[test]
fn a_bound_lease_ends_with_its_last_handle() {
    for bound in [false, true] {
        let (lent, lease) = lend(&thing(), bound).unwrap();
        let second = lease.clone();
        drop(lease);
        assert!(lent.holds().is_ok());
        drop(second);
        assert_eq!(lent.holds().is_err(), bound);
    }
}

#[test]
fn what_is_opened_or_given_is_lent_as_well() {
    let registry = Registry::new();
    let (entry, inner) = thing().lend(false).unwrap();
    registry.insert("entry", entry).unwrap();
    registry.insert("own", thing()).unwrap();
    let registry = Handle::new(Arc::new(registry), Rights::all());
    let (lent, outer) = registry.lend(false).unwrap();
    let open = |name| match lent.open(Rights::LIST, name, Rights::READ, OpenFlags::empty())? {
        Opened::Object(handle) => Ok(handle),
        Opened::Beyond(..) => panic!("{name} is one name"),
    };
    let (entry, own) = (open("entry").unwrap(), open("own").unwrap());
    // The lease that a verb gives is itself lent.
    let (again, lease) = lend(&lent, false).unwrap();
    inner.revoke();
    assert_eq!(entry.holds(), Err(Error::Revoked));
    assert_eq!(open("entry").err(), Some(Error::Revoked));
    assert!(own.holds().is_ok() && again.holds().is_ok() && lease.holds().is_ok());
    outer.revoke();
    assert!(own.holds().is_err() && again.holds().is_err());
    assert!(registry.holds().is_ok());
}

#[test]
fn who_waits_for_something_is_told_that_it_is_taken_back() {
    let (lent, lease) = thing().lend(false).unwrap();
    let waiter = lent.clone();
    let waiting = task::spawn("waiter", async move {
        waiter.wait(Ready::READ, None).await.unwrap();
        assert_eq!(waiter.holds(), Err(Error::Revoked));
    });
    let waiting = waiting.unwrap();
    task::run_until_idle();
    assert!(!waiting.is_done());
    lease.revoke();
    task::run_until_idle();
    assert!(waiting.is_done());
    // Too late: it does not wait.
    block_on(lent.wait(Ready::READ, None)).unwrap();

    struct Told(Readiness);
    impl Observer for Told {
        fn ready(&self, _: Ready) {
            self.0.set(Ready::READ);
        }
    }
    let (lent, lease) = thing().lend(false).unwrap();
    let told = Arc::new(Told(Readiness::new(Ready::empty())));
    let guard = lent
        .tenure()
        .ended()
        .unwrap()
        .observe(Ready::READ, told.clone())
        .unwrap();
    assert!(told.0.get().is_empty());
    lease.revoke();
    assert_eq!(told.0.get(), Ready::READ);
    drop(guard);
}

#[test]
fn a_handle_tells_that_it_was_lent() {
    let (lent, lease) = lend(&thing(), true).unwrap();
    let about = lent.inspect().unwrap();
    assert_eq!(about.as_document().string("lease"), Some("lasts"));
    revoke(&lease);
    let about = lent.inspect().unwrap();
    assert_eq!(about.as_document().string("lease"), Some("ended"));
    assert!(about.as_document().get("object").is_none());
    let about = lease.inspect().unwrap();
    let object = about.as_document().document("object").unwrap();
    assert_eq!(object.get("ended").and_then(|it| it.as_bool()), Some(true));
    assert_eq!(object.get("bound").and_then(|it| it.as_bool()), Some(true));
    assert!(
        thing()
            .inspect()
            .unwrap()
            .as_document()
            .get("lease")
            .is_none()
    );
}

#[test]
fn leases_that_have_gone_take_no_room() {
    let outer = Lease::new(&Tenure::FOREVER, false).unwrap();
    let kept: Vec<_> = (0..100)
        .map(|_| Lease::new(outer.tenure(), false).unwrap())
        .collect();
    for _ in 0..10_000 {
        Lease::new(outer.tenure(), false).unwrap();
    }
    assert!(outer.tenure().inner_terms() <= 2 * kept.len() + 16);
    outer.revoke();
    assert!(kept.iter().all(|lease| lease.tenure().is_over()));
}

#[test]
fn a_long_chain_ends_without_recursion() {
    let first = Lease::new(&Tenure::FOREVER, false).unwrap();
    let mut chain = Vec::from([Lease::new(first.tenure(), false).unwrap()]);
    for _ in 0..100_000 {
        let last = chain.last().unwrap();
        chain.push(Lease::new(last.tenure(), false).unwrap());
    }
    first.revoke();
    assert!(chain.iter().all(|lease| lease.tenure().is_over()));
}

#[derive(Clone, Debug)]
enum Step {
    Lend(usize),
    Both(usize, usize),
    Revoke(usize),
    Copy(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<usize>().prop_map(Step::Lend),
        2 => any::<(usize, usize)>().prop_map(|(one, two)| Step::Both(one, two)),
        2 => any::<usize>().prop_map(Step::Revoke),
        2 => any::<usize>().prop_map(Step::Copy),
    ]
}

proptest! {
    /// However things are lent on and found by means of each other: each is over exactly when one that it came of is.
    #[test]
    fn what_came_of_it_ends_and_nothing_else(steps in proptest::collection::vec(step(), 1..60)) {
        // Handles, with the numbers of the leases they hang on.
        let mut handles: Vec<(Handle, Vec<usize>)> = Vec::from([(thing(), Vec::new())]);
        let mut leases: Vec<(Lease, bool)> = Vec::new();
        for step in steps {
            let over = |on: &[usize], leases: &[(Lease, bool)]| on.iter().any(|&lease| leases[lease].1);
            match step {
                Step::Lend(from) => {
                    let (handle, on) = &handles[from % handles.len()];
                    match handle.lend(false) {
                        Ok((lent, lease)) => {
                            let on = on.iter().copied().chain([leases.len()]).collect();
                            leases.push((lease, false));
                            handles.push((lent, on));
                        }
                        Err(error) => {
                            prop_assert_eq!(error, Error::Revoked);
                            prop_assert!(over(on, &leases));
                        }
                    }
                }
                Step::Both(one, two) => {
                    let (one, ons) = &handles[one % handles.len()];
                    let (two, more) = &handles[two % handles.len()];
                    let on: Vec<usize> = ons.iter().chain(more).copied().collect();
                    match one.clone().under(two.tenure()) {
                        Ok(handle) => handles.push((handle, on)),
                        Err(error) => {
                            prop_assert_eq!(error, Error::Revoked);
                            prop_assert!(over(&on, &leases));
                        }
                    }
                }
                Step::Revoke(which) if !leases.is_empty() => {
                    let which = which % leases.len();
                    leases[which].0.revoke();
                    leases[which].1 = true;
                }
                Step::Revoke(_) => {}
                Step::Copy(from) => {
                    let (handle, on) = &handles[from % handles.len()];
                    let copy = (handle.restrict(Rights::READ | Rights::DUPLICATE), on.clone());
                    handles.push(copy);
                }
            }
            for (handle, on) in &handles {
                prop_assert_eq!(handle.holds().is_err(), over(on, &leases));
            }
        }
        prop_assert!(Tenure::FOREVER.and(&Tenure::FOREVER).unwrap().is_forever());
    }
}
