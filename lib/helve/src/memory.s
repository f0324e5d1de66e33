# The memory functions that compiled code calls by name. Eight bytes at a time: fast on an emulator, which is slow at
# string instructions and vectors, and good enough on hardware for what native programs copy.

    .text
    .globl memcpy, memmove, memset, memcmp, bcmp, strlen
    .type memcpy, @function
    .type memmove, @function
    .type memset, @function
    .type memcmp, @function
    .type bcmp, @function
    .type strlen, @function

# memmove(rdi to, rsi from, rdx count) -> to
memmove:
    mov rax, rdi
    sub rax, rsi
    cmp rax, rdx
    jb 5f
# memcpy(rdi to, rsi from, rdx count) -> to
memcpy:
    mov rax, rdi
    cmp rdx, 32
    jb 2f
1:  mov rcx, [rsi]
    mov r8, [rsi + 8]
    mov r9, [rsi + 16]
    mov r10, [rsi + 24]
    mov [rdi], rcx
    mov [rdi + 8], r8
    mov [rdi + 16], r9
    mov [rdi + 24], r10
    add rsi, 32
    add rdi, 32
    sub rdx, 32
    cmp rdx, 32
    jae 1b
2:  cmp rdx, 8
    jb 4f
3:  mov rcx, [rsi]
    mov [rdi], rcx
    add rsi, 8
    add rdi, 8
    sub rdx, 8
    cmp rdx, 8
    jae 3b
4:  test rdx, rdx
    jz 9f
8:  movzx ecx, byte ptr [rsi]
    mov [rdi], cl
    inc rsi
    inc rdi
    dec rdx
    jnz 8b
9:  ret
# The target begins inside the source: from the end.
5:  mov rax, rdi
    cmp rdx, 8
    jb 7f
6:  mov rcx, [rsi + rdx - 8]
    mov [rdi + rdx - 8], rcx
    sub rdx, 8
    cmp rdx, 8
    jae 6b
7:  test rdx, rdx
    jz 9b
    movzx ecx, byte ptr [rsi + rdx - 1]
    mov [rdi + rdx - 1], cl
    dec rdx
    jmp 7b

# memset(rdi to, esi byte, rdx count) -> to
memset:
    mov r8, rdi
    movzx eax, sil
    mov rcx, 0x0101010101010101
    imul rax, rcx
    cmp rdx, 8
    jb 2f
1:  mov [rdi], rax
    add rdi, 8
    sub rdx, 8
    cmp rdx, 8
    jae 1b
2:  test rdx, rdx
    jz 4f
3:  mov [rdi], al
    inc rdi
    dec rdx
    jnz 3b
4:  mov rax, r8
    ret

# memcmp(rdi, rsi, rdx count) -> negative, 0, positive
memcmp:
bcmp:
    cmp rdx, 8
    jb 2f
1:  mov rax, [rdi]
    mov rcx, [rsi]
    cmp rax, rcx
    jne 4f
    add rdi, 8
    add rsi, 8
    sub rdx, 8
    cmp rdx, 8
    jae 1b
2:  test rdx, rdx
    jz 5f
3:  movzx eax, byte ptr [rdi]
    movzx ecx, byte ptr [rsi]
    sub eax, ecx
    jnz 6f
    inc rdi
    inc rsi
    dec rdx
    jnz 3b
5:  xor eax, eax
6:  ret
4:  bswap rax
    bswap rcx
    cmp rax, rcx
    sbb eax, eax
    or eax, 1
    ret

# strlen(rdi) -> count
strlen:
    xor eax, eax
1:  cmp byte ptr [rdi + rax], 0
    je 2f
    inc rax
    jmp 1b
2:  ret
