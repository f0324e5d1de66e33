//! What a native program starts with: the start block and the stack it lies on.

use abi::{AUXILIARY, Error, Number, field};
use alloc::string::String;
use alloc::vec::Vec;
use value::{Element, Value};

/// The largest start block, in bytes: the stack is eight times as large.
const LARGEST: usize = 1 << 20;

/// Arguments, environment, directory, and the numbers of the handles in the new process's table.
pub fn build(
    arguments: &[Vec<u8>],
    environment: &[(String, Vec<u8>)],
    directory: &str,
    handles: &[(String, Number)],
) -> Result<Value, Error> {
    let block = Value::build(|builder| {
        builder.array(field::ARGUMENTS, |list| {
            for argument in arguments {
                list.push(Element::text_or_bytes(argument));
            }
        });
        builder.document(field::ENVIRONMENT, |list| {
            for (name, content) in environment {
                list.put(name, Element::text_or_bytes(content));
            }
        });
        builder.document(field::HANDLES, |list| {
            for (name, number) in handles {
                list.put(name, number.0 as i32);
            }
        });
        builder.put(field::DIRECTORY, directory);
    })?;
    if block.as_bytes().len() > LARGEST {
        Err(Error::ArgumentsTooLong)
    } else {
        Ok(block)
    }
}

/// The stack of a starting program below `top`: no arguments and no environment in the form of Linux, an auxiliary
/// vector with one entry, and the block that it leads to. Gives the stack pointer and the bytes from there on.
pub fn stack(top: usize, block: &Value) -> (usize, Vec<u8>) {
    let block = block.as_bytes();
    let block_at = (top - block.len()) & !15;
    let words = [0, 0, 0, AUXILIARY, block_at as u64, 0, 0];
    let pointer = (block_at - words.len() * 8) & !15;
    let mut bytes: Vec<u8> = words
        .iter()
        .flat_map(|word: &u64| word.to_le_bytes())
        .collect();
    bytes.resize(block_at - pointer, 0);
    bytes.extend_from_slice(block);
    (pointer, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auxiliary_vector_leads_to_the_block() {
        for size in 0..40 {
            let block = Value::build(|builder| {
                builder.put("x", &*"y".repeat(size));
            })
            .unwrap();
            let (pointer, bytes) = stack(0x7000_0000, &block);
            assert_eq!(pointer % 16, 0);
            assert!(pointer + bytes.len() <= 0x7000_0000);
            let word =
                |place: usize| u64::from_le_bytes(bytes[place * 8..][..8].try_into().unwrap());
            assert_eq!([word(0), word(1), word(2), word(3)], [0, 0, 0, AUXILIARY]);
            let at = word(4) as usize - pointer;
            assert_eq!(&bytes[at..at + block.as_bytes().len()], block.as_bytes());
            assert_eq!(word(5), 0);
        }
    }
}
