/*
 * What is called, see fuzz.h. Every choice takes from the generator of random numbers only, never
 * from results, so that a step is the same whatever the hypervisor answered (but for ports that it
 * chose).
 *
 * The rules that keep the fuzzer itself whole:
 * - a pointer to which a call may write is the fuzzer's, or one that nobody can write to;
 * - a batch that is worked off as a list of updates was made as one, and ends at an unmapped page;
 * - an entry that may get into a page table maps the pool writable, other memory of the guest
 * read-only at most, and otherwise only what must be refused.
 */
#include "tests/fuzz/hypercalls/fuzz.h"

#include <stdio.h>
#include <string.h>

#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "kernel/clock.h"
#include "kernel/fault.h"
#include "pv/abi.h"

#define LIST_MAX 6
#define HYPERCALL_ENTRY_BYTES 32

bool events_are_masked;
static struct call last;

/* --- Values ----------------------------------------------------------------------------------- */

#define PICK(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

static uint64_t private_address(void)
{
    uint64_t l4 = below(16) ? 0 : below(PRIVATE_SLOTS), l3 = below(4) ? 0 : below(4), l2 = below(4);

    return PRIVATE_START + (l4 << 39) + (l3 << 30) + (l2 << 21) + (below(TABLE_SLOTS) << 12) +
           (one_in(4) ? below(PAGE_SIZE) : 0);
}

static uint64_t unreadable(void)
{
    static const uint64_t ends[] = {0,
                                    8,
                                    0xfff,
                                    0x800000000000,
                                    0x7ffffffffff8,
                                    0xffff7ffffffffff8,
                                    0xffff800000000000,
                                    0xffff7fffffffffff,
                                    0xffff830000000000,
                                    0xffff82d040200000,
                                    0xffff87fffffffff0,
                                    0xffff87fffffffff8,
                                    0xfffffffffffffff8,
                                    0xffffffffffffffff};

    return PICK(ends);
}

/* Nothing can be written there. */
static uint64_t bad_pointer(void)
{
    switch (below(8)) {
    case 0:
        return address_of(arena.arguments) + ARGUMENT_PAGES * PAGE_SIZE + below(PAGE_SIZE);
    case 1:
        return address_of(arena.constant) + below(PAGE_SIZE);
    case 2:
        return arena.text_start + below(arena.text_end - arena.text_start);
    case 3:
        return 0xffff830000000000 + below(arena.frames << PAGE_SHIFT);
    case 4:
        return random_u64() | 1ul << 63; /* mostly not canonical */
    default:
        return unreadable();
    }
}

/* Of an argument that is read or written; struct at its beginning or where it was put. */
static uint64_t argument_pointer(void *at, size_t bytes)
{
    uint8_t *end = arena.arguments + ARGUMENT_PAGES * PAGE_SIZE;

    switch (below(16)) {
    case 0:
        return bad_pointer();
    case 1: /* its end lies beyond */
        return address_of(end - below(bytes));
    case 2:
    case 3:
        memcpy(end - bytes, at, bytes);
        return address_of(end - bytes);
    default: {
        uint8_t *to = arena.arguments + (below(64) << 6) + (one_in(8) ? below(64) : 0);

        memcpy(to, at, bytes);
        return address_of(to);
    }
    }
}

/* Of one whose bytes must be just these: no other argument is put there in the same batch. */
static uint64_t fixed_pointer(const void *at, size_t bytes)
{
    static unsigned next;
    uint8_t *to = arena.arguments + PAGE_SIZE + 1024 + next++ % 16 * 64;

    memcpy(to, at, bytes);
    return one_in(8) ? unreadable() : address_of(to);
}

/* Of what is only written. */
static uint64_t result_pointer(void)
{
    switch (below(8)) {
    case 0:
        return bad_pointer();
    case 1:
        return private_address();
    case 2: /* its end may lie beyond */
        return address_of(arena.results) + RESULT_PAGES * PAGE_SIZE - below(64);
    default:
        return address_of(arena.results) + (below(RESULT_PAGES * PAGE_SIZE) & ~7ul);
    }
}

static uint64_t any_number(void)
{
    static const uint64_t likely[] = {
        0,         1,         2,       3,          4,          8,          16,
        31,        32,        64,      127,        128,        255,        256,
        1023,      1024,      4095,    4096,       0x7ff0,     0x7ff1,     0x7fff,
        0xffff,    0x10000,   0x10001, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
        1ul << 62, 1ul << 63, ~0ul,    ~0ul - 1,   ~7ul};

    return one_in(4) ? random_u64() : PICK(likely);
}

static uint64_t domain(void)
{
    static const uint64_t others[] = {0,      1,      0x7ff0, 0x7ff1, 0x7ff2,
                                      0x7ff3, 0x7ff4, 0xffff, ~0ul,   0x10007ff0};

    return one_in(16) ? PICK(others) : DOMID_SELF;
}

/* --- Frames and entries ----------------------------------------------------------------------- */

static mfn_t pool_frame(void)
{
    return arena.pool[below(NR_POOL)];
}

/* The hypervisor's, an interrupt controller's, or none at all: to be refused in every role. */
static mfn_t refused_frame(void)
{
    const uint64_t none[] = {arena.address_limit, arena.address_limit * 2 - 1};
    static const uint64_t controllers[] = {0xfec00, 0xfee00, 0xfeeff};

    if (!on_parvus || one_in(4)) /* a dom0 of Xen has frames that its list does not name */
        return (mfn_t){PICK(none)};
    if (one_in(4))
        return (mfn_t){PICK(controllers)};
    for (;;) {
        uint64_t n = 0x100 + below(arena.frames - 0x100);

        if (!frame_is_ours(n) && n != arena.shared.n)
            return (mfn_t){n};
    }
}

