//! proc(5): what ordinary programs look for there.

use libc::{
    CLOCK_BOOTTIME, MAP_SHARED, O_CREAT, O_RDONLY, O_RDWR, PR_SET_NAME, PROT_READ, PROT_WRITE,
    SEEK_SET, SIGUSR1, utsname,
};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use test_programs::child::{Gate, Status, become_nobody, passes, spawn};
use test_programs::memory::{Mapping, PAGE, sysinfo};
use test_programs::raw::outcome;
use test_programs::raw::short::*;
use test_programs::{fails, ok, sys};

test_programs::tests!(
    self_is_this_process,
    exe_is_the_program,
    fd_lists_the_open_files,
    fd_links_name_the_files,
    cmdline_and_comm,
    environ_is_the_first_environment,
    cwd_and_root,
    maps_show_the_mappings,
    stat_has_its_fields,
    status_has_its_lines,
    statm_has_seven_numbers,
    another_process_by_number,
    a_process_that_is_gone,
    numbers_in_the_listing,
    meminfo,
    uptime_and_loadavg,
    cpuinfo_and_stat,
    stat_counts_for_each_processor,
    interrupts_of_each_processor,
    waiting_is_counted,
    mounts,
    version,
    nothing_can_be_made,
    task_lists_the_threads,
    reading_in_pieces,
    directories_are_no_files,
    others_may_not_look_inside,
);

fn slurp(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"))).into_owned()
}

fn lines(path: &str) -> HashMap<String, String> {
    slurp(path)
        .lines()
        .filter_map(|l| {
            l.split_once(':')
                .map(|(k, v)| (k.trim().to_string(), v.trim().to_string()))
        })
        .collect()
}

/// The fields after the parenthesis, where the third of the manual page comes first.
fn stat_fields(path: &str) -> (String, Vec<String>) {
    let text = slurp(path);
    let (start, end) = (text.find('(').unwrap(), text.rfind(')').unwrap());
    (
        text[start + 1..end].to_string(),
        text[end + 1..]
            .split_whitespace()
            .map(str::to_string)
            .collect(),
    )
}

fn self_is_this_process() {
    assert_eq!(
        fs::read_link("/proc/self").unwrap().to_str().unwrap(),
        pid().to_string()
    );
    assert!(fs::metadata("/proc/self").unwrap().is_dir());
    assert!(fs::metadata(format!("/proc/{}", pid())).unwrap().is_dir());
}

fn exe_is_the_program() {
    let path = fs::read_link("/proc/self/exe").unwrap();
    assert!(path.is_absolute());
    assert_eq!(&fs::read("/proc/self/exe").unwrap()[1..4], b"ELF");
    assert_eq!(
        fs::metadata("/proc/self/exe").unwrap().len(),
        fs::metadata(path).unwrap().len()
    );
}

fn fd_lists_the_open_files() {
    let fd = create(c"f");
    let list = || -> Vec<usize> {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect()
    };
    assert!(list().contains(&fd));
    close(fd);
    // The listing itself is open under some number; ours must be gone once it is not reused by it.
    let other = create(c"g");
    assert!(list().contains(&other));
    assert!(!list().contains(&(other + 50)));
}

fn fd_links_name_the_files() {
    let fd = create(c"f");
    let here = std::env::current_dir().unwrap();
    let link = |fd: usize| {
        fs::read_link(format!("/proc/self/fd/{fd}"))
            .unwrap()
            .to_str()
            .unwrap()
            .to_string()
    };
    assert_eq!(link(fd), here.join("f").to_str().unwrap());
    let (reader, _) = pipe();
    assert_eq!(link(reader), format!("pipe:[{}]", fstat(reader).st_ino));
    ok!(SYS_unlink, c"f");
    assert_eq!(link(fd), format!("{} (deleted)", here.join("f").display()));
}

fn cmdline_and_comm() {
    let arguments: Vec<u8> = std::env::args()
        .flat_map(|a| [a.as_bytes(), b"\0"].concat())
        .collect();
    assert_eq!(fs::read("/proc/self/cmdline").unwrap(), arguments);
    let name = test_programs::harness::own_path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_string();
    assert_eq!(
        slurp("/proc/self/comm").trim_end(),
        &name[..name.len().min(15)]
    );
    ok!(
        SYS_prctl,
        PR_SET_NAME,
        c"a new name that is too long",
        0,
        0,
        0
    );
    assert_eq!(slurp("/proc/self/comm"), "a new name that\n");
}

