//! Keys that are signals.

use super::control::{Terminal, take_foreground};
use super::typist::ask;
use libc::{
    ECHO, ISIG, NOFLSH, SI_KERNEL, SIG_IGN, SIGALRM, SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGTSTP,
    TIOCSPGRP, VINTR, WCONTINUED, WNOHANG, WUNTRACED, c_void, siginfo_t,
};
use std::sync::atomic::{AtomicBool, Ordering};
use test_programs::child::{Status, fork, until};
use test_programs::signal::{RECORD, catch, dispose, handle, tick};
use test_programs::{fails, ok, sys};

test_programs::tests!(
    interrupt,
    quit,
    suspend,
    an_interrupt_ends_the_reader,
    an_interrupt_drops_what_was_typed,
    noflush_keeps_what_was_typed,
    other_characters_can_be_chosen,
    no_character_at_all,
    without_isig_they_are_bytes,
    the_whole_foreground_group,
    the_background_hears_nothing,
    the_default_ends_the_group,
    suspended_and_continued,
    while_nobody_reads,
    ignored_keys,
);

/// The last signal, once `count` have come.
fn last(count: u32) -> i32 {
    until(|| RECORD.count() == count);
    RECORD.signal.load(Ordering::SeqCst)
}

fn interrupt() {
    let _t = Terminal::new();
    catch(SIGINT);
    ask(b"\x03", b"^C");
    assert_eq!(last(1), SIGINT);
    assert_eq!(RECORD.code.load(Ordering::SeqCst), SI_KERNEL);
}

fn quit() {
    let _t = Terminal::new();
    catch(SIGQUIT);
    ask(b"\x1c", b"^\\");
    assert_eq!(last(1), SIGQUIT);
}

fn suspend() {
    let _t = Terminal::new();
    catch(SIGTSTP);
    ask(b"\x1a", b"^Z");
    assert_eq!(last(1), SIGTSTP);
}

fn an_interrupt_ends_the_reader() {
    static CAME: AtomicBool = AtomicBool::new(false);
    extern "C" fn came(_: i32, _: *mut siginfo_t, _: *mut c_void) {
        CAME.store(true, Ordering::SeqCst);
    }
    let t = Terminal::new();
    handle(SIGINT, came, 0);
    // The key may come before the read begins: a timer ends the read then.
    catch(SIGALRM);
    tick(5000);
    ask(b"\x03", b"^C");
    until(|| {
        fails!(EINTR, SYS_read, t.fd, &mut [0u8; 10], 10);
        CAME.load(Ordering::SeqCst)
    });
}

fn an_interrupt_drops_what_was_typed() {
    let t = Terminal::new();
    catch(SIGINT);
    // Without echo: the key may drop output that was not shown yet as well.
    t.change(|s| s.local &= !ECHO);
    ask(b"abc\x03", b"");
    assert_eq!(last(1), SIGINT);
    ask(b"def\r", b"");
    assert_eq!(t.read(100), b"def\n");
}

fn noflush_keeps_what_was_typed() {
    let t = Terminal::new();
    t.change(|s| s.local |= NOFLSH);
    dispose(SIGINT, SIG_IGN);
    ask(b"abc\x03def\r", b"abc^Cdef\r\n");
    assert_eq!(t.read(100), b"abcdef\n");
}

fn other_characters_can_be_chosen() {
    let t = Terminal::new();
    catch(SIGINT);
    t.change(|s| s.characters[VINTR] = b'!');
    ask(b"\x03\r", b"^C\r\n");
    assert_eq!(t.read(100), b"\x03\n");
    ask(b"!", b"!");
    assert_eq!(last(1), SIGINT);
    t.change(|s| s.characters[VINTR] = 3);
}

fn no_character_at_all() {
    let t = Terminal::new();
    t.change(|s| s.characters[VINTR] = 0);
    ask(b"\x00\x03\r", b"^@^C\r\n");
    assert_eq!(t.read(100), b"\x00\x03\n");
    t.change(|s| s.characters[VINTR] = 3);
}

fn without_isig_they_are_bytes() {
    let t = Terminal::new();
    t.change(|s| s.local &= !ISIG);
    ask(b"\x03\x1a\x1c\r", b"^C^Z^\\\r\n");
    assert_eq!(t.read(100), b"\x03\x1a\x1c\n");
}

fn waiting() -> test_programs::child::Child {
    fork(|| {
        loop {
            let _ = sys!(SYS_pause);
        }
    })
}

fn the_whole_foreground_group() {
    let t = Terminal::new();
    let children: Vec<_> = (0..3).map(|_| waiting()).collect();
    dispose(SIGINT, SIG_IGN);
    ask(b"\x03", b"^C");
    for child in children {
        assert_eq!(child.wait(), Status::Killed(SIGINT));
    }
    drop(t);
}

fn the_background_hears_nothing() {
    let _t = Terminal::new();
    let child = waiting();
    ok!(SYS_setpgid, child.pid, child.pid);
    catch(SIGINT);
    ask(b"\x03", b"^C");
    assert_eq!(last(1), SIGINT);
    assert_eq!(ok!(SYS_wait4, child.pid, 0, WNOHANG, 0), 0);
    child.signal(SIGKILL);
    child.wait();
}

/// A child group in the foreground dies of the key; its parent takes the terminal back.
fn the_default_ends_the_group() {
    let t = Terminal::new();
    for (key, shown, signal) in [(b"\x03", b"^C", SIGINT), (b"\x1c", b"^\\", SIGQUIT)] {
        let child = waiting();
        ok!(SYS_setpgid, child.pid, child.pid);
        ok!(SYS_ioctl, t.fd, TIOCSPGRP, &child.pid);
        ask(key, shown);
        assert_eq!(child.wait(), Status::Killed(signal));
        take_foreground(t.fd);
    }
}

fn suspended_and_continued() {
    let t = Terminal::new();
    let child = waiting();
    ok!(SYS_setpgid, child.pid, child.pid);
    ok!(SYS_ioctl, t.fd, TIOCSPGRP, &child.pid);
    ask(b"\x1a", b"^Z");
    assert_eq!(child.wait_with(WUNTRACED), Status::Stopped(SIGTSTP));
    take_foreground(t.fd);
    child.signal(SIGCONT);
    assert_eq!(child.wait_with(WCONTINUED), Status::Continued);
    ok!(SYS_ioctl, t.fd, TIOCSPGRP, &child.pid);
    ask(b"\x03", b"^C");
    assert_eq!(child.wait(), Status::Killed(SIGINT));
    take_foreground(t.fd);
}

/// A program that only computes is interrupted too.
fn while_nobody_reads() {
    let t = Terminal::new();
    let child = fork(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    ok!(SYS_setpgid, child.pid, child.pid);
    ok!(SYS_ioctl, t.fd, TIOCSPGRP, &child.pid);
    ask(b"\x03", b"^C");
    assert_eq!(child.wait(), Status::Killed(SIGINT));
    take_foreground(t.fd);
}

fn ignored_keys() {
    let t = Terminal::new();
    for signal in [SIGINT, SIGQUIT, SIGTSTP] {
        dispose(signal, SIG_IGN);
    }
    t.change(|s| s.local &= !ECHO);
    ask(b"\x03\x1c\x1aok\r", b"");
    assert_eq!(t.read(100), b"ok\n");
}
