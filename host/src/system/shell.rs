//! Sessions with init and the native shell on the serial console, as `helve run` gives them.

use super::{Context, Test, typist::Typist};
use crate::exec::session::Give;
use crate::kernel::Profile;
use crate::progress::Show;
use crate::qemu::serial::SerialGuest;
use crate::qemu::{Boot, Machine};
use crate::run;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Linux programs divide what they were given by control groups, and see and change no others.
fn cgroups(context: &Context) -> Result<()> {
    let scripts = context.workspace.root().join("tests/confined");
    let options = [
        give(&super::busybox::program(context)?, "/bin/busybox"),
        give(&scripts.join("cgroups.sh"), "/cgroups.sh"),
    ]
    .concat();
    let lines = [
        "with file,rw run /bin/busybox sh -c 'mkdir /sys/fs/cgroup/outside; echo > /tmp/outside-is-there; exec sleep 1000' &",
        "with cpu=60% file,rw run /bin/busybox sh /cgroups.sh rw",
        "with file,rw run /bin/busybox sh /cgroups.sh rw",
        "with file,ro run /bin/busybox sh /cgroups.sh ro",
        "with cpus=0 file,rw run /bin/busybox cat /sys/fs/cgroup/cpuset.cpus.effective",
    ];
    let text = piped(context, &options, &(lines.join("\n") + "\n"))?;
    shows_lines(&text, &["done rw", "done ro", "0"])?;
    let twice = text.matches("\ndone rw\n").count() == 2;
    ensure!(twice && !text.contains("\nWRONG"), "it showed:\n{text}");
    Ok(())
}

/// What the shell keeps is given to whoever is told its name: a share for a process that runs and for one that is started,
/// a folder as `file:`.
fn keep(context: &Context) -> Result<()> {
    let machine = Machine {
        cpus: 2,
        ..machine(context, Some(context.initramfs()?), "")
    };
    let mut session = Session::on(context, &machine)?;
    session.ask("keep first cpus=0; keep", "\n@first  share")?;
    session.ask("sleep 1000 &", "\n")?;
    session.ask(
        "ask process:$! join share=@first && echo joined",
        "\njoined",
    )?;
    session.ask("inspect process:$!", "\"cpus\": \"0\"")?;
    session.ask("inspect @first", "\"threads\": 1")?;
    session.ask("ask @first limit cpus=1 && echo limited", "\nlimited")?;
    session.ask("inspect process:$!", "\"cpus\": \"1\"")?;
    session.ask(
        "keep inner @first cpu=30%; inspect @inner",
        "\"runtime\": 15000000",
    )?;
    session.ask(
        "ask process:$! join share=@inner && echo deeper",
        "\ndeeper",
    )?;
    session.ask(
        "ask process:$! compete class=realtime priority=1 || echo refused",
        "\nrefused",
    )?;
    // Where less is given than the verb needs, it is refused.
    session.ask(
        "ask process:$! join share=@first,inspect || echo too little",
        "\ntoo little",
    )?;
    session.ask("with @first nothing run sleep 0 && echo ran", "\nran")?;
    session.ask("mkdir /tmp/a; echo kept > /tmp/a/note", "\n")?;
    session.ask(
        "keep folder file:/tmp/a,ro; with file=@folder run cat /note",
        "\nkept",
    )?;
    session.ask(
        "with file=@folder run rm /note || echo read-only",
        "\nread-only",
    )?;
    session.ask(
        "unset @first; ask @first limit || echo forgotten",
        "\nforgotten",
    )?;
    session.ask("keep x file:/no/such || echo not there", "\nnot there")?;
    session.power_off()
}