fn environ_is_the_first_environment() {
    let environment: Vec<u8> = std::env::vars_os()
        .flat_map(|(k, v)| {
            use std::os::unix::ffi::OsStrExt;
            [k.as_bytes(), b"=", v.as_bytes(), b"\0"].concat()
        })
        .collect();
    assert_eq!(fs::read("/proc/self/environ").unwrap(), environment);
}

fn cwd_and_root() {
    assert_eq!(
        fs::read_link("/proc/self/cwd").unwrap(),
        std::env::current_dir().unwrap()
    );
    assert_eq!(
        fs::read_link("/proc/self/root").unwrap().to_str(),
        Some("/")
    );
}

/// Address range, permissions and name of each mapping, in order.
fn maps() -> Vec<(usize, usize, String, String)> {
    slurp("/proc/self/maps")
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next().unwrap().split_once('-').unwrap();
            let permissions = words.next().unwrap().to_string();
            let name = words.nth(3).unwrap_or("").to_string();
            (
                usize::from_str_radix(start, 16).unwrap(),
                usize::from_str_radix(end, 16).unwrap(),
                permissions,
                name,
            )
        })
        .collect()
}

fn maps_show_the_mappings() {
    let mapping = Mapping::new(3 * PAGE, PROT_READ, MAP_SHARED);
    mapping.protect(PAGE, PAGE, PROT_READ | PROT_WRITE);
    let list = maps();
    assert!(list.windows(2).all(|w| w[0].1 <= w[1].0), "not in order");
    let of = |address: usize| {
        list.iter()
            .find(|m| (m.0..m.1).contains(&address))
            .unwrap_or_else(|| panic!("{address:#x} is in no line"))
    };
    assert_eq!(of(mapping.address).2, "r--s");
    assert_eq!(of(mapping.address + PAGE).2, "rw-s");
    let here = 0u8;
    assert_eq!(of(&raw const here as usize).3, "[stack]");
    let code = of(maps_show_the_mappings as *const () as usize);
    assert_eq!(code.2, "r-xp");
    assert_eq!(code.3, test_programs::harness::own_path().to_str().unwrap());
    assert!(list.iter().any(|m| m.3 == "[heap]"));
}

fn stat_has_its_fields() {
    let (name, fields) = stat_fields("/proc/self/stat");
    assert_eq!(slurp("/proc/self/comm").trim_end(), name);
    assert!(slurp("/proc/self/stat").starts_with(&format!("{} (", pid())));
    assert!(fields.len() >= 42, "{} fields", fields.len() + 2);
    let number = |field: usize| fields[field - 3].parse::<i64>().unwrap();
    assert_eq!(fields[0], "R");
    assert_eq!(number(4), ok!(SYS_getppid) as i64);
    assert_eq!(number(5), ok!(SYS_getpgid, 0) as i64);
    assert_eq!(number(6), ok!(SYS_getsid, 0) as i64);
    assert_eq!(number(20), 1, "threads");
    assert!(number(23) > 0 && number(24) > 0, "sizes");
    assert!(
        (number(23) / 4096) >= number(24),
        "virtual is less than resident"
    );
}

fn status_has_its_lines() {
    let status = lines("/proc/self/status");
    assert_eq!(status["Pid"], pid().to_string());
    assert_eq!(status["PPid"], ok!(SYS_getppid).to_string());
    assert_eq!(status["Tgid"], pid().to_string());
    assert_eq!(status["Threads"], "1");
    assert_eq!(
        status["Uid"].split_whitespace().collect::<Vec<_>>(),
        ["0"; 4]
    );
    assert!(status["State"].starts_with('R'));
    for name in ["VmSize", "VmRSS", "VmData", "VmStk"] {
        let (number, unit) = status[name].split_once(' ').unwrap();
        assert!(
            number.parse::<u64>().is_ok() && unit.trim() == "kB",
            "{name}: {}",
            status[name]
        );
    }
    test_programs::signal::block(SIGUSR1);
    assert_eq!(
        u64::from_str_radix(&lines("/proc/self/status")["SigBlk"], 16).unwrap(),
        1 << (SIGUSR1 - 1)
    );
}

fn statm_has_seven_numbers() {
    let numbers: Vec<u64> = slurp("/proc/self/statm")
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 7);
    assert!(numbers[0] >= numbers[1] && numbers[1] > 0);
}

fn another_process_by_number() {
    let (ready, done) = (Gate::new(), Gate::new());
    let child = spawn(|| {
        ready.open();
        done.wait();
    });
    ready.wait();
    let (_, fields) = stat_fields(&format!("/proc/{}/stat", child.pid));
    assert_eq!(fields[1], pid().to_string());
    assert!("RSD".contains(&fields[0]));
    let status = lines(&format!("/proc/{}/status", child.pid));
    assert_eq!(status["PPid"], pid().to_string());
    done.open();
    child.passes();
}