/* That, or a device's memory, without one. */
static mfn_t foreign_frame(void)
{
    return on_parvus && one_in(4) ? (mfn_t){one_in(2) ? arena.frames + below(2) : 0x100000}
                                  : refused_frame();
}

static mfn_t table_frame(void)
{
    mfn_t own[] = {arena.root, arena.l3, arena.l2, arena.l1[0], arena.l1[1]};

    return PICK(own);
}

static uint64_t entry_flags(void)
{
    uint64_t flags = PV_PTE_PRESENT;

    flags |= one_in(2) ? PV_PTE_WRITE : 0;
    flags |= one_in(3) ? 0 : PV_PTE_NX;
    flags |= one_in(4) ? 0 : PV_PTE_USER;
    flags |= one_in(4) ? random_u64() & (PV_PTE_ACCESSED | PV_PTE_DIRTY) : 0;
    flags |= one_in(8) ? random_u64() & 0x198 : 0;                /* caching, large, global */
    flags |= one_in(8) ? random_u64() & 0x7ff0000000000e00ul : 0; /* ignored, keys, available */
    return flags;
}

static uint64_t random_entry(void)
{
    switch (below(16)) {
    case 0:
        return 0;
    case 1: /* not present: anything, but a frame of the pool where one could be taken for an
               address */
        return entry_of(pool_frame(), random_u64() & 0xfff & ~PV_PTE_PRESENT);
    case 2:
        return entry_of(foreign_frame(), entry_flags());
    case 3:
    case 4:
        return entry_of(table_frame(), entry_flags());
    case 5:
        return entry_of(arena.shared, entry_flags() & ~PV_PTE_WRITE);
    case 6:
        return one_in(2) ? entry_of(arena.list_frame, entry_flags() & ~PV_PTE_WRITE)
                         : entry_of(arena.results_frame, entry_flags());
    case 7:
    case 8:
        return entry_of(pool_frame(), FLAGS_TABLE);
    default:
        return entry_of(pool_frame(), entry_flags());
    }
}

/* Where an update goes: a machine address with its kind in the low bits. */
static uint64_t random_target(void)
{
    uint64_t offset = (one_in(8) ? below(512) : below(TABLE_SLOTS)) * 8;
    uint64_t kind = one_in(4) ? below(8) : 0;

    switch (below(16)) {
    case 0: /* the hypervisor's slots */
        return (arena.root.n << PAGE_SHIFT) + (256 + below(16)) * 8 + (kind & ~1ul);
    case 1:
        return (foreign_frame().n << PAGE_SHIFT) + offset + kind;
    case 2:
        return (arena.root.n << PAGE_SHIFT) + (first_slot + below(PRIVATE_SLOTS)) * 8 + (kind & 2);
    case 3:
        return (arena.l3.n << PAGE_SHIFT) + (below(4) * 8) + kind;
    case 4:
    case 5:
    case 6:
        return (arena.l2.n << PAGE_SHIFT) + (below(TABLE_SLOTS) * 8) + kind;
    case 7:
    case 8:
        return (pool_frame().n << PAGE_SHIFT) + offset + kind;
    default:
        return (arena.l1[below(2)].n << PAGE_SHIFT) + offset + kind;
    }
}

/* --- Batches ---------------------------------------------------------------------------------- */

/* The end of the page, or within a multicall, what is left before the lists that are there. */
static uint8_t *inner_end;
static bool is_inner;

static void *list_room(size_t bytes)
{
    if (!is_inner)
        return arena.list + PAGE_SIZE - bytes;
    inner_end -= bytes;
    return inner_end;
}

/* As long as the list is, or nearly, or absurdly: then it ends in a fault. Not so where others
 * follow. */
static uint64_t list_count(uint64_t count)
{
    static const uint64_t absurd[] = {0x10000,    0x10001,     0x7fffffff, 0xffffffff,
                                      0x80000001, 0x100000001, ~0ul};

    if (is_inner)
        return one_in(8) ? below(count + 1) : count;
    return one_in(8) ? PICK(absurd) : one_in(8) ? count + below(3) : count;
}

/* Not at its beginning, what is an entry would be an address, and kind 3 is one that Xen knows. */
static uint64_t list_pointer(void *list)
{
    if (one_in(24))
        return one_in(4) ? address_of(arena.constant) + below(PAGE_SIZE) : unreadable();
    return address_of(list) + (!is_inner && on_parvus && one_in(24) ? 4 + 4 * below(2) : 0);
}

static uint64_t done_pointer(void)
{
    return one_in(2) ? 0 : result_pointer();
}

static void make_mmu_update(struct call *call)
{
    uint64_t count = 1 + below(LIST_MAX);
    struct mmu_update *list = list_room(count * sizeof(*list));

    for (uint64_t i = 0; i < count; i++)
        list[i] = (struct mmu_update){random_target(), random_entry()};
    *call = (struct call){__HYPERVISOR_mmu_update,
                          {list_pointer(list), list_count(count), done_pointer(), domain()}};
}

