//! From which node memory comes (get_mempolicy(2), set_mempolicy(2)).
//!
//! The one idea: there is one policy, Linux's default one: from the node of the processor that needs it, and if nothing is left
//! there, from the nearest (`machine::frame`). It can be asked for, and not changed.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};
use machine::topology::MOST_NODES;

const MPOL_DEFAULT: u32 = 0;
const MPOL_PREFERRED: u64 = 1;
const MPOL_LOCAL: u64 = 4;
const MPOL_F_MEMS_ALLOWED: u64 = 4;

/// Sets the policy that there is, by any of its names.
pub async fn set_mempolicy(call: &mut Call<'_>, [mode, nodes, most, ..]: Args) -> Answer {
    if !matches!(mode, 0 | MPOL_PREFERRED | MPOL_LOCAL) {
        return Err(Errno::EINVAL);
    }
    // Each of them is the default one without nodes, and only then.
    if nodes != 0 && most > 1 {
        let words = (most - 1).div_ceil(64);
        if words * 8 > machine::PAGE as u64 {
            return Err(Errno::EINVAL);
        }
        for word in 0..words {
            if call.read::<u64>(nodes.wrapping_add(word * 8)).await? != 0 {
                return Err(Errno::EINVAL);
            }
        }
    }
    Ok(0)
}

/// Which nodes: no bit of it for a policy that names none.
pub async fn get_mempolicy(
    call: &mut Call<'_>,
    [mode, nodes, most, address, flags, _]: Args,
) -> Answer {
    let all = (1u64 << machine::node::all().count()) - 1;
    let set = match flags {
        // Of an address or of the caller: the same.
        0 if address == 0 => 0,
        MPOL_F_MEMS_ALLOWED => all,
        _ => return Err(Errno::EINVAL),
    };
    if nodes != 0 && most < MOST_NODES as u64 {
        return Err(Errno::EINVAL);
    }
    if flags == 0 {
        call.write_if(mode, &MPOL_DEFAULT).await?;
    }
    if nodes == 0 {
        return Ok(0);
    }
    // Linux counts one bit less than it is given.
    let words = (most - 1).div_ceil(64);
    if words * 8 > machine::PAGE as u64 {
        return Err(Errno::EINVAL);
    }
    for word in 0..words {
        let part = if word == 0 { set } else { 0 };
        call.write(nodes.wrapping_add(word * 8), &part).await?;
    }
    Ok(0)
}
