//! `unknown-calls N...`: makes calls of these numbers, which no kernel has. Ends with status 1 if one is not `ENOSYS`.

use std::process::exit;
use test_programs::raw;

fn main() {
    let numbers = std::env::args().skip(1).map(|number| number.parse());
    for number in numbers {
        if number.map(|number| raw::call(number, &[])) != Ok(Err(libc::ENOSYS)) {
            exit(1);
        }
    }
}