fn a_process_that_is_gone() {
    let child = spawn(|| ());
    let (pid, path) = (child.pid, format!("/proc/{}/stat", child.pid));
    // Until it is waited for, it is there as a zombie.
    test_programs::child::until(|| stat_fields(&path).1[0] == "Z");
    assert_eq!(child.wait(), Status::Exited(0));
    assert!(fs::read(&path).is_err());
    assert!(fs::metadata(format!("/proc/{pid}")).is_err());
}

fn numbers_in_the_listing() {
    let names: Vec<String> = fs::read_dir("/proc")
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.contains(&pid().to_string()));
    assert!(names.contains(&"1".to_string()));
    assert!(
        ["meminfo", "self", "uptime", "mounts"]
            .iter()
            .all(|n| names.iter().any(|m| m == n))
    );
}

fn meminfo() {
    let info = lines("/proc/meminfo");
    let kib = |name: &str| {
        info[name]
            .strip_suffix(" kB")
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert!(kib("MemTotal") > 1000 && kib("MemFree") <= kib("MemTotal"));
    assert!(kib("MemAvailable") <= kib("MemTotal"));
    let s = sysinfo();
    assert_eq!(s.totalram * u64::from(s.mem_unit) / 1024, kib("MemTotal"));
}

fn uptime_and_loadavg() {
    let numbers: Vec<f64> = slurp("/proc/uptime")
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(numbers.len() == 2 && numbers[0] > 0.0);
    let seconds = clock(CLOCK_BOOTTIME) as f64 / 1e9;
    assert!(
        (seconds - numbers[0]).abs() < 2.0,
        "{seconds} and {}",
        numbers[0]
    );
    let load = slurp("/proc/loadavg");
    let words: Vec<&str> = load.split_whitespace().collect();
    assert!(
        words.len() == 5
            && words[..3].iter().all(|w| w.parse::<f64>().is_ok())
            && words[3].contains('/')
    );
}

fn cpuinfo_and_stat() {
    let processors = slurp("/proc/cpuinfo")
        .lines()
        .filter(|l| l.starts_with("processor"))
        .count();
    assert!(processors >= std::thread::available_parallelism().unwrap().get());
    let stat = slurp("/proc/stat");
    assert!(stat.starts_with("cpu "));
    assert!(stat.lines().any(|l| l.starts_with("btime ")));
}

/// The numbers behind the word that a line of `/proc/stat` begins with.
fn stat_numbers(word: &str) -> Vec<u64> {
    let text = slurp("/proc/stat");
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(word));
    let line = line.unwrap_or_else(|| panic!("no {word} in {text}"));
    let numbers = line.split_whitespace().skip(1);
    numbers.map(|number| number.parse().unwrap()).collect()
}

fn online() -> usize {
    // SAFETY: it only asks.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap()
}

fn stat_counts_for_each_processor() {
    let text = slurp("/proc/stat");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    assert_eq!(rows.count(), online());
    for word in ["cpu", "cpu0"] {
        assert_eq!(stat_numbers(word).len(), 10, "{word}");
    }
    let (switches, processes) = (stat_numbers("ctxt")[0], stat_numbers("processes")[0]);
    passes(|| {});
    // Whoever waits for a child gives its processor away.
    assert!(stat_numbers("ctxt")[0] > switches);
    assert!(stat_numbers("processes")[0] > processes);
    assert!(stat_numbers("procs_running")[0] >= 1);
    assert_eq!(stat_numbers("procs_blocked").len(), 1);
    let interrupts = stat_numbers("intr");
    assert!(interrupts[0] >= interrupts[1..].iter().sum());
}

fn interrupts_of_each_processor() {
    let columns = |text: &str| {
        let head = text.lines().next().unwrap_or_default().to_string();
        head.split_whitespace()
            .filter(|word| word.starts_with("CPU"))
            .count()
    };
    let timers = || {
        let text = slurp("/proc/interrupts");
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("LOC:"));
        let words = line.unwrap_or_else(|| panic!("no timer in {text}"));
        let numbers = words.split_whitespace().take(columns(&text));
        numbers
            .map(|number| number.parse::<u64>().unwrap())
            .sum::<u64>()
    };
    assert_eq!(columns(&slurp("/proc/interrupts")), online());
    let before = timers();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert!(timers() > before, "a timer has ended the sleep");
}

