//! Reads Debian packages without dpkg: an `ar` archive of `control.tar.*` and `data.tar.*` (deb(5)), compressed with
//! gzip, xz or zstd.

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The fields of a package's control file, such as `Package`, `Version` and `Depends`.
pub fn control(package: impl Read) -> Result<BTreeMap<String, String>> {
    let mut fields = None;
    member(package, "control.tar", |archive| {
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry
                .path()?
                .as_ref()
                .file_name()
                .is_some_and(|name| name == "control")
            {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                fields = Some(parse_control(&text));
            }
        }
        Ok(())
    })?;
    fields.context("the package has no control file")
}

/// Unpacks the package's files below `directory`.
pub fn unpack(package: &Path, directory: &Path) -> Result<()> {
    let file = File::open(package).with_context(|| format!("cannot open {}", package.display()))?;
    member(BufReader::new(file), "data.tar", |archive| {
        archive.set_preserve_permissions(true);
        archive.set_preserve_mtime(true);
        archive.unpack(directory)?;
        Ok(())
    })
    .with_context(|| format!("cannot unpack {}", package.display()))
}

/// Finds the member whose name is `stem` and a compression suffix, and hands it over as a tar archive.
fn member(
    package: impl Read,
    stem: &str,
    visit: impl FnOnce(&mut tar::Archive<Box<dyn Read + '_>>) -> Result<()>,
) -> Result<()> {
    let mut archive = ar::Archive::new(package);
    while let Some(entry) = archive.next_entry() {
        let entry = entry.context("no Debian package")?;
        let name = String::from_utf8_lossy(entry.header().identifier())
            .trim_end_matches('/')
            .to_string();
        let Some(suffix) = name.strip_prefix(stem) else {
            continue;
        };
        let plain: Box<dyn Read> = match suffix {
            "" => Box::new(entry),
            ".gz" => Box::new(GzDecoder::new(entry)),
            ".xz" => Box::new(XzReader::new(
                BufReader::with_capacity(1 << 16, entry),
                true,
            )),
            ".zst" => Box::new(
                StreamingDecoder::new(entry).map_err(|error| anyhow::anyhow!("{name}: {error}"))?,
            ),
            _ => bail!("cannot read {name}: unknown compression"),
        };
        return visit(&mut tar::Archive::new(plain));
    }
    bail!("no {stem} in the package")
}

fn parse_control(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            // A continuation line belongs to the field above.
            if let Some(value) = fields.get_mut(&last) {
                *value = format!("{value}\n{}", line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.to_string();
            fields.insert(last.clone(), value.trim().to_string());
        }
    }
    fields
}

/// The package names in a `Depends` field, first alternatives only, without versions.
pub fn dependencies(field: &str) -> Vec<String> {
    field
        .split(',')
        .filter_map(|part| part.split('|').next())
        .filter_map(|part| part.split(['(', ':', '[']).next())
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use lzma_rust2::{XzOptions, XzWriter};
    use std::io::Write;

    fn tar_of(name: &str, contents: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        builder.append_data(&mut header, name, contents).unwrap();
        builder.into_inner().unwrap()
    }

    fn package(suffix: &str, pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let control = "Package: small\nVersion: 1.0\nDepends: linux-image-6.1-cloud (= 6.1), a | b, c:any\n more\n";
        let mut builder = ar::Builder::new(Vec::new());
        let mut add = |name: &str, bytes: &[u8]| {
            builder
                .append(&ar::Header::new(name.into(), bytes.len() as u64), bytes)
                .unwrap();
        };
        add("debian-binary", b"2.0\n");
        add(
            &format!("control.tar{suffix}"),
            &pack(&tar_of("./control", control.as_bytes())),
        );
        add(
            &format!("data.tar{suffix}"),
            &pack(&tar_of("./bin/program", b"contents")),
        );
        builder.into_inner().unwrap()
    }

    fn check(bytes: &[u8]) {
        let fields = control(bytes).unwrap();
        assert_eq!(fields["Package"], "small");
        assert_eq!(
            dependencies(&fields["Depends"]),
            ["linux-image-6.1-cloud", "a", "c"]
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("small.deb");
        std::fs::write(&file, bytes).unwrap();
        unpack(&file, &directory.path().join("out")).unwrap();
        assert_eq!(
            std::fs::read(directory.path().join("out/bin/program")).unwrap(),
            b"contents"
        );
    }

    #[test]
    fn every_compression() {
        check(&package("", <[u8]>::to_vec));
        check(&package(".gz", |bytes| {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }));
        check(&package(".xz", |bytes| {
            let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }));
        check(&package(".zst", |bytes| {
            ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
        }));
    }

    #[test]
    fn damage_is_an_error() {
        let whole = package("", <[u8]>::to_vec);
        assert!(control(&b"not a package"[..]).is_err());
        assert!(control(&whole[..100]).is_err());
        assert!(control(&package(".lzma", <[u8]>::to_vec)[..]).is_err());
    }
}
