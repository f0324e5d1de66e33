//! `exit-status N`: ends with that status.

use std::process::exit;

fn main() {
    exit(
        std::env::args()
            .nth(1)
            .and_then(|a| a.parse().ok())
            .unwrap_or(0),
    );
}
