//! Being the first program, and figures of the whole system.

use crate::measure::Report;
use std::ffi::CStr;

const CONSOLE: &CStr = c"/dev/console";

/// Opens the console as the three standard streams, if nobody did.
pub fn open_console() {
    // SAFETY: plain calls with valid strings; descriptors are small numbers nobody else uses yet.
    unsafe {
        if libc::fcntl(1, libc::F_GETFD) >= 0 {
            return;
        }
        let mut console = libc::open(CONSOLE.as_ptr(), libc::O_RDWR);
        if console < 0 {
            libc::mkdir(c"/dev".as_ptr(), 0o755);
            libc::mknod(CONSOLE.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(5, 1));
            console = libc::open(CONSOLE.as_ptr(), libc::O_RDWR);
        }
        for stream in 0..3 {
            libc::dup2(console, stream);
        }
    }
}

/// Ends the machine.
pub fn power_off() -> ! {
    // SAFETY: the process has nothing left to lose.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
    loop {
        std::thread::park();
    }
}

/// Memory that is gone after boot, in KiB. What was given to the machine is not known here; what the system calls its
/// total is, and its image and tables lie outside.
pub fn memory(report: &mut Report) {
    // SAFETY: all zeros is a valid sysinfo, and the call fills it in.
    let info = unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        libc::sysinfo(&raw mut info);
        info
    };
    let unit = u64::from(info.mem_unit.max(1));
    report.figure("memory total after boot", (info.totalram * unit / 1024) as f64, "KiB");
    report.figure("memory free after boot", (info.freeram * unit / 1024) as f64, "KiB");
}