/// What is lent is taken back, from whoever has it, whatever it is doing: a Linux program that waits is told, and finds
/// nothing any more; a native one too.
fn leases(context: &Context) -> Result<()> {
    let lent = context.workspace.root().join("tests/confined/lent.sh");
    let busybox = super::busybox::program(context)?;
    let paths = [(&*busybox, "/bin/busybox"), (&lent, "/srv/data/lent.sh")];
    let initramfs = initramfs_with(context, &paths)?;
    let machine = machine(context, Some(&initramfs), "");
    let mut session = Session::on(context, &machine)?;
    session.ask(
        "cd /srv/data; mkdir sub; echo first > file; echo 2 >> file; echo 3 >> file",
        "\n",
    )?;
    session.ask("/bin/busybox mkfifo pipe && echo made", "\nmade")?;
    session.ask(
        "lend data file:/srv/data,rw; keep",
        "\n@data  directory  lent",
    )?;
    session.ask("inspect @data", "\"lease\": \"lasts\"")?;
    session.ask(
        "with file=@data run /bin/busybox sh /lent.sh > /tmp/told &",
        "\n[1]",
    )?;
    session.ask(
        "/bin/busybox sh -c 'until grep waits /tmp/told; do sleep 0.1; done'",
        "\nwaits for nothing",
    )?;
    session.ask("with file=@data run cat /file", "\nfirst")?;
    session.ask("revoke data; wait; cat /tmp/told", "\ndone lent")?;
    session.ask("cat /srv/data/new", "\nnew")?;
    session.ask(
        "with file=@data run cat /file || echo forgotten",
        "\nforgotten",
    )?;
    session.ask(
        "revoke data || echo not lent any more",
        "\nnot lent any more",
    )?;
    // Whoever lent has ended.
    session.ask(
        "/bin/sh -c 'lend it file:/srv/data; with file=@it run cat /file'",
        "\nfirst",
    )?;
    // Lent on: what comes of it is taken back with it.
    session.ask(
        "lend outer file:/srv/data; lend inner @outer; revoke outer",
        "\n",
    )?;
    session.ask(
        "with file=@inner run cat /file || echo gone as well",
        "\ngone as well",
    )?;
    ensure!(
        !session.guest.output().contains("WRONG"),
        "it showed:\n{}",
        session.guest.output()
    );
    session.power_off()
}

/// What does not fit one processor fits two, and a third time it is refused; who ends or wants it no more makes room, and
/// sets of processors are changed only as far as the reservations allow.
fn reservations(context: &Context) -> Result<()> {
    let most = "compete class=deadline runtime=60000000 period=100000000";
    let machine = Machine {
        cpus: 2,
        ..machine(context, Some(context.initramfs()?), "")
    };
    let mut session = Session::on(context, &machine)?;
    for name in ["a", "b", "c"] {
        session.ask(&format!("sleep 1000 & {name}=$!"), "\n")?;
    }
    let mut ask = |name: &str, words: &str, good: bool| {
        let line = format!("ask process:${name} {words} && echo granted || echo refused");
        session.ask(&line, if good { "\ngranted" } else { "\nrefused" })
    };
    ask("a", most, true)?;
    ask("b", most, true)?;
    ask("c", most, false)?;
    // Once more is not more.
    ask("a", most, true)?;
    ask("b", "compete cpus=0", false)?;
    ask("b", "compete cpus=1", true)?;
    ask("a", "kill", true)?;
    // It has ended when this has: it gave its part back before.
    session.ask("fg 1; echo gone", "\ngone")?;
    let mut ask = |name: &str, words: &str, good: &str| {
        session.ask(
            &format!("ask process:${name} {words} && echo granted"),
            good,
        )
    };
    ask("c", most, "\ngranted")?;
    ask("c", "compete class=fair", "\ngranted")?;
    ask("b", "compete cpus=0", "\ngranted")?;
    session.ask("inspect process:$b", "\"seat\": 0")?;
    session.ask("ask process: cpus", "\"reserved\": 60")?;
    session.power_off()
}

/// Verbs keep what they declare, with all registries that there are.
fn verbs(context: &Context) -> Result<()> {
    let program: &Path = &context.programs["verbs"];
    let initramfs = initramfs_with(context, &[(program, "/bin/verbs")])?;
    let mut session = Session::on(context, &machine(context, Some(&initramfs), ""))?;
    session.guest.type_text("ALL_REGISTRIES=1 /bin/verbs\r")?;
    for test in [
        "replies_are_as_declared",
        "arguments_that_are_not_declared_are_refused",
        "every_verb_says_what_it_is",
    ] {
        session.expect(&format!("\nok declared/{test}"))?;
    }
    session.expect(PROMPT)?;
    session.power_off()
}

/// The longest time for one session with a fast machine.
pub const LIMIT: Duration = Duration::from_secs(15);

/// How the shell asks for a command.
pub const PROMPT: &str = "helve> ";

