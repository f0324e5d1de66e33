//! What an ELF file says about the files that it needs.
//!
//! Source: System V ABI, chapter 5 (program interpreter, dynamic linking).

use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRTAB, EM_X86_64, PT_DYNAMIC, PT_INTERP,
    PT_LOAD,
};
use elf::dynamic::DynamicTable;
use elf::endian::LittleEndian;
use elf::file::Class;

/// What a program or library asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// The loader's path, of a program.
    pub interpreter: Option<String>,
    /// The name of a library.
    pub name: Option<String>,
    pub needed: Vec<String>,
    /// `DT_RUNPATH`: where to look for what it needs itself.
    pub run_path: Option<String>,
    /// `DT_RPATH`: where to look for what it needs, and what that needs; no word if there is the other one.
    pub old_run_path: Option<String>,
}

/// Whether a file that begins in this way is a little-endian x86-64 ELF file of 64 bits.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01") && bytes.get(18..20) == Some(&EM_X86_64.to_le_bytes()[..])
}

/// Reads an ELF file; `None` if there is nothing dynamic about it.
pub fn read(mut bytes: Vec<u8>) -> Result<Option<Dynamic>> {
    // No loader looks at the sections (e_shoff), so they may be as wrong as they like.
    if let Some(offset) = bytes.get_mut(0x28..0x30) {
        offset.fill(0);
    }
    let elf = ElfBytes::<LittleEndian>::minimal_parse(&bytes)?;
    let Some(segments) = elf.segments() else {
        return Ok(None);
    };
    let mut all = Dynamic::default();
    let mut is_dynamic = false;
    // The first one counts.
    if let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_INTERP) {
        all.interpreter = Some(string(elf.segment_data(&segment)?, 0)?);
        is_dynamic = true;
    }
    if let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_DYNAMIC) {
        is_dynamic = true;
        let data = elf.segment_data(&segment)?;
        let table = DynamicTable::new(LittleEndian, Class::ELF64, data);
        let entries: Vec<_> = table.iter().take_while(|entry| entry.d_tag != 0).collect();
        let address = entries.iter().find(|entry| entry.d_tag == DT_STRTAB);
        let address = address.context("no table of names")?.d_ptr();
        let strings = segments
            .iter()
            .filter(|segment| segment.p_type == PT_LOAD)
            .find_map(|segment| {
                let offset = address.checked_sub(segment.p_vaddr)?;
                elf.segment_data(&segment).ok()?.get(offset as usize..)
            })
            .context("the table of names is not in the file")?;
        for entry in entries {
            let text = || string(strings, entry.d_val());
            match entry.d_tag {
                DT_NEEDED => all.needed.push(text()?),
                DT_SONAME => all.name = Some(text()?),
                DT_RUNPATH => all.run_path = Some(text()?),
                DT_RPATH => all.old_run_path = Some(text()?),
                _ => {}
            }
        }
    }
    Ok(is_dynamic.then_some(all))
}

fn string(bytes: &[u8], at: u64) -> Result<String> {
    let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
    let rest = rest.context("a name is not in the file")?;
    let end = rest.iter().position(|&byte| byte == 0);
    let name = &rest[..end.context("a name has no end")?];
    Ok(std::str::from_utf8(name)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_program_asks_for_a_loader_and_the_c_library() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(is_ours(&bytes));
        let dynamic = read(bytes).unwrap().unwrap();
        assert!(dynamic.interpreter.unwrap().starts_with("/lib"));
        assert!(dynamic.needed.iter().any(|name| name.contains("libc")));
    }

    #[test]
    fn every_cut_is_an_answer() {
        let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        bytes.truncate(0x4000);
        for length in (0..bytes.len()).step_by(7) {
            let part = read(bytes[..length].to_vec());
            assert!(
                !part.is_ok_and(|part| part
                    .is_some_and(|all| all.needed.is_empty() && all.interpreter.is_none())),
                "{length}"
            );
        }
    }
}
