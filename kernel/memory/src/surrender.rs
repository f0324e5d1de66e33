//! Giving memory away: a program that hands an object on has it mapped no longer, so that whoever gets it is alone with
//! it and nothing has to be copied.

use crate::mappings::Content;
use crate::{Object, Space};
use abi::Error;
use alloc::sync::Arc;
use core::ops::Range;

impl Object {
    /// Whether the caller has the only reference: no address space maps it. Wrongly false while somebody's page is being
    /// looked up.
    pub fn is_alone(self: &Arc<Object>) -> bool {
        Arc::strong_count(self) == 1
    }
}

impl Space {
    /// Takes out all mappings of the object. A thread that uses one meanwhile faults. Cost: that of unmapping; the bytes
    /// are not touched.
    ///
    /// # Errors
    /// Those of [`Space::unmap`].
    pub fn surrender(&self, object: &Arc<Object>) -> Result<(), Error> {
        while let Some(range) = self.first_mapping_of(object) {
            self.unmap(range)?;
        }
        Ok(())
    }

    /// Where the object is mapped first, if it is.
    fn first_mapping_of(&self, object: &Arc<Object>) -> Option<Range<usize>> {
        let inner = self.lock();
        let found = inner.mappings.iter().find(|(_, mapping)| {
            matches!(&mapping.content, Content::Object { object: other, .. } if Arc::ptr_eq(object, other))
        });
        found.map(|(start, mapping)| start..mapping.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Backing, Kind, MapRequest, Need, Placement};
    use machine::{PAGE, frame};

    fn map(space: &Space, at: usize, object: &Arc<Object>, shared: bool) {
        let request = MapRequest {
            at: Placement::Fixed(at),
            len: 2 * PAGE,
            access: Access::READ | Access::WRITE,
            backing: Backing::Object {
                object: object.clone(),
                offset: 0,
                shared,
            },
            kind: Kind::Plain,
            max_access: Access::all(),
        };
        space.map(request).unwrap();
        space.try_resolve(at, Need::Write).unwrap();
    }

    #[test]
    fn all_mappings_are_gone_and_the_bytes_stay() {
        const A: usize = 0x10_0000;
        let before = frame::stats();
        let (mine, other) = (Space::new().unwrap(), Space::new().unwrap());
        let object = Object::new_anonymous(2 * PAGE as u64);
        assert!(object.is_alone());
        map(&mine, A, &object, true);
        map(&mine, A + 8 * PAGE, &object, true);
        map(&mine, A + 16 * PAGE, &object, false);
        map(
            &mine,
            A + 32 * PAGE,
            &Object::new_anonymous(2 * PAGE as u64),
            true,
        );
        map(&other, A, &object, true);
        object.page(0).unwrap().write(0, b"kept");
        mine.surrender(&object).unwrap();
        assert!(!object.is_alone());
        for at in [A, A + 8 * PAGE, A + 16 * PAGE] {
            assert_eq!(mine.try_resolve(at, Need::Read), Err(Error::Fault));
        }
        assert!(mine.is_present(A + 32 * PAGE) && other.is_present(A));
        other.surrender(&object).unwrap();
        assert!(object.is_alone());
        let mut bytes = [0; 4];
        object.page(0).unwrap().read(0, &mut bytes);
        assert_eq!(&bytes, b"kept");
        drop((mine, other, object));
        assert_eq!(frame::stats(), before);
    }
}
