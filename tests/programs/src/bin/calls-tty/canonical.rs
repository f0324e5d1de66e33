//! Lines: editing, echo, ends.

use super::control::Terminal;
use super::typist::ask;
use libc::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, F_SETFL, ICRNL, IGNCR, INLCR, IUTF8, O_NONBLOCK,
    POLLIN, POLLOUT, VEOL, pollfd,
};
use test_programs::{fails, gives, ok};

test_programs::tests!(
    a_line_at_a_time,
    a_small_read_leaves_the_rest,
    two_lines_come_one_by_one,
    erase_takes_the_last_back,
    erase_of_nothing,
    kill_takes_the_line_back,
    word_erase,
    end_of_file,
    end_of_file_after_text,
    control_characters_are_shown,
    a_quoted_character,
    without_echo,
    only_the_newline_is_echoed,
    erase_without_the_picture,
    carriage_returns_as_they_are,
    newlines_to_carriage_returns,
    carriage_returns_ignored,
    not_ready_before_the_end_of_the_line,
    how_much_waits,
    a_long_line,
    other_alphabets,
    erase_of_another_alphabet,
    nonblocking,
    poll_says_writable,
    the_reader_after_the_line,
    empty_lines,
    an_extra_end_character,
);

fn a_line_at_a_time() {
    let t = Terminal::new();
    ask(b"hello\r", b"hello\r\n");
    assert_eq!(t.read(100), b"hello\n");
    ask(b"again\n", b"again\r\n");
    assert_eq!(t.read(100), b"again\n");
}

fn a_small_read_leaves_the_rest() {
    let t = Terminal::new();
    ask(b"abcdef\r", b"abcdef\r\n");
    assert_eq!(t.read(2), b"ab");
    assert_eq!(t.read(3), b"cde");
    assert_eq!(t.read(100), b"f\n");
}

fn two_lines_come_one_by_one() {
    let t = Terminal::new();
    ask(b"one\rtwo\r", b"one\r\ntwo\r\n");
    assert_eq!(t.read(100), b"one\n");
    assert_eq!(t.read(100), b"two\n");
}

fn erase_takes_the_last_back() {
    let t = Terminal::new();
    ask(b"abd\x7fc\r", b"abd\x08 \x08c\r\n");
    assert_eq!(t.read(100), b"abc\n");
}

fn erase_of_nothing() {
    let t = Terminal::new();
    ask(b"\x7f\x7fa\x7f\x7fb\r", b"a\x08 \x08b\r\n");
    assert_eq!(t.read(100), b"b\n");
}

fn kill_takes_the_line_back() {
    let t = Terminal::new();
    ask(b"abc\x15de\r", b"abc\x08 \x08\x08 \x08\x08 \x08de\r\n");
    assert_eq!(t.read(100), b"de\n");
}

fn word_erase() {
    let t = Terminal::new();
    ask(
        b"one two\x17three\r",
        b"one two\x08 \x08\x08 \x08\x08 \x08three\r\n",
    );
    assert_eq!(t.read(100), b"one three\n");
}

fn end_of_file() {
    let t = Terminal::new();
    ask(b"\x04", b"");
    assert_eq!(t.read(100), b"");
    // It is not for ever.
    ask(b"on\r", b"on\r\n");
    assert_eq!(t.read(100), b"on\n");
}

fn end_of_file_after_text() {
    let t = Terminal::new();
    ask(b"abc\x04", b"abc");
    assert_eq!(t.read(100), b"abc");
    ask(b"\x04", b"");
    assert_eq!(t.read(100), b"");
}

fn control_characters_are_shown() {
    let t = Terminal::new();
    ask(b"a\x01\x1bb\r", b"a^A^[b\r\n");
    assert_eq!(t.read(100), b"a\x01\x1bb\n");
    // Taking one back removes both signs of it.
    ask(b"a\x01\x7fb\r", b"a^A\x08 \x08\x08 \x08b\r\n");
    assert_eq!(t.read(100), b"ab\n");
    t.change(|s| s.local &= !ECHOCTL);
    ask(b"\x01\r", b"\x01\r\n");
    assert_eq!(t.read(100), b"\x01\n");
}

fn a_quoted_character() {
    let t = Terminal::new();
    ask(b"\x16\x03x\x16\x7f\r", b"^\x08^Cx^\x08^?\r\n");
    assert_eq!(t.read(100), b"\x03x\x7f\n");
}

fn without_echo() {
    let t = Terminal::new();
    t.change(|s| s.local &= !ECHO);
    ask(b"secret\x7f\x7fet\r", b"");
    assert_eq!(t.read(100), b"secret\n");
}

fn only_the_newline_is_echoed() {
    let t = Terminal::new();
    t.change(|s| {
        s.local &= !ECHO;
        s.local |= ECHONL;
    });
    ask(b"secret\r", b"\r\n");
    assert_eq!(t.read(100), b"secret\n");
}

