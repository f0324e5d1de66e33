# Moving bytes: inside the kernel, and between the kernel and user memory. Intel syntax.
#
# Emulators want 8-byte moves, processors with fast string instructions want those, so each routine
# compares the length with `string_threshold` (set at boot). Every instruction that may touch user
# memory has an entry in .fixups: when it faults, the exception handler goes on at the fixup.

.macro fixup to
    .pushsection .fixups, "a", @progbits
    .quad 99b, \to
    .popsection
.endm

.text

# memcpy(rdi to, rsi from, rdx bytes) -> rax to
.balign 16
.global memcpy
memcpy:
    mov rax, rdi
    mov rcx, rdx
    cmp rcx, [rip + string_threshold]
    jae 5f
    sub rcx, 32
    jb 2f
1:  mov r8, [rsi]
    mov r9, [rsi + 8]
    mov r10, [rsi + 16]
    mov r11, [rsi + 24]
    mov [rdi], r8
    mov [rdi + 8], r9
    mov [rdi + 16], r10
    mov [rdi + 24], r11
    add rsi, 32
    add rdi, 32
    sub rcx, 32
    jae 1b
2:  add rcx, 32
    sub rcx, 8
    jb 4f
3:  mov r8, [rsi]
    mov [rdi], r8
    add rsi, 8
    add rdi, 8
    sub rcx, 8
    jae 3b
4:  add rcx, 8
    jz 7f
6:  mov r8b, [rsi]
    mov [rdi], r8b
    inc rsi
    inc rdi
    dec rcx
    jnz 6b
7:  ret
5:  rep movsb
    ret

# memmove(rdi to, rsi from, rdx bytes) -> rax to
.balign 16
.global memmove
memmove:
    mov rcx, rdi
    sub rcx, rsi
    cmp rcx, rdx
    jae memcpy                          # `to` is not inside the source: forwards is right
    mov rax, rdi
    mov rcx, rdx
    sub rcx, 8
    jb 2f
1:  mov r8, [rsi + rcx]
    mov [rdi + rcx], r8
    sub rcx, 8
    jae 1b
2:  add rcx, 8
    jz 4f
3:  mov r8b, [rsi + rcx - 1]
    mov [rdi + rcx - 1], r8b
    dec rcx
    jnz 3b
4:  ret

# memset(rdi to, esi byte, rdx bytes) -> rax to
.balign 16
.global memset
memset:
    mov r9, rdi
    mov rcx, rdx
    movzx eax, sil
    cmp rcx, [rip + string_threshold]
    jae 5f
    mov r8, 0x0101010101010101
    imul rax, r8
    sub rcx, 32
    jb 2f
1:  mov [rdi], rax
    mov [rdi + 8], rax
    mov [rdi + 16], rax
    mov [rdi + 24], rax
    add rdi, 32
    sub rcx, 32
    jae 1b
2:  add rcx, 32
    sub rcx, 8
    jb 4f
3:  mov [rdi], rax
    add rdi, 8
    sub rcx, 8
    jae 3b
4:  add rcx, 8
    jz 7f
6:  mov [rdi], al
    inc rdi
    dec rcx
    jnz 6b
7:  mov rax, r9
    ret
5:  rep stosb
    mov rax, r9
    ret

# memcmp(rdi, rsi, rdx bytes) -> eax
.balign 16
.global memcmp, bcmp
memcmp:
bcmp:
    sub rdx, 8
    jb 2f
1:  mov r8, [rsi]
    mov rax, [rdi]
    cmp rax, r8
    jne 5f
    add rsi, 8
    add rdi, 8
    sub rdx, 8
    jae 1b
2:  add rdx, 8
    jz 4f
3:  movzx eax, byte ptr [rdi]
    movzx ecx, byte ptr [rsi]
    sub eax, ecx
    jnz 6f
    inc rsi
    inc rdi
    dec rdx
    jnz 3b
4:  xor eax, eax
    ret
5:  bswap rax                           # the first byte that differs decides
    bswap r8
    cmp rax, r8
    sbb eax, eax
    or eax, 1
6:  ret

# zero_page(rdi): 4096 bytes, page-aligned
.balign 16
.global machine_zero_page
machine_zero_page:
    xor eax, eax
    mov ecx, 4096
    cmp rcx, [rip + string_threshold]
    jae 2f
    mov ecx, 64
1:  mov [rdi], rax
    mov [rdi + 8], rax
    mov [rdi + 16], rax
    mov [rdi + 24], rax
    mov [rdi + 32], rax
    mov [rdi + 40], rax
    mov [rdi + 48], rax
    mov [rdi + 56], rax
    add rdi, 64
    dec ecx
    jnz 1b
    ret
