//! The kernel's own symbols, for readable traces: `/boot/symbols` in the initramfs.

/// Hands the table to the panic handler, if the initramfs has one.
pub fn find() {
    let initramfs = machine::boot::info().initramfs;
    for entry in vfs::cpio::Reader::new(initramfs) {
        let Ok(entry) = entry else { return };
        if entry.name == b"boot/symbols" {
            machine::panic::set_symbols(entry.data);
            return;
        }
    }
}
