//! Frames, the heap, page tables and copies.

use super::{CODE, DATA, READ_EXECUTE, READ_WRITE, space};
use crate::bare::frame::{self, Frame};
use crate::bare::paging::{Access, CopyFault, PageTable};
use crate::bare::{copy, heap, layout};
use crate::memory::{PAGE, USER_END};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub fn frames() {
    let before = frame::stats();
    let one = Frame::zeroed().expect("frames");
    let mut word = [1; 8];
    one.read(PAGE - 8, &mut word);
    assert_eq!(word, [0; 8]);
    let same = one.clone();
    assert!(!one.is_unique());
    drop(same);
    assert!(one.is_unique());
    let mut many: Vec<Frame> = (0..300).map(|_| Frame::dirty().expect("frames")).collect();
    for (index, frame) in many.iter().enumerate() {
        frame.write(0, &(index as u64).to_le_bytes());
    }
    for (index, frame) in many.iter().enumerate() {
        frame.read(0, &mut word);
        assert_eq!(u64::from_le_bytes(word), index as u64);
    }
    many.swap(3, 200);
    drop((many, one));
    assert_eq!(frame::stats().user, before.user);

    let row = frame::take_row(5).expect("frames");
    frame::give_row(row, 5);
}

pub fn heap() {
    let before = heap::stats();
    let mut kept: Vec<Box<[u8]>> = Vec::new();
    for size in (0..5000).step_by(37).chain([100_000, 1 << 20]) {
        let mut bytes = alloc::vec![size as u8; size].into_boxed_slice();
        if let Some(last) = bytes.last_mut() {
            *last = !(size as u8);
        }
        kept.push(bytes);
    }
    for bytes in &kept {
        if let Some((last, rest)) = bytes.split_last() {
            assert!(
                rest.iter().all(|byte| *byte == !last),
                "heap objects do not overlap"
            );
        }
    }
    #[repr(align(256))]
    struct Aligned([u8; 300]);
    let aligned = Box::new(Aligned([7; 300]));
    assert!((&raw const *aligned).addr().is_multiple_of(256) && aligned.0[299] == 7);
    assert!(heap::stats().used > before.used + (1 << 20));
    drop((kept, aligned));
    assert_eq!(heap::stats().used, before.used);
}

pub fn paging() {
    let mut table = space();
    assert_eq!(table.resident(), 3);
    assert_eq!(table.access(CODE), Some(READ_EXECUTE));
    assert!(table.access(CODE + PAGE).is_none());
    let kernel = frame::stats().kernel;
    let far = 0x1234_5678_9000;
    let frame = Frame::zeroed().expect("frames");
    assert!(
        table
            .map(far, frame, Access::empty())
            .expect("frames")
            .is_none()
    );
    assert_eq!(frame::stats().kernel, kernel + 3);
    assert_eq!(table.access(far), Some(Access::empty()));
    assert!(table.root().copy_in(far, &mut [0]).is_err());
    table
        .move_pages(far..far + PAGE, DATA + 3 * PAGE)
        .expect("frames");
    assert_eq!(frame::stats().kernel, kernel);
    table.protect(DATA + 3 * PAGE..DATA + 4 * PAGE, READ_WRITE);
    assert_eq!(table.access(DATA + 3 * PAGE), Some(Access::READ));
    table.set_access(DATA + 3 * PAGE, READ_WRITE);
    let (frame, access) = table.take(DATA + 3 * PAGE).expect("it is there");
    assert!(frame.is_unique() && access == READ_WRITE);
    let old = table.map(DATA, frame, READ_WRITE).expect("frames");
    assert!(old.is_some_and(|old| old.is_unique()));
    // Many pages in one go: more than are forgotten one by one, over two tables.
    let many = 0x10_0000_0000 - 300 * PAGE..0x10_0000_0000 + 300 * PAGE;
    for page in many.clone().step_by(PAGE) {
        table
            .map(page, Frame::dirty().expect("frames"), READ_WRITE)
            .expect("frames");
    }
    table.root().store_u32(many.start, 1).expect("it is there");
    let user = frame::stats().user;
    table.unmap(many.start + PAGE..many.end - PAGE);
    assert_eq!(frame::stats().user, user - 598);
    assert!(table.root().load_u32(many.start + PAGE).is_err());
    table.unmap(0..USER_END);
    assert_eq!(table.resident(), 0);
    let root = table.root();
    drop(table);
    assert!(root.copy_in(DATA, &mut [0]).is_err());
}

