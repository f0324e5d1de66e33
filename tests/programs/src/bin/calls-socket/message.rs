//! Messages with what travels beside them, as `sendmsg` and `recvmsg` take them.

use libc::{AF_UNIX, SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET, iovec, msghdr};
use test_programs::raw::short::*;
use test_programs::{ok, sys};

/// A new pair of connected sockets.
pub fn pair(kind: i32) -> (usize, usize) {
    let mut ends = [0i32; 2];
    ok!(SYS_socketpair, AF_UNIX, kind, 0, &mut ends);
    (ends[0] as usize, ends[1] as usize)
}

/// A control message: header and data, padded.
pub fn control(kind: i32, data: &[u8]) -> Vec<u8> {
    let length = 16 + data.len() as u64;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(SOL_SOCKET.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A control message with files.
pub fn rights(files: &[usize]) -> Vec<u8> {
    let numbers: Vec<u8> = files
        .iter()
        .flat_map(|file| (*file as i32).to_le_bytes())
        .collect();
    control(SCM_RIGHTS, &numbers)
}

/// A control message with credentials.
pub fn credentials(pid: i32, uid: u32, gid: u32) -> Vec<u8> {
    let words = [pid as u32, uid, gid];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    control(SCM_CREDENTIALS, &bytes)
}

pub fn header(vector: &mut [iovec], name: *mut u8, name_length: u32, control: &mut [u8]) -> msghdr {
    // SAFETY: all-zero bytes are a valid `msghdr`.
    let mut header: msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.cast();
    header.msg_namelen = name_length;
    header.msg_iov = vector.as_mut_ptr();
    header.msg_iovlen = vector.len();
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control.len();
    header
}

pub fn piece(bytes: &[u8]) -> iovec {
    iovec {
        iov_base: bytes.as_ptr() as *mut _,
        iov_len: bytes.len(),
    }
}

/// `sendmsg` of these bytes and this control buffer.
pub fn try_send(fd: usize, bytes: &[u8], control: &[u8], flags: i32) -> Result<usize, i32> {
    let mut vector = [piece(bytes)];
    let mut control = control.to_vec();
    let message = header(&mut vector, std::ptr::null_mut(), 0, &mut control);
    sys!(SYS_sendmsg, fd, &message, flags)
}

pub fn send(fd: usize, bytes: &[u8], control: &[u8]) {
    assert_eq!(try_send(fd, bytes, control, 0), Ok(bytes.len()));
}

/// What `recvmsg` gave.
#[derive(Debug, Default)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub flags: i32,
    pub control_length: usize,
    pub files: Vec<usize>,
    pub credentials: Option<[u32; 3]>,
    pub name: Vec<u8>,
}

/// `recvmsg` with room for so many bytes, and so many of control.
pub fn try_receive(fd: usize, most: usize, control: usize, flags: i32) -> Result<Received, i32> {
    let mut bytes = vec![0u8; most];
    let mut control = vec![0u8; control];
    let mut name = [0u8; 128];
    let mut vector = [piece(&bytes)];
    let mut message = header(&mut vector, name.as_mut_ptr(), 128, &mut control);
    let result = sys!(SYS_recvmsg, fd, &mut message, flags)?;
    bytes.truncate(result);
    let mut received = Received {
        bytes,
        flags: message.msg_flags & !libc::MSG_CMSG_CLOEXEC,
        control_length: message.msg_controllen,
        name: name[..(message.msg_namelen as usize).min(128)].to_vec(),
        ..Received::default()
    };
    let mut rest = &control[..message.msg_controllen.min(control.len())];
    while rest.len() >= 16 {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let length = word(0) as usize;
        let data: Vec<u32> = (16..length.min(rest.len()) / 4 * 4)
            .step_by(4)
            .map(word)
            .collect();
        assert_eq!(word(8), SOL_SOCKET as u32);
        match word(12) as i32 {
            SCM_RIGHTS => received.files = data.iter().map(|file| *file as usize).collect(),
            SCM_CREDENTIALS => received.credentials = data.try_into().ok(),
            other => panic!("control message {other}"),
        }
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(received)
}

pub fn receive(fd: usize, most: usize) -> Received {
    try_receive(fd, most, 512, 0).expect("recvmsg")
}

/// The address of a path or (with a zero in front) an abstract name.
pub fn address(name: &[u8]) -> Vec<u8> {
    [&[AF_UNIX as u8, 0], name].concat()
}

pub fn bind(fd: usize, name: &[u8]) -> Result<usize, i32> {
    let address = address(name);
    sys!(SYS_bind, fd, address.as_ptr(), address.len())
}

pub fn connect(fd: usize, name: &[u8]) -> Result<usize, i32> {
    let address = address(name);
    sys!(SYS_connect, fd, address.as_ptr(), address.len())
}

pub fn socket(kind: i32) -> usize {
    ok!(SYS_socket, AF_UNIX, kind, 0)
}

/// Makes it fail instead of wait.
pub fn never_wait(fd: usize) {
    ok!(SYS_fcntl, fd, libc::F_SETFL, libc::O_NONBLOCK);
}

/// What poll finds of these events without waiting.
pub fn polled(fd: usize, events: i16) -> i16 {
    let mut list = [libc::pollfd {
        fd: fd as i32,
        events,
        revents: 0,
    }];
    ok!(SYS_poll, &mut list, 1, 0);
    list[0].revents
}

/// Whether both numbers lead to the same pipe or file.
pub fn same(a: usize, b: usize) -> bool {
    (fstat(a).st_dev, fstat(a).st_ino) == (fstat(b).st_dev, fstat(b).st_ino)
}
