//! The start block, and the memory functions against what they should do. The test program itself runs on them.

use super::*;

#[test]
fn the_start_block_is_found_behind_the_environment() {
    let block = Document::EMPTY.as_bytes();
    let stack = [
        2,
        77,
        78,
        0,
        79,
        0,
        6,
        4096,
        abi::AUXILIARY,
        block.as_ptr() as u64,
        0,
        0,
    ];
    assert_eq!(start_block_in(&stack), Some(block));
    assert_eq!(start_block_in(&[0, 0, 0, 6, 4096, 0, 0]), None);
}

#[test]
fn another_kernel_answers_no_such_call() {
    assert_eq!(close(Number(5)), Err(Error::NoCall));
}

const SIZE: usize = 160;

fn numbered() -> [u8; SIZE] {
    core::array::from_fn(|place| (place * 7 + 13) as u8)
}

#[test]
fn copies_of_every_length_and_place() {
    let places = [
        (0, 0),
        (0, 1),
        (1, 0),
        (3, 8),
        (8, 3),
        (0, 40),
        (40, 0),
        (7, 55),
        (55, 7),
        (9, 41),
    ];
    for count in 0..100 {
        for (from, to) in places {
            let before = numbered();
            let mut expected = before;
            (0..count).for_each(|place| expected[to + place] = before[from + place]);
            let mut bytes = before;
            memory::moved(&mut bytes, from, to, count);
            assert!(
                bytes.iter().eq(&expected),
                "memmove of {count} from {from} to {to}"
            );
            bytes = before;
            memory::copied(&mut bytes[to..to + count], &before[from..from + count]);
            assert!(
                bytes.iter().eq(&expected),
                "memcpy of {count} from {from} to {to}"
            );
        }
    }
}

#[test]
fn fills_of_every_length() {
    for count in 0..100 {
        for start in 0..9 {
            let mut bytes = numbered();
            memory::filled(&mut bytes[start..start + count], 0x1a5);
            for (place, byte) in numbered().into_iter().enumerate() {
                let inside = (start..start + count).contains(&place);
                assert_eq!(bytes[place], if inside { 0xa5 } else { byte });
            }
        }
    }
}

#[test]
fn comparisons_see_every_place() {
    let one = numbered();
    for count in 0..100 {
        assert_eq!(memory::compared(&one[..count], &numbered()[..count]), 0);
        for place in 0..count {
            for byte in [0, 1, 127, 128, 255] {
                let mut other = one;
                other[place] = byte;
                let order = memory::compared(&one[..count], &other[..count]);
                assert_eq!(order.signum(), one[place].cmp(&byte) as i32);
            }
        }
    }
}

#[test]
fn lengths_of_strings() {
    assert_eq!([c"", c"a", c"twelve chars"].map(memory::length), [0, 1, 12]);
}
