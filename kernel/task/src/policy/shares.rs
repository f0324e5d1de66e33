//! Shares in groups, on one CPU.
//!
//! The one idea: a group is an entity like any other, in the queue of the group that it is in, and has a queue of its
//! own. So the algorithm of [`Queue`] says what is fair at every level, and knows nothing of groups. A group is in its
//! parent's queue as long as somebody waits in its own; whoever runs, all groups that it is in run too, from the topmost
//! down: that is the path.
//!
//! A group whose quota is used up is *parked*: it is in no queue until its next period, and those in it do not count as
//! waiting.
//!
//! Who is in no group pays nothing for all this. Else each level costs what one queue does.

use super::{Entity, Group, Manner, Member, Migrant, NEVER, NO_GROUP, Queue, Ticket};
use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What is in a queue.
#[derive(Debug)]
enum Node<T> {
    One(Manner, T),
    /// The group with this number, for all that wait in it.
    Group(u32),
}

impl<T: Member> Member for Node<T> {
    fn waits(&self, at: Option<Ticket>) {
        if let Node::One(_, item) = self {
            item.waits(at);
        }
    }
}

/// Where a group is on this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    /// Nobody waits in it.
    Away,
    /// In its parent's queue.
    Waits(Ticket),
    /// On the path.
    Runs,
    /// Its quota is used up, since then.
    Parked(u64),
}

/// What a CPU has of a group.
#[derive(Debug)]
struct Local<T> {
    group: Arc<Group>,
    queue: Queue<Node<T>>,
    seat: Seat,
    /// What its parent's queue remembers of it while it is not there.
    entity: Entity,
    /// Members that live here, and groups in it that have such.
    residents: usize,
    /// Members that wait in it, at any depth, where it is not parked itself.
    waiting: usize,
    /// What of the group's load was reported from here.
    load: i64,
}

/// See the module. The interface is that of [`Queue`], with the number of a group where somebody comes from outside.
#[derive(Debug)]
pub(super) struct Shares<T> {
    root: Queue<Node<T>>,
    /// Those that are in no group, and topmost groups with such, that live here.
    residents: usize,
    /// By number.
    locals: Vec<Option<Box<Local<T>>>>,
    /// Members that wait and could run.
    waiting: usize,
    /// The innermost group of the running member.
    running: u32,
    /// Those that wait for their next period, with room for all; and when the first of these begins.
    parked: Vec<u32>,
    resumes: u64,
}

impl<T: Member> Shares<T> {
    pub const fn new() -> Self {
        Shares {
            root: Queue::new(),
            residents: 0,
            locals: Vec::new(),
            waiting: 0,
            running: NO_GROUP,
            parked: Vec::new(),
            resumes: NEVER,
        }
    }

    /// How many wait and could run; the running one is not among them.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether one runs.
    pub fn is_running(&self) -> bool {
        self.queue(self.running).is_running()
    }

    /// The group of the running one.
    #[cfg(test)]
    pub fn running_group(&self) -> u32 {
        self.running
    }

    /// The group with this number, if somebody of it lives here.
    pub fn group(&self, number: u32) -> Option<Arc<Group>> {
        self.local(number).map(|local| local.group.clone())
    }

    fn local(&self, group: u32) -> Option<&Local<T>> {
        self.locals.get(group as usize)?.as_deref()
    }

    fn local_mut(&mut self, group: u32) -> Option<&mut Local<T>> {
        self.locals.get_mut(group as usize)?.as_deref_mut()
    }

    /// What is in this group. Whoever comes was admitted, so the group is here.
    fn queue(&self, group: u32) -> &Queue<Node<T>> {
        match self.local(group) {
            Some(local) => &local.queue,
            None => &self.root,
        }
    }

    fn queue_mut(&mut self, group: u32) -> &mut Queue<Node<T>> {
        if group == NO_GROUP {
            return &mut self.root;
        }
        match self.locals.get_mut(group as usize) {
            Some(Some(local)) => &mut local.queue,
            _ => &mut self.root,
        }
    }

    fn parent(&self, group: u32) -> u32 {
        let parent = self.local(group).and_then(|local| local.group.parent());
        parent.map_or(NO_GROUP, |parent| parent.number())
    }

