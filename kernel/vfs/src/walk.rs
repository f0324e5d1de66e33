//! Path walk: from a path to the place it names.
//!
//! The one idea: walking to the *parent* of the last name is one loop for every operation. What happens with the last
//! name (it must be there, it must not, a link there is followed or not) is the operation's business, in
//! [`crate::view`] and its neighbours. Rules: path_resolution(7).
//!
//! A step that the dentry cache can answer allocates nothing, takes no lock and counts one reference.

use crate::credentials::Access;
use crate::dentry::Dentry;
use crate::metadata::FileKind;
use crate::mount::{Location, Mount};
use crate::names::Known;
use crate::view::View;
use abi::{Error, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of a name.
pub const NAME_MAX: usize = 255;
/// Bytes of a path, with the terminating zero that C programs count.
pub const PATH_MAX: usize = 4096;
/// Symbolic links followed on the way.
pub const LINKS_MAX: u32 = 40;

/// What the path ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// A name, not looked up yet.
    Name,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// Nothing: the path is `/`, or a link jumped.
    Here,
}

/// The target of a link that is being followed.
struct Frame {
    path: Vec<u8>,
    at: usize,
    /// Whether names remain below this frame.
    more: bool,
}

/// Something that is borrowed until the walk leaves it.
enum Held<'a, T> {
    Borrowed(&'a Arc<T>),
    Owned(Arc<T>),
}

impl<T> Held<'_, T> {
    #[inline]
    fn get(&self) -> &Arc<T> {
        match self {
            Held::Borrowed(shared) => shared,
            Held::Owned(owned) => owned,
        }
    }

    fn into_owned(self) -> Arc<T> {
        match self {
            Held::Borrowed(shared) => shared.clone(),
            Held::Owned(owned) => owned,
        }
    }
}

/// A walk on its way.
pub(crate) struct Walker<'a> {
    view: &'a View<'a>,
    mount: Held<'a, Mount>,
    dentry: Held<'a, Dentry>,
    path: &'a [u8],
    at: usize,
    frames: Vec<Frame>,
    links: u32,
    name: Range<usize>,
    slash: bool,
}

impl<'a> Walker<'a> {
    /// A walk along `path`. `NotFound` if it is empty.
    pub fn new(view: &'a View<'a>, path: &'a [u8]) -> Result<Walker<'a>, Error> {
        let first = *path.first().ok_or(Error::NotFound)?;
        if path.len() >= PATH_MAX {
            return Err(Error::NameTooLong);
        }
        let start = if first == b'/' { view.root } else { view.start };
        Ok(Walker {
            view,
            mount: Held::Borrowed(&start.mount),
            dentry: Held::Borrowed(&start.dentry),
            path,
            at: 0,
            frames: Vec::new(),
            links: 0,
            name: 0..0,
            slash: false,
        })
    }

    /// Walks to the directory of the last name and says what that name is. May be called again after [`Self::follow`].
    pub fn reach_last(&mut self) -> Result<Last, Error> {
        loop {
            let Some(name) = self.next_name() else {
                return Ok(Last::Here);
            };
            let last = self.nothing_more();
            self.name = name;
            self.check_search()?;
            match self.name() {
                b"." if last => return Ok(Last::Dot),
                b".." if last => return Ok(Last::DotDot),
                b"." => {}
                b".." => self.up(),
                _ if last => return Ok(Last::Name),
                _ => {
                    let child = self.child()?.ok_or(Error::NotFound)?;
                    if child.kind() == FileKind::Symlink {
                        self.follow(child)?;
                    } else {
                        self.enter(child);
                    }
                }
            }
        }
    }

    /// The last name, after [`Last::Name`].
    #[inline]
    pub fn name(&self) -> &[u8] {
        let path = self.frames.last().map_or(self.path, |frame| &frame.path);
        path.get(self.name.clone()).unwrap_or_default()
    }

    /// Whether slashes follow the last name.
    pub fn slash(&self) -> bool {
        self.slash
    }

    /// The directory that was reached.
    pub fn directory(&self) -> &Arc<Dentry> {
        self.dentry.get()
    }

    /// The mount through which the directory is seen.
    pub fn mount(&self) -> &Arc<Mount> {
        self.mount.get()
    }

    /// What the last name leads to; `None` if there is no such name. The directory has been checked.
    #[inline]
    pub fn child(&self) -> Result<Option<Arc<Dentry>>, Error> {
        look_up(self.mount.get(), self.dentry.get(), self.name())
    }

    /// Steps onto a child, or onto what is mounted there.
    #[inline]
    pub fn enter(&mut self, child: Arc<Dentry>) {
        if child.is_mounted_on() {
            self.place(
                Location {
                    mount: self.mount.get().clone(),
                    dentry: child,
                }
                .topmost(),
            );
        } else {
            self.dentry = Held::Owned(child);
        }
    }

    /// Goes on with the path of a symbolic link in the directory that was reached.
    pub fn follow(&mut self, link: Arc<Dentry>) -> Result<(), Error> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Error::Loop);
        }
        if let Some(there) = link.inode().jump()? {
            self.place(there);
            return Ok(());
        }
        let path = link.inode().read_link()?;
        match path.first() {
            None => return Err(Error::NotFound),
            Some(b'/') => {
                let root = self.view.root;
                self.mount = Held::Borrowed(&root.mount);
                self.dentry = Held::Borrowed(&root.dentry);
            }
            Some(_) => {}
        }
        if path.len() >= PATH_MAX {
            return Err(Error::NameTooLong);
        }
        let more = !self.nothing_more();
        if self
            .frames
            .last()
            .is_some_and(|frame| frame.at == frame.path.len())
        {
            self.frames.pop();
        }
        self.frames.push(Frame { path, at: 0, more });
        Ok(())
    }

    /// Steps up, not higher than the root of the view.
    pub fn up(&mut self) {
        let here = Location {
            mount: self.mount.get().clone(),
            dentry: self.dentry.get().clone(),
        };
        self.place(here.parent(self.view.root));
    }

    /// The place that was reached.
    pub fn here(self) -> Location {
        Location {
            mount: self.mount.into_owned(),
            dentry: self.dentry.into_owned(),
        }
    }

    fn place(&mut self, location: Location) {
        self.mount = Held::Owned(location.mount);
        self.dentry = Held::Owned(location.dentry);
    }

    /// `NotDirectory`, or `Denied` unless the caller may go through what was reached.
    #[inline]
    fn check_search(&self) -> Result<(), Error> {
        let dentry = self.dentry.get();
        if dentry.kind() != FileKind::Directory {
            return Err(Error::NotDirectory);
        }
        let mount = self.mount.get();
        mount.holds()?;
        if !mount.rights().contains(Rights::LIST) {
            return Err(Error::Denied);
        }
        let credentials = self.view.credentials;
        if credentials.uid == 0 {
            return Ok(());
        }
        credentials.check(dentry.inode().permissions(), Access::EXECUTE, true)
    }

    /// The next name of the path, and the slashes behind it.
    fn next_name(&mut self) -> Option<Range<usize>> {
        loop {
            let (path, at) = match self.frames.last_mut() {
                Some(frame) => (&frame.path[..], &mut frame.at),
                None => (self.path, &mut self.at),
            };
            let start = skip_slashes(path, *at);
            if start < path.len() {
                let end = name_end(path, start);
                *at = skip_slashes(path, end);
                if *at == path.len() && *at > end {
                    // Of a path inside a link these count only if nothing comes after the link, and then it is last.
                    self.slash |= self.frames.last().is_none_or(|frame| !frame.more);
                }
                return Some(start..end);
            }
            *at = path.len();
            self.frames.pop()?;
        }
    }

    /// Whether the name taken last is the last of all.
    #[inline]
    fn nothing_more(&self) -> bool {
        match self.frames.last() {
            Some(frame) => frame.at == frame.path.len() && !frame.more,
            None => self.at == self.path.len(),
        }
    }
}

