//! What `/proc/PID/fd` and `/proc/PID/fdinfo` say of event files, and of others.

use libc::{
    CLOCK_BOOTTIME, CLOCK_REALTIME, EFD_SEMAPHORE, EPOLL_CTL_ADD, EPOLLIN, O_APPEND, O_CLOEXEC,
    O_CREAT, O_RDWR, SFD_CLOEXEC, SIGUSR1, SIGUSR2, TFD_TIMER_ABSTIME, epoll_event,
};
use std::collections::BTreeMap;
use test_programs::child::{Gate, become_nobody, passes, spawn, until};
use test_programs::raw::short::*;
use test_programs::signal::bit;
use test_programs::{gives, ok};

test_programs::tests!(
    names,
    a_plain_file,
    an_event_counter,
    a_signal_file,
    a_set_of_files,
    a_timer,
    a_timer_that_went_off,
    the_directory_lists_what_is_open,
    of_another_process,
);

/// The fields by name. Blanks at their ends mean nothing.
fn info(fd: usize) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_string(), value.trim().to_string()))
        .collect()
}

fn names() {
    let files = [
        (ok!(SYS_eventfd2, 0, 0), "[eventfd]"),
        (ok!(SYS_epoll_create1, 0), "[eventpoll]"),
        (ok!(SYS_signalfd4, -1, &0u64, 8, 0), "[signalfd]"),
        (ok!(SYS_timerfd_create, CLOCK_BOOTTIME, 0), "[timerfd]"),
    ];
    for (fd, name) in files {
        let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        assert_eq!(target.to_str(), Some(format!("anon_inode:{name}").as_str()));
    }
}

fn a_plain_file() {
    let fd = open(c"file", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC);
    write(fd, b"12345");
    let info = info(fd);
    assert_eq!(info["pos"], "5");
    let flags = u32::from_str_radix(&info["flags"], 8).unwrap();
    assert_eq!(
        flags & !libc::O_LARGEFILE as u32 & !0o100_000,
        (O_RDWR | O_APPEND | O_CLOEXEC) as u32
    );
    assert_eq!(info["ino"], fstat(fd).st_ino.to_string());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let number = format!("{} ", info["mnt_id"]);
    assert!(
        mounts.lines().any(|line| line.starts_with(&number)),
        "{number}"
    );
}

fn an_event_counter() {
    let fd = ok!(SYS_eventfd2, 0x2a, EFD_SEMAPHORE);
    let info = info(fd);
    assert_eq!((info["pos"].as_str(), info["flags"].as_str()), ("0", "02"));
    assert_eq!(info["eventfd-count"], "2a");
    // Older kernels do not say it.
    assert!(info.get("eventfd-semaphore").is_none_or(|text| text == "1"));
}

fn a_signal_file() {
    let wanted = bit(SIGUSR1) | bit(SIGUSR2);
    let fd = ok!(SYS_signalfd4, -1, &wanted, 8, SFD_CLOEXEC);
    let info = info(fd);
    assert_eq!(info["sigmask"], format!("{wanted:016x}"));
    assert_eq!(info["flags"], "02000002");
}

fn a_set_of_files() {
    let epoll = ok!(SYS_epoll_create1, 0);
    let (reader, _writer) = pipe();
    let event = epoll_event {
        events: EPOLLIN as u32,
        u64: 0xabc,
    };
    ok!(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, reader, &event);
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).unwrap();
    let line = text.lines().find(|line| line.starts_with("tfd:")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1], reader.to_string());
    // Errors and the end are always among what is wanted.
    let events = u32::from_str_radix(words[3], 16).unwrap();
    assert_eq!(events & 0x5, 0x1);
    assert_eq!(words[5], "abc");
    let inode = format!("ino:{:x}", fstat(reader).st_ino);
    assert!(words.contains(&inode.as_str()), "{line}");
}

fn a_timer() {
    let fd = ok!(SYS_timerfd_create, CLOCK_REALTIME, 0);
    let time = clock(CLOCK_REALTIME) + 1_000_000_000_000;
    gives!(
        0,
        SYS_timerfd_settime,
        fd,
        TFD_TIMER_ABSTIME,
        &itimerspec(time, 1_500_000_000),
        0
    );
    let info = info(fd);
    assert_eq!(info["clockid"], "0");
    assert_eq!(info["ticks"], "0");
    assert_eq!(info["settime flags"], "01");
    assert_eq!(info["it_interval"], "(1, 500000000)");
    let seconds = info["it_value"]
        .trim_start_matches('(')
        .split(',')
        .next()
        .unwrap();
    assert!(
        (900..=1000).contains(&seconds.parse::<u64>().unwrap()),
        "{seconds}"
    );
}

fn a_timer_that_went_off() {
    let fd = ok!(SYS_timerfd_create, CLOCK_BOOTTIME, 0);
    gives!(0, SYS_timerfd_settime, fd, 0, &itimerspec(1_000_000, 0), 0);
    until(|| info(fd)["ticks"] == "1");
    let info = info(fd);
    assert_eq!(
        (info["clockid"].as_str(), info["it_value"].as_str()),
        ("7", "(0, 0)")
    );
    // To look is not to read.
    assert_eq!(read(fd, 8), 1u64.to_le_bytes());
}

fn the_directory_lists_what_is_open() {
    let fd = ok!(SYS_eventfd2, 0, 0).to_string();
    let listed = |folder: &str| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let names = listed("/proc/self/fdinfo");
    assert!(names.contains(&fd));
    assert_eq!(names, listed("/proc/self/fd"));
    assert!(std::fs::read("/proc/self/fdinfo/999").is_err());
}

fn of_another_process() {
    let gate = Gate::new();
    let ready = Gate::new();
    let fd = ok!(SYS_eventfd2, 0, 0);
    let child = spawn(|| {
        write(fd, &7u64.to_le_bytes());
        ready.open();
        gate.wait();
    });
    ready.wait();
    let path = format!("/proc/{}/fdinfo/{fd}", child.pid);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("eventfd-count:                7\n"), "{text}");
    passes(|| {
        become_nobody();
        assert!(std::fs::read_to_string(&path).is_err());
    });
    gate.open();
    child.passes();
}
