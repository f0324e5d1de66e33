//! What registries of links promise: names, rights, and that nothing is lost, doubled or left behind, in whatever ring.

use crate::{Handle, IN_FLIGHT, Kind, Links, Object, OpenFlags, Opened, Rights, SliceSink, Table};
use abi::{Error, Number};
use alloc::sync::{Arc, Weak};
use proptest::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use value::Document;

/// What is in what is known for all together: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Thing(Kind);

impl Object for Thing {
    fn kind(&self) -> Kind {
        self.0
    }
}

fn links() -> (Arc<Links>, Handle) {
    let links = Arc::new(Links::new());
    (links.clone(), Handle::new(links, Rights::all()))
}

fn thing() -> Handle {
    Handle::new(Arc::new(Thing(Kind::Event)), Rights::all())
}

fn open(from: &Handle, path: &str, rights: Rights) -> Result<Handle, Error> {
    let (mut at, mut rest) = (from.clone(), path);
    loop {
        match at.open(Rights::LIST | rights, rest, rights, OpenFlags::empty())? {
            Opened::Object(handle) => return Ok(handle),
            Opened::Beyond(next, on) => (at, rest) = (next, on),
        }
    }
}

#[test]
fn entries_come_and_go() {
    let _alone = alone();
    let (outer, outer_handle) = links();
    let (inner, inner_handle) = links();
    let few = Rights::READ | Rights::LIST | Rights::DUPLICATE;
    inner.add("thing", thing().restrict(few)).unwrap();
    outer.add("inner", inner_handle.restrict(few)).unwrap();
    let found = open(&outer_handle, "inner/thing", Rights::READ).unwrap();
    assert_eq!((found.kind(), found.rights()), (Kind::Event, Rights::READ));
    let open = |path, rights| open(&outer_handle, path, rights).err();
    assert_eq!(open("inner/thing", Rights::WRITE), Some(Error::Denied));
    assert_eq!(open("inner/other", Rights::READ), Some(Error::NotFound));
    assert_eq!(open("other", Rights::READ), Some(Error::NotFound));
    let refused = |name, handle| outer.add(name, handle).unwrap_err();
    assert_eq!(refused("inner", thing()), Error::Exists);
    assert_eq!(refused("a/b", thing()), Error::Invalid);
    assert_eq!(refused("", thing()), Error::Invalid);
    let once = thing().restrict(Rights::all() - Rights::DUPLICATE);
    assert_eq!(refused("once", once), Error::Denied);
    let port = Handle::new(Arc::new(Thing(Kind::Port)), Rights::all());
    assert_eq!(refused("port", port), Error::Invalid);
    let mut buffer = [0; 256];
    let mut sink = SliceSink::new(&mut buffer);
    let count = outer.try_read(0, &mut sink).unwrap();
    let (record, rest) = Document::parse_front(&buffer[..count]).unwrap();
    assert_eq!((record.string("name"), rest.len()), (Some("inner"), 0));
    // Who has it keeps it.
    drop((inner, inner_handle));
    let inner = outer.remove("inner").unwrap();
    assert_eq!(outer.remove("inner").err(), Some(Error::NotFound));
    assert_eq!(open("inner/thing", Rights::READ), Some(Error::NotFound));
    assert!(self::open(&inner, "thing", Rights::READ).is_ok());
}

#[test]
fn rings_are_given_up() {
    let _alone = alone();
    let (one, one_handle) = links();
    let (two, two_handle) = links();
    let thing = thing();
    one.add("self", one_handle.clone()).unwrap();
    one.add("two", two_handle.clone()).unwrap();
    two.add("one", one_handle.clone()).unwrap();
    two.add("thing", thing.clone()).unwrap();
    let weak = [Arc::downgrade(&one), Arc::downgrade(&two)];
    drop((one, two, two_handle));
    IN_FLIGHT.after_closing();
    assert!(open(&one_handle, "self/two/one/self/two/thing", Rights::READ).is_ok());
    drop(one_handle);
    IN_FLIGHT.after_closing();
    assert!(weak.iter().all(|it| it.strong_count() == 0));
    assert_eq!(thing.references(), 1);
}

#[test]
fn a_long_chain_is_dropped_one_after_another() {
    let _alone = alone();
    let (mut chain, mut handle) = links();
    let first = Arc::downgrade(&chain);
    for _ in 0..20_000 {
        let (outer, outer_handle) = links();
        outer.add("next", handle).unwrap();
        (chain, handle) = (outer, outer_handle);
    }
    assert!(first.upgrade().is_some());
    drop((chain, handle));
    assert!(first.upgrade().is_none());
}

const MANY: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A handle of the table into a registry that can be reached.
    Add {
        into: usize,
        name: u8,
        pick: usize,
    },
    Remove {
        from: usize,
        name: u8,
    },
    /// An entry back into the table.
    Open {
        from: usize,
        name: u8,
    },
    Close {
        pick: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0u8..3;
    prop_oneof![
        5 => (0..64usize, name(), 0..64usize).prop_map(|(into, name, pick)| Step::Add { into, name, pick }),
        1 => (0..64usize, name()).prop_map(|(from, name)| Step::Remove { from, name }),
        2 => (0..64usize, name()).prop_map(|(from, name)| Step::Open { from, name }),
        4 => (0..64usize).prop_map(|pick| Step::Close { pick }),
    ]
}

