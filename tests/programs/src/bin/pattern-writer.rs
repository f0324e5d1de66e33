//! `pattern-writer N [SEED]`: writes N bytes of the seeded pattern to standard output.

use std::io::Write;
use std::process::ExitCode;
use test_programs::pattern;

fn main() -> ExitCode {
    let number = |n: usize| std::env::args().nth(n).and_then(|a| a.parse::<u64>().ok());
    let Some(total) = number(1) else {
        eprintln!("usage: pattern-writer BYTES [SEED]");
        return ExitCode::from(2);
    };
    let seed = number(2).unwrap_or(1);
    let mut output = std::io::stdout().lock();
    let mut buffer = vec![0; 65536];
    let mut offset = 0;
    while offset < total {
        let n = (total - offset).min(buffer.len() as u64);
        pattern::fill(seed, offset, &mut buffer[..n as usize]);
        if let Err(error) = output.write_all(&buffer[..n as usize]) {
            eprintln!("pattern-writer: {error} after {offset} bytes");
            return ExitCode::FAILURE;
        }
        offset += n;
    }
    if output.flush().is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
