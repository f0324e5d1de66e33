//! The terminal's settings, size and ownership by ioctl(2); see ioctl_tty(2).

use libc::{
    CREAD, CS8, CSIZE, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, FIONREAD, ICANON, ICRNL,
    IEXTEN, INLCR, ISIG, IXON, O_RDWR, ONLCR, OPOST, S_IFCHR, S_IFMT, SEEK_SET, SIGTTOU, SIGWINCH,
    TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY,
    TIOCSPGRP, TIOCSWINSZ, VEOF, VERASE, VINTR, VKILL, VLNEXT, VMIN, VQUIT, VREPRINT, VSTART,
    VSTOP, VSUSP, VTIME, VWERASE, makedev,
};
use test_programs::child::{fork, passes, spawn};
use test_programs::raw::short::*;
use test_programs::signal::{RECORD, block, catch, unblock};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    settings_at_the_start,
    settings_are_kept,
    settings_errors,
    size_is_kept,
    a_new_size_is_signalled,
    size_errors,
    dev_tty_is_this_terminal,
    foreground_group,
    foreground_errors,
    session_of_the_terminal,
    a_new_session_has_no_terminal,
    another_session_cannot_take_it,
    giving_up_the_terminal,
    it_is_a_character_device,
    positions_mean_nothing,
    sane_defaults_of_control_characters,
);

/// The kernel's own `termios`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    pub input: u32,
    pub output: u32,
    pub control: u32,
    pub local: u32,
    pub line: u8,
    pub characters: [u8; 19],
}

/// The controlling terminal, in the foreground and sane; sane again when dropped.
pub struct Terminal {
    pub fd: usize,
}

pub fn get(fd: usize) -> Settings {
    let mut settings = Settings {
        input: 0,
        output: 0,
        control: 0,
        local: 0,
        line: 0,
        characters: [0; 19],
    };
    ok!(SYS_ioctl, fd, TCGETS, &mut settings);
    settings
}

pub fn sane(fd: usize) -> Settings {
    let mut settings = get(fd);
    settings.input = ICRNL | IXON;
    settings.output = OPOST | ONLCR;
    settings.local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    settings.characters[VMIN] = 1;
    settings.characters[VTIME] = 0;
    settings.characters[VERASE] = 0x7f;
    settings
}

/// Makes the own group the foreground one, which a background process may do only with the signal blocked.
pub fn take_foreground(fd: usize) {
    block(SIGTTOU);
    ok!(SYS_ioctl, fd, TIOCSPGRP, &(ok!(SYS_getpgid, 0) as i32));
    unblock(SIGTTOU);
}

impl Terminal {
    pub fn new() -> Terminal {
        let fd = open(c"/dev/tty", O_RDWR);
        take_foreground(fd);
        let terminal = Terminal { fd };
        ok!(SYS_ioctl, fd, TCSETSF, &sane(fd));
        terminal
    }
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = get(self.fd);
        change(&mut settings);
        ok!(SYS_ioctl, self.fd, TCSETS, &settings);
    }
    /// Every byte as it comes, nothing echoed, nothing interpreted.
    pub fn raw() -> Terminal {
        let terminal = Terminal::new();
        terminal.change(|s| {
            s.input = 0;
            s.local = 0;
        });
        terminal
    }
    pub fn read(&self, most: usize) -> Vec<u8> {
        read(self.fd, most)
    }
    pub fn waiting(&self) -> i32 {
        let mut count = -1i32;
        ok!(SYS_ioctl, self.fd, FIONREAD, &mut count);
        count
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = test_programs::sys!(SYS_ioctl, self.fd, TCSETSF, &sane(self.fd));
    }
}

fn settings_at_the_start() {
    let fd = open(c"/dev/tty", O_RDWR);
    let settings = get(fd);
    assert_ne!(settings.control & CREAD, 0);
    assert_eq!(settings.control & CSIZE, CS8);
}

fn settings_are_kept() {
    let terminal = Terminal::new();
    let before = get(terminal.fd);
    for action in [TCSETS, TCSETSW, TCSETSF] {
        let mut other = before;
        other.input ^= ICRNL | INLCR;
        other.output ^= ONLCR;
        other.local ^= ECHO | ECHONL | ICANON;
        other.characters[VINTR] = 7;
        other.characters[VMIN] = 9;
        ok!(SYS_ioctl, terminal.fd, action, &other);
        assert_eq!(get(terminal.fd), other);
        // Another opening of the same terminal sees the same.
        assert_eq!(get(0), other);
        ok!(SYS_ioctl, terminal.fd, action, &before);
        assert_eq!(get(terminal.fd), before);
    }
}

fn settings_errors() {
    let terminal = Terminal::new();
    fails!(EFAULT, SYS_ioctl, terminal.fd, TCGETS, bad::<u8>());
    fails!(EFAULT, SYS_ioctl, terminal.fd, TCSETS, bad::<u8>());
    fails!(ENOTTY, SYS_ioctl, terminal.fd, 0x5499, 0);
    fails!(ENOTTY, SYS_ioctl, create(c"f"), TCGETS, &mut [0u8; 64]);
    fails!(EBADF, SYS_ioctl, 500, TCGETS, &mut [0u8; 64]);
}

fn size(fd: usize) -> [u16; 4] {
    let mut size = [9u16; 4];
    ok!(SYS_ioctl, fd, TIOCGWINSZ, &mut size);
    size
}

fn size_is_kept() {
    let terminal = Terminal::new();
    let before = size(terminal.fd);
    ok!(SYS_ioctl, terminal.fd, TIOCSWINSZ, &[33u16, 101, 5, 6]);
    assert_eq!(size(0), [33, 101, 5, 6]);
    ok!(SYS_ioctl, terminal.fd, TIOCSWINSZ, &before);
    assert_eq!(size(terminal.fd), before);
}

