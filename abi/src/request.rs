//! How handles go along with a request.
//!
//! The argument of `request` has a field [`HANDLES`]: a document with an entry for each handle, under the name by which
//! the verb knows it. An entry is a document with [`HANDLE`] and [`RIGHTS`]. The object gets copies with these rights and
//! no others; the caller keeps its own.

/// Document of documents: the handles that are given, by name.
pub const HANDLES: &str = "handles";
/// Integer: the number of a handle of the caller, which has `TRANSFER`.
pub const HANDLE: &str = "handle";
/// Integer: the bits of the rights that are given, all of which the handle has.
pub const RIGHTS: &str = "rights";
/// So many can be given with one request.
pub const MOST_HANDLES: usize = 16;
