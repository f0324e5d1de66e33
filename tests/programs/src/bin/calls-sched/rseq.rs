//! rseq: the record that shows the processor, and critical sections that go back when they are disturbed.
//!
//! The C library registers a record of its own for each thread. So each test is a life of its own, in which the library was
//! told not to.

use super::processors::{count, only_one, set};
use libc::{EFAULT, MAP_ANONYMOUS, MAP_PRIVATE, PROT_NONE, SIGALRM, SIGKILL, SIGSEGV, SIGUSR1};
use std::arch::{asm, global_asm};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use test_programs::child::{Gate, Status, exec_helper, fork, output, passes, spawn};
use test_programs::harness::Helper;
use test_programs::memory::Shared;
use test_programs::signal::{self, RECORD};
use test_programs::{fails, gives, ok, sys};

/// Makes the tests, and the lives that they start, by the same names.
macro_rules! lives {
    ($($name:ident),* $(,)?) => {
        mod alone {
            $(pub fn $name() { super::alone(stringify!($name)) })*
            test_programs::tests!($($name),*);
        }
        pub const TESTS: &[test_programs::harness::Test] = alone::TESTS;
        const LIVES: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}

lives!(
    registering,
    errors_of_registering,
    forgetting,
    a_forked_child_keeps_it,
    a_thread_has_none,
    another_program_has_none,
    the_record_shows_the_processor,
    the_record_follows_moves,
    numbers_of_threads_that_run_differ,
    taken_off_the_processor,
    a_signal_comes,
    a_section_that_is_over_is_forgotten,
    a_signature_that_is_not_there,
    sections_that_make_no_sense,
    a_record_that_is_gone,
    counters_of_processors_lose_nothing,
    the_auxiliary_vector_tells_the_size,
);

pub const HELPERS: &[Helper] = &[("rseq", |arguments| {
    std::panic::set_hook(Box::new(|info| println!("{info}")));
    let life = LIVES.iter().find(|(name, _)| *name == arguments[0]);
    life.expect("a life of this name").1();
    0
})];

fn alone(name: &str) {
    let environment = ["GLIBC_TUNABLES=glibc.pthread.rseq=0"];
    let (status, said) = output(|| exec_helper(&["rseq", name], &environment));
    assert_eq!(status, Status::Exited(0), "{said}");
}

/// Stands before the abort handlers here.
const SIGNATURE: u32 = 0x5305_3053;
const SIZE: usize = 32;
const UNREGISTER: i32 = 1;

#[derive(Default)]
#[repr(C, align(32))]
struct Record {
    cpu_id_start: AtomicU32,
    cpu_id: AtomicU32,
    section: AtomicU64,
    flags: AtomicU32,
    node_id: AtomicU32,
    number: AtomicU32,
}

impl Record {
    fn register(&self) {
        gives!(0, SYS_rseq, self, SIZE, 0, SIGNATURE);
    }

    fn unregister(&self) {
        gives!(0, SYS_rseq, self, SIZE, UNREGISTER, SIGNATURE);
    }

    fn cpu(&self) -> u32 {
        self.cpu_id.load(SeqCst)
    }
}

/// `struct rseq_cs`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
struct Section {
    version: u32,
    flags: u32,
    start: u64,
    length: u64,
    abort: u64,
}

/// What a test does to a section before it is entered.
type Bend = fn(&mut Section);

// Names its section in the record, enters it, says so, and stays until the kernel takes it to the handler behind it.
global_asm!(
    "helve_stay: mov [rdi + 8], rsi",
    "helve_stay_start: mov dword ptr [rdx], 1",
    "2: pause",
    "jmp 2b",
    "helve_stay_end: .long 0x53053053",
    "helve_stay_abort: ret",
);

unsafe extern "C" {
    fn helve_stay(record: *const Record, section: *const Section, entered: *mut u32);
    static helve_stay_start: u8;
    static helve_stay_end: u8;
    static helve_stay_abort: u8;
}

/// Stays in a critical section until it is left by its abort handler; tells where it was.
fn stay(record: &Record, entered: &AtomicU32, bend: Bend) -> Section {
    let [start, end, abort] = [
        &raw const helve_stay_start,
        &raw const helve_stay_end,
        &raw const helve_stay_abort,
    ]
    .map(|place| place as u64);
    let mut section = Section {
        start,
        length: end - start,
        abort,
        ..Section::default()
    };
    bend(&mut section);
    // SAFETY: writes only the record and the flag, and returns as a function does.
    unsafe { helve_stay(record, &raw const section, entered.as_ptr()) };
    section
}

fn as_it_is(_: &mut Section) {}

/// Adds one to a counter if a word of the record is what it was; false if it is not, or was disturbed.
#[inline(always)]
fn add(record: &Record, word: &AtomicU32, value: u32, counter: *mut u64) -> bool {
    let done: u32;
    // SAFETY: writes the record and the counter; both ends of the section are in sight.
    unsafe {
        asm!(
            ".pushsection .data.rel.helve_sections, \"aw\"",
            ".balign 32",
            "77: .long 0, 0",
            ".quad 71f, 72f - 71f, 74f",
            ".popsection",
            "lea {t}, [rip + 77b]",
            "mov [{r} + 8], {t}",
            "71:",
            "cmp [{word}], {value:e}",
            "jne 74f",
            "mov {t}, [{c}]",
            "add {t}, 1",
            "mov [{c}], {t}",
            "72:",
            "mov {done:e}, 1",
            "jmp 76f",
            ".long 0x53053053",
            "74:",
            "xor {done:e}, {done:e}",
            "76:",
            r = in(reg) std::ptr::from_ref(record),
            word = in(reg) word.as_ptr(),
            value = in(reg) value,
            c = in(reg) counter,
            t = out(reg) _,
            done = out(reg) done,
        );
    }
    done == 1
}

fn registering() {
    let record = Record::default();
    record.register();
    fails!(EBUSY, SYS_rseq, &record, SIZE, 0, SIGNATURE);
    fails!(EPERM, SYS_rseq, &record, SIZE, 0, 1);
    fails!(EINVAL, SYS_rseq, &record, 2 * SIZE, 0, SIGNATURE);
    fails!(EINVAL, SYS_rseq, &Record::default(), SIZE, 0, SIGNATURE);
    record.unregister();
}

fn errors_of_registering() {
    let records = [const { AtomicU64::new(0) }; 16];
    let aligned = (records.as_ptr() as usize).next_multiple_of(SIZE);
    fails!(EINVAL, SYS_rseq, aligned + 8, SIZE, 0, SIGNATURE);
    fails!(EINVAL, SYS_rseq, aligned, SIZE - 1, 0, SIGNATURE);
    fails!(EINVAL, SYS_rseq, aligned, 0, 0, SIGNATURE);
    fails!(EINVAL, SYS_rseq, aligned, SIZE, 1 << 20, SIGNATURE);
    fails!(EFAULT, SYS_rseq, usize::MAX << 5, SIZE, 0, SIGNATURE);
    // Nothing is registered.
    fails!(EINVAL, SYS_rseq, aligned, SIZE, UNREGISTER, SIGNATURE);
    fails!(EINVAL, SYS_rseq, 0, SIZE, UNREGISTER, SIGNATURE);
}

fn forgetting() {
    let record = Record::default();
    record.register();
    fails!(
        EINVAL,
        SYS_rseq,
        &Record::default(),
        SIZE,
        UNREGISTER,
        SIGNATURE
    );
    fails!(EINVAL, SYS_rseq, &record, 2 * SIZE, UNREGISTER, SIGNATURE);
    fails!(EPERM, SYS_rseq, &record, SIZE, UNREGISTER, 1);
    fails!(
        EINVAL,
        SYS_rseq,
        &record,
        SIZE,
        UNREGISTER | 1 << 20,
        SIGNATURE
    );
    record.unregister();
    assert_eq!(
        (record.cpu_id_start.load(SeqCst), record.cpu()),
        (0, u32::MAX)
    );
    fails!(EINVAL, SYS_rseq, &record, SIZE, UNREGISTER, SIGNATURE);
    // Again, with another signature.
    gives!(0, SYS_rseq, &record, SIZE, 0, 7);
    assert!(record.cpu() != u32::MAX);
}

fn a_forked_child_keeps_it() {
    let record = Record::default();
    record.register();
    passes(|| {
        fails!(EBUSY, SYS_rseq, &record, SIZE, 0, SIGNATURE);
        record.unregister();
    });
    fails!(EBUSY, SYS_rseq, &record, SIZE, 0, SIGNATURE);
}

fn a_thread_has_none() {
    let record = Record::default();
    record.register();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let own = Record::default();
            fails!(EINVAL, SYS_rseq, &own, SIZE, UNREGISTER, SIGNATURE);
            own.register();
            own.unregister();
        });
    });
    fails!(EBUSY, SYS_rseq, &record, SIZE, 0, SIGNATURE);
}

