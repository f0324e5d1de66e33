//! A Linux process: directories, descriptors, signal actions, credentials, limits, its group.

use crate::descriptors::{Descriptors, Held};
use crate::errno::Errno;
use crate::event::signals::Ears;
use crate::jobs::Group;
use crate::limits::Limits;
use crate::native_program;
use crate::realm::{self, Realm};
use crate::rseq::Concurrency;
use crate::signal::action::{Actions, SA_NOCLDSTOP, SA_NOCLDWAIT, SIG_IGN};
use crate::signal::queue::{Fields, Info, Pending};
use crate::signal::set::{SIGCHLD, SIGCONT};
use crate::signal::{self, Set};
use crate::stop::{Change, Stop};
use crate::thread::Thread;
use crate::timer::{IntervalTimers, PosixTimers};
use abi::Rights;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use machine::sync::{Once, Spin};
use memory::Running;
use process::{Personality, Status, Zombie};
use task::WaitQueue;
use vfs::{Credentials, Location};

/// Root and working directory and the file mode mask.
#[derive(Clone)]
pub struct Standing {
    pub root: Location,
    pub directory: Location,
    pub mask: u16,
}

/// Where a process stands; shared by processes that say `CLONE_FS`. Replaced as a whole, so that a call which
/// looks at it takes one reference and no lock for longer.
pub struct Ground(Spin<Arc<Standing>>);

impl Ground {
    pub fn new(standing: Standing) -> Ground {
        Ground(Spin::new(Arc::new(standing)))
    }

    pub fn get(&self) -> Arc<Standing> {
        self.0.lock().clone()
    }

    /// Replaces it by what `change` makes of it.
    pub fn update(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = Standing::clone(&self.get());
        change(&mut standing);
        let old = core::mem::replace(&mut *self.0.lock(), Arc::new(standing));
        drop(old);
    }
}

/// The identities of a process (credentials(7)).
#[derive(Clone, Debug)]
pub struct Identity {
    pub real_uid: u32,
    pub saved_uid: u32,
    pub real_gid: u32,
    pub saved_gid: u32,
    pub effective: Credentials,
    /// As the file systems see it: the effective identity, unless setfsuid(2) said otherwise.
    pub files: Credentials,
}

impl Identity {
    /// True if a set-ID bit made the program somebody else than who started it.
    pub fn gains(&self) -> bool {
        self.effective.uid != self.real_uid || self.effective.gid != self.real_gid
    }
}

/// What the program was started from.
#[derive(Clone, Default)]
pub struct Image {
    pub path: Vec<u8>,
    pub location: Option<Location>,
    /// While it runs, nobody writes its file.
    pub running: Option<Arc<Running>>,
    /// What a native program was given to itself.
    pub given: Option<Arc<native_program::Given>>,
    /// Where its arguments and environment lie on the stack.
    pub arguments: Range<usize>,
    pub environment: Range<usize>,
    /// The auxiliary vector as it was when the program started.
    pub auxiliary: Arc<[u8]>,
}

pub struct Process {
    id: u32,
    core: Once<Weak<process::Process>>,
    pub realm: Arc<Realm>,
    pub ground: Spin<Arc<Ground>>,
    descriptors: Spin<Arc<Descriptors>>,
    actions: Spin<Arc<Actions>>,
    pub pending: Spin<Pending>,
    /// The signal descriptors that are told of its signals.
    pub ears: Ears,
    group: Spin<Arc<Group>>,
    identity: Spin<Arc<Identity>>,
    pub limits: Spin<Limits>,
    /// The soft `RLIMIT_FSIZE` again, for every write to look at.
    pub file_size_limit: AtomicU64,
    pub image: Spin<Image>,
    /// The signal that the parent gets when this one ends; 0: none.
    exit_signal: AtomicU8,
    pub stop: Stop,
    /// Woken when a child ends, stops or goes on.
    pub children_changed: WaitQueue,
    /// Woken when the process runs another program or ends: a vfork parent waits for it.
    vfork: Spin<Option<Arc<Latch>>>,
    pub timers: IntervalTimers,
    pub concurrency: Concurrency,
    pub posix_timers: PosixTimers,
    /// `execve` has happened: a parent may no longer move it to another group.
    pub has_executed: AtomicBool,
    pub dumpable: AtomicBool,
    pub child_subreaper: AtomicBool,
    pub no_new_privileges: AtomicBool,
    pub personality_bits: AtomicU32,
}