/// Random operations on a page table and on an ordered map, which must agree.
pub fn paging_model() {
    const STEPS: usize = 1500;
    let mut state = 0x1234_5678_9abc_def0_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    // Pages near the borders of tables of each level, and the very first and last.
    let pages: Vec<usize> = [
        0,
        1 << 21,
        1 << 30,
        1 << 39,
        3 << 39 | 5 << 30,
        USER_END - 9 * PAGE,
    ]
    .into_iter()
    .flat_map(|base: usize| (0..9).map(move |page| base.saturating_sub(4 * PAGE) + page * PAGE))
    .collect();
    // Frames of the kernel that are not the heap's.
    let tables = || frame::stats().kernel - heap::stats().slabs - heap::stats().large;
    let before = (tables(), frame::stats().user);
    let mut table = PageTable::new().expect("frames");
    let mut model: BTreeMap<usize, (usize, Access)> = BTreeMap::new();
    for step in 0..STEPS {
        let (one, other) = (pages[random(pages.len())], pages[random(pages.len())]);
        let range = one.min(other)..one.max(other);
        let access = Access::from_bits_truncate(random(8) as u8);
        match random(if step > STEPS - 100 { 8 } else { 30 }) {
            0 => {
                table.unmap(range.clone());
                model.retain(|page, _| !range.contains(page));
            }
            1 => {
                table.protect(range.clone(), access);
                for (_, (_, old)) in model.range_mut(range) {
                    let write = access & *old & Access::WRITE;
                    *old = access.difference(Access::WRITE) | write;
                }
            }
            2 => {
                let taken = table
                    .take(one)
                    .map(|(frame, access)| (frame.number(), access));
                assert_eq!(taken, model.remove(&one));
            }
            3 => {
                let mut child = PageTable::new().expect("frames");
                table
                    .share_into(&mut child, range.clone(), true)
                    .expect("frames");
                let mut shared = 0;
                for (page, (number, old)) in model.range_mut(range) {
                    *old -= Access::WRITE;
                    let (frame, access) = child.get(*page).expect("it is shared");
                    assert_eq!((frame.number(), access), (*number, *old));
                    shared += 1;
                }
                assert_eq!(child.resident(), shared);
            }
            4 => {
                table.set_access(one, access);
                model.entry(one).and_modify(|(_, old)| *old = access);
            }
            _ => {
                let frame = Frame::dirty().expect("frames");
                let number = frame.number();
                let old = table.map(one, frame, access).expect("frames");
                let old_model = model.insert(one, (number, access));
                assert_eq!(
                    old.map(|frame| frame.number()),
                    old_model.map(|(number, _)| number)
                );
            }
        }
        assert_eq!(table.resident(), model.len());
        let found = table
            .get(other)
            .map(|(frame, access)| (frame.number(), access));
        assert_eq!(found, model.get(&other).copied());
    }
    table.unmap(0..USER_END);
    // The top-level table alone is left.
    assert_eq!((tables(), frame::stats().user), (before.0 + 1, before.1));
}

fn fault(done: usize, address: usize, write: bool) -> Result<(), CopyFault> {
    Err(CopyFault {
        done,
        address,
        write,
    })
}

/// With moves of words, and with string instructions.
pub fn copies() {
    let chosen = copy::set_threshold(usize::MAX);
    copies_this_way();
    copy::set_threshold(0);
    copies_this_way();
    frames();
    heap();
    copy::set_threshold(chosen);
}

