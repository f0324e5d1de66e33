//! The model: files, pages and spaces as plain bytes.

use crate::{Access, Object};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use machine::PAGE;

#[derive(Clone)]
pub struct ModelFile {
    /// Whole pages, so that what mappings write behind the end is there too.
    pub bytes: Vec<u8>,
    pub len: usize,
}

impl ModelFile {
    pub fn pages(&self) -> usize {
        self.len.div_ceil(PAGE)
    }

    pub fn extend(&mut self, len: usize) {
        if len > self.len {
            let old = self.len;
            self.len = len;
            self.bytes.resize(self.pages() * PAGE, 0);
            self.bytes[old..].fill(0);
        }
    }
}

/// What a page is while nobody has written to it privately.
#[derive(Clone, Copy)]
pub enum Origin {
    Zeros,
    File {
        file: usize,
        page: usize,
        shared: bool,
    },
}

#[derive(Clone)]
pub struct ModelPage {
    pub access: Access,
    pub origin: Origin,
    /// What this space alone has written.
    pub own: Option<Box<[u8; PAGE]>>,
}

#[derive(Clone, Default)]
pub struct ModelSpace(pub BTreeMap<usize, ModelPage>);

impl ModelPage {
    /// The page that follows in the same mapping, untouched.
    pub fn next(&self) -> ModelPage {
        let origin = match self.origin {
            Origin::Zeros => Origin::Zeros,
            Origin::File { file, page, shared } => Origin::File {
                file,
                page: page + 1,
                shared,
            },
        };
        ModelPage {
            access: self.access,
            origin,
            own: None,
        }
    }

    pub fn bytes<'a>(&'a self, files: &'a [(Arc<Object>, ModelFile)]) -> &'a [u8] {
        match (&self.own, self.origin) {
            (Some(own), _) => &own[..],
            (None, Origin::Zeros) => &[0; PAGE],
            (None, Origin::File { file, page, .. }) => &files[file].1.bytes[page * PAGE..][..PAGE],
        }
    }

    pub fn bytes_mut<'a>(&'a mut self, files: &'a mut [(Arc<Object>, ModelFile)]) -> &'a mut [u8] {
        if let Origin::File {
            file,
            page,
            shared: true,
        } = self.origin
        {
            return &mut files[file].1.bytes[page * PAGE..][..PAGE];
        }
        let now: [u8; PAGE] = self.bytes(files).try_into().unwrap();
        &mut self.own.get_or_insert(Box::new(now))[..]
    }
}

impl ModelSpace {
    /// How many of `len` bytes at `at` can be accessed.
    pub fn reach(
        &self,
        files: &[(Arc<Object>, ModelFile)],
        at: usize,
        len: usize,
        access: Access,
    ) -> usize {
        let mut done = 0;
        while done < len {
            let at = at + done;
            let Some(page) = self.0.get(&(at / PAGE)) else {
                break;
            };
            let allowed = if access == Access::WRITE {
                page.access.contains(access)
            } else {
                !page.access.is_empty()
            };
            let there = match page.origin {
                Origin::File {
                    file, page: index, ..
                } => page.own.is_some() || index < files[file].1.pages(),
                Origin::Zeros => true,
            };
            if !allowed || !there {
                break;
            }
            done += (PAGE - at % PAGE).min(len - done);
        }
        done
    }
}