2:  rep stosb
    ret

# user_copy(rdi to, rsi from, rdx bytes) -> rax bytes not copied. One of both is user memory.
.balign 16
.global machine_user_copy
machine_user_copy:
    mov rcx, rdx
    test dword ptr gs:[{smap}], 1
    jz 1f
    stac
1:  cmp rcx, [rip + string_threshold]
    jae 7f
    sub rcx, 64
    jb 3f
2:
99: mov r8, [rsi]
    fixup 9f
99: mov r9, [rsi + 8]
    fixup 9f
99: mov r10, [rsi + 16]
    fixup 9f
99: mov r11, [rsi + 24]
    fixup 9f
99: mov [rdi], r8
    fixup 9f
99: mov [rdi + 8], r9
    fixup 9f
99: mov [rdi + 16], r10
    fixup 9f
99: mov [rdi + 24], r11
    fixup 9f
99: mov r8, [rsi + 32]
    fixup 9f
99: mov r9, [rsi + 40]
    fixup 9f
99: mov r10, [rsi + 48]
    fixup 9f
99: mov r11, [rsi + 56]
    fixup 9f
99: mov [rdi + 32], r8
    fixup 9f
99: mov [rdi + 40], r9
    fixup 9f
99: mov [rdi + 48], r10
    fixup 9f
99: mov [rdi + 56], r11
    fixup 9f
    add rsi, 64
    add rdi, 64
    sub rcx, 64
    jae 2b
3:  add rcx, 64
10: cmp rcx, 8
    jb 4f
99: mov r8, [rsi]
    fixup 4f
99: mov [rdi], r8
    fixup 4f
    add rsi, 8
    add rdi, 8
    sub rcx, 8
    jmp 10b
9:  add rcx, 64                         # a fault inside a block: it begins again, byte by byte
    # The rest, and after a fault the bytes before the one that faults.
4:  test rcx, rcx
    jz 6f
5:
99: mov r8b, [rsi]
    fixup 6f
99: mov [rdi], r8b
    fixup 6f
    inc rsi
    inc rdi
    dec rcx
    jnz 5b
6:  test dword ptr gs:[{smap}], 1
    jz 8f
    clac
8:  mov rax, rcx
    ret
7:
99: rep movsb
    fixup 6b
    jmp 6b

# user_zero(rdi to, rsi bytes) -> rax bytes not cleared
.balign 16
.global machine_user_zero
machine_user_zero:
    mov rcx, rsi
    xor eax, eax
    test dword ptr gs:[{smap}], 1
    jz 1f
    stac
1:  cmp rcx, [rip + string_threshold]
    jae 7f
2:  cmp rcx, 32
    jb 4f
99: mov [rdi], rax
    fixup 4f
99: mov [rdi + 8], rax
    fixup 4f
99: mov [rdi + 16], rax
    fixup 4f
99: mov [rdi + 24], rax
    fixup 4f
    add rdi, 32
    sub rcx, 32
    jmp 2b
4:  test rcx, rcx
    jz 6f
5:
99: mov [rdi], al
    fixup 6f
    inc rdi
    dec rcx
    jnz 5b
6:  test dword ptr gs:[{smap}], 1
    jz 8f
    clac
8:  mov rax, rcx
    ret
7:
99: rep stosb
    fixup 6b
    jmp 6b

# Words of user memory in one step: (rdi address, ...) -> rax what was read, edx 0, or 1 after a
# fault. The results stay in registers: no memory of the kernel is touched while users' is open.
.macro user_word name
.balign 16
.global \name
\name:
    mov eax, esi
    test dword ptr gs:[{smap}], 1
    jz 1f
    stac
1:
.endm
.macro user_word_end
    xor edx, edx
3:  test dword ptr gs:[{smap}], 1
    jz 4f
    clac
4:  ret
2:  mov edx, 1
    jmp 3b
.endm

user_word machine_user_load_u32
99: mov eax, [rdi]
    fixup 2f
    user_word_end

user_word machine_user_load_u64
99: mov rax, [rdi]
    fixup 2f
    user_word_end

user_word machine_user_store_u32        # esi: the word
99: mov [rdi], esi
    fixup 2f
    user_word_end

user_word machine_user_store_u64        # rsi: the word
99: mov [rdi], rsi
    fixup 2f
    user_word_end

user_word machine_user_compare_exchange_u32     # esi: old, edx: new
99: lock cmpxchg [rdi], edx
    fixup 2f
    user_word_end
