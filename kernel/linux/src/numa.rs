//! Memory policies (numa(7)): there is one node, which all memory is on, and the default policy.
//!
//! Source: get_mempolicy(2); Linux `mm/mempolicy.c`, `kernel_get_mempolicy`.

use crate::call::{Args, Call};
use crate::errno::{Answer, Errno};

const F_NODE: u64 = 1;
const F_ADDR: u64 = 2;
const F_MEMS_ALLOWED: u64 = 4;

const DEFAULT: u32 = 0;
const NODE: u32 = 0;

/// The largest set that is filled, in bits: a page's worth.
const MOST_NODES: u64 = 8 * machine::PAGE as u64;

pub async fn get_mempolicy(
    call: &mut Call<'_>,
    [mode, nodes, count, address, flags, _]: Args,
) -> Answer {
    let (asks_node, asks_address) = (flags & F_NODE != 0, flags & F_ADDR != 0);
    let asks_allowed = flags & F_MEMS_ALLOWED != 0;
    let unknown = flags & !(F_NODE | F_ADDR | F_MEMS_ALLOWED) != 0;
    let no_room = nodes != 0 && !(1..=MOST_NODES).contains(&count);
    // The node of the next page is asked only of a policy that takes nodes in turn.
    let wrong = match (asks_allowed, asks_address) {
        (true, _) => asks_node || asks_address,
        (false, true) => false,
        (false, false) => asks_node || address != 0,
    };
    if unknown || no_room || wrong {
        return Err(Errno::EINVAL);
    }
    if asks_address && call.space.mapping_at(address as usize).is_none() {
        return Err(Errno::EFAULT);
    }
    let answer = match asks_node {
        true => NODE,
        false => DEFAULT,
    };
    call.write_if(mode, &answer).await?;
    if nodes != 0 {
        // The default policy names no nodes; allowed is the one that is there.
        let mut set = alloc::vec![0u8; (count - 1).next_multiple_of(64) as usize / 8];
        if let Some(first) = set.first_mut()
            && asks_allowed
        {
            *first = 1 << NODE;
        }
        crate::user::write_bytes(call.space, nodes as usize, &set).await?;
    }
    Ok(0)
}
