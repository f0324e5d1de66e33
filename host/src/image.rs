//! `helve image`: a disc image that GRUB starts on BIOS and UEFI machines.

use crate::cli::ImageOptions;
use crate::kernel::{Kernel, Profile};
use crate::packages::{self, Need};
use crate::progress::{Show, say};
use crate::quantity::show_size;
use crate::run;
use crate::scratch::Scratch;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What makes the image: GRUB for both kinds of firmware, and what it calls.
const NEEDS: [Need; 5] = [
    Need::program("grub-mkrescue", "grub-common"),
    Need::file("/usr/lib/grub/i386-pc/modinfo.sh", "grub-pc-bin"),
    Need::file("/usr/lib/grub/x86_64-efi/modinfo.sh", "grub-efi-amd64-bin"),
    Need::program("xorriso", "xorriso"),
    Need::program("mformat", "mtools"),
];

/// Runs the command; returns the status to exit with.
pub fn image(options: &ImageOptions) -> Result<u8> {
    packages::ensure(&NEEDS)?;
    let workspace = Workspace::find()?;
    let (kernel, initramfs) = run::system(&workspace, Profile::Release, &[], Show::Progress)?;
    write(
        &kernel,
        &initramfs,
        &options.append,
        &options.out,
        Show::Progress,
    )?;
    let size = fs::metadata(&options.out)?.len();
    say(format!(
        "{} is ready: {}, for BIOS and UEFI",
        options.out.display(),
        show_size(size)
    ));
    Ok(0)
}

/// Writes the image.
pub fn write(
    kernel: &Kernel,
    initramfs: &Path,
    append: &str,
    out: &Path,
    show: Show,
) -> Result<()> {
    packages::ensure(&NEEDS)?;
    if append.contains(['\n', '"', '\'', '$', ';', '{', '}']) {
        bail!("the kernel command line cannot stand in GRUB's configuration: {append}");
    }
    let _step = show.step("making the disc image");
    let scratch = Scratch::new()?;
    let tree = scratch.path().join("tree");
    fs::create_dir_all(tree.join("boot/grub"))?;
    fs::copy(&kernel.image, tree.join("boot/helve-kernel"))?;
    fs::copy(initramfs, tree.join("boot/initramfs"))?;
    fs::write(tree.join("boot/grub/grub.cfg"), menu(append))?;
    let made = scratch.path().join("image.iso");
    let output = Command::new("grub-mkrescue")
        .arg("-o")
        .arg(&made)
        .arg(&tree)
        .output()
        .context("cannot run grub-mkrescue")?;
    if !output.status.success() || !made.exists() {
        bail!(
            "grub-mkrescue failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::copy(&made, out).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(())
}

/// GRUB's configuration: one entry, at once, on the serial line and the screen.
fn menu(append: &str) -> String {
    let command_line = format!("console=ttyS0 {append}");
    format!(
        "serial --unit=0 --speed=115200\n\
         terminal_input serial console\n\
         terminal_output serial console\n\
         set timeout=0\n\
         menuentry \"Helve\" {{\n\
         \tmultiboot2 /boot/helve-kernel {}\n\
         \tmodule2 /boot/initramfs initramfs\n\
         \tboot\n\
         }}\n",
        command_line.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_menu_starts_the_kernel() {
        let text = menu("panic=5");
        assert!(text.contains("\tmultiboot2 /boot/helve-kernel console=ttyS0 panic=5\n"));
        assert!(text.contains("\tmodule2 /boot/initramfs initramfs\n"));
    }
}
