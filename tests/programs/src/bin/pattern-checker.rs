//! `pattern-checker N [SEED]`: reads standard input to its end and expects exactly N bytes of the seeded pattern. Says
//! what it found on standard output; status 1 if it was anything else.

use std::io::Read;
use std::process::ExitCode;
use test_programs::pattern;

fn main() -> ExitCode {
    let number = |n: usize| std::env::args().nth(n).and_then(|a| a.parse::<u64>().ok());
    let Some(total) = number(1) else {
        eprintln!("usage: pattern-checker BYTES [SEED]");
        return ExitCode::from(2);
    };
    let seed = number(2).unwrap_or(1);
    let mut input = std::io::stdin().lock();
    let mut buffer = vec![0; 65536];
    let mut offset = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                if let Some(at) = pattern::mismatch(seed, offset, &buffer[..n]) {
                    println!("pattern-checker: wrong byte at {at}");
                    return ExitCode::FAILURE;
                }
                offset += n as u64;
            }
            Err(error) => {
                println!("pattern-checker: {error} at {offset}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("pattern-checker: {offset} bytes of {total}");
    if offset == total {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