fn a_new_size_is_signalled() {
    let terminal = Terminal::new();
    let before = size(terminal.fd);
    catch(SIGWINCH);
    ok!(SYS_ioctl, terminal.fd, TIOCSWINSZ, &[34u16, 102, 0, 0]);
    assert_eq!(RECORD.count(), 1);
    // The same again is no change.
    ok!(SYS_ioctl, terminal.fd, TIOCSWINSZ, &[34u16, 102, 0, 0]);
    assert_eq!(RECORD.count(), 1);
    ok!(SYS_ioctl, terminal.fd, TIOCSWINSZ, &before);
}

fn size_errors() {
    let terminal = Terminal::new();
    fails!(EFAULT, SYS_ioctl, terminal.fd, TIOCGWINSZ, bad::<u8>());
    fails!(EFAULT, SYS_ioctl, terminal.fd, TIOCSWINSZ, bad::<u8>());
    fails!(ENOTTY, SYS_ioctl, create(c"f"), TIOCGWINSZ, &mut [0u16; 4]);
}

fn dev_tty_is_this_terminal() {
    let terminal = Terminal::new();
    terminal.change(|s| s.characters[VQUIT] = 55);
    assert_eq!(get(0).characters[VQUIT], 55);
    assert_eq!(lstat(c"/dev/tty").unwrap().st_rdev, makedev(5, 0));
    super::typist::ask(b"", b"written twice");
    write(terminal.fd, b"written ");
    write(0usize, b"twice");
    terminal.change(|s| s.characters[VQUIT] = 28);
}

fn group_in_front(fd: usize) -> i32 {
    let mut group = 0i32;
    ok!(SYS_ioctl, fd, TIOCGPGRP, &mut group);
    group
}

fn foreground_group() {
    let terminal = Terminal::new();
    assert_eq!(group_in_front(terminal.fd), pid());
    let gate = test_programs::child::Gate::new();
    let child = spawn(|| gate.wait());
    ok!(SYS_setpgid, child.pid, child.pid);
    ok!(SYS_ioctl, terminal.fd, TIOCSPGRP, &child.pid);
    assert_eq!(group_in_front(terminal.fd), child.pid);
    take_foreground(terminal.fd);
    assert_eq!(group_in_front(0), pid());
    gate.open();
    child.passes();
}

fn foreground_errors() {
    let terminal = Terminal::new();
    fails!(EINVAL, SYS_ioctl, terminal.fd, TIOCSPGRP, &-1i32);
    fails!(ESRCH, SYS_ioctl, terminal.fd, TIOCSPGRP, &999_999_999i32);
    fails!(EFAULT, SYS_ioctl, terminal.fd, TIOCSPGRP, bad::<i32>());
    fails!(ENOTTY, SYS_ioctl, create(c"f"), TIOCGPGRP, &mut 0i32);
    let (ready, done) = (
        test_programs::child::Gate::new(),
        test_programs::child::Gate::new(),
    );
    let other = spawn(|| {
        ok!(SYS_setsid);
        ready.open();
        done.wait();
    });
    ready.wait();
    fails!(EPERM, SYS_ioctl, terminal.fd, TIOCSPGRP, &other.pid);
    done.open();
    other.passes();
}

fn session_of_the_terminal() {
    let terminal = Terminal::new();
    let mut session = 0i32;
    ok!(SYS_ioctl, terminal.fd, TIOCGSID, &mut session);
    assert_eq!(session as usize, ok!(SYS_getsid, 0));
}

fn a_new_session_has_no_terminal() {
    let _terminal = Terminal::new();
    passes(|| {
        ok!(SYS_setsid);
        fails!(ENXIO, SYS_open, c"/dev/tty", O_RDWR, 0);
        fails!(ENOTTY, SYS_ioctl, 0, TIOCGPGRP, &mut 0i32);
        fails!(ENOTTY, SYS_ioctl, 0, TIOCSPGRP, &pid());
        // What is open can still be used.
        super::typist::ask(b"", b"still here");
        write(0usize, b"still here");
        get(0);
    });
}

fn another_session_cannot_take_it() {
    let _terminal = Terminal::new();
    fails!(EPERM, SYS_ioctl, 0, TIOCSCTTY, 0);
    passes(|| {
        ok!(SYS_setsid);
        fails!(EPERM, SYS_ioctl, 0, TIOCSCTTY, 0);
    });
}

fn giving_up_the_terminal() {
    let _terminal = Terminal::new();
    let child = fork(|| {
        gives!(0, SYS_ioctl, 0, TIOCNOTTY, 0);
        fails!(ENXIO, SYS_open, c"/dev/tty", O_RDWR, 0);
        0
    });
    child.passes();
    close(open(c"/dev/tty", O_RDWR));
}

fn it_is_a_character_device() {
    let stat = fstat(0);
    assert_eq!(stat.st_mode & S_IFMT, S_IFCHR);
    assert_ne!(stat.st_rdev, 0);
}

fn positions_mean_nothing() {
    let terminal = Terminal::new();
    fails!(ESPIPE, SYS_lseek, terminal.fd, 0, SEEK_SET);
    fails!(ESPIPE, SYS_pread64, terminal.fd, &mut [0u8; 1], 1, 0);
}

fn sane_defaults_of_control_characters() {
    let c = get(0).characters;
    assert_eq!(
        [
            c[VINTR], c[VQUIT], c[VKILL], c[VEOF], c[VSUSP], c[VSTART], c[VSTOP]
        ],
        [3, 28, 21, 4, 26, 17, 19]
    );
    assert_eq!([c[VWERASE], c[VREPRINT], c[VLNEXT]], [23, 18, 22]);
}