pub fn tests() -> Vec<Test> {
    vec![
        Test::new("shell/commands", commands),
        Test::new("shell/patterns", patterns),
        Test::new("shell/starts-again", starts_again),
        Test::new("shell/line-editing", line_editing),
        Test::new("shell/top", top),
        Test::new("shell/latency", latency),
        Test::new("shell/messages", messages),
        Test::new("run/terminal", run_in_a_terminal),
        Test::new("run/piped", run_piped),
        Test::new("run/with", with),
        Test::new("run/shares", shares),
        Test::new("run/reservations", reservations),
        Test::new("run/keep", keep),
        Test::new("run/leases", leases),
        Test::new("run/cgroups", cgroups),
        Test::new("run/verbs", verbs),
        Test::new("run/native-below-linux", native_below_linux),
    ]
}

/// The machine's own checks at boot, without any program.
pub fn machine_checks_itself(context: &Context) -> Result<()> {
    let mut guest = SerialGuest::start(&machine(context, None, "selftest"))?;
    let limit = LIMIT * context.accelerator.patience();
    guest
        .expect("selftest: all ok", limit)
        .with_context(|| guest.output())?;
    Ok(())
}

/// The machine checks itself with each of the counters that the clock can count with, and the clock says so. The shortest of
/// them first.
pub fn each_clock(context: &Context) -> Result<()> {
    let limit = LIMIT * context.accelerator.patience();
    let mut cases = vec![
        ("pit", "pit"),
        ("tsc", "tsc"),
        ("hpet", "hpet"),
        ("pm", "pm"),
    ];
    // The hypervisor's clock is there if there is that hypervisor.
    let kvm = if context.accelerator.is_kvm() {
        "kvm"
    } else {
        "tsc"
    };
    cases.push(("kvm", kvm));
    for (wanted, source) in cases {
        let words = format!("selftest clock={wanted}");
        let mut guest = SerialGuest::start(&machine(context, None, &words))?;
        for line in [
            "selftest: all ok",
            &format!("the clock counts with: {source}"),
        ] {
            guest
                .expect(line, limit)
                .with_context(|| format!("{words}: {}", guest.output()))?;
        }
    }
    Ok(())
}

pub fn machine(context: &Context, initramfs: Option<&Path>, append: &str) -> Machine {
    Machine {
        memory: 128 << 20,
        cpus: context.cpus,
        accelerator: context.accelerator.clone(),
        boot: Boot::Kernel {
            image: context.kernel.image.clone(),
            initramfs: initramfs.map(Path::to_path_buf),
            command_line: format!("console=ttyS0 {append}"),
        },
        devices: Vec::new(),
    }
}

/// The initramfs of a session, with programs of this computer at these paths.
pub fn initramfs_with(context: &Context, programs: &[(&Path, &str)]) -> Result<PathBuf> {
    let gives: Vec<Give> = programs
        .iter()
        .map(|(host, guest)| Give {
            host: host.to_path_buf(),
            guest: (*guest).into(),
        })
        .collect();
    let (workspace, kernel) = (&context.workspace, &context.kernel);
    run::system_initramfs(workspace, kernel, Profile::Release, &gives, Show::Progress)
}

/// A session on the serial line.
pub struct Session {
    pub guest: SerialGuest,
    pub limit: Duration,
}

impl Session {
    fn start(context: &Context) -> Result<Session> {
        Session::on(context, &machine(context, Some(context.initramfs()?), ""))
    }

    /// With the shell of a machine.
    pub fn on(context: &Context, machine: &Machine) -> Result<Session> {
        let limit = LIMIT * context.accelerator.patience();
        let mut session = Session {
            guest: SerialGuest::start(machine)?,
            limit,
        };
        session.expect(PROMPT)?;
        Ok(session)
    }

    pub fn expect(&mut self, text: &str) -> Result<()> {
        let found = self.guest.expect(text, self.limit);
        found.with_context(|| format!("the console showed:\n{}", self.guest.output()))?;
        Ok(())
    }

    /// Types a command and waits for its output and the next prompt.
    pub fn ask(&mut self, command: &str, answer: &str) -> Result<()> {
        self.guest.type_text(&format!("{command}\r"))?;
        self.expect(answer)?;
        self.expect(PROMPT)
    }

    pub fn power_off(&mut self) -> Result<()> {
        self.guest.type_text("poweroff\r")?;
        let status = self
            .guest
            .finish(self.limit)
            .with_context(|| self.guest.output())?;
        ensure!(
            status.success(),
            "QEMU ended with {status}:\n{}",
            self.guest.output()
        );
        Ok(())
    }
}

