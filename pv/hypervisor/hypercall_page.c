/*
 * See hypercall_page.h. Ring 0.
 *
 * On a KVM host that deprivileges its guests, SYSCALL jumps to LSTAR but stays in ring 3. The
 * guest then cannot execute there: a page fault at entry_syscall, in user mode, with rcx and r11 as
 * SYSCALL left them. INT3 does reach ring 0 on such hosts, so it takes SYSCALL's place from then on.
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/hypercall_page.h"
#include "pv/hypervisor/entry.h"

#define STUB_BYTES 32
#define SYSCALL_OFFSET 8

static uint8_t *page_bytes;
static uint64_t page_virtual;

static void put32(uint8_t *to, uint32_t value)
{
    __builtin_memcpy(to, &value, sizeof(value));
}

void hypercall_page_fill(mfn_t page, uint64_t virtual)
{
    static const uint8_t stub[] = {
        0x51,             /* push %rcx */
        0x41, 0x53,       /* push %r11 */
        0xb8, 0, 0, 0, 0, /* mov $number, %eax */
        0x0f, 0x05,       /* syscall */
        0x41, 0x5b,       /* pop %r11 */
        0x59,             /* pop %rcx */
        0xc3,             /* ret */
    };
    /* iret never returns; its frame begins with rax, r11, rcx (struct iret_context). */
    static const uint8_t iret_stub[] = {
        0x51,             /* push %rcx */
        0x41, 0x53,       /* push %r11 */
        0x50,             /* push %rax */
        0xb8, 0, 0, 0, 0, /* mov $number, %eax */
        0x0f, 0x05,       /* syscall */
    };

    page_bytes = frame_to_virtual(page);
    page_virtual = virtual;
    this_cpu()->hypercall_page = virtual;
    for (unsigned int i = 0; i < NR_HYPERCALLS; i++) {
        uint8_t *at = page_bytes + i * STUB_BYTES;

        if (i == __HYPERVISOR_iret) {
            __builtin_memcpy(at, iret_stub, sizeof(iret_stub));
            put32(at + 5, i);
        } else {
            __builtin_memcpy(at, stub, sizeof(stub));
            put32(at + 4, i);
        }
    }
}

int hypercall_page_fault(struct frame *frame)
{
    uint64_t at = frame->rcx - 2; /* of the SYSCALL */

    if (frame->rip != (uint64_t)entry_syscall || !page_bytes || at - page_virtual >= PAGE_BYTES)
        return 0;
    for (unsigned int i = 0; i < NR_HYPERCALLS; i++) {
        uint8_t *stub = page_bytes + i * STUB_BYTES + SYSCALL_OFFSET + (i == __HYPERVISOR_iret);

        stub[0] = 0xcc; /* int3 */
        stub[1] = 0x90; /* nop */
    }
    frame->rip = at;
    return 1;
}