static void make_mmuext_op(struct mmuext_op *op)
{
    static const unsigned commands[] = {
        MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L1_TABLE,    MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE,
        MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE,     MMUEXT_UNPIN_TABLE,  MMUEXT_TLB_FLUSH_LOCAL,
        MMUEXT_INVLPG_LOCAL, MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_MULTI, MMUEXT_TLB_FLUSH_ALL,
        MMUEXT_INVLPG_ALL,   MMUEXT_CLEAR_PAGE,      MMUEXT_CLEAR_PAGE,   MMUEXT_COPY_PAGE,
        MMUEXT_FLUSH_CACHE,  MMUEXT_SET_LDT,         MMUEXT_NEW_BASEPTR,  MMUEXT_NEW_USER_BASEPTR,
        MMUEXT_MARK_SUPER,   MMUEXT_UNMARK_SUPER};

    *op = (struct mmuext_op){.cmd = PICK(commands)};
    op->arg1.mfn = one_in(12) ? foreign_frame().n : pool_frame().n;
    op->arg2.src_mfn = one_in(12) ? foreign_frame().n : pool_frame().n;
    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR: { /* the root, or what is none */
        mfn_t candidates[] = {arena.root, arena.l3, arena.l2, arena.l1[0], foreign_frame()};

        op->arg1.mfn = PICK(candidates).n;
        break;
    }
    case MMUEXT_NEW_USER_BASEPTR:
        op->arg1.mfn = one_in(2) || !on_parvus ? 0 : random_u64();
        break;
    case MMUEXT_SET_LDT:
        op->arg1.linear_addr = one_in(2) ? private_address() & -PAGE_SIZE : bad_pointer();
        op->arg2.nr_ents = on_parvus ? (unsigned)any_number() : 0;
        break;
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_INVLPG_ALL:
        op->arg1.linear_addr = one_in(2) ? private_address() : bad_pointer();
        op->arg2.vcpumask.p = (void *)bad_pointer();
        break;
    case MMUEXT_TLB_FLUSH_MULTI:
        op->arg2.vcpumask.p = (void *)bad_pointer();
        break;
    default:
        if (one_in(16) && op->cmd != MMUEXT_UNPIN_TABLE)
            op->arg1.mfn = table_frame().n;
    }
    if (one_in(48))
        op->cmd = on_parvus ? (unsigned)(20 + below(1000)) : 1000;
}

static void make_mmuext(struct call *call)
{
    uint64_t count = 1 + below(LIST_MAX);
    struct mmuext_op *list = list_room(count * sizeof(*list));

    for (uint64_t i = 0; i < count; i++)
        make_mmuext_op(&list[i]);
    *call = (struct call){__HYPERVISOR_mmuext_op,
                          {list_pointer(list), list_count(count), done_pointer(), domain()}};
}

static void make_va_mapping(struct call *call)
{
    uint64_t address = one_in(12) ? one_in(2) ? 0xffff800000000000 + (random_u64() >> 20)
                                              : random_u64() | 0x8001000000000000ul
                                  : private_address();

    *call = (struct call){
        __HYPERVISOR_update_va_mapping,
        {address, random_entry(), one_in(8) ? any_number() : below(3) | below(8) << 2}};
    if ((call->args[2] & UVMF_FLUSHTYPE_MASK) != 0 &&
        call->args[2] & ~3ul) /* a pointer to a bitmap */
        call->args[2] = (call->args[2] & 3) | UVMF_LOCAL;
    if (one_in(16)) {
        call->number = __HYPERVISOR_update_va_mapping_otherdomain;
        call->args[3] = domain();
    }
}

/* --- The other families ----------------------------------------------------------------------- */

#define MAX_PORTS 4096

static bool is_kernel_port[MAX_PORTS];

static long port_operation(unsigned command, void *op)
{
    return CALL(__HYPERVISOR_event_channel_op, command, address_of(op));
}

void ports_begin(void)
{
    for (uint32_t port = 1; port < MAX_PORTS; port++) {
        struct evtchn_status status = {.dom = DOMID_SELF, .port = port};

        is_kernel_port[port] =
            port_operation(EVTCHNOP_status, &status) == 0 && status.status != EVTCHNSTAT_closed;
    }
}

void ports_reset(void)
{
    for (uint32_t port = 1; port < (on_parvus ? 1024 : MAX_PORTS); port++) {
        struct evtchn_close close = {.port = port};

        if (!is_kernel_port[port])
            port_operation(EVTCHNOP_close, &close);
    }
    for (int pirq = 0; on_parvus && pirq < 256; pirq++) {
        struct physdev_unmap_pirq unmap = {.domid = DOMID_SELF, .pirq = pirq};

        CALL(__HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq, address_of(&unmap));
    }
}

/* One that may be closed. */
static uint32_t own_port(void)
{
    if (one_in(8))
        return (uint32_t)any_number() | 0x8000;
    for (unsigned tries = 0; tries < 8; tries++) {
        uint32_t port = 1 + (uint32_t)below(one_in(2) ? 64 : 1022);

        if (!is_kernel_port[port])
            return port;
    }
    return 1023;
}

static uint32_t any_port(void)
{
    return one_in(4) ? (uint32_t)any_number() : (uint32_t)below(one_in(2) ? 64 : 1024);
}

static uint16_t small_domain(void)
{
    return (uint16_t)domain();
}

