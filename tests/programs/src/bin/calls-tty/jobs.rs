//! Background groups at the terminal: who may read, write and change it.

use super::control::{Terminal, get, take_foreground};
use super::typist::ask;
use libc::{
    EIO, O_NOCTTY, O_RDWR, SIG_IGN, SIGCONT, SIGHUP, SIGKILL, SIGTTIN, SIGTTOU, TIOCGPGRP,
    TIOCGPTN, TIOCSPGRP, TIOCSPTLCK, TOSTOP, VMIN, WUNTRACED,
};
use test_programs::child::{Child, Status, fork};
use test_programs::raw::short::*;
use test_programs::signal::{block, dispose};
use test_programs::{fails, gives, ok, sys};

test_programs::tests!(
    a_background_reader_is_stopped,
    it_reads_after_it_is_brought_forward,
    a_background_reader_that_ignores_it_gets_an_error,
    a_background_reader_that_blocks_it_gets_an_error,
    a_background_writer_may_write,
    with_tostop_it_is_stopped,
    with_tostop_and_the_signal_ignored_it_may,
    changing_the_settings_stops_it,
    taking_the_foreground_stops_it,
    an_orphaned_reader_gets_an_error,
    asking_is_allowed,
    a_handler_instead_of_the_stop,
    the_end_of_the_session_hangs_up,
);

/// A child in a background group of its own that waits for the group to be made.
fn background(life: impl FnOnce() -> i32) -> Child {
    let gate = test_programs::child::Gate::new();
    let child = fork(|| {
        gate.wait();
        life()
    });
    ok!(SYS_setpgid, child.pid, child.pid);
    gate.open();
    child
}

/// Below process 1 every group counts as orphaned, and nobody is stopped.
fn stops_work() -> bool {
    ok!(SYS_getppid) != 1
}

fn a_background_reader_is_stopped() {
    let t = Terminal::new();
    if !stops_work() {
        return;
    }
    let child = background(|| {
        let _ = sys!(SYS_read, t.fd, &mut [0u8; 1], 1);
        0
    });
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGTTIN));
    child.signal(SIGKILL);
    child.wait();
}

fn it_reads_after_it_is_brought_forward() {
    let t = Terminal::new();
    if !stops_work() {
        return;
    }
    let child = background(|| i32::from(t.read(10) != b"x\n"));
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGTTIN));
    ok!(SYS_ioctl, t.fd, TIOCSPGRP, &child.pid);
    child.signal(SIGCONT);
    ask(b"x\r", b"x\r\n");
    child.passes();
    take_foreground(t.fd);
}

fn a_background_reader_that_ignores_it_gets_an_error() {
    let t = Terminal::new();
    background(|| {
        dispose(SIGTTIN, SIG_IGN);
        fails!(EIO, SYS_read, t.fd, &mut [0u8; 1], 1);
        0
    })
    .passes();
}

fn a_background_reader_that_blocks_it_gets_an_error() {
    let t = Terminal::new();
    background(|| {
        block(SIGTTIN);
        fails!(EIO, SYS_read, t.fd, &mut [0u8; 1], 1);
        0
    })
    .passes();
}

fn a_background_writer_may_write() {
    let t = Terminal::new();
    ask(b"", b"from behind");
    background(|| {
        write(t.fd, b"from behind");
        0
    })
    .passes();
}

fn with_tostop_it_is_stopped() {
    let t = Terminal::new();
    if !stops_work() {
        return;
    }
    t.change(|s| s.local |= TOSTOP);
    let child = background(|| {
        write(t.fd, b"later");
        0
    });
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGTTOU));
    t.change(|s| s.local &= !TOSTOP);
    ask(b"", b"later");
    child.signal(SIGCONT);
    child.passes();
}

fn with_tostop_and_the_signal_ignored_it_may() {
    let t = Terminal::new();
    ask(b"", b"one two");
    t.change(|s| s.local |= TOSTOP);
    background(|| {
        dispose(SIGTTOU, SIG_IGN);
        write(t.fd, b"one ");
        0
    })
    .passes();
    background(|| {
        block(SIGTTOU);
        write(t.fd, b"two");
        0
    })
    .passes();
    t.change(|s| s.local &= !TOSTOP);
}

fn changing_the_settings_stops_it() {
    let t = Terminal::new();
    if !stops_work() {
        return;
    }
    let child = background(|| {
        t.change(|s| s.characters[VMIN] = 77);
        0
    });
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGTTOU));
    assert_ne!(get(t.fd).characters[VMIN], 77);
    child.signal(SIGKILL);
    child.wait();
}

fn taking_the_foreground_stops_it() {
    let t = Terminal::new();
    if !stops_work() {
        return;
    }
    let child = background(|| {
        ok!(SYS_ioctl, t.fd, TIOCSPGRP, &pid());
        0
    });
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGTTOU));
    child.signal(SIGKILL);
    child.wait();
}

/// Nobody could continue it, so it is not stopped.
fn an_orphaned_reader_gets_an_error() {
    let t = Terminal::new();
    let (reader, writer) = pipe();
    let middle = fork(|| {
        let middle = pid();
        let _ = fork(|| {
            ok!(SYS_setpgid, 0, 0);
            test_programs::child::until(|| ok!(SYS_getppid) as i32 != middle);
            let result = sys!(SYS_read, t.fd, &mut [0u8; 1], 1);
            write(writer, &[u8::from(result == Err(EIO))]);
            0
        });
        0
    });
    middle.passes();
    assert_eq!(read(reader, 1), [1]);
}

fn asking_is_allowed() {
    let t = Terminal::new();
    background(|| {
        get(t.fd);
        let mut group = 0i32;
        gives!(0, SYS_ioctl, t.fd, TIOCGPGRP, &mut group);
        assert_ne!(group, pid());
        0
    })
    .passes();
}

fn a_handler_instead_of_the_stop() {
    let t = Terminal::new();
    if !stops_work() {
        return;
    }
    background(|| {
        test_programs::signal::catch(SIGTTIN);
        fails!(EINTR, SYS_read, t.fd, &mut [0u8; 1], 1);
        assert_eq!(test_programs::signal::RECORD.count(), 1);
        0
    })
    .passes();
}

/// On a pseudo-terminal of its own: the leader's end hangs up on the foreground group.
fn the_end_of_the_session_hangs_up() {
    let Ok(side) = sys!(SYS_open, c"/dev/ptmx", O_RDWR | O_NOCTTY, 0) else {
        return;
    };
    let mut number = 0u32;
    ok!(SYS_ioctl, side, TIOCSPTLCK, &0i32);
    ok!(SYS_ioctl, side, TIOCGPTN, &mut number);
    let path = std::ffi::CString::new(format!("/dev/pts/{number}")).unwrap();
    let (reader, writer) = pipe();
    let leader = fork(|| {
        ok!(SYS_setsid);
        open(&path, O_RDWR);
        let ready = test_programs::child::Gate::new();
        let _ = fork(|| {
            test_programs::signal::catch(SIGHUP);
            ready.open();
            test_programs::child::until(|| test_programs::signal::RECORD.count() > 0);
            write(writer, b"x");
            0
        });
        ready.wait();
        0
    });
    leader.passes();
    close(writer);
    assert_eq!(read(reader, 1), b"x");
}
