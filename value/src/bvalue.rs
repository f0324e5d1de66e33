//! Lists and bytes in an arena: large data beside the documents, which is read where it lies.
//!
//! A bvalue is *data* (bytes) or a *list* of bvalues, some of which may be missing. It is what Civboot calls bdata and
//! blist. A tree of them lies in one arena, a run of bytes that may be mapped anywhere: pointers are offsets into it, so
//! whoever is handed the arena reads it without unpacking anything.
//!
//! | a node | bytes |
//! |---|---|
//! | data | length (4 bytes, bit 31 clear), then the bytes, then zeros to a multiple of 4 |
//! | list | length (4 bytes, bit 31 set), then as many pointers of 4 bytes |
//!
//! Numbers are little endian. A pointer is the offset of a node, a multiple of 4, and [`NULL`] is none.
//!
//! The one idea: what a list points to lies *before* it. So no tree has a cycle, whatever its bytes say, and each step down
//! is checked by itself: it stays in the arena, and gets closer to its beginning. Nothing has to be checked as a whole
//! before it is read.

use crate::error::Error;
use alloc::vec::Vec;

/// The pointer to nothing.
pub const NULL: u32 = u32::MAX;

/// In the length of a list.
const LIST: u32 = 1 << 31;
/// Bytes of a length, and of a pointer.
const WORD: usize = 4;

/// One node: data or a list, borrowed from its arena. Copying it copies the borrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bvalue<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// A list.
    List(Blist<'a>),
}

impl<'a> Bvalue<'a> {
    /// The node at offset `root` of an arena. O(1), no allocation.
    ///
    /// # Errors
    /// [`Error::Truncated`] when it does not lie in the arena as a whole, [`Error::BadLength`] for an offset that is no
    /// multiple of 4.
    pub fn at(arena: &'a [u8], root: u32) -> Result<Bvalue<'a>, Error> {
        let start = root as usize;
        if !start.is_multiple_of(WORD) {
            return Err(Error::BadLength);
        }
        let rest = arena.get(start..).ok_or(Error::Truncated)?;
        let (front, rest) = rest.split_first_chunk().ok_or(Error::Truncated)?;
        let word = u32::from_le_bytes(*front);
        let length = (word & !LIST) as usize;
        if word & LIST == 0 {
            return rest.get(..length).map(Bvalue::Data).ok_or(Error::Truncated);
        }
        let bytes = length.checked_mul(WORD).ok_or(Error::Truncated)?;
        let pointers = rest.get(..bytes).ok_or(Error::Truncated)?;
        // What it points to lies before it.
        let before = arena.get(..start).ok_or(Error::Truncated)?;
        Ok(Bvalue::List(Blist { before, pointers }))
    }

    /// The bytes of data.
    pub const fn data(&self) -> Option<&'a [u8]> {
        match *self {
            Bvalue::Data(bytes) => Some(bytes),
            Bvalue::List(_) => None,
        }
    }

    /// The list.
    pub const fn list(&self) -> Option<Blist<'a>> {
        match *self {
            Bvalue::Data(_) => None,
            Bvalue::List(list) => Some(list),
        }
    }
}

/// A list of bvalues.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Blist<'a> {
    before: &'a [u8],
    pointers: &'a [u8],
}

impl core::fmt::Debug for Blist<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Blist<'a> {
    /// How many items it has, those that are missing counted.
    pub const fn len(&self) -> usize {
        self.pointers.len() / WORD
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }

    /// The item at this place; `None` if it is missing, or there is no such place. O(1).
    ///
    /// # Errors
    /// As [`Bvalue::at`]: a pointer that leads out of the arena, or not to before the list.
    pub fn get(&self, place: usize) -> Result<Option<Bvalue<'a>>, Error> {
        let (pointers, _) = self.pointers.as_chunks();
        pointers.get(place).map_or(Ok(None), |it| self.follow(it))
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Option<Bvalue<'a>>, Error>> + use<'a> {
        let list = *self;
        let (pointers, _) = self.pointers.as_chunks();
        pointers.iter().map(move |pointer| list.follow(pointer))
    }

    fn follow(&self, pointer: &[u8; WORD]) -> Result<Option<Bvalue<'a>>, Error> {
        match u32::from_le_bytes(*pointer) {
            NULL => Ok(None),
            offset => Bvalue::at(self.before, offset).map(Some),
        }
    }
}

