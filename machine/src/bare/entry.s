# The first instructions. A loader jumps here in 32-bit protected mode without paging, at the
# physical address; this code builds the bootstrap page tables and goes to long mode in the higher
# half. AT&T syntax.

.set BASE, 0xffffffff80000000

# Multiboot2 header (Multiboot2 specification 1.6, section 3.1).
.section .boot.header, "a", @progbits
.balign 8
multiboot2_header:
    .long 0xe85250d6
    .long 0                                     # i386 protected mode
    .long multiboot2_header_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_header_end - multiboot2_header))
    .balign 8
    .short 3, 0                                 # entry address
    .long 12
    .long multiboot2_entry - BASE
    .balign 8
    .short 6, 0                                 # modules on page boundaries
    .long 8
    .balign 8
    .short 0, 0                                 # the end
    .long 8
multiboot2_header_end:

# The note by which PVH loaders find the entry (XEN_ELFNOTE_PHYS32_ENTRY = 18).
.section .note.pvh, "a", @note
.balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry - BASE

.section .boot.text, "ax", @progbits
.code32
.global pvh_entry
pvh_entry:
    movl $1, %edi                               # boot::PVH
    jmp 1f
multiboot2_entry:
    movl $2, %edi                               # boot::MULTIBOOT2
    cmpl $0x36d76289, %eax
    je 1f
2:  cli
    hlt
    jmp 2b

1:  cli
    cld
    movl %ebx, %esi                             # what the loader has to tell
    movl $(boot_stack_top - BASE), %esp

    # Long mode is a must.
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb 2b
    movl $0x80000001, %eax
    cpuid
    testl $(1 << 29), %edx
    jz 2b
    movl %edx, %ebp

    # The first 4 GiB in 2 MiB pages; one set of directories serves the identity map (slot 0) and
    # the direct map (slot 256). The kernel's gigabyte is the first directory again.
    movl $(boot_directories - BASE), %ebx
    movl $0x83, %eax                            # present, writable, large
    movl $2048, %ecx
3:  movl %eax, (%ebx)
    addl $0x200000, %eax
    addl $8, %ebx
    decl %ecx
    jnz 3b

    movl $(boot_directories - BASE + 3), %eax
    movl %eax, boot_pointers_low - BASE
    movl %eax, boot_pointers_high - BASE + 510 * 8
    addl $4096, %eax
    movl %eax, boot_pointers_low - BASE + 8
    addl $4096, %eax
    movl %eax, boot_pointers_low - BASE + 16
    addl $4096, %eax
    movl %eax, boot_pointers_low - BASE + 24
    movl $(boot_pointers_low - BASE + 3), %eax
    movl %eax, boot_top - BASE
    movl %eax, boot_top - BASE + 256 * 8
    movl $(boot_pointers_high - BASE + 3), %eax
    movl %eax, boot_top - BASE + 511 * 8

    movl $(boot_top - BASE), %eax
    movl %eax, %cr3
    movl $0x20, %eax                            # PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx                      # EFER: LME, SCE, and NXE where there is NX
    rdmsr
    orl $0x101, %eax
    testl $(1 << 20), %ebp
    jz 4f
    orl $0x800, %eax
4:  wrmsr
    movl $0x80010033, %eax                      # PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt boot_gdt_pointer - BASE
    ljmp $8, $(5f - BASE)

.code64
5:  movabsq $higher_half, %rax
    jmp *%rax
higher_half:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movabsq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    movl %edi, boot_protocol(%rip)
    movl %esi, boot_information(%rip)
    call helve_start
    ud2

.balign 8
boot_gdt:
    .quad 0
    .quad 0x00209a0000000000                    # 64-bit code
boot_gdt_pointer:
    .short 15
    .long boot_gdt - BASE

.section .data.boot, "aw", @progbits
.balign 4
.global boot_protocol, boot_information
boot_protocol: .long 0
boot_information: .long 0

.section .boot.tables, "aw", @nobits
.balign 4096
boot_top: .skip 4096
boot_pointers_low: .skip 4096
boot_pointers_high: .skip 4096
boot_directories: .skip 4 * 4096
.text
