//! `cat-check`: copies standard input to standard output, then says on standard error how many bytes passed and their
//! FNV-1a checksum. Both streams can be compared with what the other side sent and got.

use std::io::{Read, Write};
use std::process::ExitCode;
use test_programs::pattern::Checksum;

fn main() -> ExitCode {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut buffer = vec![0; 65536];
    let (mut bytes, mut checksum) = (0u64, Checksum::default());
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => {
                eprintln!("cat-check: read: {error}");
                return ExitCode::FAILURE;
            }
        };
        checksum.add(&buffer[..n]);
        bytes += n as u64;
        if let Err(error) = output.write_all(&buffer[..n]).and_then(|()| output.flush()) {
            eprintln!("cat-check: write: {error}");
            return ExitCode::FAILURE;
        }
    }
    eprintln!("cat-check: {bytes} bytes, {:016x}", checksum.0);
    ExitCode::SUCCESS
}
