//! Sets within sets.
//!
//! A set is ready when something in it is, and tells the sets that contain it. So none may contain itself, however far
//! down, and they may not be nested deeply, as each telling is a call within a call.

use super::Set;
use crate::errno::Errno;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use machine::sync::Spin;

/// How many sets may be within each other.
const DEEPEST: usize = 5;

/// Which sets a set is in, and which are in it. The links are weak: what has ended is left out when somebody looks.
pub struct Nest {
    outer: Spin<Vec<Weak<Set>>>,
    inner: Spin<Vec<Weak<Set>>>,
}

impl Nest {
    pub const fn new() -> Nest {
        Nest {
            outer: Spin::new(Vec::new()),
            inner: Spin::new(Vec::new()),
        }
    }
}

/// Only one set at a time is put into another: what was checked stays true.
static PUTTING: Spin<()> = Spin::new(());

/// Notes that `inner` is in `outer`. What was in it once is remembered until one of the two ends: refused too often
/// rather than too seldom.
///
/// # Errors
/// `ELOOP` when `outer` is in `inner`, or they would be too deep.
pub fn put(outer: &Arc<Set>, inner: &Arc<Set>) -> Result<(), Errno> {
    let putting = PUTTING.lock();
    let above = height(outer, |set| &set.nest.outer, Some(inner), DEEPEST)?;
    let below = height(inner, |set| &set.nest.inner, Some(outer), DEEPEST)?;
    if above + below > DEEPEST {
        return Err(Errno::ELOOP);
    }
    link(&outer.nest.inner, inner)?;
    link(&inner.nest.outer, outer)?;
    drop(putting);
    Ok(())
}

/// The longest chain from `set` on in one direction, itself included.
fn height(
    set: &Arc<Set>,
    direction: fn(&Set) -> &Spin<Vec<Weak<Set>>>,
    forbidden: Option<&Arc<Set>>,
    most: usize,
) -> Result<usize, Errno> {
    if most == 0 || forbidden.is_some_and(|other| Arc::ptr_eq(other, set)) {
        return Err(Errno::ELOOP);
    }
    let mut highest = 0;
    // A copy: the last reference to a set must not be dropped under its own lock.
    let next: Vec<Arc<Set>> = direction(set)
        .lock()
        .iter()
        .filter_map(Weak::upgrade)
        .collect();
    for next in &next {
        highest = highest.max(height(next, direction, forbidden, most - 1)?);
    }
    Ok(highest + 1)
}

fn link(links: &Spin<Vec<Weak<Set>>>, to: &Arc<Set>) -> Result<(), Errno> {
    let mut links = links.lock();
    links.retain(|link| link.strong_count() > 0);
    if links
        .iter()
        .any(|link| core::ptr::eq(link.as_ptr(), Arc::as_ptr(to)))
    {
        return Ok(());
    }
    links.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    links.push(Arc::downgrade(to));
    Ok(())
}
