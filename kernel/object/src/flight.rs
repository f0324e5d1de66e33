//! What holds things that hold things, and what becomes of it when nobody can reach it any more.
//!
//! The one idea: a receiver that waits in a queue may be the only way to that queue; then nobody can ever receive it, and
//! counting references alone would keep both for ever. So all *carriers* (what can hold cargo: receivers, sockets,
//! registries of links) that are in carriers are known here, and how often each is. One whose references are all from there
//! can be reached only through the carrier that it is in; so what is in carriers that can be reached is reached, and what is
//! left is emptied. (Linux does the same for sockets: `net/unix/garbage.c`.) The table's lock is held whenever a carrier
//! gets into a carrier or out of one, so a count is never half done. Cargo without carriers does not come by here.
//!
//! Lock order: the table, then the locks of carriers. Cargo is dropped without any of them.

use abi::Error;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use machine::sync::{Spin, SpinGuard};

/// What is carried in one piece: a handle, an open file.
pub trait Cargo: Sized + Send + 'static {
    /// What holds such pieces, and can be one itself.
    type Carrier: ?Sized + Send + Sync + 'static;

    /// Where those that are under way are counted.
    fn flights() -> &'static Flights<Self>;

    /// The carrier that it is, if it is one.
    fn carrier(&self) -> Option<&Arc<Self::Carrier>>;

    /// A carrier as something to be let go of.
    fn of(carrier: Arc<Self::Carrier>) -> Self;

    /// Calls `visit` with all cargo in a carrier that is a carrier itself; it may be called with other cargo, too. The
    /// table is locked.
    fn visit(carrier: &Self::Carrier, visit: &mut dyn FnMut(&Self));

    /// Takes everything out of a carrier and counts it out.
    fn unload(carrier: &Self::Carrier, flight: &mut Flight<Self>, into: &mut Vec<Self>);
}

/// Carriers in carriers before senders look for unreachable ones.
const FEW: usize = 64;

/// All cargo of one type that is under way.
pub struct Flights<C: Cargo> {
    table: Spin<Table<C>>,
    /// How often carriers are in carriers, to be looked at without the lock.
    inside: AtomicUsize,
    grave: Spin<Grave<C>>,
}

struct Table<C: Cargo> {
    /// Pieces under way, of all that there may be.
    pieces: usize,
    most: usize,
    /// Those that are in others, by address.
    carriers: BTreeMap<usize, Entry<C>>,
    /// The sum of their counts.
    inside: usize,
    /// As many make the next sender look for unreachable ones.
    due: usize,
    /// Carriers closed since somebody looked.
    closed: usize,
}

struct Entry<C: Cargo> {
    /// How often it is in others.
    count: usize,
    carrier: Weak<C::Carrier>,
    /// How often it is in one that can be reached for all that is known yet.
    outside: usize,
    reached: bool,
}

