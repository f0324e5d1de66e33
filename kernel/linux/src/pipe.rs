//! pipe(2).

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use crate::open::{O_CLOEXEC, O_DIRECT, O_NONBLOCK};
use vfs::pipe::Pipe;
use vfs::{Access, Description, OpenFlags};

pub async fn pipe(call: &mut Call<'_>, [to, ..]: Args) -> Answer {
    pipe2(call, [to, 0, 0, 0, 0, 0]).await
}

pub async fn pipe2(call: &mut Call<'_>, [to, flags, ..]: Args) -> Answer {
    if flags & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 || flags & O_DIRECT != 0 {
        return Err(Errno::EINVAL);
    }
    let status = if flags & O_NONBLOCK != 0 {
        OpenFlags::NON_BLOCKING
    } else {
        OpenFlags::empty()
    };
    let identity = call.process().identity();
    let (reader, writer) = Pipe::pair(identity.files.uid, identity.files.gid, call.now())?;
    let pipe = reader.pipe().clone();
    let reader = Description::nameless(reader, Some(pipe.clone()), Access::READ, status);
    let writer = Description::nameless(writer, Some(pipe), Access::WRITE, status);
    let close_on_exec = flags & O_CLOEXEC != 0;
    let descriptors = call.process().descriptors();
    let read_end = descriptors.insert(reader, close_on_exec, 0)?;
    let pair = match descriptors.insert(writer, close_on_exec, 0) {
        Ok(write_end) => [read_end as u32, write_end as u32],
        Err(errno) => {
            descriptors.close(read_end as u32)?;
            return Err(errno);
        }
    };
    if let Err(errno) = call.write(to, &pair).await {
        for end in pair {
            descriptors.close(end)?;
        }
        return Err(errno);
    }
    Ok(0)
}
