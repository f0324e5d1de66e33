# Into the kernel and out of it. Intel syntax.
#
# User mode is a function: `machine_enter` saves the kernel's registers and goes out; a system call,
# an exception or an interrupt saves the user's registers straight into the context and returns from
# `machine_enter` with what it was.

.text

# machine_enter(rdi: context, esi: whether sysret will do) -> eax: vector, or 256 for a call
.balign 16
.global machine_enter
machine_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov gs:[{kernel_rsp}], rsp
    mov gs:[{context}], rdi
    mov rbx, [rdi + {rbx}]
    mov rbp, [rdi + {rbp}]
    mov r8, [rdi + {r8}]
    mov r9, [rdi + {r9}]
    mov r10, [rdi + {r10}]
    mov r12, [rdi + {r12}]
    mov r13, [rdi + {r13}]
    mov r14, [rdi + {r14}]
    mov r15, [rdi + {r15}]
    mov rdx, [rdi + {rdx}]
    mov rax, [rdi + {rax}]
    test esi, esi
    mov rsi, [rdi + {rsi}]
    jz 1f
    mov rcx, [rdi + {rip}]
    mov r11, [rdi + {rflags}]
    mov rsp, [rdi + {rsp}]
    mov rdi, [rdi + {rdi}]
    swapgs
    sysretq
1:  push {user_data}
    push [rdi + {rsp}]
    push [rdi + {rflags}]
    push {user_code}
    push [rdi + {rip}]
    mov rcx, [rdi + {rcx}]
    mov r11, [rdi + {r11}]
    mov rdi, [rdi + {rdi}]
    swapgs
    iretq

# The target of `syscall`: interrupts off, rcx = rip, r11 = rflags, all else the user's.
.balign 16
.global machine_syscall
machine_syscall:
    swapgs
    mov gs:[{scratch}], rsp
    mov rsp, gs:[{context}]
    mov [rsp + {rax}], rax
    mov [rsp + {rbx}], rbx
    mov [rsp + {rcx}], rcx
    mov [rsp + {rdx}], rdx
    mov [rsp + {rsi}], rsi
    mov [rsp + {rdi}], rdi
    mov [rsp + {rbp}], rbp
    mov [rsp + {r8}], r8
    mov [rsp + {r9}], r9
    mov [rsp + {r10}], r10
    mov [rsp + {r11}], r11
    mov [rsp + {r12}], r12
    mov [rsp + {r13}], r13
    mov [rsp + {r14}], r14
    mov [rsp + {r15}], r15
    mov [rsp + {rip}], rcx
    mov [rsp + {rflags}], r11
    mov rax, gs:[{scratch}]
    mov [rsp + {rsp}], rax
    mov eax, 256
    mov rsp, gs:[{kernel_rsp}]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

# One stub for each vector, 16 bytes apart. Where the processor pushes no error code, 0 stands in.
.balign 16
.global machine_stubs
machine_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push 0
    .endif
    push vector
    .if vector == 2 || vector == 8 || vector == 18
    jmp machine_paranoid
    .else
    jmp machine_trap
    .endif
    .set vector, vector + 1
.endr

# On the stack: vector, error code, rip, cs, rflags, rsp, ss.
.balign 16
machine_trap:
    test byte ptr [rsp + 24], 3
    jz 2f
    # From user mode, on the small entry stack.
    swapgs
    mov gs:[{scratch}], rax
    mov rax, gs:[{context}]
    mov [rax + {rbx}], rbx
    mov [rax + {rcx}], rcx
    mov [rax + {rdx}], rdx
    mov [rax + {rsi}], rsi
    mov [rax + {rdi}], rdi
    mov [rax + {rbp}], rbp
    mov [rax + {r8}], r8
    mov [rax + {r9}], r9
    mov [rax + {r10}], r10
    mov [rax + {r11}], r11
    mov [rax + {r12}], r12
    mov [rax + {r13}], r13
    mov [rax + {r14}], r14
    mov [rax + {r15}], r15
    mov rbx, gs:[{scratch}]
    mov [rax + {rax}], rbx
    mov rbx, [rsp + 16]
    mov [rax + {rip}], rbx
    mov rbx, [rsp + 32]
    mov [rax + {rflags}], rbx
    mov rbx, [rsp + 40]
    mov [rax + {rsp}], rbx
    mov rbx, [rsp + 8]
    mov gs:[{error}], rbx
    mov eax, [rsp]
    mov rsp, gs:[{kernel_rsp}]
    cld
    test dword ptr gs:[{smap}], 1
    jz 1f
    clac
1:  pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

    # From the kernel: a fault, or an interrupt that idling let in.
2:  push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    call machine_kernel_trap
3:  pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rbp
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
    iretq

# NMI, double fault, machine check: on stacks of their own, at any moment, so that GS may be either.
.balign 16
machine_paranoid:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    xor ebx, ebx
    mov ecx, 0xc0000101
    rdmsr
    test edx, edx                       # the kernel's GS base is in the upper half
    js 4f
    swapgs
    mov ebx, 1
4:  mov rdi, rsp
    call machine_kernel_trap
    test ebx, ebx
    jz 3b
    swapgs
    jmp 3b

# machine_wait(): lets interrupts in and waits for one. `sti` lets them in only after the instruction that
# follows it, so none is lost between it and `hlt`, but for one case, which the handler of NMIs mends (`nmi::handle`).
.balign 16
.global machine_wait
.global machine_wait_halts
.global machine_wait_is_over
machine_wait:
    sti
machine_wait_halts:
    hlt
machine_wait_is_over:
    cli
    ret
