//! Build script of every native program: how it is linked.
//!
//! A native program has its own entry and no C library. It is one in the `kernel` profile, which aborts on panic; in
//! any other profile it is an ordinary host program, for checks and tests only. Cargo does not tell a build script the
//! name of the profile, but it is the directory that the script writes to.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=../../lib/helve/program.rs");
    let output =
        PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names the output directory"));
    // .../<profile>/build/<package>/out
    if output
        .ancestors()
        .nth(3)
        .is_some_and(|profile| profile.ends_with("kernel"))
    {
        let arguments = [
            "-nostartfiles",
            "-nodefaultlibs",
            "-static",
            "-no-pie",
            "-Wl,--build-id=none",
            "-Wl,-s",
        ];
        arguments
            .iter()
            .for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
    }
}
