//! Programs that begin with `#!`.

use libc::{EACCES, ELOOP, ENOENT, ENOEXEC};
use test_programs::child::{Status, Strings, output, own_path};
use test_programs::raw::short::*;
use test_programs::sys;

test_programs::tests!(
    the_interpreter_gets_the_path,
    one_optional_argument,
    spaces_around,
    no_newline_at_the_end,
    a_missing_interpreter,
    an_interpreter_that_may_not_run,
    an_interpreter_that_is_a_script,
    scripts_for_ever,
    an_empty_interpreter,
    a_long_first_line,
    argument_zero_is_replaced,
);

/// The program itself, as interpreter, with a link of a short name.
fn interpreter() {
    let _ = sys!(SYS_symlink, own_path().as_c_str(), c"run");
}

fn script(path: &std::ffi::CStr, text: &str) {
    let fd = file_with(path, text.as_bytes());
    test_programs::ok!(SYS_fchmod, fd, 0o755);
    close(fd);
}

fn start(path: &std::ffi::CStr, arguments: &[&str]) -> (Status, String) {
    let (argv, none) = (Strings::new(arguments), Strings::new::<&str>(&[]));
    output(|| {
        sys!(SYS_execve, path, argv.as_ptr(), none.as_ptr())
            .err()
            .unwrap_or(0)
    })
}

/// `run --helper` makes the script's path the helper's name, so a script called like a helper runs it.
fn the_interpreter_gets_the_path() {
    interpreter();
    script(c"args", "#!./run --helper\n");
    assert_eq!(
        start(c"args", &["zero", "one", "two"]),
        (Status::Exited(0), "one|two\n".into())
    );
}

fn one_optional_argument() {
    interpreter();
    // Everything behind the first space is one argument; the program takes it for a filter, which no test fits.
    script(c"args", "#!./run --helper args\n");
    let (_, text) = start(c"args", &["zero", "x"]);
    assert_eq!(text, "1..0\n");
}

fn spaces_around() {
    interpreter();
    script(c"args", "#! \t ./run \t --helper \t \nrest");
    assert_eq!(
        start(c"args", &["zero", "x"]),
        (Status::Exited(0), "x\n".into())
    );
}

fn no_newline_at_the_end() {
    interpreter();
    script(c"args", "#!./run --helper");
    assert_eq!(
        start(c"args", &["zero", "x"]),
        (Status::Exited(0), "x\n".into())
    );
}

fn a_missing_interpreter() {
    script(c"s", "#!/nowhere/at/all\n");
    assert_eq!(start(c"s", &["s"]).0, Status::Exited(ENOENT));
}

fn an_interpreter_that_may_not_run() {
    close(create(c"plain"));
    script(c"s", "#!./plain\n");
    assert_eq!(start(c"s", &["s"]).0, Status::Exited(EACCES));
    script(c"d", "#!.\n");
    assert_eq!(start(c"d", &["d"]).0, Status::Exited(EACCES));
}

fn an_interpreter_that_is_a_script() {
    interpreter();
    script(c"middle", "#!./run --helper\n");
    script(c"s", "#!./middle args\n");
    // run --helper ./middle args ./s x: "./middle" is no helper, which is status 127 of the test program.
    assert_eq!(start(c"s", &["s", "x"]).0, Status::Exited(127));
}

fn scripts_for_ever() {
    script(c"s", "#!./s\n");
    assert_eq!(start(c"s", &["s"]).0, Status::Exited(ELOOP));
}

fn an_empty_interpreter() {
    for text in ["#!\n", "#!   \n", "#!\t\n"] {
        script(c"s", text);
        assert_eq!(start(c"s", &["s"]).0, Status::Exited(ENOEXEC), "{text:?}");
    }
}

/// A path that does not end within the 256 bytes that are looked at is refused.
fn a_long_first_line() {
    script(c"s", &format!("#!/{}\n", "x".repeat(300)));
    assert_eq!(start(c"s", &["s"]).0, Status::Exited(ENOEXEC));
    interpreter();
    script(c"args", &format!("#!./run --helper{}\n", " ".repeat(300)));
    assert_eq!(
        start(c"args", &["zero", "x"]),
        (Status::Exited(0), "x\n".into())
    );
}

fn argument_zero_is_replaced() {
    interpreter();
    script(c"sizes", "#!./run --helper\n");
    assert_eq!(
        start(c"sizes", &["this goes away"]),
        (Status::Exited(0), "0 0\n".into())
    );
}
