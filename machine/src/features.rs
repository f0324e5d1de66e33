//! What this processor can do, asked once. Both back ends ask the real one.

use crate::sync::Once;
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

/// The features that the kernel or programs may care about (Intel SDM volume 2A, CPUID).
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    pub apic: bool,
    pub x2apic: bool,
    pub machine_check: bool,
    pub tsc_deadline: bool,
    pub invariant_tsc: bool,
    pub rdtscp: bool,
    pub nx: bool,
    pub gigabyte_pages: bool,
    pub global_pages: bool,
    pub smep: bool,
    pub smap: bool,
    pub umip: bool,
    pub xsave: bool,
    pub xsaveopt: bool,
    pub avx: bool,
    pub avx512: bool,
    pub rdrand: bool,
    pub rdseed: bool,
    /// Enhanced `rep movsb`/`stosb`.
    pub erms: bool,
    /// Short `rep movsb` is fast too.
    pub fsrm: bool,
    pub hypervisor: bool,
    /// QEMU's software emulation, where string instructions are slow.
    pub emulated: bool,
    /// Leaf 1 EDX, as the `AT_HWCAP` of programs.
    pub leaf1_edx: u32,
    /// Width of a physical address in bits.
    pub physical_bits: u32,
    /// The time stamp counter's frequency where the processor or hypervisor tells it.
    pub tsc_hertz: Option<u64>,
}

static FEATURES: Once<Features> = Once::new();

/// The features of this machine's processors.
pub fn features() -> &'static Features {
    FEATURES.get_or_init(detect)
}

fn detect() -> Features {
    let bit = |register: u32, bit: u32| register >> bit & 1 != 0;
    let basic = __cpuid(0).eax;
    let one = __cpuid(1);
    let none = CpuidResult {
        eax: 0,
        ebx: 0,
        ecx: 0,
        edx: 0,
    };
    let seven = if basic >= 7 {
        __cpuid_count(7, 0)
    } else {
        none
    };
    let extended = __cpuid(0x8000_0000).eax;
    let extended1 = if extended >= 0x8000_0001 {
        __cpuid(0x8000_0001).edx
    } else {
        0
    };
    let xsave = bit(one.ecx, 26);
    let state1 = if xsave && basic >= 0xd {
        __cpuid_count(0xd, 1).eax
    } else {
        0
    };
    let hypervisor = bit(one.ecx, 31);
    let emulated = hypervisor && {
        let leaf = __cpuid(0x4000_0000);
        [leaf.ebx, leaf.ecx, leaf.edx]
            == [
                u32::from_le_bytes(*b"TCGT"),
                u32::from_le_bytes(*b"CGTC"),
                u32::from_le_bytes(*b"GTCG"),
            ]
    };
    Features {
        apic: bit(one.edx, 9),
        x2apic: bit(one.ecx, 21),
        machine_check: bit(one.edx, 7),
        tsc_deadline: bit(one.ecx, 24),
        invariant_tsc: extended >= 0x8000_0007 && bit(__cpuid(0x8000_0007).edx, 8),
        rdtscp: bit(extended1, 27),
        nx: bit(extended1, 20),
        gigabyte_pages: bit(extended1, 26),
        global_pages: bit(one.edx, 13),
        smep: bit(seven.ebx, 7),
        smap: bit(seven.ebx, 20),
        umip: bit(seven.ecx, 2),
        xsave,
        xsaveopt: bit(state1, 0),
        avx: xsave && bit(one.ecx, 28),
        avx512: xsave && bit(seven.ebx, 16),
        rdrand: bit(one.ecx, 30),
        rdseed: bit(seven.ebx, 18),
        erms: bit(seven.ebx, 9),
        fsrm: bit(seven.edx, 4),
        hypervisor,
        emulated,
        leaf1_edx: one.edx,
        physical_bits: if extended >= 0x8000_0008 {
            __cpuid(0x8000_0008).eax & 0xff
        } else {
            36
        },
        tsc_hertz: tsc_hertz(basic, hypervisor),
    }
}

/// From the crystal clock leaf, or the hypervisor's timing leaf.
fn tsc_hertz(basic: u32, hypervisor: bool) -> Option<u64> {
    if hypervisor && __cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let kilohertz = __cpuid(0x4000_0010).eax;
        if kilohertz != 0 {
            return Some(u64::from(kilohertz) * 1000);
        }
    }
    if basic >= 0x15 {
        let leaf = __cpuid(0x15);
        if leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0 {
            return Some(u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax));
        }
    }
    None
}

/// The processor's name for itself; empty when it has none.
pub fn brand() -> alloc::string::String {
    let mut text = alloc::vec::Vec::with_capacity(48);
    if __cpuid(0x8000_0000).eax >= 0x8000_0004 {
        for leaf in 0x8000_0002..=0x8000_0004u32 {
            let part = __cpuid(leaf);
            for register in [part.eax, part.ebx, part.ecx, part.edx] {
                text.extend(register.to_le_bytes().into_iter().filter(|&byte| byte != 0));
            }
        }
    }
    alloc::string::String::from_utf8_lossy(&text).trim().into()
}