    /// Makes room for one more member that lives here, so that it needs no memory to wait.
    ///
    /// # Errors
    /// The heap is exhausted; nothing has changed.
    pub fn admit(&mut self, group: Option<&Arc<Group>>) -> Result<(), TryReserveError> {
        let Some(group) = group else {
            self.root.reserve(self.residents + 1)?;
            self.residents += 1;
            return Ok(());
        };
        if self.local(group.number()).is_none() {
            self.admit(group.parent())?;
            if let Err(error) = self.add_local(group) {
                self.dismiss(group.parent().map_or(NO_GROUP, |parent| parent.number()));
                return Err(error);
            }
        }
        if let Some(local) = self.local_mut(group.number()) {
            if let Err(error) = local.queue.reserve(local.residents + 1) {
                self.dismiss_if_empty(group.number());
                return Err(error);
            }
            local.residents += 1;
        }
        Ok(())
    }

    fn add_local(&mut self, group: &Arc<Group>) -> Result<(), TryReserveError> {
        let index = group.number() as usize;
        if index >= self.locals.len() {
            self.locals.try_reserve(index + 1 - self.locals.len())?;
            self.locals.resize_with(index + 1, || None);
        }
        self.parked
            .try_reserve(self.locals.len() - self.parked.len())?;
        self.locals[index] = Some(Box::new(Local {
            group: group.clone(),
            queue: Queue::new(),
            seat: Seat::Away,
            entity: Entity::new(group.weight()),
            residents: 0,
            waiting: 0,
            load: 0,
        }));
        Ok(())
    }

    /// One member less lives here.
    pub fn dismiss(&mut self, group: u32) {
        match self.local_mut(group) {
            Some(local) => {
                local.residents = local.residents.saturating_sub(1);
                local.queue.release(local.residents);
                self.dismiss_if_empty(group);
            }
            None => {
                self.residents = self.residents.saturating_sub(1);
                self.root.release(self.residents);
            }
        }
    }

    fn dismiss_if_empty(&mut self, group: u32) {
        let parent = self.parent(group);
        if let Some(place) = self.locals.get_mut(group as usize)
            && let Some(local) = place
            && local.residents == 0
        {
            local.group.add_load(-local.load);
            *place = None;
            self.parked.retain(|parked| *parked != group);
            self.dismiss(parent);
        }
    }

    /// An entity becomes runnable. `true`: it should run instead of the running one, at once, if it may interrupt it.
    pub fn join(
        &mut self,
        now: u64,
        entity: Entity,
        group: u32,
        manner: Manner,
        item: T,
    ) -> Joined {
        let node = Node::One(manner, item);
        let (earlier, _) = self.queue_mut(group).join_at(entity, node);
        self.count(group, 1);
        self.enter(now, group, earlier)
    }

    /// Somebody joined the queue of this group: if it was empty the group joins its parent's, and so on. `earlier`: that
    /// one should run instead of who runs in the same queue.
    fn enter(&mut self, now: u64, group: u32, mut earlier: bool) -> Joined {
        let mut at = group;
        while let Some(local) = self.local(at) {
            match local.seat {
                Seat::Runs => break,
                Seat::Waits(_) => return Joined::Waits,
                Seat::Parked(_) => return Joined::Parked,
                Seat::Away => {}
            }
            if let Some(until) = local.group.pauses(now) {
                self.park(now, at, until);
                return Joined::Parked;
            }
            let parent = self.parent(at);
            let weight = self.weigh(at);
            let entity = self
                .local(at)
                .map_or(Entity::new(weight), |local| local.entity);
            let (before, ticket) = self
                .queue_mut(parent)
                .join_at(entity.with_weight(weight), Node::Group(at));
            self.seat(at, Seat::Waits(ticket));
            earlier = before;
            at = parent;
        }
        if earlier {
            Joined::Earlier
        } else {
            Joined::Waits
        }
    }

    fn seat(&mut self, group: u32, seat: Seat) {
        if let Some(local) = self.local_mut(group) {
            local.seat = seat;
        }
    }

    /// So many more wait in this group, or less: for all groups that it is in, up to the first that is parked.
    fn count(&mut self, group: u32, more: isize) {
        let mut at = group;
        while let Some(local) = self.local_mut(at) {
            local.waiting = local.waiting.saturating_add_signed(more);
            if matches!(local.seat, Seat::Parked(_)) {
                return;
            }
            at = self.parent(at);
        }
        self.waiting = self.waiting.saturating_add_signed(more);
    }

    /// Reports what competes in a group here, and gives the weight of that part of it.
    fn weigh(&mut self, group: u32) -> u32 {
        let Some(local) = self.local_mut(group) else {
            return super::NORMAL_WEIGHT;
        };
        let load = local.queue.weight;
        if load != local.load {
            local.group.add_load(load - local.load);
            local.load = load;
        }
        local.group.part(load)
    }

