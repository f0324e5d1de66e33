//! Extended attributes (xattr(7)): no file system here has any, and that is what the calls answer, as Linux does for such
//! file systems.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::At;

async fn find(call: &Call<'_>, path: u64, follow: bool) -> Result<(), Errno> {
    let path = call.path(path).await?;
    At::working(call).view().locate(&path, follow)?;
    Ok(())
}

/// Getting, setting and removing: the file must be there.
pub async fn by_path(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    find(call, path, true).await?;
    Err(Errno::EOPNOTSUPP)
}

pub async fn by_link(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    find(call, path, false).await?;
    Err(Errno::EOPNOTSUPP)
}

pub fn by_descriptor(call: &mut Call<'_>, [descriptor, ..]: Args) -> Answer {
    call.file(descriptor)?;
    Err(Errno::EOPNOTSUPP)
}

/// The list is empty.
pub async fn list(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    find(call, path, true).await?;
    Ok(0)
}

pub async fn list_link(call: &mut Call<'_>, [path, ..]: Args) -> Answer {
    find(call, path, false).await?;
    Ok(0)
}

pub fn list_descriptor(call: &mut Call<'_>, [descriptor, ..]: Args) -> Answer {
    call.file(descriptor)?;
    Ok(0)
}
