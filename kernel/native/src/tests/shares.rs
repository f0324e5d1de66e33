//! Shares of the CPUs, and programs in them.

use super::starting::{MARK, about, crash, plan, program, start};
use super::*;
use abi::{field, request};
use machine::host::user::set_program;
use machine::user::Trap;

fn limits(fields: &[(&str, i64)]) -> Value {
    plan(|limits| {
        fields.iter().for_each(|(key, number)| {
            limits.put(key, *number);
        });
    })
}

/// A program in a share computes for three times as long as the share may in a period.
#[test]
fn a_child_in_a_share_takes_its_time() {
    const MILLISECOND: u64 = 1_000_000;
    let mut world = World::new();
    world.file("/program", &program(MARK));
    let processes = world.registry("process").unwrap();
    let wanted = limits(&[("weight", 50), ("runtime", 10 * MILLISECOND as i64)]);
    let reply = world.request(processes, "share", &wanted).unwrap();
    let share = number(reply.as_document(), "share");
    let mut turns = 0;
    set_program(move |user| {
        machine::host::clock::advance(5 * MILLISECOND);
        turns += 1;
        if turns == 6 {
            crash(user)
        } else {
            Trap::Interrupt
        }
    });
    let plan = plan(|plan| {
        plan.put(field::SHARE, share as i32);
    });
    let begin = task::clock::now();
    let child = start(&mut world, "/program", &plan).unwrap();
    world
        .call(Call::Wait, &[child, abi::NEVER, REPLIES as u64, 1, 1])
        .unwrap();
    let took = task::clock::now() - begin;
    assert!(
        took >= 200 * MILLISECOND,
        "{took} ns, in less than three periods"
    );
    let about = about(&mut world, share);
    let object = about.as_document().document("object").unwrap();
    assert_eq!(number(object, "used") / MILLISECOND, 30);
    assert_eq!(number(object, "weight"), 50);
    assert_eq!(number(object, "threads"), 0);
}

/// A request that gives these handles, with these rights.
fn giving(handles: &[(&str, u64, Rights)]) -> Value {
    plan(|argument| {
        argument.document(request::HANDLES, |list| {
            for (name, handle, rights) in handles {
                list.document(name, |entry| {
                    entry
                        .put(request::HANDLE, *handle)
                        .put(request::RIGHTS, rights.bits());
                });
            }
        });
    })
}

/// A process that runs goes to a share, and from one to the next, if both may be administered.
#[test]
fn a_process_joins_a_share() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    set_program(|_| Trap::Interrupt);
    let processes = world.registry("process").unwrap();
    let child = start(&mut world, "/program", &plan(|_| {})).unwrap();
    let share = |world: &mut World, wanted: &Value| {
        let reply = world.request(processes, "share", wanted).unwrap();
        number(reply.as_document(), "share")
    };
    let wide = share(&mut world, &limits(&[]));
    let quota = limits(&[("runtime", 10_000_000)]);
    let limited = share(&mut world, &quota);
    let members = |world: &mut World, share: u64| {
        let about = about(world, share);
        number(about.as_document().document("object").unwrap(), "threads")
    };
    let (administer, inspect) = (Rights::ADMINISTER, Rights::INSPECT);
    let join = |world: &mut World, who: u64, share: u64| {
        let given = giving(&[("share", share, administer)]);
        world.request(who, "join", &given).map(drop)
    };
    assert_eq!(join(&mut world, child, wide), Ok(()));
    assert_eq!(join(&mut world, child, wide), Ok(()), "it is there already");
    assert_eq!(
        (members(&mut world, wide), members(&mut world, limited)),
        (1, 0)
    );
    assert_eq!(join(&mut world, child, limited), Ok(()));
    assert_eq!(
        (members(&mut world, wide), members(&mut world, limited)),
        (0, 1)
    );
    assert_eq!(join(&mut world, child, wide), Ok(()));
    // Who has a priority does not go where there is a quota.
    let priority = plan(|plan| {
        plan.put("class", "realtime").put("priority", 5);
    });
    world.request(child, "compete", &priority).unwrap();
    assert_eq!(join(&mut world, child, limited), Err(Error::Forbidden));
    assert_eq!(members(&mut world, wide), 1);
    // Both need the right, the handle must be given with it, and be one that may be given.
    let less = |world: &mut World, handle: u64, rights: Rights| {
        world.call(Call::Duplicate, &[handle, rights.bits().into()])
    };
    let looks = less(&mut world, child, inspect | Rights::SIGNAL).unwrap();
    assert_eq!(join(&mut world, looks, wide), Err(Error::Denied));
    let seen = less(&mut world, wide, inspect | Rights::TRANSFER).unwrap();
    let own = less(&mut world, wide, administer).unwrap();
    for (given, error) in [
        (giving(&[("share", seen, administer)]), Error::Denied),
        (giving(&[("share", own, administer)]), Error::Denied),
        (giving(&[("share", wide, inspect)]), Error::Denied),
        (giving(&[("share", child, administer)]), Error::WrongKind),
        (giving(&[("other", wide, administer)]), Error::Invalid),
        (giving(&[("share", NONE, administer)]), Error::BadHandle),
        (Value::default(), Error::Invalid),
        (limits(&[(request::HANDLES, 5)]), Error::Invalid),
        (giving(&[("a", wide, inspect); 17]), Error::TooLarge),
    ] {
        let refused = world.request(child, "join", &given);
        assert_eq!(refused.err(), Some(error), "{given:?}");
    }
    // What takes no handles says so.
    let given = giving(&[("share", wide, inspect)]);
    for handle in [child, processes] {
        assert_eq!(
            world.request(handle, "time", &given).err(),
            Some(Error::Invalid)
        );
    }
    world.ask(child, "kill").unwrap();
    task::run_until_idle();
    assert_eq!(join(&mut world, child, wide), Err(Error::NoProcess));
    assert_eq!(members(&mut world, wide), 0);
}

