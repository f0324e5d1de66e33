//! `/etc/ld.so.cache`: which libraries are where. Only the newer of its two formats is read, which may stand behind the
//! older one.
//!
//! Source: glibc, `sysdeps/generic/dl-cache.h`.

use std::collections::BTreeMap;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Size of what stands before the entries, and of an entry.
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// An ELF library for the C library 6, and for x86-64.
const KIND: u32 = 0x303;

/// Paths by name, in the order of the file.
#[derive(Debug, Default)]
pub struct Cache(BTreeMap<String, Vec<String>>);

impl Cache {
    /// Reads as much as makes sense: a damaged list is a shorter one.
    pub fn parse(bytes: &[u8]) -> Cache {
        let mut cache = Cache::default();
        let start = bytes.windows(MAGIC.len()).position(|part| part == MAGIC);
        let Some(bytes) = start.and_then(|start| bytes.get(start..)) else {
            return cache;
        };
        let word = |at: usize| {
            let word = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(word))
        };
        let string = |at: u32| {
            let rest = bytes.get(at as usize..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            String::from_utf8(rest[..end].to_vec()).ok()
        };
        let count = word(MAGIC.len()).unwrap_or_default() as usize;
        let entries = bytes.get(HEADER..).unwrap_or_default().len() / ENTRY;
        for index in 0..count.min(entries) {
            let at = HEADER + index * ENTRY;
            let entry = || Some((word(at)?, string(word(at + 4)?)?, string(word(at + 8)?)?));
            if let Some((KIND, name, path)) = entry()
                && path.starts_with('/')
            {
                cache.0.entry(name).or_default().push(path);
            }
        }
        cache
    }

    /// Where the library of this name is: several if there are variants for processors.
    pub fn paths(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(u32, &str, &str)]) -> Vec<u8> {
        let mut bytes = b"ld.so-1.7.0\0\0\0\0\0".to_vec();
        bytes.extend(MAGIC);
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.resize(16 + HEADER, 0);
        let mut strings = Vec::new();
        let start = HEADER + entries.len() * ENTRY;
        for (kind, name, path) in entries {
            bytes.extend(kind.to_le_bytes());
            for text in [name, path] {
                bytes.extend(((start + strings.len()) as u32).to_le_bytes());
                strings.extend(text.as_bytes());
                strings.push(0);
            }
            bytes.extend([0; 12]);
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn entries_of_this_machine_by_name() {
        let bytes = file(&[
            (KIND, "liba.so.1", "/lib/v3/liba.so.1"),
            (KIND, "liba.so.1", "/lib/liba.so.1"),
            (3, "libb.so.1", "/lib32/libb.so.1"),
            (KIND, "libc.so.6", "relative"),
        ]);
        let cache = Cache::parse(&bytes);
        let paths: Vec<_> = cache.paths("liba.so.1").collect();
        assert_eq!(paths, ["/lib/v3/liba.so.1", "/lib/liba.so.1"]);
        assert_eq!(cache.0.len(), 1);
    }

    #[test]
    fn every_cut_is_an_answer() {
        let bytes = file(&[(KIND, "a", "/a"), (KIND, "b", "/b")]);
        for length in 0..bytes.len() {
            assert!(Cache::parse(&bytes[..length]).0.len() < 2, "{length}");
        }
        assert_eq!(Cache::parse(&bytes).0.len(), 2);
    }
}