fn address(handle: &Handle) -> usize {
    Arc::as_ptr(handle.object()).addr()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn nothing_is_lost_doubled_or_left_behind(steps in prop::collection::vec(step(), 1..60)) {
        let _alone = alone();
        let table = Table::new();
        let mut weak: Vec<Weak<Links>> = Vec::new();
        // What each should hold: names and addresses.
        let mut model: Vec<(usize, Vec<(u8, usize)>)> = Vec::new();
        let mut numbers: Vec<Number> = Vec::new();
        for _ in 0..MANY {
            let (links, handle) = links();
            weak.push(Arc::downgrade(&links));
            model.push((address(&handle), Vec::new()));
            numbers.push(table.insert(handle).unwrap());
            drop(links);
        }
        let pick = |numbers: &[Number], pick: usize| {
            (!numbers.is_empty()).then(|| numbers[pick % numbers.len()])
        };
        for step in steps {
            match step {
                Step::Add { into, name, pick: what } => {
                    let (Some(into), Some(what)) = (pick(&numbers, into), pick(&numbers, what)) else { continue };
                    let (into, what) = (table.get(into).unwrap(), table.get(what).unwrap());
                    let (key, inner) = (address(&into), address(&what));
                    let entries = &mut model.iter_mut().find(|it| it.0 == key).unwrap().1;
                    let taken = entries.iter().any(|it| it.0 == name);
                    let added = into.downcast_ref::<Links>().unwrap().add(&name.to_string(), what);
                    prop_assert_eq!(added, if taken { Err(Error::Exists) } else { Ok(()) });
                    if !taken {
                        entries.push((name, inner));
                    }
                }
                Step::Remove { from, name } => {
                    let Some(from) = pick(&numbers, from) else { continue };
                    let from = table.get(from).unwrap();
                    let key = address(&from);
                    let entries = &mut model.iter_mut().find(|it| it.0 == key).unwrap().1;
                    let place = entries.iter().position(|it| it.0 == name);
                    let removed = from.downcast_ref::<Links>().unwrap().remove(&name.to_string());
                    prop_assert_eq!(removed.ok().map(|it| address(&it)), place.map(|place| entries.remove(place).1));
                }
                Step::Open { from, name } => {
                    let Some(from) = pick(&numbers, from) else { continue };
                    let from = table.get(from).unwrap();
                    let entries = &model.iter().find(|it| it.0 == address(&from)).unwrap().1;
                    let expected = entries.iter().find(|it| it.0 == name).map(|it| it.1);
                    let opened = open(&from, &name.to_string(), Rights::all());
                    prop_assert_eq!(opened.as_ref().ok().map(address), expected);
                    if let Ok(opened) = opened {
                        numbers.push(table.insert(opened).unwrap());
                    }
                }
                Step::Close { pick } => {
                    if !numbers.is_empty() {
                        let number = numbers.swap_remove(pick % numbers.len());
                        drop(table.remove(number).unwrap());
                    }
                }
            }
            IN_FLIGHT.after_closing();
            // Who holds what: the table, and registries that can be reached from it.
            let mut alive: Vec<usize> = table.entries().iter().map(|(_, it)| address(it)).collect();
            let mut place = 0;
            let mut seen = [false; MANY];
            while let Some(&object) = alive.get(place) {
                place += 1;
                for (index, (key, entries)) in model.iter().enumerate() {
                    if *key == object && !std::mem::replace(&mut seen[index], true) {
                        alive.extend(entries.iter().map(|it| it.1));
                    }
                }
            }
            for (weak, (key, _)) in weak.iter().zip(&model) {
                let expected = alive.iter().filter(|it| *it == key).count();
                prop_assert_eq!(weak.strong_count(), expected);
            }
        }
        table.clear();
        IN_FLIGHT.after_closing();
        prop_assert!(weak.iter().all(|it| it.strong_count() == 0));
    }
}

/// On real threads: one walks through what others take apart.
#[test]
fn walking_against_closing_loses_nothing_that_is_held() {
    let _alone = alone();
    for _ in 0..200 {
        let (one, one_handle) = links();
        let (two, two_handle) = links();
        one.add("two", two_handle).unwrap();
        two.add("one", one_handle.clone()).unwrap();
        two.add("thing", thing()).unwrap();
        drop((one, two));
        let walker = std::thread::spawn(move || {
            let mut at = one_handle;
            for step in 0..200 {
                let next = if step % 2 == 0 { "two" } else { "one" };
                let found = open(&at, next, Rights::all()).unwrap();
                // Now only this thread's new handle leads to both.
                at = found;
            }
            assert!(open(&at, "two/thing", Rights::READ).is_ok());
        });
        for _ in 0..200 {
            IN_FLIGHT.after_closing();
        }
        walker.join().unwrap();
        IN_FLIGHT.after_closing();
    }
}