    /// A group that is in no queue waits for its next period.
    fn park(&mut self, now: u64, group: u32, until: u64) {
        let waiting = self.local(group).map_or(0, |local| local.waiting) as isize;
        self.count(self.parent(group), -waiting);
        self.seat(group, Seat::Parked(now));
        self.parked.push(group);
        self.resumes = self.resumes.min(until);
    }

    /// Lets those groups compete again whose next period has begun. `true`: one of them should run at once.
    fn resume(&mut self, now: u64) -> bool {
        let mut earlier = false;
        let mut index = 0;
        self.resumes = NEVER;
        while let Some(&group) = self.parked.get(index) {
            let until = self.local(group).and_then(|local| local.group.pauses(now));
            if let Some(until) = until {
                self.resumes = self.resumes.min(until);
                index += 1;
                continue;
            }
            self.parked.swap_remove(index);
            let Some(local) = self.local_mut(group) else {
                continue;
            };
            if let Seat::Parked(since) = local.seat {
                local.group.paused_for(now.saturating_sub(since));
            }
            local.seat = Seat::Away;
            let waiting = local.waiting as isize;
            let competes = local.queue.waiting() > 0;
            self.count(self.parent(group), waiting);
            if competes {
                earlier |= self.enter(now, group, false) == Joined::Earlier;
            }
        }
        earlier
    }

    /// The entity that should run next becomes the running one. There must be no running one.
    pub fn pick(&mut self, now: u64) -> Option<(Manner, T)> {
        if now >= self.resumes {
            self.resume(now);
        }
        let mut at = NO_GROUP;
        loop {
            match self.queue_mut(at).pick() {
                Some(Node::One(manner, item)) => {
                    self.running = at;
                    self.count(at, -1);
                    return Some((manner, item));
                }
                Some(Node::Group(group)) => {
                    self.seat(group, Seat::Runs);
                    let pauses = self
                        .local(group)
                        .is_some_and(|local| local.group.pauses(now).is_some());
                    if pauses {
                        self.close(now, group, false);
                        at = NO_GROUP;
                    } else {
                        at = group;
                    }
                }
                None if at == NO_GROUP => return None,
                None => {
                    // A group without anybody does not wait.
                    self.close(now, at, false);
                    at = NO_GROUP;
                }
            }
        }
    }

    /// The same for one that is in no group and has this ticket, if it is not ahead of its share. `None`: nothing has changed
    /// but perhaps its ticket.
    pub fn pick_this(&mut self, ticket: Ticket) -> Option<(Manner, T)> {
        let Node::One(manner, item) = self.root.pick_this(ticket)? else {
            return None;
        };
        self.running = NO_GROUP;
        self.count(NO_GROUP, -1);
        Some((manner, item))
    }

    /// Nobody runs any more in this group, which is on the path: it and those that it is in wait again, or leave.
    fn close(&mut self, now: u64, group: u32, mut yields: bool) {
        let mut at = group;
        while let Some(local) = self.local(at) {
            let parent = self.parent(at);
            let waiting = local.queue.waiting();
            let pauses = local.group.pauses(now);
            let weight = self.weigh(at);
            if waiting == 0 || pauses.is_some() {
                let left = self.queue_mut(parent).leave();
                if let (Some(local), Some(entity)) = (self.local_mut(at), left) {
                    local.entity = entity;
                }
                self.seat(at, Seat::Away);
                if let Some(until) = pauses {
                    self.park(now, at, until);
                }
            } else {
                // Who yields and is alone in its group makes way for others than those in it.
                yields &= waiting == 1;
                let queue = self.queue_mut(parent);
                queue.reweigh(weight);
                if let Some(ticket) = queue.put_back_at(Node::Group(at), yields) {
                    self.seat(at, Seat::Waits(ticket));
                }
            }
            at = parent;
        }
    }

    /// The running entity ran for `nanoseconds` since it was picked or last charged, until `now`.
    pub fn charge(&mut self, now: u64, nanoseconds: u64) {
        let mut at = self.running;
        while let Some(local) = self.local_mut(at) {
            local.queue.charge(nanoseconds);
            local.group.charge(now, nanoseconds);
            at = self.parent(at);
        }
        self.root.charge(nanoseconds);
    }

    /// Whether the running entity should give way: at some level somebody waits and the slice is over, or a quota is
    /// used up.
    pub fn should_switch(&mut self, now: u64) -> bool {
        if now >= self.resumes && self.resume(now) {
            return true;
        }
        let mut at = self.running;
        while let Some(local) = self.local(at) {
            if local.queue.should_switch() || local.group.pauses(now).is_some() {
                return true;
            }
            at = self.parent(at);
        }
        self.root.should_switch()
    }

