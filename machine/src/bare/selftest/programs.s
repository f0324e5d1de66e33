# Tiny user programs for the self-test: position-independent, copied to a user page. Intel syntax.
.pushsection .rodata
.balign 16
.global selftest_programs, selftest_programs_end
selftest_programs:

# +0: a system call in a loop; rbx counts.
1:  inc rbx
    syscall
    jmp 1b

.balign 64
# +64: writes rax to [rdi], then calls.
    mov [rdi], rax
    syscall

.balign 64
# +128: spins; the timer must end it.
1:  inc rax
    jmp 1b

.balign 64
# +192: fills vector registers from rdi, calls, and compares: rax = how many calls went well.
    movq xmm0, rdi
    movq xmm15, rdi
    movq mm3, rdi
1:  syscall
    movq rsi, xmm0
    cmp rsi, rdi
    jne 2f
    movq rsi, xmm15
    cmp rsi, rdi
    jne 2f
    movq rsi, mm3
    cmp rsi, rdi
    jne 2f
    inc rax
    jmp 1b
2:  ud2

.balign 64
# +256
    hlt
.balign 64
# +320
    int3
.balign 64
# +384
    int 0x80
.balign 64
# +448
    xor eax, eax
    div eax
.balign 64
# +512
    jmp rdi
.balign 64
# +576: NT, DF, AC and TF may be set, and must not follow into the kernel.
    pushfq
    or qword ptr [rsp], 0x44400
    popfq
    syscall
    ud2
.balign 64
# +640: the FS base reads memory; a null selector may clear the base, for this thread alone.
    mov rax, fs:[0]
    syscall
    xor ecx, ecx
    mov fs, ecx
    mov ecx, 0x2b
    mov gs, ecx
    mov ds, ecx
1:  syscall
    jmp 1b
selftest_programs_end:
.popsection
