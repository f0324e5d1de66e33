//! The heap of a Linux program: one growing run of zeros after its data, moved by `brk`.

use crate::mappings::{AtFork, Content, Kind, Mapping, STACK_GUARD};
use crate::space::Space;
use machine::paging::Access;
use machine::{PAGE, USER_END};

/// Where the heap begins, and where the program has set its end, in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap {
    start: usize,
    end: usize,
}

impl Space {
    /// Says where the heap begins: after the program's data. It has no bytes at first.
    pub fn set_brk_start(&self, start: usize) {
        let start = start.min(USER_END);
        self.lock().heap = Heap { start, end: start };
    }

    /// Moves the end of the heap; returns where it is then. An end that is not possible (before the
    /// heap's start, over other mappings, beyond a limit) changes nothing.
    pub fn brk(&self, new: usize) -> usize {
        let mut inner = self.lock();
        let Heap { start, end } = inner.heap;
        // Nobody has said where the heap begins.
        if start == 0 || new < start || new > USER_END - PAGE {
            return end;
        }
        let (old_top, new_top) = (end.next_multiple_of(PAGE), new.next_multiple_of(PAGE));
        if new_top < old_top {
            let removed = inner.take_out(new_top..old_top);
            inner.heap.end = new;
            drop(inner);
            drop(removed);
            return new;
        }
        if new_top > old_top {
            let range = old_top..new_top;
            let stack_near = inner
                .mappings
                .find_from(new_top)
                .is_some_and(|(start, above)| {
                    matches!(above.kind, Kind::Stack { grows } if grows > 0)
                        && start < new_top + STACK_GUARD
                });
            let fits = new - start <= inner.limits.heap
                && inner.mappings.is_free(range.clone())
                && !stack_near
                && inner.check_limits(&range, range.len()).is_ok()
                && machine::frame::heap_room();
            if !fits {
                return end;
            }
            let mapping = Mapping {
                end: new_top,
                access: Access::READ | Access::WRITE,
                max_access: Access::all(),
                kind: Kind::Heap,
                content: Content::Anonymous,
                at_fork: AtFork::Copied,
            };
            inner.mappings.insert(old_top, mapping);
        }
        inner.heap.end = new;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backing, MapRequest, Placement};

    #[test]
    fn the_heap_moves_and_starts_with_zeros() {
        let before = machine::frame::stats();
        let space = Space::new().unwrap();
        assert_eq!(space.brk(0x60_0000), 0);
        space.set_brk_start(0x60_0123);
        assert_eq!(space.brk(0), 0x60_0123);
        assert_eq!(space.size(), 0);
        assert_eq!(space.brk(0x60_0fff), 0x60_0fff);
        assert_eq!(space.size(), 0);
        assert_eq!(space.brk(0x60_5001), 0x60_5001);
        assert_eq!(space.size(), 5 * PAGE);
        assert_eq!(space.mappings().len(), 1);
        space
            .with_resolve(|root| root.copy_out(0x60_4ff0, &[1; 32]))
            .unwrap();
        assert_eq!(space.brk(0x60_5000), 0x60_5000);
        assert_eq!(space.resident(), 1);
        assert_eq!(space.brk(0x60_6000), 0x60_6000);
        let mut bytes = [9; 16];
        space
            .with_resolve(|root| root.copy_in(0x60_5000, &mut bytes))
            .unwrap();
        assert_eq!(bytes, [0; 16]);
        assert_eq!(space.brk(0x5f_0000), 0x60_6000);
        assert_eq!(space.brk(usize::MAX), 0x60_6000);
        drop(space);
        assert_eq!(machine::frame::stats(), before);
    }

    #[test]
    fn the_heap_stops_at_other_mappings() {
        let space = Space::new().unwrap();
        space.set_brk_start(0x60_0000);
        let request = MapRequest {
            at: Placement::Fixed(0x61_0000),
            len: PAGE,
            access: Access::READ,
            backing: Backing::Anonymous,
            kind: Kind::Plain,
            max_access: Access::all(),
        };
        space.map(request).unwrap();
        assert_eq!(space.brk(0x61_0001), 0x60_0000);
        assert_eq!(space.brk(0x61_0000), 0x61_0000);
    }
}
