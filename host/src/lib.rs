//! The `helve` command on the developer's machine: builds, boots, tests and measures Helve.
//!
//! The library is the whole tool; `main.rs` is its entrance, and `tests/all.rs` (that is `cargo test`) is another one.
#![forbid(unsafe_code)]

// The commands.
pub mod bench;
pub mod check;
pub mod cli;
pub mod exec;
pub mod image;
pub mod run;
pub mod system;

// What is built.
pub mod cargo;
pub mod elf;
pub mod initramfs;
pub mod kernel;
pub mod libraries;
pub mod programs;
pub mod toolchain;
pub mod workspace;

// What it runs in.
pub mod children;
pub mod packages;
pub mod progress;
pub mod qemu;
pub mod scratch;
pub mod signals;
pub mod terminal;

// Debian packages and formats.
pub mod deb;
pub mod debian;
pub mod quantity;
pub mod tap;
