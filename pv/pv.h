/*
 * The guest's whole view of the hypervisor: the one header of pv/ that kernel/ includes.
 *
 * Everything here works on any hypervisor that speaks the Xen PV ABI (Xen's public headers, cited
 * in the sources of pv/). Guest code runs in ring 3; what looks like an interrupt is an event,
 * delivered on the current stack while events are unmasked. Functions return 0 or a negative errno
 * (newlib's numbers) unless said otherwise. None of them sleeps except pv_block.
 */
#ifndef PV_PV_H
#define PV_PV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul

/*
 * Four kinds of address that must not be mixed up: a frame number as the guest counts (pfn) and as
 * the machine counts (mfn), an address as a device or a page-table entry sees it (maddr), and a
 * guest-virtual one (vaddr; plain pointers where they are dereferenced).
 */
typedef struct {
    uint64_t n;
} pfn_t;
typedef struct {
    uint64_t n;
} mfn_t;
typedef struct {
    uint64_t n;
} maddr_t;
typedef struct {
    uint64_t n;
} vaddr_t;

/* --- Boot ---------------------------------------------------------------------------------- */

/* What the hypervisor told us; filled before kernel_main runs, read-only afterwards. */
struct pv_boot {
    uint64_t nr_pages;  /* frames pfn 0 .. nr_pages-1 are ours at the start */
    uint64_t max_pages; /* we never have more: pfns are below it */
    pfn_t free_start;   /* first frame behind image, p2m list, page tables and boot stack */
    pfn_t mapped_end;   /* frames below it are mapped at pv_boot_address(pfn) */
    const void *initrd; /* what the loader handed over besides; NULL: nothing */
    uint64_t initrd_bytes;
    char *command_line;   /* NUL-terminated, writable in place, at most 1023 bytes */
    char hypervisor[33];  /* start_info.magic, "xen-4.17-x86_64" or Parvus's own */
    bool initial_domain;  /* dom0: it may use the console and physical devices */
    bool wx_enforced;     /* PARVUS_FEATURE_WX: segments came with their own protections */
    bool seal_offered;    /* PARVUS_FEATURE_SEAL: pv_mmu_seal is there */
    bool status_latched;  /* PARVUS_FEATURE_EXIT_STATUS: the hypervisor takes the exit status */
    bool status_reported; /* pv_shutdown's status reaches the host, by whatever way */
};
extern struct pv_boot pv_boot;

/* The distance of the image from where it was linked (pv/relocate.c), and random bits that it does
 * not depend on (0 without a distance). */
extern uintptr_t pv_image_slide;
extern uint16_t pv_random_rest;

/* Where the bootstrap page tables map a frame; valid below pv_boot.mapped_end. */
void *pv_boot_address(pfn_t pfn);

/* --- Memory -------------------------------------------------------------------------------- */

/* The machine frame behind one of our frames. pfn must be < pv_boot.nr_pages, or have got memory.
 */
extern const uint64_t *pv_frame_list;
static inline mfn_t pv_mfn(pfn_t pfn)
{
    return (mfn_t){pv_frame_list[pfn.n]};
}

/* Page-table entry bits (x86-64; the hypervisor adds what it needs itself). */
#define PV_PTE_PRESENT 0x001ull
#define PV_PTE_WRITE 0x002ull
#define PV_PTE_USER 0x004ull
#define PV_PTE_UNCACHED 0x018ull
#define PV_PTE_ACCESSED 0x020ull
#define PV_PTE_DIRTY 0x040ull
#define PV_PTE_NX 0x8000000000000000ull
#define PV_PTE_FRAME 0x000ffffffffff000ull

/*
 * The bootstrap page table of the given level (4 = root, 1 = leaf) that maps va, or NULL where
 * none exists. Entries are readable, never writable.
 */
const uint64_t *pv_boot_table(vaddr_t va, unsigned level, pfn_t *frame);

/*
 * The update queue. Changes are collected and reach the hypervisor in order at mmu_flush, as one
 * multicall: page clears, entry writes, TLB flush. A full queue flushes itself. The first error is
 * kept and returned by the next mmu_flush; the updates that follow a refused one in its batch are
 * lost, so the caller undoes its whole operation. Lock: the caller's (kernel/vm.c: vm_lock).
 */
#define PV_MMU_BATCH 512

/* Zeroes a frame that is mapped writable nowhere (a page table to be). */
void pv_mmu_clear(pfn_t frame);
/* Where entry `index` of the page table in frame `table` is; the next entry is 8 bytes behind. */
maddr_t pv_mmu_slot(pfn_t table, unsigned index);
/* Sends what is queued. */
void pv_mmu_send(void);

extern struct pv_mmu_queue {
    unsigned count;
    struct {
        uint64_t slot, entry; /* as struct mmu_update of xen.h */
    } updates[PV_MMU_BATCH];
} pv_mmu_queue;

