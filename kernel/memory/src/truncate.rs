//! What becomes of mapped pages when their object gets shorter: they go, and touching them is an error from then on
//! (Linux: `SIGBUS`). Private copies go as well.

use crate::mappings::Content;
use crate::{Object, Space};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use machine::PAGE;

impl Object {
    /// Whether somebody may have it mapped. `known` is how many references the caller knows of that are no mappings;
    /// those of writers are known anyway. Never wrongly false.
    pub fn may_be_mapped(self: &Arc<Object>, known: usize) -> bool {
        Arc::strong_count(self) > known + self.writers().writing()
    }
}

impl Space {
    /// Takes out all pages of the object that lie beyond its end.
    pub fn drop_beyond_end(&self, object: &Arc<Object>) {
        let end = object.len().next_multiple_of(PAGE as u64);
        let mut inner = self.lock();
        let gone: Vec<Range<usize>> = inner
            .mappings
            .iter()
            .filter_map(|(start, mapping)| match &mapping.content {
                Content::Object {
                    object: other,
                    offset,
                    ..
                } if Arc::ptr_eq(object, other) => {
                    let kept = usize::try_from(end.saturating_sub(*offset)).unwrap_or(usize::MAX);
                    let first = start.saturating_add(kept);
                    (first < mapping.end).then_some(first..mapping.end)
                }
                _ => None,
            })
            .collect();
        for range in gone {
            inner.table.unmap(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Backing, Kind, MapRequest, Need, Placement};
    use abi::Error;

    #[test]
    fn pages_beyond_the_new_end_are_gone() {
        const A: usize = 0x10_0000;
        let object = Object::new_anonymous(3 * PAGE as u64);
        assert!(!object.may_be_mapped(1));
        let space = Space::new().unwrap();
        for (shared, at) in [(true, A), (false, A + 16 * PAGE)] {
            let backing = Backing::Object {
                object: object.clone(),
                offset: PAGE as u64,
                shared,
            };
            space
                .map(MapRequest {
                    at: Placement::Fixed(at),
                    len: 2 * PAGE,
                    access: Access::READ | Access::WRITE,
                    backing,
                    kind: Kind::Plain,
                    max_access: Access::all(),
                })
                .unwrap();
            space.try_resolve(at, Need::Write).unwrap();
            space.try_resolve(at + PAGE, Need::Write).unwrap();
        }
        assert!(object.may_be_mapped(1));
        object.set_len(PAGE as u64 + 1).unwrap();
        space.drop_beyond_end(&object);
        for at in [A, A + 16 * PAGE] {
            assert!(space.is_present(at) && !space.is_present(at + PAGE));
            assert_eq!(space.try_resolve(at + PAGE, Need::Read), Err(Error::Range));
        }
    }
}
