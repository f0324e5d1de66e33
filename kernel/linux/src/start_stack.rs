//! What a new program finds on its stack: its strings, the pointers to them, and the auxiliary vector.
//!
//! Source: x86-64 psABI 3.4.1; getauxval(3); Linux `fs/binfmt_elf.c`, `create_elf_tables`.

use crate::errno::Errno;
use crate::execute::Program;
use crate::process::Identity;
use crate::rseq;
use crate::user;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use machine::user::UserContext;
use memory::Space;
use process::elf;
use process::image::Loaded;

/// A stack that is ready, and where things are on it.
pub struct StackStart {
    pub pointer: usize,
    pub arguments: Range<usize>,
    pub environment: Range<usize>,
    pub auxiliary: Arc<[u8]>,
}

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_BASE: u64 = 7;
const AT_FLAGS: u64 = 8;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_EUID: u64 = 12;
const AT_GID: u64 = 13;
const AT_EGID: u64 = 14;
const AT_PLATFORM: u64 = 15;
const AT_HWCAP: u64 = 16;
const AT_CLKTCK: u64 = 17;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_HWCAP2: u64 = 26;
const AT_RSEQ_FEATURE_SIZE: u64 = 27;
const AT_RSEQ_ALIGN: u64 = 28;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;
const AT_MINSIGSTKSZ: u64 = 51;

/// What a program finds on its stack besides itself.
pub struct Beside<'a> {
    /// What was added to its interpreter's own addresses; 0 if it has none.
    pub interpreter_base: usize,
    pub identity: &'a Identity,
    /// Where the object with the clocks begins; 0 for a native program, which has none.
    pub vdso: usize,
    /// Of a native program; else empty.
    pub block: &'a [u8],
}

/// Lays out strings, auxiliary vector, environment and argument pointers.
///
/// # Errors
/// `EFAULT` when the stack is too small for them; `ENOMEM`.
pub async fn build(
    space: &Arc<Space>,
    top: usize,
    program: &Program,
    loaded: &Loaded,
    beside: &Beside<'_>,
) -> Result<StackStart, Errno> {
    let Beside {
        interpreter_base,
        identity,
        vdso,
        block,
    } = *beside;
    // The last word of the stack stays empty.
    let block_at = (top - 8 - block.len()) & !15;
    let mut strings = Vec::new();
    let mut put = |bytes: &[u8]| {
        let at = strings.len();
        strings.extend_from_slice(bytes);
        strings.push(0);
        at
    };
    let arguments: Vec<usize> = program
        .arguments
        .iter()
        .map(|argument| put(argument))
        .collect();
    let arguments_end = put(b"");
    let environment: Vec<usize> = program.environment.iter().map(|entry| put(entry)).collect();
    let environment_end = put(b"");
    let name = put(&program.path);
    let platform = put(b"x86_64");
    let mut random = [0u8; 16];
    crate::system::fill_random(&mut random);

    let strings_at = (block_at - strings.len()) & !15;
    let random_at = strings_at - 16;
    let at = |offset: usize| (strings_at + offset) as u64;
    let mut auxiliary = alloc::vec![
        (AT_HWCAP, u64::from(machine::cpu::features().leaf1_edx)),
        (AT_PAGESZ, machine::PAGE as u64),
        (AT_CLKTCK, 100),
        (AT_PHDR, loaded.headers as u64),
        (AT_PHENT, elf::PROGRAM_HEADER_SIZE as u64),
        (AT_PHNUM, loaded.plan.header_count as u64),
        (AT_BASE, interpreter_base as u64),
        (AT_FLAGS, 0),
        (AT_ENTRY, loaded.entry as u64),
        (AT_UID, u64::from(identity.real_uid)),
        (AT_EUID, u64::from(identity.effective.uid)),
        (AT_GID, u64::from(identity.real_gid)),
        (AT_EGID, u64::from(identity.effective.gid)),
        (AT_SECURE, u64::from(identity.gains())),
        (AT_RANDOM, random_at as u64),
        (AT_HWCAP2, 0),
        (AT_RSEQ_FEATURE_SIZE, rseq::FEATURES),
        (AT_RSEQ_ALIGN, rseq::ALIGN),
        (AT_EXECFN, at(name)),
        (AT_PLATFORM, at(platform)),
        (AT_MINSIGSTKSZ, (UserContext::vector_size() + 1024) as u64),
    ];
    if vdso != 0 {
        auxiliary.push((AT_SYSINFO_EHDR, vdso as u64));
    }
    if !block.is_empty() {
        auxiliary.push((abi::AUXILIARY, block_at as u64));
    }
    auxiliary.push((AT_NULL, 0));

    let mut words: Vec<u64> = alloc::vec![arguments.len() as u64];
    words.extend(arguments.iter().map(|&offset| at(offset)));
    words.push(0);
    words.extend(environment.iter().map(|&offset| at(offset)));
    words.push(0);
    words.extend(auxiliary.iter().flat_map(|&(kind, value)| [kind, value]));

    let pointer = (random_at - words.len() * 8) & !15;
    user::write_bytes(space, block_at, block).await?;
    user::write_bytes(space, strings_at, &strings).await?;
    user::write_bytes(space, random_at, &random).await?;
    let auxiliary = auxiliary.iter().flat_map(|&(kind, value)| [kind, value]);
    let auxiliary: Vec<u8> = auxiliary.flat_map(u64::to_le_bytes).collect();
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    user::write_bytes(space, pointer, &words).await?;
    Ok(StackStart {
        pointer,
        auxiliary: Arc::from(auxiliary),
        arguments: strings_at..strings_at + arguments_end,
        environment: strings_at + arguments_end + 1..strings_at + environment_end,
    })
}
