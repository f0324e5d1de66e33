//! `free`: how memory is used.

use crate::options::Options;
use crate::{Misuse, failed, table};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use helve::system::{Memory, memory};

pub fn run(arguments: &[String]) -> Result<u8, Misuse> {
    let options = Options::new(arguments, "bkm")?;
    options.no_operands()?;
    let shift = match (options.has('b'), options.has('m')) {
        (true, _) => 0,
        (_, true) => 20,
        _ => 10,
    };
    match memory() {
        Ok(memory) => helve::print!("{}", shown(memory, shift)),
        Err(error) => return Ok(failed("free", "memory", error)),
    }
    Ok(0)
}

fn shown(memory: Memory, shift: u32) -> String {
    let head = ["", "total", "used", "free", "kernel", "user"].map(String::from);
    let used = memory.total.saturating_sub(memory.free);
    let numbers = [memory.total, used, memory.free, memory.kernel, memory.user]
        .map(|bytes| format!("{}", bytes >> shift));
    let mut row = vec![String::from("memory:")];
    row.extend(numbers);
    table::align(&[head.into(), row], &[1, 2, 3, 4, 5])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_columns() {
        let memory = Memory {
            total: 100 << 20,
            free: 75 << 20,
            kernel: 5 << 20,
            user: 20 << 20,
        };
        assert_eq!(
            shown(memory, 20),
            "        total used free kernel user\nmemory:   100   25   75      5   20\n"
        );
    }
}
