//! How large the kernels are: as they lie in memory's way, and compressed.
//!
//! Debian's bzImage is a small loader and a compressed ELF file. For the plain size that file is taken out (the Linux/x86 boot
//! protocol says where it is); for the compressed size Helve is compressed in the way that Linux is (xz).

use super::run::Value;
use super::table::Table;
use crate::kernel::Kernel;
use anyhow::{Context, Result, bail};
use lzma_rust2::{XzOptions, XzReader, XzWriter};
use std::io::{Read, Write};
use std::path::Path;

/// Adds the sizes to the table.
pub fn measure(helve: &Kernel, linux: &Path, table: &mut Table) -> Result<()> {
    let ours = std::fs::read(&helve.image)?;
    let theirs = std::fs::read(linux)?;
    let plain = unpacked(&theirs)?;
    let packed = compressed(&ours)?;
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

fn compressed(bytes: &[u8]) -> Result<usize> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(9))?;
    writer.write_all(bytes)?;
    Ok(writer.finish()?.len())
}

/// Bytes of the ELF file inside a bzImage.
fn unpacked(image: &[u8]) -> Result<usize> {
    let payload = payload(image).context("no bzImage with a payload")?;
    let mut size = 0;
    let mut buffer = vec![0; 1 << 16];
    let mut reader: Box<dyn Read> = match payload {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Box::new(XzReader::new(payload, false)),
        [0x1f, 0x8b, ..] => Box::new(flate2::read::GzDecoder::new(payload)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(
            ruzstd::decoding::StreamingDecoder::new(payload)
                .map_err(|error| anyhow::anyhow!("{error}"))?,
        ),
        _ => bail!("the kernel is compressed in an unknown way"),
    };
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(size),
            count => size += count,
        }
    }
}

/// The compressed part: Linux/x86 boot protocol 2.08, `setup_sects`, `payload_offset` and `payload_length`.
fn payload(image: &[u8]) -> Option<&[u8]> {
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
    image.get(start..start + word(0x24c)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_found_and_unpacked() {
        let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
        writer.write_all(&[7; 100_000]).unwrap();
        let mut packed = writer.finish().unwrap();
        // The build appends the unpacked size.
        packed.extend(100_000u32.to_le_bytes());
        let mut image = vec![0; 2 * 512 + 16];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&16u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        image.extend(&packed);
        assert_eq!(unpacked(&image).unwrap(), 100_000);
        assert!(unpacked(&image[..1000]).is_err());
        assert!(compressed(&[1; 10_000]).unwrap() < 1000);
    }
}