#[inline]
fn skip_slashes(path: &[u8], mut at: usize) -> usize {
    while path.get(at) == Some(&b'/') {
        at += 1;
    }
    at
}

#[inline]
fn name_end(path: &[u8], start: usize) -> usize {
    let mut at = start;
    while path.get(at).is_some_and(|&byte| byte != b'/') {
        at += 1;
    }
    at
}

/// What `name` leads to in `directory`: from the cache, or from the inode, once.
#[inline]
pub(crate) fn look_up(
    mount: &Mount,
    directory: &Arc<Dentry>,
    name: &[u8],
) -> Result<Option<Arc<Dentry>>, Error> {
    match mount.volume().names.get(directory, name) {
        Known::Here(dentry) => Ok(Some(dentry)),
        Known::Missing => Ok(None),
        Known::Unknown => {
            check_length(directory, name)?;
            let _gate = directory.gate.lock();
            look_up_gated(mount, directory, name)
        }
    }
}

/// The same for a caller who holds the directory's gate.
#[inline(never)]
pub(crate) fn look_up_gated(
    mount: &Mount,
    directory: &Arc<Dentry>,
    name: &[u8],
) -> Result<Option<Arc<Dentry>>, Error> {
    check_length(directory, name)?;
    let names = &mount.volume().names;
    match names.get(directory, name) {
        Known::Here(dentry) => return Ok(Some(dentry)),
        Known::Missing => return Ok(None),
        Known::Unknown => {}
    }
    let remembers = directory.inode().remembers_names();
    match directory.inode().lookup(name) {
        Ok(inode) => {
            let name: Arc<[u8]> = Arc::from(name);
            let dentry = Dentry::below(directory.clone(), name.clone(), inode);
            if remembers {
                names.set(directory, &name, Some(dentry.clone()));
            }
            Ok(Some(dentry))
        }
        Err(Error::NotFound) => {
            if remembers && !directory.is_deleted() && machine::frame::heap_room() {
                names.set(directory, &Arc::from(name), None);
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// `NameTooLong`, but where nothing can be any more.
fn check_length(directory: &Dentry, name: &[u8]) -> Result<(), Error> {
    if name.len() > NAME_MAX && !directory.is_deleted() {
        return Err(Error::NameTooLong);
    }
    Ok(())
}