static void make_event(struct call *call)
{
    union {
        struct evtchn_bind_virq virq;
        struct evtchn_bind_pirq pirq;
        struct evtchn_bind_ipi ipi;
        struct evtchn_alloc_unbound unbound;
        struct evtchn_bind_interdomain interdomain;
        struct evtchn_close close;
        struct evtchn_send send;
        struct evtchn_status status;
        struct evtchn_unmask unmask;
        struct evtchn_bind_vcpu vcpu;
        struct evtchn_reset reset;
        uint64_t words[4];
    } op = {.words = {any_number(), any_number(), any_number(), any_number()}};
    uint64_t command = one_in(32) ? (on_parvus ? any_number() : 0x100) : below(11);

    switch ((uint32_t)command) {
    case EVTCHNOP_bind_virq:
        op.virq.virq = one_in(8) ? any_port() : (uint32_t)below(26);
        op.virq.vcpu = one_in(8) ? (uint32_t)any_number() : 0;
        break;
    case EVTCHNOP_bind_pirq:
        op.pirq.pirq = on_parvus ? (uint32_t)below(300) : 0xffffff;
        break;
    case EVTCHNOP_bind_ipi:
        op.ipi.vcpu = one_in(8) ? (uint32_t)any_number() : 0;
        break;
    case EVTCHNOP_alloc_unbound:
        op.unbound.dom = small_domain();
        op.unbound.remote_dom = small_domain();
        break;
    case EVTCHNOP_bind_interdomain:
        op.interdomain.remote_dom = small_domain();
        op.interdomain.remote_port = any_port();
        break;
    case EVTCHNOP_close:
        op.close.port = own_port();
        break;
    case EVTCHNOP_send:
        op.send.port = any_port();
        break;
    case EVTCHNOP_status:
        op.status.dom = small_domain();
        op.status.port = any_port();
        break;
    case EVTCHNOP_unmask:
        op.unmask.port = any_port();
        break;
    case EVTCHNOP_bind_vcpu:
        op.vcpu.port = own_port();
        op.vcpu.vcpu = one_in(8) ? (uint32_t)any_number() : 0;
        break;
    case EVTCHNOP_reset:
        op.reset.dom = 1234; /* it would close the kernel's, too */
        break;
    }
    *call =
        (struct call){__HYPERVISOR_event_channel_op, {command, argument_pointer(&op, sizeof(op))}};
    /* Shifted, the port could be one of the kernel's, or the domain the caller's. */
    if ((uint32_t)command == EVTCHNOP_close || (uint32_t)command == EVTCHNOP_reset ||
        (uint32_t)command == EVTCHNOP_bind_vcpu)
        call->args[1] = fixed_pointer(&op, sizeof(op));
}

static void make_physdev(struct call *call)
{
    static const unsigned commands[] = {
        PHYSDEVOP_eoi,        PHYSDEVOP_pirq_eoi_gmfn_v2, PHYSDEVOP_irq_status_query,
        PHYSDEVOP_set_iopl,   PHYSDEVOP_set_iobitmap,     PHYSDEVOP_map_pirq,
        PHYSDEVOP_unmap_pirq, PHYSDEVOP_setup_gsi,        PHYSDEVOP_pci_device_add};
    union {
        struct physdev_eoi eoi;
        struct physdev_pirq_eoi_gmfn gmfn;
        struct physdev_irq_status_query query;
        struct physdev_set_iopl iopl;
        struct physdev_set_iobitmap bitmap;
        struct physdev_map_pirq map;
        struct physdev_unmap_pirq unmap;
        struct physdev_setup_gsi gsi;
        uint64_t words[8];
    } op;
    uint64_t command = one_in(16) && on_parvus ? any_number() : PICK(commands);

    for (unsigned i = 0; i < 8; i++)
        op.words[i] = any_number();
    if (!on_parvus) /* it has real devices to lose */
        command = below(2) ? PHYSDEVOP_eoi : PHYSDEVOP_irq_status_query;
    switch ((uint32_t)command) {
    case PHYSDEVOP_eoi:
    case PHYSDEVOP_irq_status_query:
        op.eoi.irq = on_parvus && !one_in(4) ? (uint32_t)below(300) : 0xffffff;
        break;
    case PHYSDEVOP_pirq_eoi_gmfn_v2: /* kept for good */
        op.gmfn.gmfn = one_in(4)   ? arena.results_frame.n
                       : one_in(2) ? foreign_frame().n
                                   : table_frame().n;
        break;
    case PHYSDEVOP_set_iopl:
        op.iopl.iopl = (uint32_t)below(5);
        break;
    case PHYSDEVOP_set_iobitmap:
        op.bitmap.bitmap.p = (void *)(one_in(4) ? bad_pointer() : address_of(arena.arguments));
        op.bitmap.nr_ports = one_in(2) ? (uint32_t)below(65538) : (uint32_t)any_number();
        break;
    case PHYSDEVOP_map_pirq:
        op.map.domid = small_domain();
        op.map.type = (int)below(6);
        op.map.index = one_in(2) ? -1 : (int)below(300);
        op.map.pirq = one_in(2) ? -1 : (int)below(300);
        op.map.bus = one_in(2) ? 0 : (int)any_number();
        op.map.devfn = (int)below(256);
        op.map.entry_nr = (int)below(4);
        break;
    case PHYSDEVOP_unmap_pirq:
        op.unmap.domid = small_domain();
        op.unmap.pirq = one_in(8) ? (int)any_number() : (int)below(300);
        break;
    case PHYSDEVOP_setup_gsi:
        op.gsi.gsi = one_in(8) ? (int)any_number() : (int)below(300);
        break;
    }
    *call = (struct call){__HYPERVISOR_physdev_op, {command, argument_pointer(&op, sizeof(op))}};
    if ((uint32_t)command == PHYSDEVOP_pirq_eoi_gmfn_v2)
        call->args[1] = fixed_pointer(&op, sizeof(op));
}

