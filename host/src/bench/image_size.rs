//! How large the kernels are: as they lie in memory's way, and compressed.
//!
//! Debian's bzImage is a small loader and a compressed ELF file, whose plain size the kernel's build writes behind it (the Linux/x86
//! boot protocol says where). Helve is booted as it is; for the comparison it is compressed with gzip.

use super::run::Value;
use super::table::Table;
use crate::kernel::Kernel;
use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

/// Adds the sizes to the table.
pub fn measure(helve: &Kernel, linux: &Path, table: &mut Table) -> Result<()> {
    let ours = std::fs::read(&helve.image)?;
    let theirs = std::fs::read(linux)?;
    let plain = unpacked_size(&theirs).context("Debian's kernel is no bzImage")?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&ours)?;
    let packed = packed.finish()?.len();
    table.add_fixed(
        "kernel image, plain",
        kibibytes(ours.len()),
        kibibytes(plain),
    );
    table.add_fixed(
        "kernel image, compressed",
        kibibytes(packed),
        kibibytes(theirs.len()),
    );
    Ok(())
}

fn kibibytes(bytes: usize) -> Value {
    Value {
        number: bytes as f64 / 1024.0,
        unit: "KiB".into(),
    }
}

/// Bytes of the ELF file inside a bzImage (Linux/x86 boot protocol 2.08: `setup_sects`, `payload_offset`, `payload_length`). The
/// last word of the payload is the size, whatever it is compressed with.
fn unpacked_size(image: &[u8]) -> Option<usize> {
    let word =
        |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let sectors = match image.get(0x1f1)? {
        0 => 4,
        count => usize::from(*count),
    };
    let start = (sectors + 1) * 512 + word(0x248)?;
    word((start + word(0x24c)?).checked_sub(4)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_found() {
        let mut image = vec![0; 2 * 512 + 16 + 100];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&16u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&100u32.to_le_bytes());
        let end = image.len();
        image[end - 4..].copy_from_slice(&123_456u32.to_le_bytes());
        assert_eq!(unpacked_size(&image), Some(123_456));
        assert_eq!(unpacked_size(&image[..end - 1]), None);
        assert_eq!(unpacked_size(&image[..100]), None);
    }
}