/// Leave to move carriers in and out of carriers.
pub struct Flight<C: Cargo>(SpinGuard<'static, Table<C>>);

fn key<T: ?Sized>(carrier: &Arc<T>) -> usize {
    Arc::as_ptr(carrier).addr()
}

impl<C: Cargo> Flights<C> {
    /// Nothing under way yet, and never more than `most` pieces.
    #[track_caller]
    pub const fn new(most: usize) -> Self {
        Flights {
            table: Spin::new(Table {
                pieces: 0,
                most,
                carriers: BTreeMap::new(),
                inside: 0,
                due: FEW,
                closed: 0,
            }),
            inside: AtomicUsize::new(0),
            grave: Spin::new(Grave {
                cargo: Vec::new(),
                busy: false,
            }),
        }
    }

    /// Waits for leave. Taken before the lock of any carrier.
    pub fn enter(&'static self) -> Flight<C> {
        Flight(self.table.lock())
    }

    /// How many pieces are under way now.
    pub fn pieces(&self) -> usize {
        self.table.lock().pieces
    }

    /// Called before a carrier is put into another.
    pub fn before_sending(&'static self) {
        if self.inside.load(Ordering::Relaxed) >= FEW {
            self.collect_if(|table| table.inside >= table.due);
        }
    }

    /// Called after a handle to a carrier was closed, a carrier was dropped, or a process has let go of all that it held:
    /// then something may have become unreachable. Looks each time while few carriers are in others, and else so seldom
    /// that each close costs the same.
    pub fn after_closing(&'static self) {
        if self.inside.load(Ordering::Relaxed) > 0 {
            self.collect_if(|table| {
                table.closed += 1;
                table.inside < FEW || table.closed * 4 >= table.inside
            });
        }
    }

    fn collect_if(&'static self, due: impl FnOnce(&mut Table<C>) -> bool) {
        let mut flight = self.enter();
        if due(&mut flight.0) {
            let lost = flight.sweep();
            drop(flight);
            self.bury(lost);
        }
    }

    /// Lets go of what nobody took. One piece after another and never one inside the other: a receiver in a receiver in a
    /// receiver must not need a stack as deep.
    pub fn bury(&self, mut cargo: Vec<C>) {
        if cargo.is_empty() {
            return;
        }
        let mut grave = self.grave.lock();
        grave.cargo.append(&mut cargo);
        if grave.busy {
            return;
        }
        grave.busy = true;
        while let Some(piece) = grave.cargo.pop() {
            drop(grave);
            drop(piece);
            grave = self.grave.lock();
        }
        grave.busy = false;
        grave.cargo = Vec::new();
    }
}

impl<C: Cargo> Flight<C> {
    /// Whether so many pieces more may be under way.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn admit(&self, pieces: usize) -> Result<(), Error> {
        if self.0.pieces + pieces > self.0.most {
            Err(Error::Limit)
        } else {
            Ok(())
        }
    }

    /// Counts in what gets into a queue.
    pub fn depart(&mut self, cargo: &[C]) {
        self.0.pieces += cargo.len();
        cargo.iter().for_each(|piece| self.hold(piece));
    }

    /// Counts out what has left a queue.
    pub fn arrive(&mut self, cargo: &[C]) {
        self.0.pieces = self.0.pieces.saturating_sub(cargo.len());
        cargo.iter().for_each(|piece| self.release(piece));
    }

    /// What gets into a carrier, to stay: not counted among the pieces under way.
    pub fn hold(&mut self, piece: &C) {
        let Some(carrier) = piece.carrier() else {
            return;
        };
        let entry = self.0.carriers.entry(key(carrier));
        let entry = entry.or_insert_with(|| Entry {
            count: 0,
            carrier: Arc::downgrade(carrier),
            outside: 0,
            reached: false,
        });
        entry.count += 1;
        self.count(self.0.inside + 1);
    }

    /// What has left a carrier that it was to stay in.
    pub fn release(&mut self, piece: &C) {
        let Some(key) = piece.carrier().map(key) else {
            return;
        };
        if let Some(entry) = self.0.carriers.get_mut(&key) {
            entry.count -= 1;
            if entry.count == 0 {
                self.0.carriers.remove(&key);
            }
            self.count(self.0.inside - 1);
        }
    }

    fn count(&mut self, inside: usize) {
        self.0.inside = inside;
        C::flights().inside.store(inside, Ordering::Relaxed);
    }

    /// Takes out what is in all carriers that nobody can reach.
    fn sweep(&mut self) -> Vec<C> {
        let carriers = &mut self.0.carriers;
        let mut hidden = Vec::new();
        let mut reached = Vec::new();
        for entry in carriers.values_mut() {
            entry.outside = entry.count;
            entry.reached = entry.carrier.strong_count() > entry.count;
            let found = entry.carrier.upgrade();
            match entry.reached {
                true => reached.extend(found),
                false => hidden.extend(found),
            }
        }
        for carrier in &hidden {
            each_within::<C>(carrier, |key| {
                if let Some(entry) = carriers.get_mut(&key) {
                    entry.outside = entry.outside.saturating_sub(1);
                }
            });
        }
        for carrier in &hidden {
            if let Some(entry) = carriers.get_mut(&key(carrier))
                && entry.outside > 0
            {
                entry.reached = true;
                reached.push(carrier.clone());
            }
        }
        while let Some(carrier) = reached.pop() {
            each_within::<C>(&carrier, |key| {
                if let Some(entry) = carriers.get_mut(&key)
                    && !entry.reached
                {
                    entry.reached = true;
                    reached.extend(entry.carrier.upgrade());
                }
            });
        }
        let lost = |carrier: &Arc<C::Carrier>| {
            let entry = carriers.get(&key(carrier));
            entry.is_some_and(|entry| !entry.reached)
        };
        hidden.retain(lost);
        let mut cargo = Vec::new();
        for carrier in &hidden {
            C::unload(carrier, self, &mut cargo);
        }
        (self.0.due, self.0.closed) = (FEW + 2 * self.0.inside, 0);
        // These may be the last references: they go with the cargo, without the lock.
        cargo.extend(hidden.into_iter().map(C::of));
        cargo
    }
}

/// Calls `visit` with the key of every carrier in this one, as often as it is there.
fn each_within<C: Cargo>(carrier: &C::Carrier, mut visit: impl FnMut(usize)) {
    C::visit(carrier, &mut |piece| {
        if let Some(inner) = piece.carrier() {
            visit(key(inner));
        }
    });
}

struct Grave<C> {
    cargo: Vec<C>,
    busy: bool,
}