/// Where a tree is written: something that bytes can be put into one after another.
pub trait Room {
    /// Puts bytes at the end. `false`: there is no room for all of them, and nothing was put.
    fn put(&mut self, bytes: &[u8]) -> bool;
    /// How many bytes there are already.
    fn used(&self) -> usize;
}

impl Room for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> bool {
        if self.try_reserve(bytes.len()).is_err() {
            return false;
        }
        self.extend_from_slice(bytes);
        true
    }

    fn used(&self) -> usize {
        self.len()
    }
}

/// The front of a slice that is being filled: an arena.
#[derive(Debug)]
pub struct Filling<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl<'a> Filling<'a> {
    /// Fills `bytes` from their beginning.
    pub fn new(bytes: &'a mut [u8]) -> Filling<'a> {
        Filling { bytes, used: 0 }
    }
}

impl Room for Filling<'_> {
    fn put(&mut self, bytes: &[u8]) -> bool {
        let rest = self.bytes.get_mut(self.used..).unwrap_or_default();
        let Some(place) = rest.get_mut(..bytes.len()) else {
            return false;
        };
        place.copy_from_slice(bytes);
        self.used += bytes.len();
        true
    }

    fn used(&self) -> usize {
        self.used
    }
}

/// Appends data; its offset, for lists that come after it.
///
/// # Errors
/// [`Error::TooLarge`] without room, beyond 2³¹ − 1 bytes, or at an offset beyond 2³² − 1.
pub fn put_data(room: &mut impl Room, bytes: &[u8]) -> Result<u32, Error> {
    let length = u32::try_from(bytes.len()).ok();
    let length = length.filter(|length| length & LIST == 0);
    let at = begin(room, length.ok_or(Error::TooLarge)?)?;
    let gap = bytes.len().next_multiple_of(WORD) - bytes.len();
    let zeros = [0; WORD];
    let whole = room.put(bytes) && room.put(zeros.get(..gap).unwrap_or_default());
    whole.then_some(at).ok_or(Error::TooLarge)
}

/// Appends a list of what was put before, by its offsets, or [`NULL`].
///
/// # Errors
/// As [`put_data`]; [`Error::BadLength`] for an offset that does not lie before the list.
pub fn put_list(room: &mut impl Room, items: &[u32]) -> Result<u32, Error> {
    let length = u32::try_from(items.len()).ok();
    let length = length.filter(|length| length & LIST == 0);
    let length = length.ok_or(Error::TooLarge)?;
    let before = |item: &u32| *item == NULL || (*item as usize) < room.used();
    if !items.iter().all(before) {
        return Err(Error::BadLength);
    }
    let at = begin(room, length | LIST)?;
    let whole = items.iter().all(|item| room.put(&item.to_le_bytes()));
    whole.then_some(at).ok_or(Error::TooLarge)
}

