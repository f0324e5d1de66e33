//! sh
#![cfg_attr(panic = "abort", no_std, no_main)]
#![deny(unsafe_code)]
helve::program!(shell_program);
fn shell_program() -> u8 {
    0
}