/// Opens once.
#[derive(Default)]
pub struct Latch {
    open: AtomicBool,
    queue: WaitQueue,
}

impl Latch {
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    pub async fn wait(&self) -> Result<(), task::Interrupted> {
        self.queue
            .wait_until(|| self.open.load(Ordering::Acquire).then_some(()))
            .await
    }
}

/// What a new process takes over.
pub struct Heritage {
    pub realm: Arc<Realm>,
    pub ground: Arc<Ground>,
    pub descriptors: Arc<Descriptors>,
    pub actions: Arc<Actions>,
    pub group: Arc<Group>,
    pub identity: Arc<Identity>,
    pub limits: Limits,
    pub image: Image,
    pub exit_signal: u8,
}

impl Process {
    pub fn new(id: u32, heritage: Heritage) -> Arc<Process> {
        heritage.group.join(id);
        Arc::new(Process {
            id,
            core: Once::new(),
            realm: heritage.realm,
            ground: Spin::new(heritage.ground),
            descriptors: Spin::new(heritage.descriptors),
            actions: Spin::new(heritage.actions),
            pending: Spin::new(Pending::default()),
            ears: Ears::default(),
            group: Spin::new(heritage.group),
            identity: Spin::new(heritage.identity),
            file_size_limit: AtomicU64::new(heritage.limits.file_size()),
            limits: Spin::new(heritage.limits),
            image: Spin::new(heritage.image),
            exit_signal: AtomicU8::new(heritage.exit_signal),
            stop: Stop::new(),
            children_changed: WaitQueue::new(),
            vfork: Spin::new(None),
            timers: IntervalTimers::default(),
            concurrency: Concurrency::default(),
            posix_timers: PosixTimers::default(),
            has_executed: AtomicBool::new(false),
            dumpable: AtomicBool::new(true),
            child_subreaper: AtomicBool::new(false),
            no_new_privileges: AtomicBool::new(false),
            personality_bits: AtomicU32::new(0),
        })
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn set_core(&self, core: &Arc<process::Process>) {
        let _ = self.core.set(Arc::downgrade(core));
    }

    pub fn core(&self) -> Option<Arc<process::Process>> {
        self.core.get().and_then(Weak::upgrade)
    }

    /// The same, without keeping it; of one that has just been made, nothing.
    pub fn weak_core(&self) -> Weak<process::Process> {
        self.core.get().cloned().unwrap_or_default()
    }

    /// The Linux side of a process, if it has one.
    pub fn of(core: &process::Process) -> Option<Arc<Process>> {
        let personality: Arc<dyn Personality> = core.personality()?.clone();
        let any: Arc<dyn core::any::Any + Send + Sync> = personality;
        any.downcast().ok()
    }

    /// The Linux process with this number, whoever asks.
    pub fn by_id(id: u32) -> Option<Arc<Process>> {
        Process::of(&*process::find(id)?)
    }

    /// The Linux process with this number, if this one knows of it.
    pub fn find(&self, id: u32) -> Option<Arc<Process>> {
        let found = process::find(id)?;
        let known = realm::knows(&*self.core()?, &found, Rights::LIST);
        Process::of(&found).filter(|_| known)
    }

    pub fn descriptors(&self) -> Arc<Descriptors> {
        self.descriptors.lock().clone()
    }

    /// The open file behind a descriptor, if its handle carries these rights.
    ///
    /// # Errors
    /// `EBADF`; `EACCES` when the handle was given with fewer rights.
    pub fn file(&self, descriptor: u32, rights: Rights) -> Result<Held, Errno> {
        self.descriptors.lock().get(descriptor, rights)
    }

    pub fn set_descriptors(&self, descriptors: Arc<Descriptors>) {
        let old = core::mem::replace(&mut *self.descriptors.lock(), descriptors);
        drop(old);
    }

    pub fn actions(&self) -> Arc<Actions> {
        self.actions.lock().clone()
    }

    /// A new program has actions of its own, even if they were shared.
    pub fn unshare_actions(&self) {
        let mut actions = self.actions.lock();
        *actions = Arc::new(actions.fork());
    }

    pub fn standing(&self) -> Arc<Standing> {
        self.ground.lock().get()
    }

    pub fn identity(&self) -> Arc<Identity> {
        self.identity.lock().clone()
    }

    pub fn set_identity(&self, identity: Identity) {
        *self.identity.lock() = Arc::new(identity);
    }

    pub fn group(&self) -> Arc<Group> {
        self.group.lock().clone()
    }

    pub fn set_group(&self, group: Arc<Group>) {
        group.join(self.id);
        let old = core::mem::replace(&mut *self.group.lock(), group);
        if !Arc::ptr_eq(&old, &self.group()) {
            old.leave(self.id);
        }
    }

    /// Cost: O(n), as a list is made; see [`Process::search_threads`].
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        let threads = self.core().map(|core| core.threads()).unwrap_or_default();
        threads.iter().filter_map(|core| Thread::of(core)).collect()
    }