fn erase_without_the_picture() {
    let t = Terminal::new();
    t.change(|s| s.local &= !(ECHOE | ECHOKE | ECHOK));
    ask(b"ab\x7fc\r", b"ab^?c\r\n");
    assert_eq!(t.read(100), b"ac\n");
}

fn carriage_returns_as_they_are() {
    let t = Terminal::new();
    t.change(|s| s.input &= !ICRNL);
    ask(b"a\rb\n", b"a^Mb\r\n");
    assert_eq!(t.read(100), b"a\rb\n");
}

fn newlines_to_carriage_returns() {
    let t = Terminal::new();
    t.change(|s| s.input = INLCR);
    ask(b"a\nb\x04", b"a^Mb");
    assert_eq!(t.read(100), b"a\rb");
}

fn carriage_returns_ignored() {
    let t = Terminal::new();
    t.change(|s| s.input |= IGNCR);
    ask(b"a\rb\n", b"ab\r\n");
    assert_eq!(t.read(100), b"ab\n");
}

fn ready(t: &Terminal, timeout: i32) -> bool {
    let mut list = [pollfd {
        fd: t.fd as i32,
        events: POLLIN,
        revents: 0,
    }];
    ok!(SYS_poll, &mut list, 1, timeout) == 1 && list[0].revents == POLLIN
}

fn not_ready_before_the_end_of_the_line() {
    let t = Terminal::new();
    ask(b"ab", b"ab");
    assert!(!ready(&t, 100));
    ask(b"\r", b"\r\n");
    assert!(ready(&t, -1));
    assert_eq!(t.read(100), b"ab\n");
    assert!(!ready(&t, 0));
}

fn how_much_waits() {
    let t = Terminal::new();
    ask(b"abc\r", b"abc\r\n");
    assert!(ready(&t, -1));
    assert_eq!(t.waiting(), 4);
    t.read(1);
    assert_eq!(t.waiting(), 3);
    t.read(100);
}

fn a_long_line() {
    let t = Terminal::new();
    let text = [b'x'; 1000];
    ask(&[&text[..], b"\r"].concat(), &[&text[..], b"\r\n"].concat());
    assert_eq!(t.read(2000), [&text[..], b"\n"].concat());
}

fn other_alphabets() {
    let t = Terminal::new();
    ask(
        "\u{e9}\u{4e16}\r".as_bytes(),
        "\u{e9}\u{4e16}\r\n".as_bytes(),
    );
    assert_eq!(t.read(100), "\u{e9}\u{4e16}\n".as_bytes());
}

/// With IUTF8 a character of several bytes goes as one.
fn erase_of_another_alphabet() {
    let t = Terminal::new();
    t.change(|s| s.input |= IUTF8);
    ask(
        "a\u{e9}\x7fb\r".as_bytes(),
        "a\u{e9}\x08 \x08b\r\n".as_bytes(),
    );
    assert_eq!(t.read(100), b"ab\n");
}

fn nonblocking() {
    let t = Terminal::new();
    ok!(SYS_fcntl, t.fd, F_SETFL, O_NONBLOCK);
    fails!(EAGAIN, SYS_read, t.fd, &mut [0u8; 10], 10);
    ask(b"x\r", b"x\r\n");
    assert!(ready(&t, -1));
    assert_eq!(t.read(10), b"x\n");
    fails!(EAGAIN, SYS_read, t.fd, &mut [0u8; 10], 10);
}

fn poll_says_writable() {
    let t = Terminal::new();
    let mut list = [pollfd {
        fd: t.fd as i32,
        events: POLLIN | POLLOUT,
        revents: 0,
    }];
    gives!(1, SYS_poll, &mut list, 1, -1);
    assert_eq!(list[0].revents, POLLOUT);
}

/// What the first reader leaves is there for the next, over fork too.
fn the_reader_after_the_line() {
    let t = Terminal::new();
    ask(b"one\rtwo\r", b"one\r\ntwo\r\n");
    test_programs::child::passes(|| assert_eq!(t.read(100), b"one\n"));
    assert_eq!(t.read(100), b"two\n");
}

fn empty_lines() {
    let t = Terminal::new();
    ask(b"\r\r", b"\r\n\r\n");
    assert_eq!(t.read(100), b"\n");
    assert_eq!(t.read(100), b"\n");
}

fn an_extra_end_character() {
    let t = Terminal::new();
    t.change(|s| s.characters[VEOL] = b';');
    ask(b"a;b\r", b"a;b\r\n");
    assert_eq!(t.read(100), b"a;");
    assert_eq!(t.read(100), b"b\n");
    t.change(|s| s.characters[VEOL] = 0);
}
