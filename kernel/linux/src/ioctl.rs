//! ioctl(2) for terminals and streams, fcntl(2).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::event::timer::TimerFile;
use crate::jobs::Group;
use crate::lock::calls::{F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETLK, F_SETLKW};
use crate::terminal;
use crate::termios::Termios;
use crate::time::hardware;
use crate::{lock, open, socket, watchdog};
use alloc::sync::Arc;
use rtc::OpenClock;
use tty::{Flush, WindowSize};
use vfs::Description;
use vfs::pipe::End;

const TCGETS: u64 = 0x5401;
const TCSETS: u64 = 0x5402;
const TCSETSW: u64 = 0x5403;
const TCSETSF: u64 = 0x5404;
const TCSBRK: u64 = 0x5409;
const TCXONC: u64 = 0x540a;
const TCFLSH: u64 = 0x540b;
const TIOCSCTTY: u64 = 0x540e;
const TIOCGPGRP: u64 = 0x540f;
const TIOCSPGRP: u64 = 0x5410;
const TIOCOUTQ: u64 = 0x5411;
const TIOCGWINSZ: u64 = 0x5413;
const TIOCSWINSZ: u64 = 0x5414;
const FIONREAD: u64 = 0x541b;
const FIONBIO: u64 = 0x5421;
const TIOCNOTTY: u64 = 0x5422;
const TIOCGSID: u64 = 0x5429;
/// `_IOW('T', 0, u64)`.
const TFD_IOC_SET_TICKS: u64 = 0x4008_5400;
const FIONCLEX: u64 = 0x5450;
const FIOCLEX: u64 = 0x5451;

pub async fn ioctl(call: &mut Call<'_>, [descriptor, request, argument, ..]: Args) -> Answer {
    let file = call.file(descriptor)?;
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    match request {
        FIOCLEX | FIONCLEX => {
            call.process()
                .descriptors()
                .set_close_on_exec(descriptor as u32, request == FIOCLEX)?;
            Ok(0)
        }
        FIONBIO => {
            let on = call.read::<u32>(argument).await? != 0;
            let flags = open::status_flags(&file);
            open::set_status_flags(
                &file,
                if on {
                    flags | open::O_NONBLOCK
                } else {
                    flags & !open::O_NONBLOCK
                },
            );
            Ok(0)
        }
        FIONREAD if terminal::of(&file).is_none() => {
            let waiting = waiting_bytes(&file)?;
            call.write(argument, &(waiting.min(i32::MAX as u64) as u32))
                .await?;
            Ok(0)
        }
        TIOCOUTQ if let Some(socket) = socket::of(&file) => {
            call.write(argument, &(socket.unreceived() as u32)).await?;
            Ok(0)
        }
        TFD_IOC_SET_TICKS if let Some(timer) = file.file_as::<TimerFile>() => {
            timer.set_ticks(call.read(argument).await?)?;
            Ok(0)
        }
        _ if let Some(clock) = file.file_as::<OpenClock>() => {
            hardware::request(call, clock, request, argument).await
        }
        _ if let Some(opened) = file.file_as::<::watchdog::Opened>() => {
            watchdog::request(call, opened.watchdog(), request, argument).await
        }
        _ => terminal_request(call, &file, request, argument).await,
    }
}

/// Bytes that can be read now, for `FIONREAD`.
fn waiting_bytes(file: &Description) -> Result<u64, Errno> {
    if let Some(end) = file.file_as::<End>() {
        return Ok(end.buffered() as u64);
    }
    if let Some(socket) = socket::of(file) {
        return Ok(socket.receivable()? as u64);
    }
    match file.kind() {
        vfs::FileKind::File => Ok(file.metadata().size.saturating_sub(file.position())),
        _ => Err(Errno::ENOTTY),
    }
}

