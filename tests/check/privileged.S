/*
 * One function for each instruction that a guest may not hold, named bad_*, and functions named
 * good_* with what it may. Linked by tests/host/checks.py, never run.
 */
.macro function name, instruction:vararg
    .globl \name
    .type \name, @function
\name:
    \instruction
    .size \name, . - \name
.endm

    .text
    function bad_cli, cli
    function bad_sti, sti
    function bad_popf, popfq
    function bad_popf_word, popfw
    function bad_hlt, hlt
    function bad_monitor, monitor
    function bad_mwait, mwait
    function bad_lgdt, lgdt (%rax)
    function bad_sgdt, sgdt (%rax)
    function bad_lidt, lidt (%rax)
    function bad_sidt, sidt 8(%rax)
    function bad_lldt, lldt %ax
    function bad_sldt, sldt %eax
    function bad_ltr, ltr %ax
    function bad_str, str %ax
    function bad_lmsw, lmsw %ax
    function bad_smsw, smsw %ax
    function bad_clts, clts
    function bad_rdmsr, rdmsr
    function bad_wrmsr, wrmsr
    function bad_rdpmc, rdpmc
    function bad_xsetbv, xsetbv
    function bad_xsaves, xsaves (%rax)
    function bad_read_control, mov %cr3, %rax
    function bad_write_control, mov %rax, %cr8
    function bad_read_debug, mov %dr0, %rax
    function bad_write_debug, mov %rax, %dr7
    function bad_invlpg, invlpg (%rax)
    function bad_invpcid, invpcid (%rax), %rcx
    function bad_invd, invd
    function bad_wbinvd, wbinvd
    function bad_stac, stac
    function bad_clac, clac
    function bad_swapgs, swapgs
    function bad_sysret, sysretq
    function bad_sysret_long, sysretl
    function bad_sysexit, sysexitq
    function bad_sysenter, sysenter
    function bad_iret, iretl
    function bad_iret_word, iretw
    function bad_iret_quad, iretq
    function bad_rsm, rsm
    function bad_syscall, syscall
    function bad_vmcall, vmcall
    function bad_vmmcall, vmmcall
    function bad_vmlaunch, vmlaunch
    function bad_in, in $4, %al
    function bad_in_register, in %dx, %eax
    function bad_out, out %al, $4
    function bad_out_register, out %ax, %dx
    function bad_ins, insb
    function bad_rep_ins, rep insl
    function bad_rep_outs, rep outsb
    function bad_int, int $0x80
    function bad_int1, int1
    function bad_red_zone_store, mov %rax, -8(%rsp)
    function bad_red_zone_load, movss -16(%rsp), %xmm0
    function bad_red_zone_push, push -16(%rsp)

    function good_int3, int3
    function good_ud2, ud2
    function good_pushf, pushfq
    function good_rdtsc, rdtsc
    function good_cpuid, cpuid
    function good_allocate, lea -8(%rsp), %rsp
    function good_stack, mov 8(%rsp), %rax
    function good_below_frame, mov %rax, -8(%rbp)
    function good_thread_pointer, wrfsbase %rax
    function good_segment, mov %fs:0, %rax
    function good_inc, inc %rax
    function good_inc_memory, lock incl (%rax)
    function good_insertps, insertps $1, %xmm0, %xmm1
    function good_stc, stc
    function good_xsave, xsave (%rax)
    function cli, ret