fn copies_this_way() {
    let table = space();
    let root = table.root();
    let text: Vec<u8> = (0..2 * PAGE)
        .map(|index| (index.wrapping_mul(7)) as u8)
        .collect();
    let mut back = alloc::vec![0; 2 * PAGE];
    let end = DATA + 2 * PAGE;
    for (start, len) in [
        (0, 2 * PAGE),
        (1, 77),
        (PAGE - 3, 8),
        (PAGE - 40, 100),
        (5, 0),
    ] {
        root.zero_out(DATA, 2 * PAGE).expect("it is there");
        root.copy_out(DATA + start, &text[..len])
            .expect("it is there");
        root.copy_in(DATA + start, &mut back[..len])
            .expect("it is there");
        assert_eq!(text[..len], back[..len]);
        root.copy_in(DATA, &mut back).expect("it is there");
        let zeros = back[..start].iter().chain(&back[start + len..]);
        assert!(
            zeros.copied().all(|byte| byte == 0),
            "nothing else was written"
        );
    }
    for over in [1, 7, 8, 31, 32, 33, 64, 100] {
        for len in [over, over + 1, over + 8, over + 32, over + 45] {
            let len = len.max(over);
            let at = end - over;
            let want = if len == over {
                Ok(())
            } else {
                fault(over, end, true)
            };
            assert_eq!(root.copy_out(at, &text[..len]), want);
            assert_eq!(root.zero_out(at, len), want);
            let want = if len == over {
                Ok(())
            } else {
                fault(over, end, false)
            };
            assert_eq!(root.copy_in(at, &mut back[..len]), want);
        }
    }
    assert_eq!(root.copy_out(CODE, &[1]), fault(0, CODE, true));
    for bad in [
        0,
        0x1000,
        USER_END,
        1 << 47,
        layout::DIRECT,
        layout::KERNEL,
        usize::MAX,
    ] {
        assert_eq!(root.copy_in(bad, &mut [0; 3]), fault(0, bad, false));
        assert_eq!(root.copy_out(bad, &[0; 3]), fault(0, bad, true));
        assert_eq!(root.zero_out(bad, 3), fault(0, bad, true));
        assert!(root.load_u32(bad & !7).is_err() && root.store_u64(bad & !7, 1).is_err());
    }
    let frame = Frame::dirty().expect("frames");
    root.copy_out(DATA, &text[..PAGE]).expect("it is there");
    root.copy_in_frame(DATA + 100, &frame, 50, 1000)
        .expect("it is there");
    root.copy_out_frame(DATA + PAGE, &frame, 50, 1000)
        .expect("it is there");
    root.copy_in(DATA + PAGE, &mut back[..1000])
        .expect("it is there");
    assert_eq!(back[..1000], text[100..1100]);
}

pub fn words() {
    let table = space();
    let root = table.root();
    root.store_u32(DATA + 8, 5).expect("it is there");
    assert_eq!(root.compare_exchange_u32(DATA + 8, 5, 6), Ok(Ok(5)));
    assert_eq!(root.compare_exchange_u32(DATA + 8, 5, 7), Ok(Err(6)));
    assert_eq!(root.update_u32(DATA + 8, |word| word + 1), Ok(6));
    assert_eq!(root.load_u64(DATA + 8), Ok(7));
    root.store_u64(DATA + 8, 1 << 40).expect("it is there");
    assert_eq!(root.load_u32(DATA + 12), Ok(1 << 8));
    assert!(root.load_u32(DATA + 2).is_err() && root.load_u64(DATA + 4).is_err());
    assert!(root.compare_exchange_u32(CODE, 0, 1).is_err());
}

pub fn copy_on_write() {
    let mut parent = space();
    parent.root().copy_out(DATA, b"hello").expect("it is there");
    let mut child = PageTable::new().expect("frames");
    parent
        .share_into(&mut child, 0..USER_END, true)
        .expect("frames");
    assert_eq!(child.resident(), parent.resident());
    assert!(parent.root().copy_out(DATA, b"x").is_err());
    assert!(!parent.make_writable_if_unique(DATA));
    let (old, _) = parent.get(DATA).expect("it is there");
    let copy = Frame::dirty().expect("frames");
    copy.copy_from(&old);
    drop(parent.map(DATA, copy, READ_WRITE));
    drop(old);
    parent
        .root()
        .copy_out(DATA, b"world")
        .expect("it is writable");
    let mut seen = [0; 5];
    child.root().copy_in(DATA, &mut seen).expect("it is there");
    assert_eq!(&seen, b"hello");
    assert!(child.make_writable_if_unique(DATA));
    child
        .root()
        .copy_out(DATA, b"child")
        .expect("it is writable");
    parent.root().copy_in(DATA, &mut seen).expect("it is there");
    assert_eq!(&seen, b"world");
}
