//! The shared object that the kernel maps into every Linux program (vdso(7)): clocks without calls.
//!
//! - [`image`]: the object around the code of [`machine::vdso`]
//!
//! Two pages: the clock page, which the kernel writes and programs read, and the object, which knows that the page lies
//! before it. All programs have the same two frames.

mod image;

use abi::Error;
use alloc::sync::Arc;
use alloc::vec::Vec;
use machine::PAGE;
use machine::frame::Frame;
use machine::paging::Access;
use machine::sync::Once;
use memory::{Backing, Kind, MapRequest, Object, Placement, Space};

static OBJECT: Once<Arc<Object>> = Once::new();

const _: () = assert!(machine::vdso::BEFORE == PAGE, "the clock page is one page");

fn object() -> Result<Arc<Object>, Error> {
    if let Some(object) = OBJECT.get() {
        return Ok(object.clone());
    }
    let object = make()?;
    Ok(OBJECT.get_or_init(|| object).clone())
}

fn make() -> Result<Arc<Object>, Error> {
    let functions: Vec<_> = machine::vdso::functions().collect();
    // It always fits: a test builds the same.
    let image = image::build(machine::vdso::code(), &functions).ok_or(Error::TooLarge)?;
    let page = task::clock::page().map_err(|_| Error::NoMemory)?;
    let code = Frame::zeroed().map_err(|_| Error::NoMemory)?;
    code.write(0, &image);
    Object::of_frames([page, code])
}

/// Where it is mapped if that place is free: near the top, but not where a program's stack and its first mappings have the
/// same lowest bits of the page number. Small translation caches, those of emulators first, know a page by these bits, and
/// whoever reads the clock writes the time to its stack.
const PLACE: usize = 0x7fff_f7f2_0000;

/// Maps it, and returns where the object begins: `AT_SYSINFO_EHDR`.
///
/// # Errors
/// `NoMemory`.
pub fn map(space: &Arc<Space>) -> Result<usize, Error> {
    let object = object()?;
    let place = |at, page: usize, pages: usize, access| MapRequest {
        at,
        len: pages * PAGE,
        access,
        backing: Backing::Object {
            object: object.clone(),
            offset: (page * PAGE) as u64,
            shared: false,
        },
        kind: Kind::Plain,
        max_access: access,
    };
    // Room for both first.
    let start = space.map(place(
        Placement::Anywhere { hint: PLACE },
        0,
        2,
        Access::READ,
    ))?;
    let code = start + PAGE;
    space.map(place(
        Placement::Fixed(code),
        1,
        1,
        Access::READ | Access::EXECUTE,
    ))?;
    Ok(code)
}

/// What `/proc/PID/maps` calls a mapping of this object.
pub fn label(object: &Arc<Object>, offset: u64) -> Option<&'static str> {
    let own = OBJECT.get().is_some_and(|own| Arc::ptr_eq(own, object));
    own.then_some(if offset == 0 { "[vvar]" } else { "[vdso]" })
}
