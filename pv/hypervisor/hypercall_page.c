/*
 * See hypercall_page.h. Ring 0.
 *
 * On a KVM host that deprivileges its guests, SYSCALL jumps to LSTAR but stays in ring 3. The
 * guest then cannot execute there: a page fault at entry_syscall, in user mode, with rcx and r11 as
 * SYSCALL left them. INT3 does reach ring 0 on such hosts, so it takes SYSCALL's place from then
 * on.
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/hypercall_page.h"
#include "pv/hypervisor/entry.h"
#include "pv/hypervisor/frame.h"
#include "pv/hypervisor/guest_memory.h"
#include "pv/hypervisor/pagetable.h"

#define STUB_BYTES 32

static uint8_t *page_bytes;
static uint64_t page_virtual;

/* Code for one hypercall, its number at `number_offset`. */
struct stub {
    uint8_t bytes, number_offset;
    uint8_t code[STUB_BYTES];
};

static const struct stub by_syscall = {
    .bytes = 14,
    .number_offset = 4,
    .code = {0x51,             /* push %rcx */
             0x41, 0x53,       /* push %r11 */
             0xb8, 0, 0, 0, 0, /* mov $number, %eax */
             0x0f, 0x05,       /* syscall */
             0x41, 0x5b,       /* pop %r11 */
             0x59,             /* pop %rcx */
             0xc3},            /* ret */
};

/* iret never returns; its frame begins with rax, r11, rcx (struct iret_context). */
static const struct stub iret_by_syscall = {
    .bytes = 11,
    .number_offset = 5,
    .code = {0x51,             /* push %rcx */
             0x41, 0x53,       /* push %r11 */
             0x50,             /* push %rax */
             0xb8, 0, 0, 0, 0, /* mov $number, %eax */
             0x0f, 0x05},      /* syscall */
};

/* Saves what a hypercall may not change: see entry_breakpoint. */
static const struct stub by_int3 = {
    .bytes = 31, .number_offset = 13, .code = {0x51,                      /* push %rcx */
                                               0x41, 0x53,                /* push %r11 */
                                               0x57,                      /* push %rdi */
                                               0x56,                      /* push %rsi */
                                               0x52,                      /* push %rdx */
                                               0x41, 0x50,                /* push %r8 */
                                               0x41, 0x51,                /* push %r9 */
                                               0x41, 0x52,                /* push %r10 */
                                               0xb8, 0,    0,    0,    0, /* mov $number, %eax */
                                               0xcc,                      /* int3 */
                                               0x41, 0x5a, 0x41, 0x59, 0x41,
                                               0x58,             /* pop %r10, %r9, %r8 */
                                               0x5a, 0x5e, 0x5f, /* pop %rdx, %rsi, %rdi */
                                               0x41, 0x5b, 0x59, /* pop %r11, %rcx */
                                               0xc3},            /* ret */
};

static const struct stub iret_by_int3 = {
    .bytes = 10,
    .number_offset = 5,
    .code = {0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0xcc}, /* as by SYSCALL */
};

static void write_page(const struct stub *stub, const struct stub *iret_stub)
{
    /* The whole page, as Xen does: calls beyond the last are to be refused like any unknown one. */
    for (uint32_t i = 0; i < PAGE_BYTES / STUB_BYTES; i++) {
        const struct stub *from = i == __HYPERVISOR_iret ? iret_stub : stub;
        uint8_t *to = page_bytes + i * STUB_BYTES;

        __builtin_memcpy(to, from->code, from->bytes);
        __builtin_memcpy(to + from->number_offset, &i, sizeof(i));
    }
}

void hypercall_page_fill(mfn_t page, uint64_t virtual)
{
    page_bytes = frame_to_virtual(page);
    page_virtual = virtual;
    this_cpu()->hypercall_page = virtual;
    write_page(&by_syscall, &iret_by_syscall);
}

/* Whether an address lies in the page; from then on the page is known to be there. */
static int find_page(uint64_t address)
{
    if (!page_bytes)
        return 0;
    if (address - page_virtual < PAGE_BYTES)
        return 1;
    if (pagetable_frame_at(address).n != virtual_to_frame(page_bytes).n)
        return 0;
    page_virtual = address & -PAGE_BYTES;
    this_cpu()->hypercall_page = page_virtual;
    return 1;
}

int hypercall_page_breakpoint(struct frame *frame)
{
    uint64_t known = page_virtual;

    if (!find_page(frame->rip) || page_virtual == known)
        return 0;
    frame->rip--; /* INT3 again, which entry_breakpoint now takes for a hypercall */
    return 1;
}

int hypercall_page_fault(struct frame *frame)
{
    uint64_t saved[3]; /* [rax,] r11, rcx: by the stub so far */

    if (frame->rip != (uint64_t)entry_syscall || !find_page(frame->rcx))
        return 0;

    uint64_t offset = frame->rcx - page_virtual; /* of what follows the SYSCALL */
    /* Any guest can jump there. It may have made another use of the page in the meantime. */
    if (frame_type(virtual_to_frame(page_bytes)) >= FRAME_L1)
        return 0;

    int is_iret = offset / STUB_BYTES == __HYPERVISOR_iret;
    const uint64_t *word = saved;

    if (guest_read(saved, frame->rsp, sizeof(saved)))
        return 0;
    cpu_clear_cr2(); /* it has the address of entry_syscall, which no report is to show */
    write_page(&by_int3, &iret_by_int3);
    /* Undo what SYSCALL (which cleared SFMASK's flags, IF among them) and the stub did; try again.
     */
    frame->rflags = frame_guest_rflags(frame->r11);
    if (is_iret)
        frame->rax = *word++;
    frame->r11 = word[0];
    frame->rcx = word[1];
    frame->rsp += is_iret ? 24 : 16;
    frame->rip = page_virtual + (offset & -(uint64_t)STUB_BYTES);
    return 1;
}

int hypercall_page_is_iret(const struct frame *frame)
{
    return page_bytes && frame->rip - page_virtual < PAGE_BYTES &&
           (uint32_t)frame->rax == __HYPERVISOR_iret;
}