fn waiting_is_counted() {
    passes(|| {
        let numbers = || -> Vec<u64> {
            let text = slurp("/proc/self/schedstat");
            let words = text.split_whitespace();
            words.map(|word| word.parse().unwrap()).collect()
        };
        let before = numbers();
        assert_eq!(before.len(), 3);
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let after = numbers();
        assert!(after[0] > before[0] && after[1] >= before[1]);
        assert!(
            after[2] >= before[2] + 3,
            "three more turns: {before:?} {after:?}"
        );
    });
    // Only kernels that count it for all processors have this one.
    if let Ok(text) = fs::read_to_string("/proc/schedstat") {
        assert!(text.starts_with("version "));
        let rows = text.lines().filter(|line| line.starts_with("cpu"));
        let lengths: Vec<usize> = rows.map(|row| row.split_whitespace().count()).collect();
        assert_eq!(lengths, vec![10; online()]);
    }
}

fn mounts() {
    for path in ["/proc/mounts", "/proc/self/mounts"] {
        let text = slurp(path);
        assert!(
            text.lines().all(|l| l.split_whitespace().count() == 6),
            "{path}"
        );
        assert!(
            text.lines()
                .any(|l| l.split_whitespace().nth(1) == Some("/"))
        );
    }
}

fn version() {
    // SAFETY: all-zero bytes are a valid `utsname`.
    let mut name: utsname = unsafe { std::mem::zeroed() };
    ok!(SYS_uname, &mut name);
    let release = test_programs::raw::text(&name.release.map(|c| c as u8));
    assert!(slurp("/proc/version").contains(&release));
}

fn nothing_can_be_made() {
    assert!(test_programs::sys!(SYS_open, c"/proc/new-file", O_RDWR | O_CREAT, 0o600).is_err());
    assert!(test_programs::sys!(SYS_mkdir, c"/proc/new-dir", 0o700).is_err());
    assert!(test_programs::sys!(SYS_unlink, c"/proc/uptime").is_err());
    fails!(ENOENT, SYS_open, c"/proc/999999999", O_RDONLY, 0);
    fails!(ENOENT, SYS_open, c"/proc/self/none", O_RDONLY, 0);
}

fn task_lists_the_threads() {
    let count = || fs::read_dir("/proc/self/task").unwrap().count();
    assert_eq!(count(), 1);
    std::thread::scope(|s| {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        s.spawn(move || receive.recv());
        assert_eq!(count(), 2);
        assert_eq!(lines("/proc/self/status")["Threads"], "2");
        drop(send);
    });
}

fn reading_in_pieces() {
    let whole = fs::read("/proc/self/status").unwrap();
    let fd = open(c"/proc/self/status", O_RDONLY);
    let mut pieces = Vec::new();
    loop {
        let part = read(fd, 37);
        if part.is_empty() {
            break;
        }
        pieces.extend(part);
    }
    assert_eq!(
        pieces.split(|b| *b == b'\n').count(),
        whole.split(|b| *b == b'\n').count()
    );
    ok!(SYS_lseek, fd, 0, SEEK_SET);
    assert_eq!(read(fd, 5), b"Name:");
}

fn directories_are_no_files() {
    for path in [
        c"/proc",
        c"/proc/self",
        c"/proc/self/fd",
        c"/proc/sys/kernel",
    ] {
        let fd = open(path, O_RDONLY);
        let mut byte = 0u8;
        fails!(EISDIR, SYS_read, fd, &mut byte, 1);
        close(fd);
    }
}

/// What a process has open and in its memory is its user's business.
fn others_may_not_look_inside() {
    let (ready, done) = (Gate::new(), Gate::new());
    let root = spawn(|| {
        ready.open();
        done.wait();
    });
    ready.wait();
    passes(|| {
        become_nobody();
        let inside = ["environ", "auxv", "fd", "exe", "cwd", "root", "maps"];
        for name in inside {
            let path = CString::new(format!("/proc/{}/{name}", root.pid)).unwrap();
            let result = sys!(SYS_open, path.as_ptr(), O_RDONLY);
            // The file of maps may be opened in some versions and then shows nothing.
            let shows = result.is_ok_and(|fd| !read(fd, 100).is_empty());
            assert!(!shows, "{name} {}", outcome(result));
            let mut target = [0u8; 100];
            if ["exe", "cwd", "root"].contains(&name) {
                fails!(EACCES, SYS_readlink, path.as_ptr(), &mut target, 100);
            } else if name != "maps" {
                assert_eq!(result, Err(libc::EACCES), "{name}");
            }
        }
        // That it is there is no secret, nor is its own inside to itself.
        for path in [format!("/proc/{}/stat", root.pid), "/proc/self/stat".into()] {
            assert!(!slurp(&path).is_empty());
        }
    });
    done.open();
    root.passes();
}
