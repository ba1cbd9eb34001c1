/*
 * Thread-local storage: x86-64 variant II (ELF TLS, section 3.4.6). The block ends at the thread
 * pointer, where %fs:0 holds the pointer itself.
 *
 * Callers: kernel/thread.c, kernel/sched.c. Ring 3. Locks: none.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "kernel/fault.h"
#include "kernel/sched.h"

/* kernel/guest.lds: the template, and the sizes of its parts. */
extern const char image_tls_start[];
extern const struct tls_sizes {
    size_t data_bytes, bytes, align;
} image_tls_sizes;

#define TCB_BYTES 64 /* self pointer; %fs:0x28 is the stack protector's canary */
#define TCB_ALIGN 16

static bool has_wrfsbase;

static size_t alignment(void)
{
    size_t align = image_tls_sizes.align;

    return align > TCB_ALIGN ? align : TCB_ALIGN;
}

size_t tls_bytes(void)
{
    return image_tls_sizes.bytes + TCB_BYTES + 2 * alignment();
}

uintptr_t tls_build(uintptr_t end)
{
    size_t align = image_tls_sizes.align;
    size_t data_bytes = image_tls_sizes.data_bytes, bytes = image_tls_sizes.bytes;
    uintptr_t base = (end - TCB_BYTES) & -alignment();
    /* The linker counts offsets from the end of the template, rounded up to its alignment. */
    char *block = (char *)(base - ((bytes + align - 1) & -align));

    memcpy(block, image_tls_start, data_bytes);
    memset(block + data_bytes, 0, base - (uintptr_t)block - data_bytes);
    memset((void *)base, 0, TCB_BYTES);
    *(uintptr_t *)base = base;
    return base;
}

static void write_fs_base(uintptr_t base)
{
    asm volatile("wrfsbase %0" ::"r"(base) : "memory");
}

static void try_wrfsbase(void *unused)
{
    (void)unused;
    write_fs_base(0);
}

/* CPUID does not tell whether ring 3 may use the instruction (CR4.FSGSBASE): try. */
void tls_init(void)
{
    struct fault fault;

    pv_events_restore(true); /* faults are caught where events are unmasked only */
    has_wrfsbase = fault_catch(try_wrfsbase, NULL, &fault) == 0;
    pv_events_mask();
}

void tls_activate(uintptr_t fs_base)
{
    if (has_wrfsbase)
        write_fs_base(fs_base);
    else
        pv_set_fs_base(fs_base);
}
