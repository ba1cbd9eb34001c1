/*
 * Changing stacks: thread switch, first entry of a thread, fault_catch's entry and landing.
 *
 * Called by kernel/sched.c, kernel/thread.c and kernel/fault.c. Ring 3, events masked for switches.
 */
    .text

/*
 * void switch_stacks(uint64_t *save, uint64_t load)
 * A voluntary switch is a function call: the ABI leaves rbx, rbp, r12-r15, mxcsr's and the x87
 * control word's settings to be kept; everything else is the caller's already.
 */
    .globl switch_stacks
    .type switch_stacks, @function
switch_stacks:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size switch_stacks, . - switch_stacks

/* Where switch_stacks "returns" to in a new thread; rbp is 0 there, the end of backtraces. */
    .globl switch_first
    .type switch_first, @function
switch_first:
    call thread_begin
    ud2
    .size switch_first, . - switch_first

/*
 * int fault_enter(uint64_t *rsp, void (*fn)(void *), void *arg)
 * Returns 0 when fn returns. fault_landing is reached with rsp as stored here, from a trap frame
 * that fault_recover rewrote, and returns 1 from the same call.
 */
    .globl fault_enter, fault_landing
    .type fault_enter, @function
fault_enter:
    push %rbp
    mov %rsp, %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    mov %rsp, (%rdi)
    mov %rdx, %rdi
    call *%rsi
    xor %eax, %eax
1:  add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
fault_landing:
    mov $1, %eax
    jmp 1b
    .size fault_enter, . - fault_enter

    .section .note.GNU-stack, "", @progbits