/* Writes an entry of a page table. */
static inline void pv_mmu_set(maddr_t slot, uint64_t entry)
{
    if (pv_mmu_queue.count == PV_MMU_BATCH)
        pv_mmu_send();
    unsigned at = pv_mmu_queue.count++;
    pv_mmu_queue.updates[at].slot = slot.n;
    pv_mmu_queue.updates[at].entry = entry;
}
/* Asks that the next flush forgets the translation of va, or all of them. */
void pv_mmu_invalidate(vaddr_t va);
void pv_mmu_invalidate_all(void);
int pv_mmu_flush(void);
/*
 * Makes the mappings of a range final: none of it, and no code anywhere, can be mapped from then
 * on. Only where pv_boot.seal_offered. -EINVAL: part of it is writable or unmapped; -EPERM: sealed
 * before.
 */
int pv_mmu_seal(vaddr_t start, vaddr_t end);

/*
 * Memory that comes and goes. Xen asks a domain to have less or more than it started with by the
 * memory target. fn runs when there may be news: then pv_target_pages has the target, or -EAGAIN if
 * it has none since the last time. -ENODEV: nobody sets one; other errors are those of reading it,
 * for good. Threads only, one at a time; nothing waits.
 */
typedef void event_handler_t(void *arg); /* events masked; must not sleep */
int pv_target_watch(event_handler_t *fn, void *arg);
int pv_target_pages(uint64_t *pages);

/*
 * Gives frames, mapped nowhere, back to the hypervisor; asks for memory behind frames that have
 * none. Both return with how many of them that was done, counted from the first.
 */
#define PV_FRAMES_BATCH 256 /* at most */
unsigned pv_frames_give(const pfn_t *frames, unsigned count);
unsigned pv_frames_take(const pfn_t *frames, unsigned count);

/* Where frames behind nr_pages can get memory, pv_mfn needs a list of max_pages entries: this one.
 */
void pv_frames_list_move(uint64_t *list);

/* --- Traps and events ---------------------------------------------------------------------- */

/* What trap and event entries save, lowest address first; the last seven come from Xen's frame. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector; /* 0..31, or TRAP_EVENT */
    uint64_t error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

#define TRAP_DIVIDE 0
#define TRAP_DEBUG 1
#define TRAP_BREAKPOINT 3
#define TRAP_OVERFLOW 4
#define TRAP_INVALID_OPCODE 6
#define TRAP_DOUBLE_FAULT 8
#define TRAP_GENERAL_PROTECTION 13
#define TRAP_PAGE_FAULT 14
#define TRAP_X87 16
#define TRAP_ALIGNMENT 17
#define TRAP_SIMD 19
#define TRAP_EVENT 32
#define TRAP_FAILSAFE 33 /* the hypervisor could not restore the guest's state */

#define RFLAGS_IF 0x200ull /* in a saved frame: events were unmasked */

/* Supplied by the kernel. */
uint64_t entropy_early(void);               /* a random number, from the first instruction on */
void kernel_protect_stacks(void);           /* sets the stack protector's canary */
_Noreturn void kernel_main(void);           /* on the boot stack, events masked */
void kernel_trap(struct trap_frame *frame); /* exception, events masked; returns to frame */
void kernel_event_exit(void);               /* after the handlers of an event, masked */

/* Continues at a frame that kernel_trap got, or a copy of it. The copy is on the stack in use, with
 * nothing of worth below it; events are masked. */
_Noreturn void pv_resume(struct trap_frame *frame);

/* The address that the last page fault on this vCPU could not reach. */
uintptr_t pv_fault_address(void);

/* The first bytes of struct vcpu_info (xen.h), the start of the page shared with the hypervisor. */
struct pv_upcall {
    volatile uint8_t pending;
    volatile uint8_t mask;
};
extern uint8_t pv_shared_page[PAGE_SIZE];

static inline unsigned pv_cpu(void) /* index of this vCPU */
{
    return 0;
}

static inline struct pv_upcall *pv_upcall(void)
{
    return (struct pv_upcall *)(pv_shared_page + pv_cpu() * 64ul /* sizeof(struct vcpu_info) */);
}

/* Delivers what is pending, and unmasks. Events must be masked. */
void pv_event_replay(void);

/*
 * Masks event delivery on this vCPU; returns whether it was unmasked. pv_events_restore(true)
 * unmasks and delivers what came in between, pv_events_restore(false) leaves all as it is.
 * Only this vCPU and the hypervisor on its behalf look at the mask: compiler barriers are enough.
 */
static inline bool pv_events_mask(void)
{
    bool was_unmasked = pv_upcall()->mask == 0;
    pv_upcall()->mask = 1;
    asm volatile("" ::: "memory");
    return was_unmasked;
}

static inline void pv_events_restore(bool unmask)
{
    if (!unmask)
        return;
    asm volatile("" ::: "memory");
    pv_upcall()->mask = 0;
    if (pv_upcall()->pending) { /* came while masked: no upcall follows by itself */
        pv_upcall()->mask = 1;
        pv_event_replay();
    }
}

