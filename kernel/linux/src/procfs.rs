//! `/proc`: processes and system figures as files.
//!
//! Nothing is stored: a directory lists what is there when it is read, and a file's text is made when it is opened.

mod files;
mod tree;

pub use tree::ProcFs;
