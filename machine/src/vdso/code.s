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

# rax = nanoseconds since boot, r8 = the page, r9 = the sequence number to compare with afterwards.
# Goes to `unusable` when there is no clock but the kernel's. Changes rdx.
.macro machine_vdso_read unusable
    mov     r9, [r8 + {sequence}]
    test    r9b, 1
    jnz     8f
    test    byte ptr [r8 + {mode}], {mode_counter}
    jz      \unusable
    # Not before what the program did before (SDM volume 2B, RDTSC).
    lfence
    rdtsc
    shl     rdx, 32
    or      rax, rdx
    # A CPU whose counter is a little behind stands still for that while.
    xor     edx, edx
    sub     rax, [r8 + {base_stamp}]
    cmovb   rax, rdx
    mul     qword ptr [r8 + {factor}]
    shrd    rax, rdx, 32
    add     rax, [r8 + {base}]
.endm

# Looks again unless the page is still what it was. 8 waits for the kernel to be done writing.
.macro machine_vdso_again
    cmp     r9, [r8 + {sequence}]
    je      9f
8:  pause
    jmp     1b
9:
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
    cmp     edi, 11
    ja      5f
    mov     ecx, {clocks}
    bt      ecx, edi
    jnc     5f
    lea     r8, [rip + machine_vdso_page]
1:  machine_vdso_read 5f
    mov     ecx, {real_clocks}
    bt      ecx, edi
    jnc     2f
    add     rax, [r8 + {wall}]
    cmp     edi, 11
    jne     2f
    add     rax, [r8 + {tai}]
2:  machine_vdso_again
    machine_vdso_split
    mov     [rsi], rdx
    mov     [rsi + 8], rax
    xor     eax, eax
    ret
5:  mov     eax, 228
    syscall
    ret

# int gettimeofday(struct timeval *rdi, struct timezone *rsi)
.balign 16
.global machine_vdso_gettimeofday
machine_vdso_gettimeofday:
    lea     r8, [rip + machine_vdso_page]
1:  machine_vdso_read 5f
    add     rax, [r8 + {wall}]
    machine_vdso_again
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
5:  mov     eax, 96
    syscall
    ret

# time_t time(time_t *rdi)
.balign 16
.global machine_vdso_time
machine_vdso_time:
    lea     r8, [rip + machine_vdso_page]
1:  machine_vdso_read 5f
    add     rax, [r8 + {wall}]
    machine_vdso_again
    machine_vdso_split
    mov     rax, rdx
    test    rdi, rdi
    jz      4f
    mov     [rdi], rax
4:  ret
5:  mov     eax, 201
    syscall
    ret

# int clock_getres(clockid_t edi, struct timespec *rsi)
.balign 16
.global machine_vdso_clock_getres
machine_vdso_clock_getres:
    cmp     edi, 11
    ja      5f
    mov     ecx, {clocks}
    bt      ecx, edi
    jnc     5f
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
    lea     r8, [rip + machine_vdso_page]
    test    byte ptr [r8 + {mode}], {mode_cpu}
    jz      5f
    rdtscp
    test    rdi, rdi
    jz      3f
    mov     [rdi], ecx
3:  test    rsi, rsi
    jz      4f
    mov     dword ptr [rsi], 0
4:  xor     eax, eax
    ret
5:  mov     eax, 309
    syscall
    ret

.balign 16
.global machine_vdso_end
machine_vdso_end:
.popsection
