//! Bytes as they come, MIN and TIME, output processing, flushing.

use super::control::Terminal;
use super::typist::ask;
use libc::{
    ECHO, ECHOCTL, ICANON, OCRNL, OPOST, TCFLSH, TCIFLUSH, TCIOFLUSH, TCOFLUSH, TCSBRK, TCSETS,
    TCSETSF, TCXONC, VMIN, VTIME, iovec,
};
use test_programs::child::until;
use test_programs::raw::short::*;
use test_programs::{fails, gives, ok};

test_programs::tests!(
    every_byte_at_once,
    nothing_is_interpreted,
    echo_alone,
    at_least_three,
    more_than_at_least,
    nothing_is_an_answer,
    time_alone_runs_out,
    time_alone_gives_what_comes,
    time_between_bytes,
    flush_by_settings,
    flush_by_command,
    from_lines_to_bytes,
    eight_bits_pass,
    newlines_on_output,
    output_as_it_is,
    carriage_return_on_output,
    much_output,
    parts_of_an_output,
    drain_and_flow,
    fault_on_output,
);

fn every_byte_at_once() {
    let t = Terminal::raw();
    ask(b"a", b"");
    assert_eq!(t.read(100), b"a");
    ask(b"b", b"");
    assert_eq!(t.read(100), b"b");
}

fn all(t: &Terminal, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        bytes.extend(t.read(count - bytes.len()));
    }
    bytes
}

fn nothing_is_interpreted() {
    let t = Terminal::raw();
    let keys = b"\x03\x04\x1a\x1c\x15\x16\x17\x7f\r\n\x11\x13\x00\x12\x0f";
    ask(keys, b"");
    assert_eq!(all(&t, keys.len()), keys);
}

fn echo_alone() {
    let t = Terminal::raw();
    t.change(|s| s.local = ECHO);
    ask(b"ab\r", b"ab\r");
    assert_eq!(all(&t, 3), b"ab\r");
    t.change(|s| s.local = ECHO | ECHOCTL);
    ask(b"\x01", b"^A");
    assert_eq!(all(&t, 1), b"\x01");
}

fn least(t: &Terminal, bytes: u8, tenths: u8) {
    t.change(|s| {
        s.characters[VMIN] = bytes;
        s.characters[VTIME] = tenths;
    });
}

fn at_least_three() {
    let t = Terminal::raw();
    least(&t, 3, 0);
    ask(b"abc", b"");
    assert_eq!(t.read(100), b"abc");
}

fn more_than_at_least() {
    let t = Terminal::raw();
    least(&t, 2, 0);
    ask(b"abcde", b"");
    let mut bytes = Vec::new();
    while bytes.len() < 5 {
        // The last one may be alone: then the buffer's end is the answer, not MIN.
        if bytes.len() == 4 {
            least(&t, 1, 0);
        }
        bytes.extend(t.read(100));
    }
    assert_eq!(bytes, b"abcde");
    least(&t, 5, 0);
    ask(b"xy", b"");
    // A reader that wants less than MIN gets it.
    assert_eq!(all(&t, 2), b"xy");
}

fn nothing_is_an_answer() {
    let t = Terminal::raw();
    least(&t, 0, 0);
    assert_eq!(t.read(100), b"");
    ask(b"ab", b"");
    let mut bytes = Vec::new();
    until(|| {
        bytes.extend(t.read(100));
        bytes.len() == 2
    });
    assert_eq!(
        (bytes.as_slice(), t.read(100).as_slice()),
        (&b"ab"[..], &b""[..])
    );
}

fn time_alone_runs_out() {
    let t = Terminal::raw();
    least(&t, 0, 2);
    let start = monotonic();
    assert_eq!(t.read(100), b"");
    assert!(monotonic() - start >= 190_000_000);
}

fn time_alone_gives_what_comes() {
    let t = Terminal::raw();
    least(&t, 0, 250);
    ask(b"a", b"");
    assert_eq!(t.read(100), b"a");
}