async fn terminal_request(
    call: &mut Call<'_>,
    file: &Arc<Description>,
    request: u64,
    argument: u64,
) -> Answer {
    let terminal = terminal::of(file).ok_or(Errno::ENOTTY)?;
    match request {
        TCGETS => {
            call.write(argument, &Termios::from(terminal.settings()))
                .await?
        }
        TCSETS | TCSETSW | TCSETSF => {
            terminal::check_change(call, terminal)?;
            let termios: Termios = call.read(argument).await?;
            if request != TCSETS {
                terminal.drained().await.map_err(|_| Errno::ERESTARTSYS)?;
            }
            terminal.set_settings(termios.into(), request == TCSETSF);
        }
        TCSBRK => terminal.drained().await.map_err(|_| Errno::ERESTARTSYS)?,
        TCXONC => {
            terminal::check_change(call, terminal)?;
            match argument {
                0 => terminal.suspend_output(true),
                1 => terminal.suspend_output(false),
                2 => terminal.suspend_input(true),
                3 => terminal.suspend_input(false),
                _ => return Err(Errno::EINVAL),
            }
        }
        TCFLSH => {
            terminal::check_change(call, terminal)?;
            terminal.flush(match argument {
                0 => Flush::Input,
                1 => Flush::Output,
                2 => Flush::Both,
                _ => return Err(Errno::EINVAL),
            });
        }
        TIOCGWINSZ => {
            let size = terminal.window_size();
            call.write(
                argument,
                &[size.rows, size.columns, size.width, size.height],
            )
            .await?;
        }
        TIOCSWINSZ => {
            let [rows, columns, width, height]: [u16; 4] = call.read(argument).await?;
            terminal.set_window_size(WindowSize {
                rows,
                columns,
                width,
                height,
            });
        }
        TIOCSCTTY => terminal::set_controlling(call, file, argument == 1)?,
        TIOCNOTTY => terminal::give_up(call, file)?,
        TIOCGPGRP => {
            check_controlling(call, terminal)?;
            // A number that no group has, while there is no foreground group (as Linux does).
            call.write(argument, &terminal.foreground().unwrap_or(i32::MAX as u32))
                .await?;
        }
        TIOCSPGRP => {
            check_controlling(call, terminal)?;
            let wanted = call.read::<u32>(argument).await?;
            terminal::check_change(call, terminal)?;
            if (wanted as i32) < 0 {
                return Err(Errno::EINVAL);
            }
            let group = Group::find(wanted).ok_or(Errno::ESRCH)?;
            if group.session_id() != call.process().group().session_id() {
                return Err(Errno::EPERM);
            }
            terminal.set_foreground(group.session_id(), wanted)?;
        }
        TIOCGSID => {
            check_controlling(call, terminal)?;
            call.write(argument, &terminal.session().unwrap_or(0))
                .await?;
        }
        TIOCOUTQ => {
            call.write(argument, &(terminal.output_waiting() as u32))
                .await?
        }
        FIONREAD => {
            call.write(argument, &(terminal.input_waiting() as u32))
                .await?
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn check_controlling(call: &Call<'_>, terminal: &tty::Tty) -> Result<(), Errno> {
    if terminal.session() == Some(call.process().group().session_id()) {
        Ok(())
    } else {
        Err(Errno::ENOTTY)
    }
}

const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_SETFL: u64 = 4;
const F_GETOWN: u64 = 9;
const F_SETPIPE_SZ: u64 = 1031;
const F_GETPIPE_SZ: u64 = 1032;
const F_DUPFD_CLOEXEC: u64 = 1030;
const FD_CLOEXEC: u64 = 1;

/// fcntl(2). Signal-driven I/O and leases are not there: `EINVAL`, as for an unknown command.
pub async fn fcntl(call: &mut Call<'_>, [descriptor, command, argument, ..]: Args) -> Answer {
    let descriptors = call.process().descriptors();
    let file = call.file(descriptor)?;
    let number = descriptor as u32;
    if file.is_path_only()
        && !matches!(
            command,
            F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL
        )
    {
        return Err(Errno::EBADF);
    }
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            if argument as usize >= descriptors.limit() {
                return Err(Errno::EINVAL);
            }
            let handle = descriptors.copy_handle(number)?;
            descriptors.insert_handle(handle, command == F_DUPFD_CLOEXEC, argument as usize)
        }
        F_GETFD => Ok(usize::from(descriptors.close_on_exec(number)?)),
        F_SETFD => {
            descriptors.set_close_on_exec(number, argument & FD_CLOEXEC != 0)?;
            Ok(0)
        }
        F_GETFL => Ok(open::status_flags(&file) as usize),
        F_SETFL => {
            open::set_status_flags(&file, argument);
            Ok(0)
        }
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => {
            lock::calls::record(call, number, &file, command, argument).await
        }
        F_GETOWN => Ok(0),
        F_GETPIPE_SZ => Ok(file.file_as::<End>().ok_or(Errno::EBADF)?.capacity()),
        F_SETPIPE_SZ => Ok(file
            .file_as::<End>()
            .ok_or(Errno::EBADF)?
            .set_capacity(argument as u32 as usize)?),
        _ => Err(Errno::EINVAL),
    }
}