static void make_memory(struct call *call)
{
    static const uint64_t known[] = {XENMEM_maximum_ram_page,    XENMEM_current_reservation,
                                     XENMEM_maximum_reservation, XENMEM_maximum_gpfn,
                                     XENMEM_machphys_mapping,    XENMEM_memory_map};
    struct xen_memory_map map = {(unsigned)below(3), {NULL}};
    uint64_t command = one_in(8) && on_parvus ? any_number() : PICK(known);

    map.buffer.p = (void *)result_pointer();
    *call = (struct call){__HYPERVISOR_memory_op, {command, result_pointer()}};
    if (command == XENMEM_memory_map) { /* its pointer is followed: no other bytes than these */
        call->args[1] = fixed_pointer(&map, sizeof(map));
    } else if (command != XENMEM_machphys_mapping) {
        uint16_t id = small_domain();

        call->args[1] = argument_pointer(&id, sizeof(id));
    }
}

static void make_version(struct call *call)
{
    struct xen_feature_info info = {(unsigned)(one_in(2) ? below(3) : 0x50415256), 0};

    *call = (struct call){__HYPERVISOR_xen_version,
                          {one_in(16) ? any_number() : below(12), result_pointer()}};
    if ((uint32_t)call->args[0] == XENVER_get_features)
        call->args[1] = argument_pointer(&info, sizeof(info));
}

static void make_vcpu(struct call *call)
{
    static const uint64_t known[] = {VCPUOP_is_up, VCPUOP_get_runstate_info,
                                     VCPUOP_stop_periodic_timer, VCPUOP_set_singleshot_timer,
                                     VCPUOP_stop_singleshot_timer};
    struct vcpu_set_singleshot_timer timer = {any_number(), (uint32_t)below(4)};

    *call =
        (struct call){__HYPERVISOR_vcpu_op,
                      {one_in(8) && on_parvus ? any_number() : PICK(known),
                       one_in(8) ? any_number() : 0, address_of(arena.results) + below(64) * 8}};
    if ((uint32_t)call->args[0] == VCPUOP_set_singleshot_timer)
        call->args[2] = argument_pointer(&timer, sizeof(timer));
    else if (one_in(8))
        call->args[2] = bad_pointer();
}

/* Neither a wait without an end nor the end itself. */
static void make_sched(struct call *call)
{
    struct sched_poll poll = {.timeout = 1 + below(1000),
                              .nr_ports = (unsigned)(one_in(4) ? any_number() : below(4))};
    uint64_t command = below(8);

    poll.ports.p = (void *)(one_in(4) ? bad_pointer() : address_of(arena.arguments + 256));
    *call = (struct call){__HYPERVISOR_sched_op, {command, unreadable()}};
    if (command == SCHEDOP_block)
        call->args[0] = one_in(8) && on_parvus ? 100 + below(1000) : SCHEDOP_yield;
    if (command == SCHEDOP_poll && one_in(2)) {
        for (unsigned i = 0; i < 4; i++) {
            uint32_t port = any_port();

            memcpy(arena.arguments + 256 + 4 * i, &port, sizeof(port));
        }
        call->args[1] = fixed_pointer(&poll, sizeof(poll));
    }
}

/* What step() puts right afterwards; only while events are masked. */
static void make_callbacks(struct call *call)
{
    struct callback_register callback = {(uint16_t)below(8), (uint16_t)below(2), bad_pointer()};
    struct trap_info traps[3] = {{0}};

    switch (events_are_masked ? below(5) : 5) {
    case 0:
        *call = (struct call){
            __HYPERVISOR_set_callbacks,
            {one_in(2) ? bad_pointer() : arena.text_start, bad_pointer(), bad_pointer()}};
        break;
    case 1:
        *call = (struct call){
            __HYPERVISOR_callback_op,
            {one_in(8) ? any_number() : below(3), argument_pointer(&callback, sizeof(callback))}};
        break;
    case 2:
        for (unsigned i = 0; i < 2; i++)
            traps[i] = (struct trap_info){(uint8_t)random_u64(), (uint8_t)random_u64(),
                                          (uint16_t)random_u64(),
                                          one_in(2) ? bad_pointer() : arena.text_start};
        *call = (struct call){__HYPERVISOR_set_trap_table,
                              {one_in(8) ? 0 : argument_pointer(traps, sizeof(traps))}};
        break;
    case 3:
        *call = (struct call){__HYPERVISOR_stack_switch, {any_number(), bad_pointer()}};
        break;
    default:
        *call = (struct call){__HYPERVISOR_set_segment_base,
                              {one_in(8) && on_parvus ? any_number() : below(4),
                               one_in(2) ? bad_pointer() : private_address()}};
        if (!on_parvus || !events_are_masked)
            call->args[0] = SEGBASE_GS_USER;
        if (is_inner && !events_are_masked) /* a change before it could make that %fs */
            make_version(call);
    }
}

static void make_console(struct call *call)
{
    bool is_read = below(2);

    *call = (struct call){__HYPERVISOR_console_io,
                          {is_read ? CONSOLEIO_read : CONSOLEIO_write,
                           one_in(2) ? any_number() : below(200),
                           is_read ? result_pointer() : 0x800000000000ul + below(4096)}};
    if (one_in(8) && on_parvus)
        call->args[0] = any_number() | 2;
    if (is_inner) /* a change before it could make that a write */
        make_version(call);
}

static void make_timer(struct call *call)
{
    *call = (struct call){__HYPERVISOR_set_timer_op,
                          {one_in(2) ? any_number() : clock_monotonic_ns() + below(1 << 20)}};
}

/* Any number at all, those that a list or a pointer to follow belongs to apart; bad pointers only.
 */