#[test]
fn shares_keep_within_their_limits() {
    let mut world = World::new();
    world.file("/program", &program(MARK));
    set_program(crash);
    let processes = world.registry("process").unwrap();
    for wrong in [
        limits(&[("weight", 0)]),
        limits(&[("weight", 10_001)]),
        limits(&[("runtime", -1)]),
        limits(&[("runtime", 5)]),
        limits(&[("period", 50_000_000)]),
        limits(&[("cpus", 64)]),
        plan(|limits| {
            limits.put("cpus", "");
        }),
        plan(|limits| {
            limits.put("weight", "heavy");
        }),
    ] {
        let refused = world.request(processes, "share", &wrong);
        assert_eq!(refused.err(), Some(Error::Invalid), "{wrong:?}");
    }
    let reply = world.ask(processes, "share").unwrap();
    let share = number(reply.as_document(), "share");
    for step in [
        limits(&[("runtime", 20_000_000), ("period", 50_000_000)]),
        limits(&[("period", 100_000_000)]),
        limits(&[("weight", 10_000), ("runtime", 30_000_000)]),
    ] {
        world.request(share, "limit", &step).unwrap();
    }
    let told = about(&mut world, share);
    let object = told.as_document().document("object").unwrap();
    assert_eq!(number(object, "runtime"), 30_000_000);
    assert_eq!(number(object, "period"), 100_000_000);
    assert_eq!(number(object, "weight"), 10_000);
    world
        .request(share, "limit", &limits(&[("runtime", 0)]))
        .unwrap();
    let told = about(&mut world, share);
    let object = told.as_document().document("object").unwrap();
    assert!(object.unsigned("runtime").is_none());
    // One in the other, but not without end.
    let mut inner = share;
    let ended = (0..100).find_map(|_| match world.ask(inner, "share") {
        Ok(reply) => {
            inner = number(reply.as_document(), "share");
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(ended, Some(Error::Limit));
    // Who may only look may not change it; and what is no share is refused.
    let looks = u64::from(Rights::INSPECT.bits());
    let less = world.call(Call::Duplicate, &[share, looks]).unwrap();
    assert_eq!(world.ask(less, "limit"), Err(Error::Denied));
    for (handle, error) in [(processes, Error::WrongKind), (less, Error::Denied)] {
        let plan = plan(|plan| {
            plan.put(field::SHARE, handle as i32);
        });
        assert_eq!(start(&mut world, "/program", &plan), Err(error));
    }
}
