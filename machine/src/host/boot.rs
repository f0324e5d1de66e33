//! What the boot loader would have said: settable, empty at first.

use super::current;
use crate::sync::Once;

/// How the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Pvh,
    Multiboot2,
}

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub start: u64,
    pub len: u64,
    /// Whether it is memory that the system may use.
    pub usable: bool,
}

/// What the kernel was started with.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    pub command_line: &'static str,
    pub initramfs: &'static [u8],
    pub loader: &'static str,
    pub protocol: Protocol,
    pub memory: &'static [Region],
}

static EMPTY: Info = Info {
    command_line: "",
    initramfs: &[],
    loader: "host tests",
    protocol: Protocol::Pvh,
    memory: &[],
};

#[derive(Default)]
pub(super) struct State(Once<&'static Info>);

/// What this machine was started with.
pub fn info() -> &'static Info {
    current().0.boot.0.get().copied().unwrap_or(&EMPTY)
}

/// Sets what this machine was started with, once. The test keeps the bytes alive for ever
/// (`Box::leak`). False when it was set before.
pub fn set_info(info: &'static Info) -> bool {
    current().0.boot.0.set(info).is_ok()
}
