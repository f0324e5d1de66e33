//! The kernel binary. The machine's entry code ends here, with the boot stack and the higher half
//! set up; the machine brings itself up and then runs the kernel.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
// SAFETY: the entry code is the only user of this name, and calls it once with this signature.
#[unsafe(no_mangle)]
extern "C" fn helve_start() -> ! {
    machine::start(kernel::main)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("the kernel runs on a bare machine: start it with `cargo run`");
}