/// Once there is a byte, a pause ends the read though MIN is not reached.
fn time_between_bytes() {
    let t = Terminal::raw();
    least(&t, 200, 2);
    ask(b"ab", b"");
    let mut bytes = Vec::new();
    until(|| {
        bytes.extend(t.read(100));
        bytes.len() == 2
    });
}

fn flush_by_settings() {
    let t = Terminal::raw();
    ask(b"junk", b"");
    until(|| t.waiting() == 4);
    let settings = super::control::get(t.fd);
    ok!(SYS_ioctl, t.fd, TCSETS, &settings);
    assert_eq!(t.waiting(), 4);
    ok!(SYS_ioctl, t.fd, TCSETSF, &settings);
    assert_eq!(t.waiting(), 0);
    ask(b"x", b"");
    assert_eq!(t.read(100), b"x");
}

fn flush_by_command() {
    let t = Terminal::raw();
    ask(b"junk", b"");
    until(|| t.waiting() == 4);
    gives!(0, SYS_ioctl, t.fd, TCFLSH, TCOFLUSH);
    assert_eq!(t.waiting(), 4);
    gives!(0, SYS_ioctl, t.fd, TCFLSH, TCIFLUSH);
    assert_eq!(t.waiting(), 0);
    gives!(0, SYS_ioctl, t.fd, TCFLSH, TCIOFLUSH);
    fails!(EINVAL, SYS_ioctl, t.fd, TCFLSH, 77);
}

/// What was typed but not ended as a line can be read once lines do not matter.
fn from_lines_to_bytes() {
    let t = Terminal::new();
    ask(b"abc", b"abc");
    t.change(|s| s.local &= !ICANON);
    assert_eq!(all(&t, 3), b"abc");
}

fn eight_bits_pass() {
    let t = Terminal::raw();
    let keys: Vec<u8> = (0..=255).collect();
    ask(&keys, b"");
    assert_eq!(all(&t, 256), keys);
}

fn newlines_on_output() {
    let t = Terminal::new();
    ask(b"", b"a\r\nb\tc\r\n\r\n");
    write(t.fd, b"a\nb\tc\n\n");
}

fn output_as_it_is() {
    let t = Terminal::new();
    t.change(|s| s.output &= !OPOST);
    ask(b"", b"a\nb\n");
    write(t.fd, b"a\nb\n");
    t.change(|s| s.output = OPOST);
    ask(b"", b"c\nd\n");
    write(t.fd, b"c\nd\n");
}

fn carriage_return_on_output() {
    let t = Terminal::new();
    t.change(|s| s.output = OPOST | OCRNL);
    ask(b"", b"a\nb\n");
    write(t.fd, b"a\rb\n");
}

fn much_output() {
    let t = Terminal::new();
    let text = vec![b'y'; 20_000];
    ask(b"", &text);
    let mut rest = &text[..];
    while !rest.is_empty() {
        rest = &rest[write(t.fd, rest)..];
    }
}

fn parts_of_an_output() {
    let t = Terminal::new();
    ask(b"", b"one two three");
    let parts = [b"one ".as_slice(), b"two ", b"three"].map(|p| iovec {
        iov_base: p.as_ptr().cast_mut().cast(),
        iov_len: p.len(),
    });
    gives!(13, SYS_writev, t.fd, &parts, 3);
}

fn drain_and_flow() {
    let t = Terminal::new();
    ask(b"", b"drained");
    write(t.fd, b"drained");
    gives!(0, SYS_ioctl, t.fd, TCSBRK, 1);
    fails!(EINVAL, SYS_ioctl, t.fd, TCXONC, 77);
}

fn fault_on_output() {
    let t = Terminal::new();
    fails!(EFAULT, SYS_write, t.fd, bad::<u8>(), 5);
    ask(b"x\r", b"x\r\n");
    fails!(EFAULT, SYS_read, t.fd, bad::<u8>(), 5);
    // Whether the line was lost with the fault is the kernel's choice.
    ok!(SYS_ioctl, t.fd, TCFLSH, TCIFLUSH);
}
