//! The start block, and the memory functions against what they should do. The test program itself runs on them.

use super::*;
use core::ffi::c_void;

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
    // SAFETY: it is laid out as a starting program's stack.
    assert_eq!(unsafe { start_block(stack.as_ptr()) }, Some(block));
    let stack = [0, 0, 0, 6, 4096, 0, 0];
    // SAFETY: as above.
    assert_eq!(unsafe { start_block(stack.as_ptr()) }, None);
}

#[test]
fn another_kernel_answers_no_such_call() {
    assert_eq!(close(Number(5)), Err(Error::NoCall));
}

unsafe extern "C" {
    fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
    fn memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
    fn memset(to: *mut c_void, byte: i32, count: usize) -> *mut c_void;
    fn memcmp(one: *const c_void, other: *const c_void, count: usize) -> i32;
    fn strlen(text: *const u8) -> usize;
}

const SIZE: usize = 160;

fn numbered() -> [u8; SIZE] {
    core::array::from_fn(|place| (place * 7 + 13) as u8)
}

#[test]
fn copies_of_every_length_and_place() {
    for count in 0..100 {
        for (from, to) in [
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
        ] {
            let before = numbered();
            let mut expected = before;
            (0..count).for_each(|place| expected[to + place] = before[from + place]);
            let mut moved = before;
            let place = moved.as_mut_ptr();
            // SAFETY: both ranges lie in the array; `memmove` lets them overlap.
            let answer = unsafe { memmove(place.add(to).cast(), place.add(from).cast(), count) };
            assert_eq!(answer, place.wrapping_add(to).cast());
            assert!(
                moved.iter().eq(&expected),
                "memmove of {count} from {from} to {to}"
            );
            let mut copied = before;
            // SAFETY: both ranges lie in different arrays.
            unsafe {
                memcpy(
                    copied.as_mut_ptr().add(to).cast(),
                    before.as_ptr().add(from).cast(),
                    count,
                )
            };
            assert!(
                copied.iter().eq(&expected),
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
            // SAFETY: the range lies in the array.
            unsafe { memset(bytes.as_mut_ptr().add(start).cast(), 0x1a5, count) };
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
        let same = numbered();
        // SAFETY: as long as the arrays.
        let order = unsafe { memcmp(one.as_ptr().cast(), same.as_ptr().cast(), count) };
        assert_eq!(order, 0);
        for place in 0..count {
            for byte in [0, 1, 127, 128, 255] {
                let mut other = one;
                other[place] = byte;
                // SAFETY: as long as the arrays.
                let order = unsafe { memcmp(one.as_ptr().cast(), other.as_ptr().cast(), count) };
                assert_eq!(order.signum(), one[place].cmp(&byte) as i32);
            }
        }
    }
}

#[test]
fn lengths_of_strings() {
    for (text, length) in [(c"", 0), (c"a", 1), (c"twelve chars", 12)] {
        // SAFETY: it ends with a zero byte.
        assert_eq!(unsafe { strlen(text.as_ptr().cast()) }, length);
    }
}