fn another_program_has_none() {
    let record = Record::default();
    record.register();
    let environment = ["GLIBC_TUNABLES=glibc.pthread.rseq=0"];
    let status = fork(|| exec_helper(&["rseq", "registering"], &environment)).wait();
    assert_eq!(status, Status::Exited(0));
}

fn the_record_shows_the_processor() {
    only_one();
    let record = Record::default();
    record.number.store(77, SeqCst);
    record.register();
    let mut cpu = u32::MAX;
    gives!(0, SYS_getcpu, &mut cpu, 0, 0);
    assert_eq!((record.cpu_id_start.load(SeqCst), record.cpu()), (cpu, cpu));
    assert_eq!(record.section.load(SeqCst), 0);
    assert_eq!(record.node_id.load(SeqCst), 0);
    // Whoever is alone in its memory is the first.
    assert_eq!(record.number.load(SeqCst), 0);
}

fn the_record_follows_moves() {
    let record = Record::default();
    record.register();
    let all = set();
    for _ in 0..20 {
        for cpu in (0..1024u32).filter(|cpu| all[*cpu as usize / 64] >> (cpu % 64) & 1 != 0) {
            let mut one = [0u64; 16];
            one[cpu as usize / 64] = 1 << (cpu % 64);
            gives!(0, SYS_sched_setaffinity, 0, 128, &one);
            assert_eq!((record.cpu_id_start.load(SeqCst), record.cpu()), (cpu, cpu));
        }
    }
}

