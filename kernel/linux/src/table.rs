//! The table of Linux calls: one list from which come the numbers, the dispatch, the tracer's names and the
//! documentation's status table.
//!
//! A line is `number name mode handler status`. Mode `now` is an immediate handler: it never waits, and no future is
//! made for it. Mode `wait` is an `async` handler, polled in place inside the thread's own future. Mode `first` has both:
//! an immediate attempt that answers if it need not wait, and else has done nothing; `=>` the `async` handler for then.
//!
//! Source of numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl`.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::{
    clone, copy, directory, event, execute, exit, futex, identity, io, ioctl, limits, lock,
    mapping, mempolicy, open, path, pipe, poll, rseq,
};
use crate::{schedule, session, signal, socket, stat, system, time, timer, vectors, wait, xattr};

/// How much of a call is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Whole,
    Part,
}

macro_rules! immediate {
    (now $handler:path, $call:ident, $args:ident) => {
        Some($handler($call, $args))
    };
    (first $attempt:path => $handler:path, $call:ident, $args:ident) => {
        $attempt($call, $args)
    };
    (wait $handler:path, $call:ident, $args:ident) => {
        None
    };
}

macro_rules! waiting {
    (now $handler:path, $call:ident, $args:ident) => {
        Err(Errno::ENOSYS)
    };
    (first $attempt:path => $handler:path, $call:ident, $args:ident) => {
        $handler($call, $args).await
    };
    (wait $handler:path, $call:ident, $args:ident) => {
        $handler($call, $args).await
    };
}

macro_rules! calls {
    ($($number:literal $name:ident $mode:ident $handler:path $(=> $waiting:path)?, $support:ident;)*) => {
        /// Answers a call that needs no waiting; `None` for the others, of which nothing has happened yet.
        #[inline]
        pub fn immediate(call: &mut Call<'_>, number: u64, args: Args) -> Option<Answer> {
            match number {
                $($number => immediate!($mode $handler $(=> $waiting)?, call, args),)*
                _ => Some(Err(crate::unsupported::note(number))),
            }
        }

        /// Answers a call that may wait.
        pub async fn waiting(call: &mut Call<'_>, number: u64, args: Args) -> Answer {
            match number {
                $($number => waiting!($mode $handler $(=> $waiting)?, call, args),)*
                _ => Err(Errno::ENOSYS),
            }
        }

        /// Number, name and support of every call in the table.
        pub const TABLE: &[(u64, &str, Support)] = &[$(($number, stringify!($name), Support::$support),)*];
    };
}

