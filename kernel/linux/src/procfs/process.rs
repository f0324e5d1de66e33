//! The text of the files in `/proc/PID` and `/proc/PID/task/TID`, as proc(5) describes it.

use super::files::TICK;
use super::mounts;
use crate::cgroup;
use crate::process::Process;
use crate::schedule;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use machine::PAGE;
use machine::paging::Access;
use memory::Kind;
use task::Times;

/// What a file is about: a process, or one thread of it.
pub struct Subject {
    pub process: Arc<process::Process>,
    pub thread: Option<Arc<process::Thread>>,
}

impl Subject {
    fn id(&self) -> u32 {
        self.thread
            .as_ref()
            .map_or_else(|| self.process.id(), |thread| thread.id())
    }

    /// Nanoseconds on a CPU.
    fn times(&self) -> Times {
        self.thread
            .as_ref()
            .map_or_else(|| self.process.times(), |thread| thread.times())
    }

    fn state(&self) -> char {
        match &self.thread {
            Some(thread) if thread.task().is_some_and(|task| task.is_runnable()) => 'R',
            Some(_) if state(&self.process) == 'R' => 'S',
            _ => state(&self.process),
        }
    }

    /// The thread; of a process, its first one.
    fn task_holder(&self) -> Option<Arc<process::Thread>> {
        let first = || self.process.search_threads(|thread| Some(thread.clone()));
        self.thread.clone().or_else(first)
    }

    fn side(&self) -> Option<Arc<Process>> {
        Process::of(&self.process)
    }

    /// The Linux side of the thread; of a process, its first thread's.
    fn thread_side(&self) -> Option<Arc<crate::thread::Thread>> {
        self.side()?.find_thread(self.id())
    }
}

type Make = fn(&Subject) -> Vec<u8>;

/// Files in `/proc/PID` and in `/proc/PID/task/TID`.
pub const FILES: &[(&str, Make)] = &[
    ("auxv", auxiliary),
    ("cgroup", |subject| cgroup::of_process(&subject.process)),
    ("cmdline", command_line),
    ("comm", name),
    ("environ", environment),
    ("limits", limits),
    ("maps", maps),
    ("mountinfo", mounts::info),
    ("mounts", mounts::table),
    ("schedstat", schedule_statistics),
    ("stat", statistics),
    ("statm", memory_sizes),
    ("status", status),
    ("timers", timers),
];

fn auxiliary(subject: &Subject) -> Vec<u8> {
    subject
        .side()
        .map_or_else(Vec::new, |side| side.image.lock().auxiliary.to_vec())
}

fn command_line(subject: &Subject) -> Vec<u8> {
    let process = &subject.process;
    process
        .personality()
        .map_or_else(Vec::new, |personality| personality.command_line(process))
}

fn name(subject: &Subject) -> Vec<u8> {
    format!("{}\n", subject.process.name()).into_bytes()
}

fn environment(subject: &Subject) -> Vec<u8> {
    let (Some(side), Some(space)) = (subject.side(), subject.process.space()) else {
        return Vec::new();
    };
    let range = side.image.lock().environment.clone();
    memory::peek(&space, range.start, range.len())
}

fn timers(subject: &Subject) -> Vec<u8> {
    let side = subject.side();
    let text = side.map(|side| side.posix_timers.describe(side.id()));
    text.unwrap_or_default().into_bytes()
}

fn limits(subject: &Subject) -> Vec<u8> {
    subject
        .side()
        .map_or_else(Vec::new, |side| side.limits.lock().describe().into_bytes())
}

fn maps(subject: &Subject) -> Vec<u8> {
    let mut text = String::new();
    let Some(space) = subject.process.space() else {
        return Vec::new();
    };
    let name = subject
        .side()
        .map(|side| side.image.lock().path.clone())
        .unwrap_or_default();
    let name = String::from_utf8_lossy(&name).into_owned();
    for mapping in space.mappings() {
        let flag = |access: Access, letter: char| {
            if mapping.access.contains(access) {
                letter
            } else {
                '-'
            }
        };
        let label = match mapping.kind {
            Kind::Stack { .. } => "[stack]",
            Kind::Heap => "[heap]",
            Kind::Plain => mapping.object.as_ref().map_or("", |object| {
                crate::vdso::label(object, mapping.offset).unwrap_or(&name)
            }),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:08x}-{:08x} {}{}{}{} {:08x} 00:00 0{:width$}{label}",
            mapping.range.start,
            mapping.range.end,
            flag(Access::READ, 'r'),
            flag(Access::WRITE, 'w'),
            flag(Access::EXECUTE, 'x'),
            if mapping.shared { 's' } else { 'p' },
            mapping.offset,
            "",
            width = if label.is_empty() { 0 } else { 26 },
        );
    }
    text.into_bytes()
}

/// The state letter of ps(1).
pub fn state(process: &Arc<process::Process>) -> char {
    if process.status().is_some() {
        return 'Z';
    }
    if process
        .personality()
        .is_some_and(|personality| personality.stopped())
    {
        return 'T';
    }
    let runs = |thread: &Arc<process::Thread>| thread.task()?.is_runnable().then_some(());
    if process.search_threads(runs).is_some() {
        'R'
    } else {
        'S'
    }
}

/// Pages of an address space by what they are for.
#[derive(Default)]
struct Sizes {
    all: usize,
    resident: usize,
    code: usize,
    /// Private and writable, without stacks.
    data: usize,
    stack: usize,
}

