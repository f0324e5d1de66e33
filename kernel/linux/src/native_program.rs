//! Native programs that a Linux program runs with execve.
//!
//! The one idea: the process stays what it is, with its descriptors, its signals and its parent; the program makes native
//! calls, which every process may, and finds in its start block what a native parent would have given it.

use crate::descriptors::Descriptors;
use crate::errno::Errno;
use crate::execute::Program;
use crate::process::Standing;
use abi::Number;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use memory::Space;
use native::first::{Replacement, replace};
use object::Table;
use process::Thread;
use value::Value;

/// Who runs the program.
pub struct Caller<'a> {
    pub thread: &'a Arc<Thread>,
    pub descriptors: &'a Descriptors,
}

/// The handles that the program was given to itself. Closed when it is replaced.
pub struct Given {
    /// Not kept alive: among the numbers is one of the process itself.
    table: Weak<Table>,
    numbers: Vec<Number>,
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            for number in &self.numbers {
                // The program may have closed it.
                let _ = table.remove(*number);
            }
        }
    }
}

/// The start block, and the handles in it that are new.
///
/// # Errors
/// `E2BIG`, `EMFILE`, `ENOMEM`.
pub fn start_block(
    caller: &Caller<'_>,
    space: &Arc<Space>,
    standing: &Standing,
    program: &Program,
) -> Result<(Value, Given), Errno> {
    let table = caller.descriptors.table();
    let stream = |descriptor| {
        let stays = caller.descriptors.close_on_exec(descriptor) == Ok(false);
        let number = caller.descriptors.handle(descriptor).ok()?;
        stays.then_some(number)
    };
    let mut numbers = Vec::new();
    let block = replace(
        &Replacement {
            thread: caller.thread,
            space,
            handles: table,
            streams: [stream(0), stream(1), stream(2)],
            arguments: &program.arguments,
            environment: &program.environment,
            directory: &standing.directory.path(&standing.root),
        },
        &mut numbers,
    );
    let given = Given {
        table: Arc::downgrade(table),
        numbers,
    };
    Ok((block?, given))
}
