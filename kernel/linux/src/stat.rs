//! What is known about files: stat(2), statx(2), statfs(2).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::{AT_FDCWD, At};
use vfs::{DeviceNumber, FileKind, Metadata, Statistics, Time};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_NO_AUTOMOUNT: u64 = 0x800;
pub const AT_EMPTY_PATH: u64 = 0x1000;
const AT_STATX_SYNC_TYPE: u64 = 0x6000;

/// `struct stat`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Stat {
    device: u64,
    inode: u64,
    links: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    padding: u32,
    special: u64,
    size: u64,
    block_size: u64,
    blocks: u64,
    accessed: [u64; 2],
    modified: [u64; 2],
    changed: [u64; 2],
    reserved: [u64; 3],
}

/// The kind as the upper bits of `st_mode`.
pub fn kind_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::Fifo => 0o010_000,
        FileKind::CharacterDevice => 0o020_000,
        FileKind::Directory => 0o040_000,
        FileKind::BlockDevice => 0o060_000,
        FileKind::File => 0o100_000,
        FileKind::Symlink => 0o120_000,
        FileKind::Socket => 0o140_000,
    }
}

/// A device number in the form of `dev_t` (Linux `new_encode_dev`, widened).
pub fn device_bits(device: DeviceNumber) -> u64 {
    let (major, minor) = (u64::from(device.major), u64::from(device.minor));
    minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

fn words(time: Time) -> [u64; 2] {
    [time.seconds as u64, u64::from(time.nanoseconds)]
}

impl From<&Metadata> for Stat {
    fn from(from: &Metadata) -> Stat {
        Stat {
            device: from.volume,
            inode: from.inode,
            links: u64::from(from.links),
            mode: kind_bits(from.kind) | u32::from(from.mode),
            uid: from.uid,
            gid: from.gid,
            special: device_bits(from.device),
            size: from.size,
            block_size: u64::from(from.block_size),
            blocks: from.blocks,
            accessed: words(from.accessed),
            modified: words(from.modified),
            changed: words(from.changed),
            ..Stat::default()
        }
    }
}

pub fn stat(call: &mut Call<'_>, [path, to, ..]: Args) -> Answer {
    let path = call.path_now(path)?;
    let metadata = At::working(call).view().metadata(&path, true)?;
    call.store(to, &Stat::from(&metadata))?;
    Ok(0)
}

pub fn lstat(call: &mut Call<'_>, [path, to, ..]: Args) -> Answer {
    let path = call.path_now(path)?;
    let metadata = At::working(call).view().metadata(&path, false)?;
    call.store(to, &Stat::from(&metadata))?;
    Ok(0)
}

pub fn fstat(call: &mut Call<'_>, [descriptor, to, ..]: Args) -> Answer {
    let metadata = call.file(descriptor)?.metadata();
    call.store(to, &Stat::from(&metadata))?;
    Ok(0)
}

pub fn newfstatat(call: &mut Call<'_>, [directory, path, to, flags, ..]: Args) -> Answer {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let metadata = metadata_at(call, directory, path, flags)?;
    call.store(to, &Stat::from(&metadata))?;
    Ok(0)
}

fn metadata_at(
    call: &mut Call<'_>,
    directory: u64,
    path: u64,
    flags: u64,
) -> Result<Metadata, Errno> {
    let path = call.path_now(path)?;
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        if directory as i32 == AT_FDCWD {
            return Ok(call.standing().directory.metadata());
        }
        return Ok(call.file(directory)?.metadata());
    }
    let at = At::directory(call, directory, &path)?;
    Ok(at
        .view()
        .metadata(&path, flags & AT_SYMLINK_NOFOLLOW == 0)?)
}

/// `struct statx_timestamp`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ExtendedTime {
    seconds: i64,
    nanoseconds: u32,
    reserved: u32,
}

impl From<Time> for ExtendedTime {
    fn from(time: Time) -> ExtendedTime {
        ExtendedTime {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
            reserved: 0,
        }
    }
}

