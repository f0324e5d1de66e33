# What a Linux program calls to read the clocks without entering the kernel (vdso(7)).
#
# One idea: this is the kernel's own way to read its clock (bare/time.rs), in user mode, from a page that the kernel
# writes and everybody reads. When the page says that it cannot be done, the call is made instead.
#
# The code is copied into an image that lies behind that page, at {code} from the image's beginning. It runs in user
# mode only, knows its own place only, and uses no stack but for return addresses.

.pushsection .rodata.machine_vdso, "a", @progbits
.balign 16
.global machine_vdso_start
machine_vdso_start:

# The clock page, seen from here.
.set machine_vdso_page, machine_vdso_start - {page_distance}

# rax = what a clock shows. r9 = the page, r8 = that and as many bytes as the clock's words lie behind the first one's.
# One branch finds both exceptions: the page is being changed, or the kernel is to be asked. They are taken at 8.
# Changes rcx, rdx, r10.
.macro machine_vdso_read
1:  mov     r10, [r9 + {sequence}]
    # Not before what the program did before (SDM volume 2B, RDTSC).
    lfence
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    # A CPU whose counter is a little behind stands still for that while.
    xor     edx, edx
    sub     rax, [r9 + {base_stamp}]
    cmovb   rax, rdx
    mul     qword ptr [r8 + {factor}]
    shrd    rax, rdx, 32
    add     rax, [r8 + {base}]
    # Bit 0 of the number, and of the refusal: neither may be set. And the number must be the same.
    mov     rcx, r10
    and     ecx, 1
    or      rcx, [r8 + {refused}]
    xor     r10, [r9 + {sequence}]
    or      rcx, r10
    jnz     8f
.endm

# The other side of that branch, behind the function.
.macro machine_vdso_again ask
8:  test    r10, r10
    jnz     9f
    test    byte ptr [r8 + {refused}], 1
    jnz     \ask
9:  pause
    jmp     1b
.endm

# rdx = rax / 1_000_000_000, rax = the rest. Changes rcx and r10.
.macro machine_vdso_split
    mov     rcx, rax
    shr     rax, 9
    movabs  r10, 0x44b82fa09b5a53
    mul     r10
    shr     rdx, 11
    imul    rax, rdx, 1000000000
    sub     rcx, rax
    mov     rax, rcx
.endm

# int clock_gettime(clockid_t edi, struct timespec *rsi)
.balign 16
.global machine_vdso_clock_gettime
machine_vdso_clock_gettime:
    cmp     edi, {last_clock}
    ja      5f
    lea     r9, [rip + machine_vdso_page]
    mov     r8d, edi
    shl     r8d, {clock_shift}
    add     r8, r9
    machine_vdso_read
    machine_vdso_split
    mov     [rsi], rdx
    mov     [rsi + 8], rax
    xor     eax, eax
    ret
    machine_vdso_again 5f
5:  mov     eax, 228
    syscall
    ret

# int gettimeofday(struct timeval *rdi, struct timezone *rsi)
.balign 16
.global machine_vdso_gettimeofday
machine_vdso_gettimeofday:
    lea     r9, [rip + machine_vdso_page]
    mov     r8, r9
    machine_vdso_read
    test    rdi, rdi
    jz      3f
    machine_vdso_split
    mov     [rdi], rdx
    # rax / 1000, right for every number below 2^32.
    mov     ecx, 274877907
    imul    rax, rcx
    shr     rax, 38
    mov     [rdi + 8], rax
3:  test    rsi, rsi
    jz      4f
    mov     qword ptr [rsi], 0
4:  xor     eax, eax
    ret
    machine_vdso_again 5f
5:  mov     eax, 96
    syscall
    ret

# time_t time(time_t *rdi)
.balign 16
.global machine_vdso_time
machine_vdso_time:
    lea     r9, [rip + machine_vdso_page]
    mov     r8, r9
    machine_vdso_read
    machine_vdso_split
    mov     rax, rdx
    test    rdi, rdi
    jz      4f
    mov     [rdi], rax
4:  ret
    machine_vdso_again 5f
5:  mov     eax, 201
    syscall
    ret

# int clock_getres(clockid_t edi, struct timespec *rsi)
.balign 16
.global machine_vdso_clock_getres
machine_vdso_clock_getres:
    cmp     edi, {last_clock}
    ja      5f
    lea     r9, [rip + machine_vdso_page]
    mov     r8d, edi
    shl     r8d, {clock_shift}
    test    byte ptr [r8 + r9 + {refused}], 1
    jnz     5f
    test    rsi, rsi
    jz      4f
    mov     qword ptr [rsi], 0
    mov     qword ptr [rsi + 8], 1
4:  xor     eax, eax
    ret
5:  mov     eax, 229
    syscall
    ret

# int getcpu(unsigned *rdi, unsigned *rsi, void *unused)
.balign 16
.global machine_vdso_getcpu
machine_vdso_getcpu:
    lea     r9, [rip + machine_vdso_page]
    test    byte ptr [r9 + {mode}], {mode_cpu}
    jz      5f
    rdtscp
    mov     eax, ecx
    and     ecx, 0xfff
    shr     eax, 12
    test    rdi, rdi
    jz      3f
    mov     [rdi], ecx
3:  test    rsi, rsi
    jz      4f
    mov     [rsi], eax
4:  xor     eax, eax
    ret
5:  mov     eax, 309
    syscall
    ret

.balign 16
.global machine_vdso_end
machine_vdso_end:
.popsection