/// A counter for each number loses nothing, as one for each processor does not: who has a number has it alone.
fn numbers_of_threads_that_run_differ() {
    let processors = count() as usize;
    lose_nothing(move |record| {
        let number = record.number.load(SeqCst);
        assert!((number as usize) < processors, "{number}");
        &record.number
    });
}

fn taken_off_the_processor() {
    only_one();
    let record = Record::default();
    record.register();
    let entered = Shared::<AtomicU32>::new();
    let rival = fork(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    for _ in 0..5 {
        entered.store(0, SeqCst);
        stay(&record, &entered, as_it_is);
        assert_eq!(entered.load(SeqCst), 1);
        assert_eq!(record.section.load(SeqCst), 0);
    }
    rival.signal(SIGKILL);
    assert_eq!(rival.wait(), Status::Killed(SIGKILL));
}

/// The handler finds the section left already.
fn a_signal_comes() {
    let record = Record::default();
    record.register();
    signal::catch(SIGALRM);
    signal::tick(5_000);
    let entered = AtomicU32::new(0);
    let mut rounds = 0;
    while RECORD.count() < 10 || rounds < 10 {
        let section = stay(&record, &entered, as_it_is);
        rounds += 1;
        if RECORD.count() != 0 {
            let rip = RECORD.rip.load(SeqCst) as u64;
            let inside = section.start..section.start + section.length;
            assert!(!inside.contains(&rip), "{rip:#x} {section:x?}");
        }
    }
    signal::tick(0);
}

fn a_section_that_is_over_is_forgotten() {
    let record = Record::default();
    record.register();
    // The code is somewhere else; the signature is right.
    let code = [SIGNATURE, 0, 0, 0];
    let section = Section {
        start: code.as_ptr() as u64 + 8,
        length: 4,
        abort: code.as_ptr() as u64 + 4,
        ..Section::default()
    };
    record.section.store(&raw const section as u64, SeqCst);
    signal::catch(SIGUSR1);
    signal::raise(SIGUSR1);
    assert_eq!(RECORD.count(), 1);
    assert_eq!(record.section.load(SeqCst), 0);
}

/// A child that stays in a section until it is disturbed, which ends it.
fn ends(what: &str, life: impl FnOnce(&Record, &AtomicU32)) {
    println!("{what}");
    let child = fork(|| {
        signal::catch(SIGALRM);
        // Rust's start-up catches it.
        signal::dispose(SIGSEGV, libc::SIG_DFL);
        let record = Record::default();
        record.register();
        signal::tick(2_000);
        life(&record, &AtomicU32::new(0));
        0
    });
    assert_eq!(child.wait(), Status::Killed(SIGSEGV), "{what}");
}

fn a_signature_that_is_not_there() {
    ends("another one", |record, entered| {
        record.unregister();
        gives!(0, SYS_rseq, record, SIZE, 0, SIGNATURE + 1);
        stay(record, entered, as_it_is);
    });
}

fn sections_that_make_no_sense() {
    let bends: &[(&str, Bend)] = &[
        ("a version", |section| section.version = 1),
        ("a flag", |section| section.flags = 1),
        ("a start in the kernel", |section| section.start = 1 << 63),
        ("a length without end", |section| section.length = u64::MAX),
        ("a handler inside", |section| {
            section.abort = section.start + 1
        }),
        ("a handler nowhere", |section| section.abort = 0x1000),
        ("a handler in the kernel", |section| section.abort = 1 << 63),
    ];
    for (what, bend) in bends {
        ends(what, |record, entered| {
            stay(record, entered, *bend);
        });
    }
    for (what, place) in [("no section", 8u64), ("one in the kernel", 1 << 63)] {
        ends(what, |record, _| {
            record.section.store(place, SeqCst);
            loop {
                std::hint::spin_loop();
            }
        });
    }
}

fn a_record_that_is_gone() {
    let child = fork(|| {
        let page = ok!(
            SYS_mmap,
            0,
            4096,
            PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS,
            -1,
            0
        );
        sys!(SYS_rseq, page, SIZE, 0, SIGNATURE).err().unwrap_or(0)
    });
    // Linux before 6.15 finds out on the way back only.
    let status = child.wait();
    let known = [Status::Exited(EFAULT), Status::Killed(SIGSEGV)];
    assert!(known.contains(&status), "{status:?}");
}

fn counters_of_processors_lose_nothing() {
    lose_nothing(|record| &record.cpu_id);
}

/// Threads add to counters that they choose by what their records show.
fn lose_nothing(choose: impl Fn(&Record) -> &AtomicU32 + Copy + Send + Sync) {
    const THREADS: u64 = 4;
    const TIMES: u64 = 200_000;
    let mut counters = vec![0u64; 1024 * 8];
    let base = counters.as_mut_ptr() as usize;
    let gate = Gate::new();
    // Somebody else takes the processors away now and then.
    let rival = spawn(|| {
        while !gate.is_open() {
            std::hint::spin_loop();
        }
    });
    let ready = std::sync::Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let record = Record::default();
                record.register();
                // As long as all are there, the numbers mean something.
                ready.wait();
                let mut left = TIMES;
                while left > 0 {
                    let word = choose(&record);
                    let value = word.load(SeqCst);
                    let counter = (base as *mut u64).wrapping_add(value as usize * 8);
                    left -= u64::from(add(&record, word, value, counter));
                }
                ready.wait();
                record.unregister();
            });
        }
    });
    gate.open();
    rival.passes();
    assert_eq!(counters.iter().sum::<u64>(), THREADS * TIMES);
}

fn the_auxiliary_vector_tells_the_size() {
    const AT_RSEQ_FEATURE_SIZE: u64 = 27;
    const AT_RSEQ_ALIGN: u64 = 28;
    // SAFETY: only reads the vector of this process.
    let [size, align] =
        [AT_RSEQ_FEATURE_SIZE, AT_RSEQ_ALIGN].map(|kind| unsafe { libc::getauxval(kind) });
    // Linux before 6.3 tells neither.
    assert!((size, align) == (0, 0) || size >= 20 && align.is_power_of_two() && align >= 32);
}