static void make_raw(struct call *call)
{
    *call = (struct call){on_parvus ? below(128) : 60 + below(68), {0}};
    for (unsigned i = 0; i < 5; i++)
        call->args[i] = one_in(3)   ? any_number()
                        : one_in(4) ? address_of(arena.constant) + below(PAGE_SIZE)
                                    : unreadable();
    switch (call->number) {
    case __HYPERVISOR_set_trap_table:
    case __HYPERVISOR_set_callbacks:
    case __HYPERVISOR_stack_switch:
    case __HYPERVISOR_set_segment_base:
    case __HYPERVISOR_callback_op:
    case __HYPERVISOR_iret:
        call->number = 60;
        return;
    case __HYPERVISOR_console_io:
        call->args[2] = 0x800000000000ul;
        return;
    case PARVUS_HYPERCALL_SEAL: /* for good */
        call->args[0] |= 1;
        break;
    case __HYPERVISOR_update_va_mapping:
    case __HYPERVISOR_update_va_mapping_otherdomain:
        call->args[0] = unreadable();
        break;
    case __HYPERVISOR_sched_op: /* a wait, an end */
        call->args[0] |= 1ul << 20;
        break;
    }
    /* Small numbers are pointers to nothing, others to what is there only by chance: not by that
     * one. */
    for (unsigned i = 0; i < 5; i++)
        if (call->args[i] > PAGE_SIZE && call->args[i] < PRIVATE_START &&
            call->args[i] - address_of(arena.constant) >= PAGE_SIZE)
            call->args[i] |= 1ul << 63;
}

/* --- Multicalls --------------------------------------------------------------------------------
 */

static void make_call(struct call *call);

/* An entry that changes one behind it: by an update of a word of the frame that holds them, or of
 * the updates that it refers to. */
static void make_change(struct call *call, struct multicall_entry *calls, unsigned at,
                        unsigned count)
{
    struct mmu_update *list = list_room(sizeof(*list));
    unsigned victim = at + 1 + (unsigned)below(count - at - 1);
    uint64_t *word = one_in(3) ? (uint64_t *)&calls[victim].op : (uint64_t *)&calls[victim].args[0];

    *list =
        (struct mmu_update){(arena.list_frame.n << PAGE_SHIFT) + address_of(word) % PAGE_SIZE,
                            word == (uint64_t *)&calls[victim].op ? 60 + below(64) : unreadable()};
    *call = (struct call){__HYPERVISOR_mmu_update, {address_of(list), 1, 0, DOMID_SELF}};
}

static void make_multicall(struct call *call)
{
    unsigned count = 1 + (unsigned)below(LIST_MAX);
    struct multicall_entry *calls = (void *)(arena.list + PAGE_SIZE - count * sizeof(*calls));
    uint64_t pointer = address_of(calls);

    is_inner = true;
    inner_end = arena.inner + PAGE_SIZE;
    for (unsigned i = 0; i < count; i++) {
        struct call inner;

        if (i + 1 < count && one_in(4))
            make_change(&inner, calls, i, count);
        else
            make_call(&inner);
        if (one_in(32))
            inner.number = on_parvus ? any_number() | 0x80 : 0x80;
        if (one_in(32))
            inner.number = __HYPERVISOR_multicall;
        if (one_in(32) && on_parvus) /* Xen does it, with what frame there is */
            inner.number = __HYPERVISOR_iret;
        calls[i] = (struct multicall_entry){.op = inner.number, .result = 12345};
        memcpy(calls[i].args, inner.args, sizeof(inner.args));
    }
    is_inner = false;
    if (one_in(8)) { /* through another mapping, which a call of the batch may take away or make
                        read-only */
        uint64_t alias = WINDOW_START + 8 * PAGE_SIZE;

        if (window_map(8, arena.list_frame, FLAGS_DATA)) {
            pointer = alias + address_of(calls) % PAGE_SIZE;
            calls[below(count)] = (struct multicall_entry){
                .op = __HYPERVISOR_update_va_mapping,
                .args = {alias, one_in(2) ? 0 : entry_of(arena.list_frame, FLAGS_CONSTANT),
                         below(3)}};
        }
    }
    *call = (struct call){__HYPERVISOR_multicall,
                          {one_in(16) ? unreadable() : pointer, list_count(count), any_number()}};
}

/* --- All of them -------------------------------------------------------------------------------
 */

static void make_call(struct call *call)
{
    static void (*const makers[])(struct call *) = {
        make_mmu_update, make_mmu_update, make_mmu_update, make_mmu_update, make_va_mapping,
        make_va_mapping, make_mmuext,     make_mmuext,     make_mmuext,     make_event,
        make_event,      make_physdev,    make_memory,     make_version,    make_vcpu,
        make_sched,      make_callbacks,  make_console,    make_timer,      make_raw,
        make_raw};

    PICK(makers)(call);
}

/* --- Steps of several calls ----------------------------------------------------------------------
 */

static void write_word(void *address)
{
    *(volatile uint64_t *)address = 0x1234567;
}

/* A frame of the pool gets entries by the guest's own hand, if it can be mapped writable. */
static void scribble(void)
{
    mfn_t frame = pool_frame();
    uint64_t *page = window_map(9, frame, FLAGS_DATA);
    unsigned count = 1 + (unsigned)below(8);

    if (!page)
        return;
    for (unsigned i = 0; i < count; i++)
        page[one_in(4) ? below(512) : below(TABLE_SLOTS)] = random_entry();
    window_unmap(9);
}

