//! The smallest program: one line, without the C library or std's start-up noise in the way of the first bytes.

fn main() {
    println!("hello from a Rust program");
}
