//! Terminals and job control: the controlling terminal, and who may read and write it (POSIX 11.1).

use crate::call::Call;
use crate::errno::Errno;
use crate::jobs::Jobs;
use crate::process::Process;
use crate::signal::queue::Info;
use crate::signal::set::{SIGTTIN, SIGTTOU, Signal};
use alloc::sync::Arc;
use tty::Tty;
use vfs::{Description, File, FileKind};

/// The terminal behind an open file, if it is one.
pub fn of(file: &Description) -> Option<&Tty> {
    if file.kind() == FileKind::CharacterDevice {
        file.file_as::<Tty>()
    } else {
        None
    }
}

fn shared(file: &Description) -> Option<Arc<Tty>> {
    of(file)?;
    let file: Arc<dyn File> = file.file().clone();
    let any: Arc<dyn core::any::Any + Send + Sync> = file;
    any.downcast().ok()
}

/// Makes a terminal the controlling one of a session leader.
pub fn take(leader: &Arc<Process>, terminal: &Arc<Tty>) {
    let group = leader.group();
    terminal.set_jobs(Arc::new(Jobs));
    terminal.steal(group.session_id(), group.id());
    group.session().set_terminal(Some(terminal.clone()));
}

/// A session leader without a terminal that opens one gets it, unless it said `O_NOCTTY`.
pub fn adopt(call: &Call<'_>, file: &Description, declined: bool) {
    if declined {
        return;
    }
    let process = call.process();
    let group = process.group();
    let leads = group.session_id() == process.id() && group.session().terminal().is_none();
    if let Some(terminal) = leads.then(|| shared(file)).flatten()
        && terminal.session().is_none()
    {
        take(process, &terminal);
    }
}

/// `TIOCSCTTY`.
pub fn set_controlling(call: &Call<'_>, file: &Description, steal: bool) -> Result<(), Errno> {
    let process = call.process();
    let group = process.group();
    let terminal = shared(file).ok_or(Errno::ENOTTY)?;
    if terminal.session() == Some(group.session_id()) {
        return Ok(());
    }
    if group.session_id() != process.id() || group.session().terminal().is_some() {
        return Err(Errno::EPERM);
    }
    if terminal.session().is_some() && !(steal && process.identity().effective.uid == 0) {
        return Err(Errno::EPERM);
    }
    take(process, &terminal);
    Ok(())
}

/// `TIOCNOTTY`.
pub fn give_up(call: &Call<'_>, file: &Description) -> Result<(), Errno> {
    let process = call.process();
    let group = process.group();
    let terminal = of(file).ok_or(Errno::ENOTTY)?;
    if terminal.session() != Some(group.session_id()) {
        return Err(Errno::ENOTTY);
    }
    if group.session_id() == process.id() {
        terminal.release_session(group.session_id());
        group.session().set_terminal(None);
    }
    Ok(())
}

/// Before a read: a background group is stopped, or told `EIO` if that would be for ever.
pub fn check_read(call: &Call<'_>, file: &Description) -> Result<(), Errno> {
    match of(file) {
        Some(terminal) => check(call, terminal, SIGTTIN),
        None => Ok(()),
    }
}

/// Before a write: a background group is stopped if the terminal says `TOSTOP`.
pub fn check_write(call: &Call<'_>, file: &Description) -> Result<(), Errno> {
    match of(file) {
        Some(terminal) if terminal.stops_writers() => check(call, terminal, SIGTTOU),
        _ => Ok(()),
    }
}

/// Before a change of the terminal's settings.
pub fn check_change(call: &Call<'_>, terminal: &Tty) -> Result<(), Errno> {
    check(call, terminal, SIGTTOU)
}

fn check(call: &Call<'_>, terminal: &Tty, signal: Signal) -> Result<(), Errno> {
    let process = call.process();
    let group = process.group();
    let mine = terminal.session() == Some(group.session_id());
    if !mine
        || terminal
            .foreground()
            .is_none_or(|foreground| foreground == group.id())
    {
        return Ok(());
    }
    let deaf = call.thread.mask().contains(signal) || process.actions().get(signal).ignores(signal);
    if deaf {
        // A deaf writer may write; a deaf reader would wait for input that is not its own.
        return if signal == SIGTTOU {
            Ok(())
        } else {
            Err(Errno::EIO)
        };
    }
    if group.is_orphaned() {
        return Err(Errno::EIO);
    }
    group.signal(Info::kernel(signal));
    Err(Errno::ERESTARTSYS)
}