/// Four tasks of the kernel draw: all of all patterns, and not one after the other.
fn patterns(context: &Context) -> Result<()> {
    let initramfs = context.initramfs()?;
    let machine = machine(context, Some(initramfs), "demo=patterns");
    let mut session = Session::on(context, &machine)?;
    let shown = session.guest.output();
    let names = ["slope", "wave", "steps", "zigzag"];
    let drawn: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains(" |") && line.ends_with('|'))
        .filter_map(|line| names.into_iter().find(|name| line.contains(name)))
        .collect();
    let changes = drawn.windows(2).filter(|two| two[0] != two[1]).count();
    for name in names {
        let lines = drawn.iter().filter(|drawn| **drawn == name).count();
        ensure!(lines == 12, "{lines} lines of {name} in:\n{shown}");
    }
    ensure!(changes > 12, "only {changes} changes in:\n{shown}");
    session.power_off()
}

fn commands(context: &Context) -> Result<()> {
    let mut session = Session::start(context)?;
    session.ask("echo hello", "\nhello")?;
    session.ask("echo 'one  two' \"three  four\"", "\none  two three  four")?;
    session.ask("help", "poweroff")?;
    session.ask("mkdir /tmp/a && ls /tmp", "\na")?;
    session.ask("rm -r /tmp/a; ls /tmp && echo gone", "\ngone")?;
    session.ask("ls /bin", "init")?;
    session.ask("ps", "init")?;
    session.ask("cat /no/such/file || echo no-file", "\nno-file")?;
    session.ask("free", "\n")?;
    session.ask("uptime", "\n")?;
    session.ask("date", "20")?;
    session.ask("ask process: interrupts", "\"serial\"")?;
    session.ask("ask process: cpus", "longest-turn")?;
    session.ask("ask process: measure", "measurement")?;
    session.ask("no-such-command", "no-such-command")?;
    session.power_off()
}

fn starts_again(context: &Context) -> Result<()> {
    let mut session = Session::start(context)?;
    session.guest.type_text("exit\r")?;
    session.expect(PROMPT)?;
    session.ask("echo again", "\nagain")?;
    session.power_off()
}

fn line_editing(context: &Context) -> Result<()> {
    let mut session = Session::start(context)?;
    // Left arrow and an insertion; history by the up arrow; completion of a command by tab.
    session.ask("echo helo\x1b[Dl", "\nhello")?;
    session.ask("echo first", "\nfirst")?;
    session.ask("\x1b[A", "\nfirst")?;
    session.ask("echo wrong\x7f\x7f\x7f\x7f\x7fright", "\nright")?;
    session.ask("upti\t", "uptime")?;
    session.power_off()
}

fn top(context: &Context) -> Result<()> {
    let mut session = Session::start(context)?;
    // Two looks, one below the other.
    session.ask("top -b -d 0.1 -n 2 | cat", "SWITCH/s")?;
    // A screen, another order, and away: the shell edits lines as before.
    session.guest.type_text("top -d 1h\r")?;
    session.expect("/bin/init\x1b[K")?;
    session.guest.type_text("m")?;
    session.expect("/bin/init\x1b[K")?;
    session.guest.type_text("q")?;
    session.expect(PROMPT)?;
    session.ask("echo helo\x1b[Dl", "\nhello")?;
    session.ask("top -n 0 || echo refused", "\nrefused")?;
    session.power_off()
}

/// Sleepers on every processor, with a screen and without, in each class; how they compete can be said from outside too.
fn latency(context: &Context) -> Result<()> {
    let mut session = Session::start(context)?;
    session.ask("latency -l 50 | cat", "\n  0    50 ")?;
    session.ask(
        "latency -p 0 -i 500 -l 20 -q",
        "ordinary share, every 500 us",
    )?;
    session.ask("latency -r 100 -l 20 -q", "100 us reserved, every 1.00 ms")?;
    session.ask("latency -a 0 -l 20 -j | cat", "\"count\": 20,")?;
    let last = context.cpus - 1;
    session.ask(&format!("latency -a {last} -D 0.1"), " us+ ")?;
    // A screen that is begun again, and left.
    session.guest.type_text("latency\r")?;
    session.expect("\x1b[Hpriority 80")?;
    session.expect("\x1b[Hpriority 80")?;
    session.guest.type_text("r")?;
    session.expect("\x1b[Hpriority 80")?;
    session.guest.type_text("q")?;
    session.expect(PROMPT)?;
    session.ask("latency -r 2000 -q || echo refused", "\nrefused")?;
    session.ask("latency -x 1 -q; echo status $?", "\nstatus 3")?;
    session.ask("latency -p 100 || echo no sense", "\nno sense")?;
    session.ask("ask process:1 compete class=batch nice=3", "\n")?;
    session.ask("inspect process:1", "\"batch\"")?;
    session.power_off()
}