/* True when an event waits for delivery (or for the mask to go). */
static inline bool pv_event_pending(void)
{
    return pv_upcall()->pending != 0;
}

typedef uint32_t event_port_t;

enum pv_virq { PV_VIRQ_TIMER = 0, PV_VIRQ_CONSOLE = 2 };

/* Bind a source to a port whose handler then runs at each event. -ENOSPC: no port left; others by
 * the hypervisor (-EEXIST: already bound; -EPERM: not allowed to this domain). */
int pv_event_bind_virq(enum pv_virq virq, event_handler_t *fn, void *arg, event_port_t *port);
int pv_event_bind_ipi(event_handler_t *fn, void *arg, event_port_t *port);
/* A port that the tool stack bound; *port is set to it. */
int pv_event_bind_port(event_port_t bound, event_handler_t *fn, void *arg, event_port_t *port);
int pv_event_close(event_port_t port);
int pv_event_send(event_port_t port);

/* --- Devices ------------------------------------------------------------------------------- */

/*
 * I/O ports, once pv_port_enable has succeeded on this vCPU (again and again is fine). -EPERM,
 * -ENOSYS: not for this domain. A port that the hypervisor keeps to itself, or any port without
 * access, ends in a general protection fault. bytes: 1, 2 or 4; reads are zero-extended.
 */
int pv_port_enable(void);
uint32_t pv_port_read(uint16_t port, unsigned bytes);
void pv_port_write(uint16_t port, unsigned bytes, uint32_t value);

enum pv_irq_trigger { PV_IRQ_EDGE, PV_IRQ_LEVEL_LOW, PV_IRQ_LEVEL_HIGH };

/*
 * A device's interrupt as an event: by the number of its line (a GSI as ACPI counts them), or by an
 * entry of its MSI-X table, which the hypervisor fills and unmasks; `bar` is the machine address of
 * the BAR that holds the table, as the device's configuration space has it. *port is good for
 * pv_irq_done and pv_irq_unbind. Devices may share a level-triggered line: a handler then sees
 * events that are not its device's. The trigger that a line was first bound with stays. The
 * interrupt comes as soon as the device raises it (for MSI-X: has it enabled), even before the call
 * returns where events are unmasked.
 * -EINVAL: no such line, device or entry; -EBUSY, -EEXIST: bound already; -ENOSPC: no port or
 * vector left; -ENODEV, -ENXIO, -ENOSYS, -EPERM: not on this machine, not for this domain.
 */
int pv_irq_bind_gsi(unsigned gsi, enum pv_irq_trigger trigger, event_handler_t *fn, void *arg,
                    event_port_t *port);
int pv_irq_bind_msix(uint16_t segment, uint8_t bus, uint8_t devfn, maddr_t bar, unsigned entry,
                     event_handler_t *fn, void *arg, event_port_t *port);
/* The device's cause is cleared: the line may interrupt again. A handler calls this once for each
 * event; it costs a hypercall for level-triggered lines only. */
void pv_irq_done(event_port_t port);
/* The device must have been silenced. */
int pv_irq_unbind(event_port_t port);

/* --- Time ---------------------------------------------------------------------------------- */

uint64_t pv_clock_monotonic_ns(void); /* since the domain's boot; never backwards */
uint64_t pv_clock_wall_ns(void);      /* since 1970-01-01 UTC */
uint64_t pv_clock_tsc_hz(void);       /* of the counter behind them */

/* Raises VIRQ_TIMER once the monotonic clock reaches deadline_ns; replaces any earlier one. */
void pv_timer_set(uint64_t deadline_ns);
void pv_timer_stop(void);
/* Ends the periodic tick that Xen starts every vCPU with. */
void pv_timer_stop_periodic(void);

/* --- The virtual CPU ----------------------------------------------------------------------- */

/* Unmasks events and sleeps until one is delivered (SCHEDOP_block: no wake-up is lost). */
void pv_block(void);
/* Sets the base of %fs by hypercall (the way that always works). */
int pv_set_fs_base(uintptr_t base);
/* The stack for faults that cannot be pushed on the current one (PARVUS_FEATURE_FAULT_STACK). */
int pv_set_fault_stack(void *top);

/* --- Console and end ----------------------------------------------------------------------- */

void pv_console_write(const char *text, size_t bytes);
/* Bytes read, 0 if none wait, or -errno. */
int pv_console_read(char *buffer, size_t bytes);
/* Raises an event when there is something to read. -EPERM: this domain has no console input. */
int pv_console_bind(event_handler_t *fn, void *arg, event_port_t *port);

enum pv_shutdown { PV_SHUTDOWN_EXIT, PV_SHUTDOWN_CRASH, PV_SHUTDOWN_OUT_OF_MEMORY };
/* Ends the domain. The status (0..255, of an exit only) reaches the host where
 * pv_boot.status_reported says so. */
_Noreturn void pv_shutdown(enum pv_shutdown how, unsigned status);

#endif