    pub fn find_thread(&self, id: u32) -> Option<Arc<Thread>> {
        Thread::of(&*self.core()?.find_thread(id)?)
    }

    /// The first thread that is `wanted`, the first of all before the others.
    pub fn search_threads(&self, wanted: impl Fn(&Thread) -> bool) -> Option<Arc<Thread>> {
        let wanted = |core: &Arc<process::Thread>| Thread::of(core).filter(|thread| wanted(thread));
        self.core()?.search_threads(wanted)
    }

    pub fn set_vfork(&self, latch: Option<Arc<Latch>>) {
        *self.vfork.lock() = latch;
    }

    /// Lets the vfork parent go on.
    pub fn release_vfork(&self) {
        if let Some(latch) = self.vfork.lock().take() {
            latch.open();
        }
    }

    /// Tells the parent that this process stopped or went on.
    pub fn report(self: &Arc<Self>, change: Change) {
        let Some(parent) = self.core().and_then(|core| core.parent()) else {
            return;
        };
        let Some(parent) = Process::of(&parent) else {
            return;
        };
        let action = parent.actions().get(SIGCHLD);
        if action.flags & SA_NOCLDSTOP == 0 {
            let (code, status) = match change {
                Change::Stopped(signal) => (CLD_STOPPED, signal),
                Change::Continued => (CLD_CONTINUED, SIGCONT),
            };
            parent.signal_child(self, code, i32::from(status));
        }
        parent.children_changed.wake_all();
    }

    fn signal_child(self: &Arc<Self>, child: &Arc<Process>, code: i32, status: i32) {
        let signal = match code {
            CLD_EXITED | CLD_KILLED | CLD_DUMPED => child.exit_signal.load(Ordering::Relaxed),
            _ => SIGCHLD,
        };
        if signal != 0 {
            let fields = Fields::Child {
                pid: child.id,
                uid: child.identity().real_uid,
                status,
            };
            // SIGCHLD is a standard signal: it never overflows the queue.
            let _ = signal::send::to_process(
                self,
                Info {
                    signal,
                    code,
                    fields,
                },
            );
        }
    }

    pub fn exit_signal(&self) -> u8 {
        self.exit_signal.load(Ordering::Relaxed)
    }

    pub fn set_exit_signal(&self, signal: u8) {
        self.exit_signal.store(signal, Ordering::Relaxed);
    }