/// A program asks another one that it has started, by messages; files reach it in arenas.
fn messages(context: &Context) -> Result<()> {
    let mut session = Session::start(context)?;
    session.ask("kv name=text name", "\ntext")?;
    session.ask(
        "echo 0123456789 > /tmp/ten; kv ten@/tmp/ten ten",
        "\n0123456789",
    )?;
    session.ask("kv ten@/tmp/ten '#ten'", "\n11")?;
    session.ask("kv large@/bin/commands name=x && echo stored", "\nstored")?;
    session.ask("kv nobody || echo missing", "\nmissing")?;
    session.ask("kv none@/no/such || echo no file", "\nno file")?;
    session.power_off()
}

fn run_in_a_terminal(context: &Context) -> Result<()> {
    let mut command = Command::new(&context.helve);
    command.args(["run", "--memory", "128M"]);
    let mut session = Typist::start(command, 80, 24, LIMIT * context.accelerator.patience())?;
    session.expect("booting")?;
    session.expect(PROMPT)?;
    session.send("echo typed\r")?;
    session.expect("\ntyped")?;
    session.expect(PROMPT)?;
    session.send("\x01x")?;
    let status = session.finish()?;
    ensure!(
        status == 0,
        "ended with {status}; the terminal showed:\n{}",
        session.shown()
    );
    Ok(())
}

fn run_piped(context: &Context) -> Result<()> {
    // All lines are there at once: what follows the end of one shell is for the next.
    let text = piped(context, &[], "exit\necho piped\necho last\n")?;
    ensure!(
        text.contains("\npiped\n") && text.contains("\nlast\n"),
        "it showed:\n{text}"
    );
    Ok(())
}

