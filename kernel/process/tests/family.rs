//! Parents and children that end at the same time, on several threads of the host.

use memory::Space;
use object::{Namespace, Table};
use process::{Birth, Personality, Process, Status, Zombie};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

/// A parent that keeps its zombies, or not, and counts what it is told.
struct Keeper {
    wish: Zombie,
    adopts: bool,
    told: AtomicUsize,
}

impl Personality for Keeper {
    fn name(&self) -> &'static str {
        "keeper"
    }
    fn signal(&self, _: &Arc<Process>, _: u8) {}
    fn wants_status(&self, _: &Arc<Process>, _: &Arc<Process>) -> Zombie {
        self.wish
    }
    fn child_ended(&self, _: &Arc<Process>, child: &Arc<Process>) {
        // What was decided is true before anybody is told.
        assert!(!child.is_zombie() || child.status().is_some());
        self.told.fetch_add(1, Ordering::Relaxed);
    }
    fn adopts(&self) -> bool {
        self.adopts
    }
    fn ended(&self, _: &Arc<Process>) {}
    fn command_line(&self, _: &Process) -> Vec<u8> {
        Vec::new()
    }
}

fn keeper(wish: Zombie, adopts: bool) -> Arc<Keeper> {
    Arc::new(Keeper {
        wish,
        adopts,
        told: AtomicUsize::new(0),
    })
}

fn born(parent: Option<&Arc<Process>>, keeper: Arc<Keeper>) -> Arc<Process> {
    let birth = Birth {
        name: "test".into(),
        parent: parent.cloned(),
        space: Space::new().unwrap(),
        handles: Arc::new(Table::new()),
        namespace: Namespace::new(),
    };
    Process::new(birth, 0, |_| keeper).unwrap()
}

/// Ends a process that never had a thread, as its last thread would.
fn end(process: &Arc<Process>) {
    process::Thread::new(process)
        .unwrap()
        .end(Status::Exited(0));
}

fn at_once(acts: [&(dyn Fn() + Sync); 2]) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for act in acts {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                act();
            });
        }
    });
}

/// A number may be taken again at once by another test: they take turns.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_child_and_its_parent_end_together() {
    let _alone = ALONE.lock();
    for wish in [Zombie::Keep, Zombie::Forget] {
        for heirs_wish in [Zombie::Keep, Zombie::Forget] {
            for _ in 0..300 {
                let above = keeper(heirs_wish, true);
                let heir = born(None, above.clone());
                let parent = born(Some(&heir), keeper(wish, false));
                let child = born(Some(&parent), keeper(Zombie::Forget, false));
                at_once([&|| end(&child), &|| end(&parent)]);

                let stays = child.is_zombie();
                if heirs_wish == Zombie::Forget {
                    assert!(!stays, "nobody will ever reap it");
                }
                if stays {
                    assert!(Arc::ptr_eq(&child.parent().unwrap(), &heir));
                    assert!(
                        heir.find_child(|c| Arc::ptr_eq(c, &child).then_some(()))
                            .is_some()
                    );
                    assert!(above.told.load(Ordering::Relaxed) >= 1);
                    assert!(child.reap());
                }
                assert!(!child.reap());
                assert!(process::find(child.id()).is_none());
                parent.reap();
                assert!(!heir.has_children());
                heir.abandon();
            }
        }
    }
}

#[test]
fn a_zombie_is_reaped_once() {
    let _alone = ALONE.lock();
    for _ in 0..500 {
        let parent = born(None, keeper(Zombie::Keep, false));
        let child = born(Some(&parent), keeper(Zombie::Keep, false));
        end(&child);
        assert!(child.is_zombie());
        let won = AtomicUsize::new(0);
        let reap = || {
            won.fetch_add(usize::from(child.reap()), Ordering::Relaxed);
        };
        at_once([&reap, &reap]);
        assert_eq!(won.into_inner(), 1);
        assert!(process::find(child.id()).is_none());
        parent.abandon();
    }
}

#[test]
fn a_child_of_who_has_ended_goes_to_the_heir() {
    let _alone = ALONE.lock();
    for _ in 0..300 {
        let heir = born(None, keeper(Zombie::Keep, true));
        let parent = born(Some(&heir), keeper(Zombie::Keep, false));
        let child = Mutex::new(None);
        let make =
            || *child.lock().unwrap() = Some(born(Some(&parent), keeper(Zombie::Keep, false)));
        at_once([&make, &|| end(&parent)]);
        let child = child.into_inner().unwrap().unwrap();
        assert!(Arc::ptr_eq(&child.parent().unwrap(), &heir));
        assert_eq!(child.parent_id(), heir.id());
        end(&child);
        assert!(child.reap() && parent.reap());
        heir.abandon();
    }
}
