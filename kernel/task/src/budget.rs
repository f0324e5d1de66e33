//! Long loops that stay polite.
//!
//! The one idea: a loop counts its work, and looks up only when a budget of it is spent. Looking up lets interrupts in,
//! and lets others run if it is their turn.

use crate::{should_yield, yield_now};

/// How much work of cost 1 (about a microsecond: a page copied, a few entries unmapped) fits between two looks.
const BUDGET: u32 = 64;

/// Work that may still be done before looking up.
#[derive(Debug)]
pub struct Budget {
    left: u32,
}

/// A full budget.
pub const fn budget() -> Budget {
    Budget { left: BUDGET }
}

impl Budget {
    /// Counts work of `cost` (1 is about a microsecond). When the budget is spent, lets interrupts in, yields if
    /// somebody else should run, and starts afresh.
    ///
    /// No lock can be held here: the compiler rejects a spin guard across the await.
    #[inline]
    pub async fn step(&mut self, cost: u32) {
        match self.left.checked_sub(cost) {
            Some(left) => self.left = left,
            None => {
                self.left = BUDGET;
                rest().await;
            }
        }
    }
}

/// Between two parts of a long call: lets interrupts in, and yields if somebody else should run. Costs a few instructions if
/// there is nothing to do.
pub async fn rest() {
    crate::window();
    if should_yield() {
        yield_now().await;
    }
}

impl Default for Budget {
    fn default() -> Self {
        budget()
    }
}
