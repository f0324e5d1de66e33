# Where the other CPUs start: copied to a page below 1 MiB, entered there in real mode, all of them at the
# same time. Each takes the next number, with it its stack, and goes on in Rust. AT&T syntax.

.section .rodata.other_start, "a", @progbits
.balign 16
.global machine_other_start, machine_other_end
.global machine_other_limit, machine_other_stacks, machine_other_entry, machine_other_features
# What is at `label` here is at `label - MOVED` there.
.set MOVED, machine_other_start - {here}

.code16
machine_other_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl other_gdt_pointer - machine_other_start
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x08, $(2f - MOVED)

.code32
2:  movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %ss
    movl $0x20, %eax                            # PAE
    movl %eax, %cr4
    movl ${tables}, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                      # EFER: as on the first CPU
    movl machine_other_features - MOVED, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80010033, %eax                      # PG, WP, NE, ET, MP, PE; caches on
    movl %eax, %cr0
    ljmpl $0x18, $(3f - MOVED)

.code64
3:  xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl $1, %edi
    lock xaddl %edi, other_next(%rip)
    cmpl machine_other_limit(%rip), %edi
    jae 4f
    movl %edi, %eax
    imulq ${stacks_of_cpu}, %rax, %rax
    addq machine_other_stacks(%rip), %rax
    movq %rax, %rsp
    xorl %ebp, %ebp
    call *machine_other_entry(%rip)
4:  cli
    hlt
    jmp 4b

.balign 8
other_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff                    # 0x08 code, 32 bits
    .quad 0x00cf93000000ffff                    # 0x10 data
    .quad 0x00af9b000000ffff                    # 0x18 code, 64 bits
other_gdt_pointer:
    .short 31
    .long other_gdt - MOVED
.balign 8
machine_other_stacks: .quad 0                   # where the kernel stack of CPU 0 would end
machine_other_entry: .quad 0
other_next: .long 1                             # the number of the next CPU to come
machine_other_limit: .long 0                    # numbers below this have stacks
machine_other_features: .long 0
machine_other_end:
.text
