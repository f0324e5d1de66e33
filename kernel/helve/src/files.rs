//! The first tree of files: what the initramfs holds, in memory, with `/dev`, `/proc`, `/sys` and `/sys/fs/cgroup`.

use abi::Error;
use alloc::sync::Arc;
use devfs::Devfs;
use linux::SysFs;
use linux::cgroup::CgroupFs;
use linux::procfs::ProcFs;
use tmpfs::Tmpfs;
use vfs::{Credentials, Location, Mount, MountFlags, Time, View, Volume};

/// Makes the tree. What cannot be unpacked is logged, and what came before it stays.
///
/// # Errors
/// [`Error::NoMemory`] when there is no room even for an empty tree.
pub fn root(devices: &Arc<Devfs>, seed: u64) -> Result<Location, Error> {
    let volume = Tmpfs::volume(&tmpfs::Options {
        mode: 0o755,
        ..tmpfs::Options::new(seed, now)
    })?;
    let root = Mount::tree(volume, MountFlags::empty(), Some(devices.devices().clone()));
    let initramfs = machine::boot::info().initramfs;
    if !initramfs.is_empty() {
        match vfs::cpio::unpack(initramfs, &root) {
            Ok(count) => log::info!("files: {count} from the initramfs"),
            Err(problem) => log::error!("files: the initramfs is damaged: {problem}"),
        }
    }
    let credentials = Credentials::root();
    let view = View {
        root: &root,
        start: &root,
        credentials: &credentials,
    };
    let directories = [
        ("/dev", 0o755),
        ("/proc", 0o555),
        ("/sys", 0o555),
        ("/tmp", 0o1777),
    ];
    for (path, mode) in directories {
        match view.make_directory(path.as_bytes(), mode, now()) {
            Ok(_) | Err(Error::Exists) => {}
            Err(error) => return Err(error),
        }
    }
    view.locate(b"/dev", true)?.attach(
        devices.volume().clone(),
        MountFlags::empty(),
        Some(devices.devices().clone()),
    )?;
    view.locate(b"/proc", true)?.attach(
        Volume::new(ProcFs::new(), seed),
        MountFlags::empty(),
        None,
    )?;
    view.locate(b"/sys", true)?.attach(
        Volume::new(SysFs::new(), seed),
        MountFlags::empty(),
        None,
    )?;
    view.locate(b"/sys/fs/cgroup", true)?.attach(
        Volume::new(CgroupFs::new(), seed),
        MountFlags::empty(),
        None,
    )?;
    Ok(root)
}

/// The time that files record.
pub fn now() -> Time {
    Time::from_nanoseconds(linux::real_time())
}