/// `struct statx`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ExtendedStat {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    padding: u16,
    inode: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    accessed: ExtendedTime,
    created: ExtendedTime,
    changed: ExtendedTime,
    modified: ExtendedTime,
    special_major: u32,
    special_minor: u32,
    device_major: u32,
    device_minor: u32,
    reserved: [u64; 14],
}

pub async fn statx(call: &mut Call<'_>, [directory, path, flags, mask, to, _]: Args) -> Answer {
    const STATX_BASIC_STATS: u32 = 0x7ff;
    const STATX_BTIME: u32 = 0x800;
    const STATX_RESERVED: u64 = 0x8000_0000;
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    if flags & !known != 0
        || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE
        || mask & STATX_RESERVED != 0
    {
        return Err(Errno::EINVAL);
    }
    let from = metadata_at(call, directory, path, flags)?;
    let extended = ExtendedStat {
        mask: STATX_BASIC_STATS | STATX_BTIME,
        block_size: from.block_size,
        links: from.links,
        uid: from.uid,
        gid: from.gid,
        mode: kind_bits(from.kind) as u16 | from.mode,
        inode: from.inode,
        size: from.size,
        blocks: from.blocks,
        accessed: from.accessed.into(),
        created: from.created.into(),
        changed: from.changed.into(),
        modified: from.modified.into(),
        special_major: from.device.major,
        special_minor: from.device.minor,
        device_major: (from.volume >> 8 & 0xfff) as u32,
        device_minor: (from.volume & 0xff | from.volume >> 12 & 0xf_ff00) as u32,
        ..ExtendedStat::default()
    };
    call.write(to, &extended).await?;
    Ok(0)
}

/// `struct statfs`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct FileSystemStat {
    magic: u64,
    block_size: u64,
    blocks: u64,
    free: u64,
    available: u64,
    files: u64,
    free_files: u64,
    id: [u32; 2],
    name_length: u64,
    fragment_size: u64,
    flags: u64,
    reserved: [u64; 4],
}

impl From<Statistics> for FileSystemStat {
    fn from(from: Statistics) -> FileSystemStat {
        FileSystemStat {
            magic: from.magic,
            block_size: u64::from(from.block_size),
            blocks: from.blocks,
            free: from.free_blocks,
            available: from.free_blocks,
            files: from.inodes,
            free_files: from.free_inodes,
            name_length: 255,
            fragment_size: u64::from(from.block_size),
            ..FileSystemStat::default()
        }
    }
}

pub async fn statfs(call: &mut Call<'_>, [path, to, ..]: Args) -> Answer {
    let path = call.path(path).await?;
    let location = At::working(call).view().locate(&path, true)?;
    let statistics = location.mount().volume().file_system().statistics();
    call.write(to, &FileSystemStat::from(statistics)).await?;
    Ok(0)
}

pub async fn fstatfs(call: &mut Call<'_>, [descriptor, to, ..]: Args) -> Answer {
    /// `PIPEFS_MAGIC`: what a file without a place answers.
    const PIPE_FILE_SYSTEM: u64 = 0x5049_5045;
    let file = call.file(descriptor)?;
    let stat = match file.location() {
        Some(location) => {
            FileSystemStat::from(location.mount().volume().file_system().statistics())
        }
        None => FileSystemStat {
            magic: PIPE_FILE_SYSTEM,
            block_size: 4096,
            name_length: 255,
            ..Default::default()
        },
    };
    call.write(to, &stat).await?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_their_sizes() {
        assert_eq!(size_of::<Stat>(), 144);
        assert_eq!(size_of::<ExtendedStat>(), 256);
        assert_eq!(size_of::<FileSystemStat>(), 120);
    }

    #[test]
    fn device_numbers_are_packed_as_glibc_unpacks_them() {
        assert_eq!(device_bits(DeviceNumber::new(1, 3)), 0x103);
        assert_eq!(
            device_bits(DeviceNumber::new(0x12345, 0x6789a)),
            0x0001_2000_6783_459a
        );
    }
}