fn begin(room: &mut impl Room, word: u32) -> Result<u32, Error> {
    let at = u32::try_from(room.used()).ok();
    let at = at.filter(|at| *at != NULL).ok_or(Error::TooLarge)?;
    let put = room.put(&word.to_le_bytes());
    put.then_some(at).ok_or(Error::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Tree {
        Data(Vec<u8>),
        List(Vec<Option<Tree>>),
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let data = prop::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Data);
        data.prop_recursive(5, 40, 5, |inner| {
            prop::collection::vec(prop::option::of(inner), 0..5).prop_map(Tree::List)
        })
    }

    fn write(room: &mut impl Room, tree: &Tree) -> Result<u32, Error> {
        match tree {
            Tree::Data(bytes) => put_data(room, bytes),
            Tree::List(items) => {
                let mut offsets = Vec::new();
                for item in items {
                    offsets.push(match item {
                        Some(item) => write(room, item)?,
                        None => NULL,
                    });
                }
                put_list(room, &offsets)
            }
        }
    }

    fn read(value: Bvalue<'_>) -> Tree {
        match value {
            Bvalue::Data(bytes) => Tree::Data(bytes.into()),
            Bvalue::List(list) => {
                assert_eq!(list.iter().count(), list.len());
                Tree::List(list.iter().map(|item| item.unwrap().map(read)).collect())
            }
        }
    }

    /// Walks everything that can be reached, at most `budget` nodes; how many there were.
    fn walk(value: Bvalue<'_>, budget: &mut usize) {
        if let (Some(list), Some(rest)) = (value.list(), budget.checked_sub(1)) {
            *budget = rest;
            for item in list.iter().flatten().flatten() {
                walk(item, budget);
            }
        }
    }

    #[test]
    fn pointers_stay_in_the_arena() {
        let mut arena = Vec::new();
        let data = put_data(&mut arena, b"abcde").unwrap();
        let list = put_list(&mut arena, &[data, NULL, data]).unwrap();
        assert_eq!((data, list, arena.len()), (0, 12, 28));
        let read = Bvalue::at(&arena, list).unwrap().list().unwrap();
        assert_eq!(read.get(0), Ok(Some(Bvalue::Data(b"abcde"))));
        assert_eq!((read.get(1), read.get(3)), (Ok(None), Ok(None)));
        // To itself, behind itself, outside, crooked.
        for (pointer, error) in [
            (12u32, Error::Truncated),
            (16, Error::Truncated),
            (1 << 20, Error::Truncated),
            (2, Error::BadLength),
        ] {
            arena[16..20].copy_from_slice(&pointer.to_le_bytes());
            let read = Bvalue::at(&arena, list).unwrap().list().unwrap();
            assert_eq!(read.get(0), Err(error), "{pointer}");
        }
        assert_eq!(put_list(&mut arena, &[28]), Err(Error::BadLength));
        for offset in [28, 1, NULL] {
            assert!(Bvalue::at(&arena, offset).is_err());
        }
        // A length that reaches over the end.
        arena[12..16].copy_from_slice(&(LIST | 4).to_le_bytes());
        assert_eq!(Bvalue::at(&arena, list), Err(Error::Truncated));
        arena[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Bvalue::at(&arena, list), Err(Error::Truncated));
    }

    proptest! {
        #[test]
        fn trees_survive_and_fill_no_more_than_there_is(tree in tree(), room in 0usize..400) {
            let mut arena = Vec::new();
            let root = write(&mut arena, &tree).unwrap();
            prop_assert_eq!(read(Bvalue::at(&arena, root).unwrap()), tree.clone());
            let mut bytes = vec![0; room];
            match write(&mut Filling::new(&mut bytes), &tree) {
                Ok(root) => prop_assert_eq!(read(Bvalue::at(&bytes, root).unwrap()), tree),
                Err(error) => {
                    prop_assert_eq!(error, Error::TooLarge);
                    prop_assert!(room < arena.len());
                }
            }
        }

        #[test]
        fn nonsense_is_read_without_harm(words in prop::collection::vec(0u32..80, 0..60), marks in any::<u64>(), root in 0u32..300) {
            let bytes: Vec<u8> = words
                .iter()
                .enumerate()
                .flat_map(|(place, word)| {
                    let mark = (marks >> (place % 64) & 1) as u32 * LIST;
                    ((word % 20 * 4) | (mark >> (place % 2))).to_le_bytes()
                })
                .collect();
            if let Ok(value) = Bvalue::at(&bytes, root) {
                walk(value, &mut 10_000);
            }
        }
    }
}
