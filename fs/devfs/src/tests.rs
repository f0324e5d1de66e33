use super::*;
use object::SliceSink;
use std::vec::Vec;
use vfs::{Access, File, OpenRequest};

fn clock() -> Time {
    Time {
        seconds: 5,
        nanoseconds: 0,
    }
}

struct Nothing;

impl File for Nothing {
    fn try_read(&self, _: u64, _: &mut dyn object::Sink) -> Result<usize, Error> {
        Ok(0)
    }

    fn try_write(
        &self,
        _: u64,
        _: &mut dyn object::Source,
        _: bool,
    ) -> Result<(usize, u64), Error> {
        Err(Error::Io)
    }
}

impl Device for Nothing {
    fn open(self: Arc<Self>, _: DeviceNumber, _: &OpenRequest<'_>) -> Result<Arc<dyn File>, Error> {
        Ok(Arc::new(Nothing))
    }
}

fn both() -> OpenRequest<'static> {
    OpenRequest {
        access: Access::READ | Access::WRITE,
        ..OpenRequest::default()
    }
}

#[test]
fn the_simple_devices_do_what_they_are_for() {
    let devfs = Devfs::new(1, clock).unwrap();
    let credentials = Credentials::root();
    let view = devfs.view(&credentials);
    let read = |name: &[u8], count: usize| {
        let mut bytes = std::vec![0xaa; count];
        let file = view.open(name, &both()).unwrap();
        let count = file.read(&mut SliceSink::new(&mut bytes)).unwrap();
        bytes.truncate(count);
        bytes
    };
    let write = |name: &[u8]| {
        view.open(name, &both())
            .unwrap()
            .write(&mut &[1u8; 5000][..])
    };
    assert_eq!(read(b"null", 10), b"");
    assert_eq!(read(b"zero", 5000), [0; 5000]);
    assert_eq!(read(b"full", 10), [0; 10]);
    let (one, other) = (read(b"random", 3000), read(b"urandom", 3000));
    assert_eq!((one.len(), other.len()), (3000, 3000));
    assert_ne!(one, other);
    assert_eq!(write(b"null"), Ok(5000));
    assert_eq!(write(b"zero"), Ok(5000));
    assert_eq!(write(b"full"), Err(Error::NoSpace));
    assert_eq!(write(b"random"), Ok(5000));
    assert_eq!(
        view.metadata(b"zero", true).unwrap().device,
        DeviceNumber::new(1, 5)
    );
    assert_eq!(view.read_link(b"fd").unwrap(), b"/proc/self/fd");
}

#[test]
fn the_controlling_terminal_is_the_callers() {
    let devfs = Devfs::new(1, clock).unwrap();
    let credentials = Credentials::root();
    let view = devfs.view(&credentials);
    assert_eq!(view.open(b"tty", &both()).err(), Some(Error::NoDevice));
    let none = || None;
    let mine = || Some(Arc::new(Nothing) as Arc<dyn File>);
    let mut request = both();
    request.terminal = Some(&none);
    assert_eq!(view.open(b"tty", &request).err(), Some(Error::NoDevice));
    request.terminal = Some(&mine);
    assert!(
        view.open(b"tty", &request)
            .unwrap()
            .file_as::<Nothing>()
            .is_some()
    );
}

#[test]
fn devices_come_and_go() {
    let devfs = Devfs::new(1, clock).unwrap();
    let credentials = Credentials::root();
    let view = devfs.view(&credentials);
    // The name was looked for before it is there.
    assert_eq!(view.open(b"disk/a", &both()).err(), Some(Error::NotFound));
    let new = NewDevice {
        name: "disk/a",
        kind: DeviceKind::Block,
        number: DeviceNumber::new(8, 0),
        mode: 0o660,
    };
    devfs.add(&new, Arc::new(Nothing)).unwrap();
    assert_eq!(devfs.add(&new, Arc::new(Nothing)), Err(Error::Exists));
    let open = view.open(b"disk/a", &both()).unwrap();
    assert_eq!(open.metadata().mode, 0o660);
    let taken = NewDevice {
        name: "null",
        number: DeviceNumber::new(8, 1),
        ..new
    };
    assert_eq!(devfs.add(&taken, Arc::new(Nothing)), Err(Error::Exists));
    let free = NewDevice {
        name: "disk/b",
        ..taken
    };
    devfs.add(&free, Arc::new(Nothing)).unwrap();
    devfs.remove("disk/a", new.kind, new.number).unwrap();
    assert_eq!(view.open(b"disk/a", &both()).err(), Some(Error::NotFound));
    assert_eq!(
        devfs.remove("disk/a", new.kind, new.number),
        Err(Error::NoDevice)
    );
    assert_eq!(open.read(&mut Vec::new()), Ok(0));
}

#[test]
fn a_mount_without_devices_has_nodes_that_lead_nowhere() {
    let devfs = Devfs::new(1, clock).unwrap();
    let elsewhere = Mount::tree(devfs.volume().clone(), MountFlags::empty(), None);
    let credentials = Credentials::root();
    let view = View {
        root: &elsewhere,
        start: &elsewhere,
        credentials: &credentials,
    };
    assert_eq!(view.open(b"null", &both()).err(), Some(Error::Denied));
}