calls! {
    0 read first io::read_now => io::read, Whole;
    1 write first io::write_now => io::write, Whole;
    2 open wait open::open, Whole;
    3 close now open::close, Whole;
    4 stat now stat::stat, Whole;
    5 fstat now stat::fstat, Whole;
    6 lstat now stat::lstat, Whole;
    7 poll first poll::poll_now => poll::poll, Whole;
    8 lseek now io::lseek, Whole;
    9 mmap wait mapping::mmap, Part;
    10 mprotect now mapping::mprotect, Whole;
    11 munmap wait mapping::munmap, Whole;
    12 brk now mapping::brk, Whole;
    13 rt_sigaction now signal::calls::rt_sigaction, Whole;
    14 rt_sigprocmask now signal::calls::rt_sigprocmask, Whole;
    15 rt_sigreturn now signal::calls::rt_sigreturn, Whole;
    16 ioctl wait ioctl::ioctl, Part;
    17 pread64 first io::pread_now => io::pread, Whole;
    18 pwrite64 first io::pwrite_now => io::pwrite, Whole;
    19 readv wait vectors::readv, Whole;
    20 writev wait vectors::writev, Whole;
    21 access wait path::access, Whole;
    22 pipe wait pipe::pipe, Whole;
    23 select wait poll::select, Whole;
    24 sched_yield first schedule::sched_yield_now => schedule::sched_yield, Whole;
    25 mremap now mapping::mremap, Part;
    26 msync now mapping::msync, Whole;
    27 mincore wait mapping::mincore, Whole;
    28 madvise now mapping::madvise, Part;
    32 dup now open::dup, Whole;
    33 dup2 now open::dup2, Whole;
    34 pause wait signal::calls::pause, Whole;
    35 nanosleep wait time::sleeping::nanosleep, Whole;
    36 getitimer wait timer::interval::getitimer, Whole;
    37 alarm now timer::interval::alarm, Whole;
    38 setitimer wait timer::interval::setitimer, Whole;
    39 getpid now identity::getpid, Whole;
    40 sendfile wait copy::sendfile, Whole;
    41 socket now socket::make::socket, Part;
    42 connect wait socket::connection::connect, Part;
    43 accept wait socket::connection::accept, Part;
    44 sendto wait socket::transfer::sendto, Part;
    45 recvfrom wait socket::transfer::recvfrom, Part;
    46 sendmsg wait socket::transfer::sendmsg, Part;
    47 recvmsg wait socket::transfer::recvmsg, Part;
    48 shutdown now socket::connection::shutdown, Part;
    49 bind wait socket::connection::bind, Part;
    50 listen now socket::connection::listen, Part;
    51 getsockname wait socket::address::getsockname, Part;
    52 getpeername wait socket::address::getpeername, Part;
    53 socketpair wait socket::make::socketpair, Part;
    54 setsockopt wait socket::options::setsockopt, Part;
    55 getsockopt wait socket::options::getsockopt, Part;
    56 clone wait clone::clone, Part;
    57 fork wait clone::fork, Whole;
    58 vfork wait clone::vfork, Whole;
    59 execve wait execute::execve, Part;
    60 exit now exit::exit, Whole;
    61 wait4 wait wait::wait4, Whole;
    62 kill now signal::calls::kill, Whole;
    63 uname wait system::uname, Whole;
    72 fcntl wait ioctl::fcntl, Part;
    73 flock wait lock::calls::flock, Whole;
    74 fsync now io::fsync, Whole;
    75 fdatasync now io::fsync, Whole;
    76 truncate wait path::truncate, Whole;
    77 ftruncate now io::ftruncate, Whole;
    78 getdents wait directory::getdents, Whole;
    79 getcwd wait directory::getcwd, Whole;
    80 chdir wait directory::chdir, Whole;
    81 fchdir now directory::fchdir, Whole;
    82 rename wait path::rename, Whole;
    83 mkdir wait path::mkdir, Whole;
    84 rmdir wait path::rmdir, Whole;
    85 creat wait open::creat, Whole;
    86 link wait path::link, Whole;
    87 unlink wait path::unlink, Whole;
    88 symlink wait path::symlink, Whole;
    89 readlink wait path::readlink, Whole;
    90 chmod wait path::chmod, Whole;
    91 fchmod now path::fchmod, Whole;
    92 chown wait path::chown, Whole;
    93 fchown now path::fchown, Whole;
    94 lchown wait path::lchown, Whole;
    95 umask now directory::umask, Whole;
    96 gettimeofday now time::reading::gettimeofday, Whole;
    97 getrlimit wait limits::getrlimit, Part;
    98 getrusage wait limits::getrusage, Part;
    99 sysinfo wait system::sysinfo, Whole;
    100 times wait limits::times, Whole;
    102 getuid now identity::getuid, Whole;
    104 getgid now identity::getgid, Whole;
    105 setuid now identity::setuid, Whole;
    106 setgid now identity::setgid, Whole;
    107 geteuid now identity::geteuid, Whole;
    108 getegid now identity::getegid, Whole;
    109 setpgid now session::setpgid, Whole;
    110 getppid now identity::getppid, Whole;
    111 getpgrp now session::getpgrp, Whole;
    112 setsid now session::setsid, Whole;
    113 setreuid now identity::setreuid, Whole;
    114 setregid now identity::setregid, Whole;
    115 getgroups wait identity::getgroups, Whole;
    116 setgroups wait identity::setgroups, Whole;
    117 setresuid now identity::setresuid, Whole;
    118 getresuid wait identity::getresuid, Whole;
    119 setresgid now identity::setresgid, Whole;
    120 getresgid wait identity::getresgid, Whole;
    121 getpgid now session::getpgid, Whole;
    122 setfsuid now identity::setfsuid, Whole;
    123 setfsgid now identity::setfsgid, Whole;
    124 getsid now session::getsid, Whole;
    127 rt_sigpending wait signal::calls::rt_sigpending, Whole;
    128 rt_sigtimedwait wait signal::calls::rt_sigtimedwait, Whole;
    129 rt_sigqueueinfo wait signal::calls::rt_sigqueueinfo, Whole;
    130 rt_sigsuspend wait signal::calls::rt_sigsuspend, Whole;
    131 sigaltstack wait signal::calls::sigaltstack, Whole;
    132 utime wait path::utime, Whole;
    133 mknod wait path::mknod, Whole;
    135 personality now system::personality, Part;
    137 statfs wait stat::statfs, Part;
    138 fstatfs wait stat::fstatfs, Part;
    140 getpriority now schedule::nice::getpriority, Whole;
    141 setpriority now schedule::nice::setpriority, Whole;
    142 sched_setparam now schedule::policy::sched_setparam, Whole;
    143 sched_getparam now schedule::policy::sched_getparam, Whole;
    144 sched_setscheduler now schedule::policy::sched_setscheduler, Whole;
    145 sched_getscheduler now schedule::policy::sched_getscheduler, Whole;
    146 sched_get_priority_max now schedule::policy::sched_get_priority_max, Whole;
    147 sched_get_priority_min now schedule::policy::sched_get_priority_min, Whole;
    148 sched_rr_get_interval now schedule::policy::sched_rr_get_interval, Whole;
    149 mlock wait mapping::mlock, Whole;
    150 munlock now mapping::munlock, Whole;
    151 mlockall wait mapping::mlockall, Whole;
    152 munlockall now mapping::munlockall, Whole;
    157 prctl wait system::prctl, Part;
    158 arch_prctl wait system::arch_prctl, Part;
    159 adjtimex wait time::adjust::adjtimex, Whole;
    160 setrlimit wait limits::setrlimit, Part;
    161 chroot wait directory::chroot, Whole;
    162 sync now io::sync, Whole;
    164 settimeofday wait time::setting::settimeofday, Whole;
    169 reboot now system::reboot, Part;
    170 sethostname wait system::sethostname, Whole;
    186 gettid now identity::gettid, Whole;
    188 setxattr wait xattr::by_path, Part;
    189 lsetxattr wait xattr::by_link, Part;
    190 fsetxattr now xattr::by_descriptor, Part;
    191 getxattr wait xattr::by_path, Part;
    192 lgetxattr wait xattr::by_link, Part;
    193 fgetxattr now xattr::by_descriptor, Part;
    194 listxattr wait xattr::list, Part;
    195 llistxattr wait xattr::list_link, Part;
    196 flistxattr now xattr::list_descriptor, Part;
    197 removexattr wait xattr::by_path, Part;
    198 lremovexattr wait xattr::by_link, Part;
    199 fremovexattr now xattr::by_descriptor, Part;
    200 tkill now signal::calls::tkill, Whole;
    201 time wait time::reading::time, Whole;
    202 futex first futex::futex_now => futex::futex, Whole;
    203 sched_setaffinity wait schedule::affinity::sched_setaffinity, Part;
    204 sched_getaffinity wait schedule::affinity::sched_getaffinity, Part;
    213 epoll_create now event::epoll::calls::epoll_create, Whole;
    217 getdents64 wait directory::getdents64, Whole;
    218 set_tid_address now clone::set_tid_address, Whole;
    219 restart_syscall wait signal::calls::restart_syscall, Whole;
    221 fadvise64 now io::fadvise, Whole;
    222 timer_create wait timer::calls::timer_create, Whole;
    223 timer_settime wait timer::calls::timer_settime, Whole;
    224 timer_gettime wait timer::calls::timer_gettime, Whole;
    225 timer_getoverrun now timer::calls::timer_getoverrun, Whole;
    226 timer_delete now timer::calls::timer_delete, Whole;
    227 clock_settime wait time::setting::clock_settime, Whole;
    228 clock_gettime now time::reading::clock_gettime, Whole;
    229 clock_getres now time::reading::clock_getres, Whole;
    230 clock_nanosleep wait time::sleeping::clock_nanosleep, Whole;
    231 exit_group now exit::exit_group, Whole;
    232 epoll_wait wait event::epoll::calls::epoll_wait, Whole;
    233 epoll_ctl wait event::epoll::calls::epoll_ctl, Whole;
    234 tgkill now signal::calls::tgkill, Whole;
    235 utimes wait path::utimes, Whole;
    238 set_mempolicy wait mempolicy::set_mempolicy, Part;
    239 get_mempolicy wait mempolicy::get_mempolicy, Part;
    247 waitid wait wait::waitid, Part;
    257 openat wait open::openat, Whole;
    258 mkdirat wait path::mkdirat, Whole;
    259 mknodat wait path::mknodat, Whole;
    260 fchownat wait path::fchownat, Whole;
    261 futimesat wait path::futimesat, Whole;
    262 newfstatat now stat::newfstatat, Whole;
    263 unlinkat wait path::unlinkat, Whole;
    264 renameat wait path::renameat, Whole;
    265 linkat wait path::linkat, Whole;
    266 symlinkat wait path::symlinkat, Whole;
    267 readlinkat wait path::readlinkat, Whole;
    268 fchmodat wait path::fchmodat, Whole;
    269 faccessat wait path::faccessat, Whole;
    270 pselect6 wait poll::pselect6, Whole;
    271 ppoll wait poll::ppoll, Whole;
    273 set_robust_list now futex::robust::set_robust_list, Whole;
    274 get_robust_list wait futex::robust::get_robust_list, Part;
    280 utimensat wait path::utimensat, Whole;
    281 epoll_pwait wait event::epoll::calls::epoll_pwait, Whole;
    282 signalfd wait event::signals::signalfd, Whole;
    283 timerfd_create now event::timer::timerfd_create, Whole;
    284 eventfd now event::counter::eventfd, Whole;
    285 fallocate now io::fallocate, Part;
    286 timerfd_settime wait event::timer::timerfd_settime, Whole;
    287 timerfd_gettime wait event::timer::timerfd_gettime, Whole;
    288 accept4 wait socket::connection::accept4, Part;
    289 signalfd4 wait event::signals::signalfd4, Whole;
    290 eventfd2 now event::counter::eventfd2, Whole;
    291 epoll_create1 now event::epoll::calls::epoll_create1, Whole;
    292 dup3 now open::dup3, Whole;
    293 pipe2 wait pipe::pipe2, Whole;
    295 preadv wait vectors::preadv, Whole;
    296 pwritev wait vectors::pwritev, Whole;
    297 rt_tgsigqueueinfo wait signal::calls::rt_tgsigqueueinfo, Whole;
    302 prlimit64 wait limits::prlimit64, Part;
    305 clock_adjtime wait time::adjust::clock_adjtime, Whole;
    309 getcpu wait schedule::affinity::getcpu, Whole;
    314 sched_setattr wait schedule::attributes::sched_setattr, Part;
    315 sched_getattr wait schedule::attributes::sched_getattr, Part;
    316 renameat2 wait path::renameat2, Whole;
    318 getrandom wait system::getrandom, Whole;
    322 execveat wait execute::execveat, Part;
    325 mlock2 wait mapping::mlock2, Whole;
    326 copy_file_range wait copy::copy_file_range, Whole;
    327 preadv2 wait vectors::preadv2, Whole;
    328 pwritev2 wait vectors::pwritev2, Whole;
    332 statx wait stat::statx, Part;
    334 rseq wait rseq::rseq, Whole;
    435 clone3 wait clone::clone3, Part;
    436 close_range now open::close_range, Whole;
    439 faccessat2 wait path::faccessat2, Whole;
    441 epoll_pwait2 wait event::epoll::calls::epoll_pwait2, Whole;
    452 fchmodat2 wait path::fchmodat2, Whole;
}

/// The name of a call, for the tracer.
pub fn name(number: u64) -> Option<&'static str> {
    let at = TABLE.binary_search_by_key(&number, |entry| entry.0).ok()?;
    TABLE.get(at).map(|entry| entry.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(name(59), Some("execve"));
        assert_eq!(name(335), None);
    }
}
