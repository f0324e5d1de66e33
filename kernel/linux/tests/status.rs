//! `docs/linux-calls.md` is made from the table of calls, so the two cannot drift apart.
//!
//! When the table has changed, make the page again:
//! `HELVE_WRITE_DOCS=1 cargo test -p linux --test status`

use linux::table::{Support, TABLE};
use std::fmt::Write as _;
use std::path::Path;

const INTRODUCTION: &str = "\
# Linux calls

Made from `kernel/linux/src/table.rs` by `kernel/linux/tests/status.rs`; do not edit by hand. [linux.md](linux.md) tells how
the door works.

- **whole**: behaves as the manual says, as far as there is something for it to act on.
- **part**: the common uses are there; the file of its handler says what is not.
- A call that is not in the list answers `ENOSYS`.

";

fn page() -> String {
    let count = |wanted| TABLE.iter().filter(|line| line.2 == wanted).count();
    let (whole, part) = (count(Support::Whole), count(Support::Part));
    let mut page = String::from(INTRODUCTION);
    writeln!(
        page,
        "{} calls: {whole} whole, {part} in part.\n",
        TABLE.len()
    )
    .unwrap();
    page.push_str("| number | call | there |\n|---|---|---|\n");
    for (number, name, support) in TABLE {
        let support = match support {
            Support::Whole => "whole",
            Support::Part => "part",
        };
        writeln!(page, "| {number} | `{name}` | {support} |").unwrap();
    }
    page
}

#[test]
fn the_page_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/linux-calls.md");
    if std::env::var_os("HELVE_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == page(),
        "docs/linux-calls.md is not what the table says: HELVE_WRITE_DOCS=1 cargo test -p linux --test status"
    );
}