    /// Checks that `self` may signal `target` (kill(2)).
    pub fn may_signal(&self, target: &Process, signal: u8) -> Result<(), Errno> {
        let known = match (self.core(), target.core()) {
            _ if Arc::ptr_eq(&self.realm, &target.realm) => true,
            (Some(caller), Some(target)) => realm::knows(&caller, &target, Rights::SIGNAL),
            _ => false,
        };
        if !known {
            return Err(Errno::ESRCH);
        }
        let (me, other) = (self.identity(), target.identity());
        let uid = me.effective.uid;
        let same = [uid, me.real_uid]
            .iter()
            .any(|&id| id == other.real_uid || id == other.saved_uid);
        let same_session =
            signal == SIGCONT && self.group().session_id() == target.group().session_id();
        if uid == 0 || same || same_session {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}

const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;
const CLD_STOPPED: i32 = 5;
const CLD_CONTINUED: i32 = 6;

impl Personality for Process {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn signal(&self, process: &Arc<process::Process>, signal: u8) {
        if let (Some(this), Some(signal)) =
            (Process::of(process), signal::set::valid(signal.into()))
        {
            // A full queue of real-time signals: the sender of this call has nobody to tell.
            let _ = signal::send::to_process(&this, Info::kernel(signal));
        }
    }

    fn wants_status(&self, _: &Arc<process::Process>, child: &Arc<process::Process>) -> Zombie {
        let action = self.actions().get(SIGCHLD);
        let unwanted = action.handler == SIG_IGN || action.flags & SA_NOCLDWAIT != 0;
        // Refusing SIGCHLD says nothing about children that send another signal, or none.
        let says = Process::of(child).map_or(SIGCHLD, |child| child.exit_signal());
        if unwanted && says == SIGCHLD {
            Zombie::Forget
        } else {
            Zombie::Keep
        }
    }

    fn child_ended(&self, process: &Arc<process::Process>, child: &Arc<process::Process>) {
        if let Some((this, child_side)) = Process::of(process).zip(Process::of(child)) {
            let (code, status) = match child.status() {
                Some(Status::Exited(status)) => (CLD_EXITED, status & 0xff),
                Some(Status::Signaled(signal)) => (CLD_KILLED, i32::from(signal)),
                None => (CLD_EXITED, 0),
            };
            this.signal_child(&child_side, code, status);
        }
        self.children_changed.wake_all();
    }

    fn adopts(&self) -> bool {
        self.child_subreaper.load(Ordering::Relaxed)
    }

    fn children_left(&self, _: &Arc<process::Process>, children: &[Arc<process::Process>]) {
        for child in children.iter().filter_map(|child| Process::of(child)) {
            // Whoever takes it over did not choose another signal.
            child.set_exit_signal(SIGCHLD);
            for thread in child.threads() {
                let wanted = thread.parent_death_signal.load(Ordering::Relaxed);
                if let Some(signal) = signal::set::valid(wanted.into()) {
                    // A full queue of real-time signals: there is nobody to tell.
                    let _ = signal::send::to_process(&child, Info::kernel(signal));
                }
            }
        }
        self.group().children_left(children);
    }

    fn forgotten(&self, _: &process::Process) {
        // A group has its number for as long as a member's number is taken, ended or not.
        self.group().leave(self.id);
    }

    fn ended(&self, process: &Arc<process::Process>) {
        self.timers.stop();
        self.posix_timers.clear();
        self.release_vfork();
        // Files that nobody else shares are closed now, not when the parent has waited.
        self.set_descriptors(Arc::new(Descriptors::new(Arc::new(object::Table::new()))));
        object::IN_FLIGHT.after_closing();
        self.view_released();
        self.group().process_ended(process);
    }

    fn command_line(&self, process: &process::Process) -> Vec<u8> {
        let range = self.image.lock().arguments.clone();
        let Some(space) = process.space() else {
            return Vec::new();
        };
        memory::peek(&space, range.start, range.len().min(4096))
    }

    fn stopped(&self) -> bool {
        self.stop.is_stopped()
    }
}

impl Process {
    /// An ended process keeps no directory busy.
    fn view_released(&self) {
        let mut image = self.image.lock();
        let gone = (image.location.take(), image.running.take());
        drop(image);
        drop(gone);
    }

    /// The name as `/proc/PID/comm` has it: at most 15 bytes.
    pub fn set_command(&self, name: &[u8]) {
        let name = name.get(..15).unwrap_or(name);
        if let Some(core) = self.core() {
            core.set_name(&String::from_utf8_lossy(name));
        }
    }

    /// Pending signals of the process, as `/proc/PID/status` shows them.
    pub fn pending_set(&self) -> Set {
        self.pending.lock().set()
    }
}
