//! `watchdog-calls PATH`: every request of the watchdog interface, on a device that is there (most machines have none, so
//! this is no suite). Prints what was otherwise than expected; ends with the number of such things.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use test_programs::sys;

const GETSUPPORT: u64 = 0x8028_5700;
const GETSTATUS: u64 = 0x8004_5701;
const GETBOOTSTATUS: u64 = 0x8004_5702;
const GETTEMP: u64 = 0x8004_5703;
const SETOPTIONS: u64 = 0x8004_5704;
const KEEPALIVE: u64 = 0x8004_5705;
const SETTIMEOUT: u64 = 0xc004_5706;
const GETTIMEOUT: u64 = 0x8004_5707;
const SETPRETIMEOUT: u64 = 0xc004_5708;
const GETPRETIMEOUT: u64 = 0x8004_5709;
const GETTIMELEFT: u64 = 0x8004_570a;

const SETTIMEOUT_FLAG: u32 = 0x80;
const MAGICCLOSE: u32 = 0x100;
const KEEPALIVEPING: u32 = 0x8000;

/// Asks; the number in memory afterwards, or the error.
fn ask(file: &File, request: u64, mut number: u32) -> Result<u32, i32> {
    sys!(SYS_ioctl, file.as_raw_fd(), request, &mut number).map(|_| number)
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or("/dev/watchdog".into());
    let mut wrong = 0;
    let mut check = |what: &str, holds: bool| {
        if !holds {
            println!("otherwise: {what}");
            wrong += 1;
        }
    };
    let open = || OpenOptions::new().read(true).write(true).open(&path);
    let mut file = match open() {
        Ok(file) => file,
        Err(error) => {
            println!("{path}: {error}");
            return ExitCode::from(100);
        }
    };
    let busy = open().err().and_then(|error| error.raw_os_error());
    check("one user at a time", busy == Some(libc::EBUSY));

    let mut info = [0u8; 40];
    let told = sys!(SYS_ioctl, file.as_raw_fd(), GETSUPPORT, &mut info);
    let options = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
    let wanted = SETTIMEOUT_FLAG | MAGICCLOSE | KEEPALIVEPING;
    check("GETSUPPORT", told == Ok(0) && options & wanted == wanted);
    check("identity", info[8..].starts_with(b"i6300ESB timer\0"));

    check("SETTIMEOUT", ask(&file, SETTIMEOUT, 20) == Ok(20));
    check("GETTIMEOUT", ask(&file, GETTIMEOUT, 0) == Ok(20));
    for seconds in [0, 2047, u32::MAX] {
        let refused = ask(&file, SETTIMEOUT, seconds);
        check("a timeout that cannot be", refused == Err(libc::EINVAL));
    }
    check("the timeout stays", ask(&file, GETTIMEOUT, 0) == Ok(20));
    let left = ask(&file, GETTIMELEFT, 0);
    check(
        "GETTIMELEFT",
        left.is_ok_and(|left| (15..=20).contains(&left)),
    );
    check("SETPRETIMEOUT", ask(&file, SETPRETIMEOUT, 5).is_ok());
    check("GETPRETIMEOUT", ask(&file, GETPRETIMEOUT, 0) == Ok(5));
    let late = ask(&file, SETPRETIMEOUT, 20);
    check("a pretimeout after the end", late == Err(libc::EINVAL));
    check("no pretimeout", ask(&file, SETPRETIMEOUT, 0).is_ok());

    check("KEEPALIVE", ask(&file, KEEPALIVE, 0).is_ok());
    let status = ask(&file, GETSTATUS, 0);
    check("GETSTATUS", status == Ok(KEEPALIVEPING));
    check("a ping is told once", ask(&file, GETSTATUS, 0) == Ok(0));
    check("a write", file.write(b"Vx").is_ok_and(|count| count == 2));
    let status = ask(&file, GETSTATUS, 0);
    check(
        "the letter is told",
        status == Ok(KEEPALIVEPING | MAGICCLOSE),
    );
    check("GETBOOTSTATUS", ask(&file, GETBOOTSTATUS, 1) == Ok(0));
    check("SETOPTIONS off", ask(&file, SETOPTIONS, 1).is_ok());
    check("SETOPTIONS on", ask(&file, SETOPTIONS, 2).is_ok());
    let nothing = ask(&file, SETOPTIONS, 4);
    check("SETOPTIONS nothing", nothing == Err(libc::ENOTTY));
    check("GETTEMP", ask(&file, GETTEMP, 0) == Err(libc::ENOTTY));
    let bad = sys!(SYS_ioctl, file.as_raw_fd(), GETTIMEOUT, 1usize);
    check("a bad address", bad == Err(libc::EFAULT));
    let read = file
        .read(&mut [0])
        .err()
        .and_then(|error| error.raw_os_error());
    check("nothing to read", read == Some(libc::EINVAL));
    check(
        "it may stop",
        file.write(b"V").is_ok_and(|count| count == 1),
    );
    drop(file);
    match open() {
        Ok(mut again) => check("again", again.write(b"V").is_ok()),
        Err(error) => check(&format!("again: {error}"), false),
    }
    ExitCode::from(wrong)
}