/* A table cannot be written through what the processor remembers of a mapping that is gone. */
static void write_stale(void)
{
    mfn_t frame = pool_frame();
    uint64_t *page = window_map(10, frame, FLAGS_DATA), address = WINDOW_START + 10 * PAGE_SIZE;
    struct mmuext_op pin = {.cmd = MMUEXT_PIN_L1_TABLE + (unsigned)below(4), .arg1.mfn = frame.n};
    struct fault fault;

    if (!page)
        return;
    page[511] = 0; /* the mapping is in the TLB */
    if (CALL(__HYPERVISOR_update_va_mapping, address, 0, UVMF_NONE))
        failed("a mapping does not go");
    if (CALL(__HYPERVISOR_mmuext_op, address_of(&pin), 1, 0, DOMID_SELF))
        return;
    bool masked = events_are_masked;
    if (masked)
        pv_events_restore(true);
    if (fault_catch(write_word, &page[511], &fault) == 0)
        failed("frame 0x%lx, now a table, was written through a stale translation", frame.n);
    if (masked)
        pv_events_mask();
}

/* Entries of the kernel's own tables: only what must be refused. */
static void attack_kernel(void)
{
    pfn_t frame;
    unsigned level = 1 + (unsigned)below(4);
    uint64_t address = level == 1 ? address_of(pv_shared_page) : arena.text_start;
    struct mmu_update *update = (void *)(arena.list + PAGE_SIZE - sizeof(*update));

    if (!pv_boot_table((vaddr_t){address}, level, &frame))
        return;
    *update = (struct mmu_update){
        (pv_mfn(frame).n << PAGE_SHIFT) + (level == 4 ? 256 + below(16) : below(512)) * 8,
        level == 4 ? random_entry() : entry_of(refused_frame(), FLAGS_DATA)};
    if (!on_parvus && level < 4)
        update->val = entry_of(arena.root, FLAGS_DATA);
    last = (struct call){__HYPERVISOR_mmu_update, {address_of(update), 1, 0, DOMID_SELF}};
    if (hypercall(last.number, last.args) == 0)
        failed("level %u of the kernel's tables took entry 0x%lx at 0x%lx", level, update->val,
               update->ptr);
}

/* The kernel's tables as another root has them, too: for a while that is ours. */
static void change_root(void)
{
    mfn_t copy = pool_frame();
    pfn_t frame;
    const uint64_t *root = pv_boot_table((vaddr_t){arena.text_start}, 4, &frame);
    uint64_t *page = window_map(11, copy, FLAGS_DATA);
    struct mmuext_op base = {.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = copy.n};

    if (!page)
        return;
    memcpy(page, root, PAGE_SIZE / 2);
    memset(page + 256, 0, PAGE_SIZE / 2);
    page[first_slot + one_in(2)] = 0;
    window_unmap(11);
    if (CALL(__HYPERVISOR_mmuext_op, address_of(&base), 1, 0, DOMID_SELF))
        return;
    struct call inner;
    make_mmu_update(&inner);
    hypercall(inner.number, inner.args);
    base.arg1.mfn = arena.root.n;
    if (CALL(__HYPERVISOR_mmuext_op, address_of(&base), 1, 0, DOMID_SELF))
        failed("the root does not come back");
}

/* --- Long calls -------------------------------------------------------------------------------
 */

#define LONG_MAX 4096

static struct call interposed; /* made by the handler of an event */
static event_port_t long_port;

static void interpose(void *arg)
{
    (void)arg;
    hypercall(interposed.number, interposed.args);
}

void long_begin(void)
{
    if (pv_event_bind_ipi(interpose, NULL, &long_port))
        failed("no event for long calls");
}

/* Makes a call in the midst of which, if it takes longer than a slice, another one is made. */
static void call_interrupted(const struct call *call)
{
    is_inner = true; /* its lists are not where this call has its own */
    inner_end = arena.inner + PAGE_SIZE;
    if (one_in(2))
        make_mmuext(&interposed);
    else
        make_mmu_update(&interposed);
    is_inner = false;
    if (!events_are_masked) {
        pv_events_mask();
        pv_event_send(long_port);
        pv_upcall()->mask = 0;
    }
    hypercall(call->number, call->args);
}

/* More requests than are done in one go, most of them for one table. */
static void long_batch(void)
{
    static struct mmu_update updates[LONG_MAX];
    static struct mmuext_op ops[LONG_MAX / 8];
    struct multicall_entry entry = {0};
    uint64_t count = 1 + below(LONG_MAX);
    mfn_t table = arena.l1[below(2)];

    if (one_in(4)) {
        count = 1 + count / 8;
        for (uint64_t i = 0; i < count; i++)
            make_mmuext_op(&ops[i]);
        last = (struct call){__HYPERVISOR_mmuext_op,
                             {address_of(ops), count, done_pointer(), DOMID_SELF}};
    } else {
        for (uint64_t i = 0; i < count; i++)
            updates[i] =
                one_in(64)
                    ? (struct mmu_update){random_target(), random_entry()}
                    : (struct mmu_update){(table.n << PAGE_SHIFT) + below(TABLE_SLOTS) * 8,
                                          one_in(2) ? 0 : entry_of(pool_frame(), FLAGS_DATA)};
        last = (struct call){__HYPERVISOR_mmu_update,
                             {address_of(updates), count, done_pointer(), DOMID_SELF}};
    }
    if (one_in(4)) {
        entry.op = last.number;
        memcpy(entry.args, last.args, sizeof(last.args));
        last = (struct call){__HYPERVISOR_multicall, {address_of(&entry), 1}};
    }
    call_interrupted(&last);
}