    /// When the next period of a group begins that waits for it; [`NEVER`]: none does.
    pub fn resumes(&self) -> u64 {
        self.resumes
    }

    /// When [`should_switch`](Self::should_switch) or [`pick`](Self::pick) could give another answer if nothing else
    /// happens; [`NEVER`]: not by itself.
    pub fn next_decision(&self, now: u64) -> u64 {
        let slice = |queue: &Queue<Node<T>>| match queue.waiting() {
            0 => NEVER,
            _ if !queue.is_running() => NEVER,
            _ => now.saturating_add(queue.slice_left()),
        };
        let mut next = NEVER;
        let mut at = self.running;
        while let Some(local) = self.local(at) {
            next = next.min(slice(&local.queue)).min(local.group.lasts(now));
            at = self.parent(at);
        }
        next.min(slice(&self.root)).min(self.resumes)
    }

    /// The running entity waits again. `yields`: it gave up the rest of its slice, so its next request comes later.
    pub fn put_back(&mut self, now: u64, manner: Manner, item: T, yields: bool) {
        let group = core::mem::replace(&mut self.running, NO_GROUP);
        let node = Node::One(manner, item);
        if self.queue_mut(group).put_back_at(node, yields).is_some() {
            self.count(group, 1);
        }
        self.close(now, group, yields);
    }

    /// The running entity is not runnable any more. `None`: there was none.
    pub fn leave(&mut self, now: u64) -> Option<Entity> {
        let group = core::mem::replace(&mut self.running, NO_GROUP);
        let entity = self.queue_mut(group).leave();
        self.close(now, group, false);
        entity
    }

    /// See [`Queue::reweigh`].
    pub fn reweigh(&mut self, weight: u32) {
        self.queue_mut(self.running).reweigh(weight);
    }

    /// See [`Queue::running_weight`].
    pub fn running_weight(&self) -> Option<u32> {
        self.queue(self.running).running_weight()
    }

    /// See [`Queue::depart`].
    pub fn depart(&mut self, group: u32, entity: Entity) -> Migrant {
        self.queue_mut(group).depart(entity)
    }

    /// See [`Queue::adopt`].
    pub fn adopt(&mut self, group: u32, migrant: Migrant) -> Entity {
        self.queue_mut(group).adopt(migrant)
    }

    /// Takes out the waiting entity with this ticket.
    pub fn take(&mut self, group: u32, ticket: Ticket) -> Option<(Entity, Manner, T)> {
        let (entity, node) = self.queue_mut(group).take(ticket)?;
        let Node::One(manner, item) = node else {
            return None;
        };
        self.taken(group);
        Some((entity, manner, item))
    }

    /// See [`Queue::take_last`]; of the topmost ones first, then of the groups that have waiting members.
    pub fn take_last(
        &mut self,
        mut allowed: impl FnMut(&T) -> bool,
    ) -> Option<(u32, Migrant, Manner, T)> {
        let mut group = NO_GROUP;
        loop {
            let found = self
                .queue_mut(group)
                .take_last(|node| matches!(node, Node::One(_, item) if allowed(item)));
            if let Some((migrant, Node::One(manner, item))) = found {
                self.taken(group);
                return Some((group, migrant, manner, item));
            }
            let locals = self.locals.iter().enumerate().skip(group as usize + 1);
            let mut locals = locals.filter_map(|(number, local)| Some((number, local.as_ref()?)));
            let next = locals.find(|(_, local)| {
                local.queue.waiting() > 0 && matches!(local.seat, Seat::Waits(_) | Seat::Runs)
            });
            group = next?.0 as u32;
        }
    }

    /// A member was taken out of this group: if it was the last one, the group leaves too, and so on.
    fn taken(&mut self, group: u32) {
        self.count(group, -1);
        let mut at = group;
        while let Some(local) = self.local(at) {
            let (Seat::Waits(ticket), 0) = (local.seat, local.queue.waiting()) else {
                return;
            };
            let parent = self.parent(at);
            self.weigh(at);
            let out = self.queue_mut(parent).take(ticket);
            if let (Some(local), Some((entity, _))) = (self.local_mut(at), out) {
                local.entity = entity;
                local.seat = Seat::Away;
            }
            at = parent;
        }
    }
}

/// What became of who joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It should run before the running one.
    Earlier,
    /// It waits for its turn.
    Waits,
    /// It waits for its group's next period.
    Parked,
}