/// What a session shows into which these lines are typed.
fn piped(context: &Context, options: &[OsString], lines: &str) -> Result<String> {
    use std::io::{Read, Write};
    let mut command = Command::new(&context.helve);
    command
        .args(["run", "--memory", "128M"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = crate::children::Guarded::spawn(&mut command)?;
    let mut input = child.child().stdin.take().context("no input")?;
    input.write_all(lines.as_bytes())?;
    drop(input);
    let mut output = child.child().stdout.take().context("no output")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = output.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let deadline = std::time::Instant::now() + LIMIT * context.accelerator.patience();
    let status = child.wait_until(Some(deadline))?;
    child.kill();
    let text = reader.join().unwrap_or_default();
    let status = status.with_context(|| format!("it does not end; it showed:\n{text}"))?;
    ensure!(status.success(), "ended with {status}; it showed:\n{text}");
    Ok(text.replace('\r', ""))
}

/// A Linux shell starts native programs: with its streams, in pipes, as interpreters, in its own place, very often.
fn native_below_linux(context: &Context) -> Result<()> {
    let busybox = super::busybox::program(context)?;
    let lines = [
        // The kernel has something to say about the first Linux program, on the same console.
        "/bin/busybox true",
        "/bin/busybox sh -c '/bin/commands echo plain; /bin/commands cat /no/such 2> /dev/null; echo status $?'",
        "/bin/busybox sh -c 'busybox echo into | /bin/commands cat | busybox tr a-z A-Z'",
        "/bin/busybox sh -c 'cd /proc; WORD=passed /bin/commands env | busybox grep WORD'",
        "/bin/busybox sh -c 'echo \"echo in a script; false || echo again\" > /tmp/s; /bin/sh /tmp/s'",
        "/bin/busybox sh -c 'exec /bin/commands echo in its place'",
        "/bin/busybox sh -c 'i=0; while [ $i -lt 300 ] && /bin/commands true; do i=$((i+1)); done; echo $i times'",
        "/bin/busybox sh -c '/bin/commands sleep 1000 & kill $!; wait $!; echo killed with $?'",
    ];
    let give = give(&busybox, "/bin/busybox");
    let text = piped(context, &give, &(lines.join("\n") + "\n"))?;
    shows_lines(
        &text,
        &[
            "plain\nstatus 1",
            "INTO",
            "WORD=passed",
            "in a script\nagain",
            "in its place",
            "300 times",
            "killed with 143",
        ],
    )
}

/// Each of these stands on lines of its own.
fn shows_lines(text: &str, all: &[&str]) -> Result<()> {
    for shown in all {
        let line = format!("\n{shown}\n");
        ensure!(text.contains(&line), "no line {shown:?} in:\n{text}");
    }
    Ok(())
}

/// The options that put a file of this machine there.
fn give(host: &Path, guest: &str) -> [OsString; 2] {
    let mut text = OsString::from("file:");
    text.push(host);
    text.push(format!(":{guest}:ro"));
    [OsString::from("--give"), text]
}

/// A Linux program can do what it was given and nothing else, whatever path it tries: the scripts try, and say what went
/// otherwise than expected.
fn with(context: &Context) -> Result<()> {
    let scripts = context.workspace.root().join("tests/confined");
    let options = [
        give(&super::busybox::program(context)?, "/bin/busybox"),
        give(&scripts.join("whole.sh"), "/tmp/whole.sh"),
        give(&scripts.join("part.sh"), "/tmp/in/part.sh"),
    ]
    .concat();
    let lines = [
        "mkdir /tmp/in/sub; echo secret > /tmp/secret; echo plain > /tmp/in/file",
        "/bin/busybox ln -s /tmp/secret /tmp/in/absolute",
        "/bin/busybox ln -s ../secret /tmp/in/upward",
        "/bin/busybox ln -s sub/../file /tmp/in/inward",
        "/bin/busybox ln -s in/file /tmp/link-to-file",
        "/bin/busybox sh -c 'echo $$ > /tmp/id; exec sleep 1000' &",
        "cat /tmp/in/absolute",
        "with file:/,ro run /bin/busybox sh /tmp/whole.sh ro < /tmp/secret",
        "with file:/,ro process run /bin/busybox sh /tmp/whole.sh known < /tmp/secret",
        "with file:/,rw process,rw run /bin/busybox sh /tmp/whole.sh rw < /tmp/secret",
        "cat /tmp/secret",
        "echo plain > /tmp/in/file",
        "with file:/tmp/in run /bin/busybox sh /part.sh",
        "with nothing run /bin/busybox echo needs nothing",
        "with nothing run /bin/busybox cat /tmp/secret || echo no secret",
        "with nothing run ls / || echo no files",
        "with file:/no-such-place run /bin/busybox true || echo no place",
        "with file,no-such-right run /bin/busybox true || echo no right",
        "with file run /no/such/program || echo no program",
        "with run /bin/busybox true || echo no grant",
    ];
    let text = piped(context, &options, &(lines.join("\n") + "\n"))?;
    shows_lines(
        &text,
        &[
            "done ro",
            "done known",
            "done rw",
            "done part",
            "needs nothing",
            "no secret",
            "no files",
            "no place",
            "no right",
            "no program",
            "no grant",
        ],
    )?;
    ensure!(!text.contains("\nWRONG"), "it showed:\n{text}");
    Ok(())
}

/// A program in a share of the processors has its part of them, and so has what it starts: it takes at least three times
/// as long as it computes if it may compute a fifth of the time.
fn shares(context: &Context) -> Result<()> {
    let scripts = context.workspace.root().join("tests/confined");
    let options = [
        give(&super::busybox::program(context)?, "/bin/busybox"),
        give(&scripts.join("slowed.sh"), "/slowed.sh"),
    ]
    .concat();
    let lines = [
        "with cpu=20% file run /bin/busybox sh /slowed.sh",
        "with cpus=0 nothing run /bin/busybox echo on the first",
        "with cpu=20% weight=1 nothing run /bin/busybox echo light",
        "with cpu=20 nothing run /bin/busybox true || echo no percentage",
        "with cpus=64 nothing run /bin/busybox true || echo no such processor",
        "with weight=0 nothing run /bin/busybox true || echo no weight",
    ];
    let text = piped(context, &options, &(lines.join("\n") + "\n"))?;
    shows_lines(
        &text,
        &[
            "slowed down",
            "on the first",
            "light",
            "no percentage",
            "no such processor",
            "no weight",
        ],
    )
}