fn sizes(process: &process::Process) -> Sizes {
    let Some(space) = process.space() else {
        return Sizes::default();
    };
    let mut sizes = Sizes {
        resident: space.resident(),
        ..Sizes::default()
    };
    for mapping in space.mappings() {
        let pages = mapping.range.len() / PAGE;
        sizes.all += pages;
        match mapping.kind {
            Kind::Stack { .. } => sizes.stack += pages,
            _ if mapping.access.contains(Access::WRITE) && !mapping.shared => sizes.data += pages,
            _ if mapping.access.contains(Access::EXECUTE) => sizes.code += pages,
            _ => {}
        }
    }
    sizes
}

fn memory_sizes(subject: &Subject) -> Vec<u8> {
    let Sizes {
        all,
        resident,
        code,
        data,
        stack,
    } = sizes(&subject.process);
    format!("{all} {resident} 0 {code} 0 {} 0\n", data + stack).into_bytes()
}

fn statistics(subject: &Subject) -> Vec<u8> {
    let process = &subject.process;
    let Sizes { all, resident, .. } = sizes(process);
    let (group, session, terminal, foreground) = subject.side().map_or((0, 0, 0, -1), |side| {
        let group = side.group();
        let terminal = group.session().terminal();
        let foreground = terminal.as_ref().and_then(|terminal| terminal.foreground());
        (
            group.id(),
            group.session_id(),
            if terminal.is_some() { 0x0400 } else { 0 },
            foreground.map_or(-1, |group| group as i32),
        )
    });
    let holder = subject.task_holder();
    let task = holder.as_ref().and_then(|thread| thread.task());
    let (priority, nice, realtime, policy) =
        task.map_or((20, 0, 0, 0), |task| schedule::as_statistics(task));
    let processor = task.map_or(0, |task| task.cpu());
    let (times, children) = (subject.times(), process.children_times());
    format!(
        "{} ({}) {} {} {group} {session} {terminal} {foreground} 0 0 0 0 0 {} {} {} {} {priority} {nice} {} 0 {} {} \
         {resident} 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 {processor} {realtime} {policy} 0 0 0 0 0 0 0 0 0 0 0\n",
        subject.id(),
        process.name(),
        subject.state(),
        process.parent_id(),
        times.user / TICK,
        times.system / TICK,
        children.user / TICK,
        children.system / TICK,
        process.thread_count().max(1),
        process.started() / TICK,
        all * PAGE,
    )
    .into_bytes()
}

/// Time on a CPU, time waiting for one, and turns (Linux's `sched-stats` document). Of a process: its first thread's.
fn schedule_statistics(subject: &Subject) -> Vec<u8> {
    let holder = subject.task_holder();
    let task = holder.as_ref().and_then(|thread| thread.task());
    let (time, (delay, turns)) = task.map_or((0, (0, 0)), |task| (task.cpu_time(), task.delays()));
    format!("{time} {delay} {turns}\n").into_bytes()
}

fn status(subject: &Subject) -> Vec<u8> {
    let process = &subject.process;
    let mut text = String::new();
    let state = subject.state();
    let word = match state {
        'R' => "running",
        'T' => "stopped",
        'Z' => "zombie",
        _ => "sleeping",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Name:\t{}", process.name());
    let side = subject.side();
    if let Some(side) = &side {
        let _ = writeln!(text, "Umask:\t{:04o}", side.standing().mask);
    }
    let _ = writeln!(text, "State:\t{state} ({word})\nTgid:\t{}", process.id());
    let _ = writeln!(
        text,
        "Pid:\t{}\nPPid:\t{}\nTracerPid:\t0",
        subject.id(),
        process.parent_id()
    );
    if let Some(side) = &side {
        identities(&mut text, side);
    }
    let kib = |pages: usize| pages * (PAGE / 1024);
    if process.space().is_some() {
        let Sizes {
            all,
            resident,
            code,
            data,
            stack,
        } = sizes(process);
        for (name, pages) in [
            ("VmPeak", all),
            ("VmSize", all),
            ("VmHWM", resident),
            ("VmRSS", resident),
            ("VmData", data),
            ("VmStk", stack),
            ("VmExe", code),
        ] {
            let _ = writeln!(text, "{name}:\t{:>8} kB", kib(pages));
        }
    }
    let _ = writeln!(text, "Threads:\t{}", process.thread_count());
    if let Some(side) = &side {
        let thread = subject.thread_side();
        let own = thread
            .as_ref()
            .map_or(0, |thread| thread.pending.lock().set().0);
        let blocked = thread.as_ref().map_or(0, |thread| thread.mask().0);
        let (ignored, caught) = side.actions().sets();
        let _ = writeln!(
            text,
            "SigPnd:\t{own:016x}\nShdPnd:\t{:016x}",
            side.pending_set().0
        );
        let _ = writeln!(text, "SigBlk:\t{blocked:016x}\nSigIgn:\t{:016x}", ignored.0);
        let _ = writeln!(text, "SigCgt:\t{:016x}", caught.0);
        let no_new = u8::from(side.no_new_privileges.load(Ordering::Relaxed));
        let _ = writeln!(text, "NoNewPrivs:\t{no_new}");
    }
    if let Some(thread) = subject.task_holder() {
        text.push_str(&schedule::affinity::describe(&thread));
    }
    text.into_bytes()
}

fn identities(text: &mut String, side: &Process) {
    let identity = side.identity();
    let (effective, files) = (&identity.effective, &identity.files);
    let _ = writeln!(
        text,
        "Uid:\t{}\t{}\t{}\t{}",
        identity.real_uid, effective.uid, identity.saved_uid, files.uid
    );
    let _ = writeln!(
        text,
        "Gid:\t{}\t{}\t{}\t{}",
        identity.real_gid, effective.gid, identity.saved_gid, files.gid
    );
    let _ = writeln!(text, "FDSize:\t{}", side.descriptors().limit());
    let _ = write!(text, "Groups:\t");
    for group in effective.groups.iter() {
        let _ = write!(text, "{group} ");
    }
    text.push('\n');
}
