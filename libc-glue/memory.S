/*
 * memset, and memcpy and memmove as the kernel has them (kernel/general.h), event handlers included, so
 * general registers only and the direction flag always clear.
 *
 * Up to 32 bytes: two overlapping ends, all loaded before anything is stored. Then 32 bytes a turn.
 * From REP_BYTES on `rep movsq` / `rep stosq`: as fast as the byte forms where everything is aligned,
 * and an emulator, which counts one instruction per repetition, does an eighth of the work. Where
 * source and destination are aligned differently movsq is several times slower than movsb (measured:
 * 4 KiB in 295 ns against 40 ns), hence `rep movsb` from REP_UNALIGNED_BYTES on.
 * newlib's own versions use non-temporal stores, a tenth as fast on data that stays in the cache.
 */

#define REP_BYTES 256
#define REP_UNALIGNED_BYTES 1024

        .text

/* void *general_memmove(void *to (%rdi), const void *from (%rsi), size_t bytes (%rdx)); general_memcpy alike. */
        .section .text.general_memmove, "ax", @progbits
        .globl  general_memcpy, general_memmove
        .type   general_memcpy, @function
        .type   general_memmove, @function
        .p2align 4
general_memcpy:
general_memmove:
        movq    %rdi, %rax
        cmpq    $32, %rdx
        ja      .Lmove_more
.Lmove_small:
        cmpl    $16, %edx
        jae     .Lmove_16_32
        cmpl    $8, %edx
        jae     .Lmove_8_15
        cmpl    $4, %edx
        jae     .Lmove_4_7
        cmpl    $1, %edx
        jb      .Lmove_done
        movzbl  (%rsi), %ecx
        je      .Lmove_1
        movzwl  -2(%rsi, %rdx), %r8d
        movw    %r8w, -2(%rdi, %rdx)
.Lmove_1:
        movb    %cl, (%rdi)
.Lmove_done:
        ret
.Lmove_4_7:
        movl    (%rsi), %ecx
        movl    -4(%rsi, %rdx), %r8d
        movl    %ecx, (%rdi)
        movl    %r8d, -4(%rdi, %rdx)
        ret
.Lmove_8_15:
        movq    (%rsi), %rcx
        movq    -8(%rsi, %rdx), %r8
        movq    %rcx, (%rdi)
        movq    %r8, -8(%rdi, %rdx)
        ret
.Lmove_16_32:
        movq    (%rsi), %rcx
        movq    8(%rsi), %r8
        movq    -16(%rsi, %rdx), %r9
        movq    -8(%rsi, %rdx), %r10
        movq    %rcx, (%rdi)
        movq    %r8, 8(%rdi)
        movq    %r9, -16(%rdi, %rdx)
        movq    %r10, -8(%rdi, %rdx)
        ret

.Lmove_more:
        movq    %rdi, %rcx
        subq    %rsi, %rcx              /* 0 < to - from < bytes: the end must go first */
        cmpq    %rdx, %rcx
        jb      .Lmove_backward
        cmpq    $REP_BYTES, %rdx
        jb      .Lmove_forward
        testb   $7, %cl
        jz      .Lmove_quads
        cmpq    $REP_UNALIGNED_BYTES, %rdx
        jae     .Lmove_bytes
        .p2align 4
.Lmove_forward:
        movq    (%rsi), %rcx
        movq    8(%rsi), %r8
        movq    16(%rsi), %r9
        movq    24(%rsi), %r10
        movq    %rcx, (%rdi)
        movq    %r8, 8(%rdi)
        movq    %r9, 16(%rdi)
        movq    %r10, 24(%rdi)
        addq    $32, %rsi
        addq    $32, %rdi
        subq    $32, %rdx
        cmpq    $32, %rdx
        ja      .Lmove_forward
        jmp     .Lmove_small

.Lmove_backward:
        movq    -8(%rsi, %rdx), %rcx
        movq    -16(%rsi, %rdx), %r8
        movq    -24(%rsi, %rdx), %r9
        movq    -32(%rsi, %rdx), %r10
        movq    %rcx, -8(%rdi, %rdx)
        movq    %r8, -16(%rdi, %rdx)
        movq    %r9, -24(%rdi, %rdx)
        movq    %r10, -32(%rdi, %rdx)
        subq    $32, %rdx
        cmpq    $32, %rdx
        ja      .Lmove_backward
        jmp     .Lmove_small

        /* The first and the last eight bytes are loaded first and stored last: the quadwords between
         * them start at an aligned destination, and to may lie just below from. */
.Lmove_quads:
        movq    (%rsi), %r8
        movq    -8(%rsi, %rdx), %r9
        leaq    -8(%rdi, %rdx), %r10
        movl    %edi, %ecx
        negl    %ecx
        andl    $7, %ecx
        addq    %rcx, %rdi
        addq    %rcx, %rsi
        subq    %rcx, %rdx
        movq    %rdx, %rcx
        shrq    $3, %rcx
        rep movsq
        movq    %r8, (%rax)
        movq    %r9, (%r10)
        ret
.Lmove_bytes:
        movq    %rdx, %rcx
        rep movsb
        ret
        .size   general_memcpy, . - general_memcpy
        .size   general_memmove, . - general_memmove

/* void *memset(void *to (%rdi), int value (%esi), size_t bytes (%rdx)) */
        .section .text.memset, "ax", @progbits
        .globl  memset
        .type   memset, @function
        .p2align 4
memset:
        movq    %rdi, %r8
        movzbl  %sil, %eax
        movabsq $0x0101010101010101, %rcx
        imulq   %rcx, %rax
        cmpq    $16, %rdx
        ja      .Lset_more
        cmpl    $8, %edx
        jae     .Lset_8_16
        cmpl    $4, %edx
        jae     .Lset_4_7
        cmpl    $1, %edx
        jb      .Lset_done
        movb    %al, (%rdi)
        je      .Lset_done
        movw    %ax, -2(%rdi, %rdx)
.Lset_done:
        movq    %r8, %rax
        ret
.Lset_4_7:
        movl    %eax, (%rdi)
        movl    %eax, -4(%rdi, %rdx)
        movq    %r8, %rax
        ret
.Lset_8_16:
        movq    %rax, (%rdi)
        movq    %rax, -8(%rdi, %rdx)
        movq    %r8, %rax
        ret

.Lset_more:
        movq    %rax, -16(%rdi, %rdx)
        movq    %rax, -8(%rdi, %rdx)
        cmpq    $REP_BYTES, %rdx
        jae     .Lset_rep
.Lset_turn:
        movq    %rax, (%rdi)
        movq    %rax, 8(%rdi)
        addq    $16, %rdi
        subq    $16, %rdx
        cmpq    $16, %rdx
        ja      .Lset_turn
        movq    %r8, %rax
        ret

.Lset_rep:
        movq    %rax, (%rdi)
        movl    %edi, %ecx
        negl    %ecx
        andl    $7, %ecx
        addq    %rcx, %rdi
        subq    %rcx, %rdx
        movq    %rdx, %rcx
        shrq    $3, %rcx
        rep stosq
        movq    %r8, %rax
        ret
        .size   memset, . - memset

        .section .note.GNU-stack, "", @progbits
