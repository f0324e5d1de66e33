//! The four byte streams between host and guest: virtio-serial ports over unix-domain sockets in a private directory.

use crate::children::Guarded;
use crate::qemu::option;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Names of the ports, in the order of their numbers. See docs/exec.md.
const NAMES: [&str; 4] = ["helve.in", "helve.out", "helve.err", "helve.control"];

/// How long QEMU may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Sockets that wait for QEMU.
#[derive(Debug)]
pub struct Listening {
    listeners: [UnixListener; 4],
    arguments: Vec<OsString>,
}

/// The connected streams.
#[derive(Debug)]
pub struct Ports {
    pub input: UnixStream,
    pub output: UnixStream,
    pub errors: UnixStream,
    pub control: UnixStream,
}

impl Listening {
    /// Makes the sockets in `directory`, which nobody else may enter.
    pub fn bind(directory: &Path) -> Result<Listening> {
        let mut arguments: Vec<OsString> = vec!["-device".into(), "virtio-serial-pci".into()];
        let bind = |name: &str| -> Result<UnixListener> {
            let path = directory.join(name);
            let listener = UnixListener::bind(&path)
                .with_context(|| format!("cannot listen on {}", path.display()))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        for name in NAMES {
            let id = name.replace('.', "-");
            let path = directory.join(name);
            arguments.extend([
                "-chardev".into(),
                option(&format!("socket,id={id},path="), &path),
            ]);
            arguments.extend([
                "-device".into(),
                format!("virtserialport,chardev={id},name={name}").into(),
            ]);
        }
        let listeners = [
            bind(NAMES[0])?,
            bind(NAMES[1])?,
            bind(NAMES[2])?,
            bind(NAMES[3])?,
        ];
        Ok(Listening {
            listeners,
            arguments,
        })
    }

    /// QEMU's arguments for the device and its ports.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// Waits for QEMU to connect to all four.
    pub fn accept(self, qemu: &mut Guarded) -> Result<Ports> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        let mut accept = |listener: UnixListener| -> Result<UnixStream> {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false)?;
                        return Ok(stream);
                    }
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::Interrupted
                        ) => {}
                    Err(error) => return Err(error.into()),
                }
                if let Some(status) = qemu.try_wait()? {
                    bail!("QEMU ended before the machine started ({status})");
                }
                if Instant::now() > deadline {
                    bail!("QEMU does not connect");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let [input, output, errors, control] = self.listeners;
        Ok(Ports {
            input: accept(input)?,
            output: accept(output)?,
            errors: accept(errors)?,
            control: accept(control)?,
        })
    }
}