/* A tree of the pool's frames, by the guest's own hand, checked and released in one go or more. */
static void long_tree(void)
{
    mfn_t root = pool_frame();
    unsigned level = 2 + (unsigned)below(3), entries = 1 + (unsigned)below(16);
    uint64_t *page = window_map(9, root, FLAGS_DATA);
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE + level - 1, .arg1.mfn = root.n};
    struct mmu_update link = {random_target(), entry_of(root, FLAGS_TABLE)};

    if (!page)
        return;
    memset(page, 0, PAGE_SIZE);
    for (unsigned i = 0; i < entries; i++)
        page[below(TABLE_SLOTS)] = entry_of(pool_frame(), FLAGS_TABLE);
    window_unmap(9);
    if (one_in(3))
        last = (struct call){__HYPERVISOR_mmu_update,
                             {address_of(&link), 1, done_pointer(), DOMID_SELF}};
    else
        last =
            (struct call){__HYPERVISOR_mmuext_op, {address_of(&op), 1, done_pointer(), DOMID_SELF}};
    call_interrupted(&last);
    op.cmd = MMUEXT_UNPIN_TABLE;
    last = (struct call){__HYPERVISOR_mmuext_op, {address_of(&op), 1, done_pointer(), DOMID_SELF}};
    if (one_in(2))
        call_interrupted(&last);
}

/* Back to the next instruction, with any flags, stack and registers that a call does not keep. */
static void leave_by_iret(void)
{
    uint16_t cs, ss;
    /* Neither the trap flag, nor events, nor (instructions of ours do not care for it) alignment
     * checks. */
    uint64_t flags = random_u64() & (on_parvus ? ~0x40300ul : 0xcd5);
    uint64_t stack = bad_pointer() & -16ul, values[3] = {random_u64(), random_u64(), random_u64()};

    asm volatile("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
    asm volatile(
        "mov %%rsp, %%rbx; push %[ss]; push %[stack]; push %[flags]; push %[cs]\n\t"
        "lea 1f(%%rip), %%rax; push %%rax; push %[how]\n\t"
        "mov (%[values]), %%rcx; mov 8(%[values]), %%r11; mov 16(%[values]), %%rax\n\t"
        "jmp hypercall_page + %c[entry]\n" /* it pushes these three */
        "1: mov %%rbx, %%rsp; cld"
        :
        : [ss] "r"((uint64_t)ss), [stack] "r"(stack), [flags] "r"(flags),
          [cs] "r"((uint64_t)cs & ~3ul), [how] "r"(one_in(2) ? 0 : 0x100ul /* VGCF_in_syscall */),
          [values] "r"(values), [entry] "i"(__HYPERVISOR_iret * HYPERCALL_ENTRY_BYTES)
        : "rax", "rbx", "rcx", "r11", "memory", "cc");
    if (!pv_upcall()->mask)
        failed("iret with events off turned them on");
}

/* --- The step ----------------------------------------------------------------------------------
 */

static bool may_change_callbacks(const struct call *call)
{
    return call->number == __HYPERVISOR_set_callbacks ||
           call->number == __HYPERVISOR_set_trap_table ||
           call->number == __HYPERVISOR_callback_op || call->number == __HYPERVISOR_multicall ||
           call->number == __HYPERVISOR_set_segment_base;
}

extern void pv_traps_init(void);

void step(void)
{
    uint64_t kind = below(256);

    last = (struct call){0};
    if (is_shown())
        printf("step of kind %lu\n", kind);
    if (kind < 12)
        scribble();
    else if (kind < 14)
        attack_kernel();
    else if (kind == 14)
        write_stale();
    else if (kind == 15)
        change_root();
    else if (kind == 16 && events_are_masked)
        leave_by_iret();
    else if (kind == 17)
        long_batch();
    else if (kind < 24)
        long_tree();
    else {
        if (kind < 48)
            make_multicall(&last);
        else
            make_call(&last);

        uintptr_t fs_base;

        asm volatile("mov %%fs:0, %0" : "=r"(fs_base)); /* its first word points to itself */
        if (is_shown())
            print_last("now");
        hypercall(last.number, last.args);
        if (may_change_callbacks(&last) && events_are_masked) {
            pv_set_fs_base(fs_base);
            pv_traps_init();
        }
    }
}

static void print_list(uint64_t number, uint64_t list)
{
    unsigned words = number == __HYPERVISOR_multicall   ? 8
                     : number == __HYPERVISOR_mmuext_op ? 3
                                                        : 2;
    uint64_t end = (list | (PAGE_SIZE - 1)) + 1;

    if ((list & -PAGE_SIZE) != address_of(arena.list) &&
        (list & -PAGE_SIZE) != address_of(arena.inner))
        return;
    for (unsigned n = 0; n < LIST_MAX && list + words * 8 <= end; n++, list += words * 8) {
        const uint64_t *word = (const void *)list;

        printf("   ");
        for (unsigned i = 0; i < words; i++)
            printf(" 0x%lx", word[i]);
        printf("\n");
        if (words == 8 &&
            (word[0] == __HYPERVISOR_mmu_update || word[0] == __HYPERVISOR_mmuext_op) &&
            (word[2] & -PAGE_SIZE) == address_of(arena.inner))
            print_list(word[0], word[2]);
    }
}

void print_last(const char *what)
{
    printf("  %s: call %lu (0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx)\n", what, last.number, last.args[0],
           last.args[1], last.args[2], last.args[3], last.args[4]);
    if (last.number == __HYPERVISOR_mmu_update || last.number == __HYPERVISOR_mmuext_op ||
        last.number == __HYPERVISOR_multicall)
        print_list(last.number, last.args[0] & -8ul);
}
