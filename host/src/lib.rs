//! The `helve` command on the developer's machine.
#![forbid(unsafe_code)]
