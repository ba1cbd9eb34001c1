/*
 * physdev_op, and event_channel_op's part of it: what it refuses, and what its pieces do. The
 * interrupts themselves: irq.c.
 */
#include "tests/guest/hypercall.h"

#include <string.h>

#include <xen/event_channel.h>
#include <xen/physdev.h>

#include "tests/guest/devices.h"
#include "tests/guest/test.h"

#define FREE_GSI 3   /* of a second serial port */
#define SERIAL_GSI 4 /* the hypervisor's */

static const char *needs_dom0(void)
{
    return pv_boot.initial_domain ? NULL : "the domain may not use devices";
}

static const char *needs_dom0_of_parvus(void)
{
    return host_is_parvus() ? NULL : "the hypervisor is not ours";
}

static long physdev(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_physdev_op, command, address_of(argument), 0, 0, 0);
}

static long event_op(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, address_of(argument), 0, 0, 0);
}

static long bind_pirq(uint32_t pirq, uint32_t *port)
{
    struct evtchn_bind_pirq op = {.pirq = pirq};
    long error = event_op(EVTCHNOP_bind_pirq, &op);

    *port = op.port;
    return error;
}

static long close_port(uint32_t port)
{
    return event_op(EVTCHNOP_close, &(struct evtchn_close){.port = port});
}

static long map_gsi(int gsi, int pirq)
{
    return physdev(PHYSDEVOP_map_pirq,
                   &(struct physdev_map_pirq){
                       .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = pirq});
}

static long unmap(int pirq)
{
    return physdev(PHYSDEVOP_unmap_pirq,
                   &(struct physdev_unmap_pirq){.domid = DOMID_SELF, .pirq = pirq});
}

static long setup_gsi(int gsi, uint8_t level)
{
    return physdev(PHYSDEVOP_setup_gsi,
                   &(struct physdev_setup_gsi){.gsi = gsi, .triggering = level});
}

static long status_flags(uint32_t pirq)
{
    struct physdev_irq_status_query op = {.irq = pirq, .flags = 0xffff};
    long error = physdev(PHYSDEVOP_irq_status_query, &op);

    return error ? error : op.flags;
}

TEST_WHERE(physdev_bad, "Bad pointers and unknown commands are refused.", needs_dom0)
{
    static const unsigned commands[] = {
        PHYSDEVOP_eoi,          PHYSDEVOP_irq_status_query, PHYSDEVOP_set_iopl,
        PHYSDEVOP_set_iobitmap, PHYSDEVOP_map_pirq,         PHYSDEVOP_unmap_pirq,
        PHYSDEVOP_setup_gsi,    PHYSDEVOP_pci_device_add,   PHYSDEVOP_pirq_eoi_gmfn_v2};
    static uint64_t nothing[16];

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
            if (!CHECK_EQ(physdev(commands[i], (void *)bad->address), -XEN_EFAULT))
                FAIL("command %u: %s", commands[i], bad->name);
    CHECK_EQ(physdev(99, nothing), -XEN_ENOSYS);
    CHECK_EQ(physdev(0x7fffffff, nothing), -XEN_ENOSYS);
}

/* --- Ports ---------------------------------------------------------------------------------- */

static void set_iopl(unsigned level)
{
    CHECK_OK(physdev(PHYSDEVOP_set_iopl, &(struct physdev_set_iopl){.iopl = level}));
}

struct access {
    uint16_t port;
    uint8_t bytes;
};

static void read_port(void *arg)
{
    const struct access *access = arg;

    pv_port_read(access->port, access->bytes);
}

static bool port_faults(uint16_t port, uint8_t bytes)
{
    struct access access = {port, bytes};
    struct fault fault;

    return fault_catch(read_port, &access, &fault) && fault.vector == TRAP_GENERAL_PROTECTION;
}

TEST_WHERE(physdev_iopl, "Port access comes and goes with the I/O privilege level; beyond 3: none.",
           needs_dom0)
{
    CHECK_EQ(physdev(PHYSDEVOP_set_iopl, &(struct physdev_set_iopl){.iopl = 4}), -XEN_EINVAL);
    CHECK_EQ(physdev(PHYSDEVOP_set_iopl, &(struct physdev_set_iopl){.iopl = UINT32_MAX}),
             -XEN_EINVAL);
    for (unsigned level = 1; level <= 3; level++) {
        set_iopl(0);
        CHECK(port_faults(0x2ff, 1));
        CHECK(port_faults(0xcf8, 4));
        set_iopl(level);
        CHECK(!port_faults(0x2ff, 1));
        CHECK(!port_faults(0xcf8, 4));
    }
}

TEST_WHERE(physdev_own_ports, "The hypervisor's own ports stay its own, whatever their neighbours.",
           needs_dom0_of_parvus)
{
    static const struct access own[] = {
        {0x00, 1},  {0x20, 1},  {0x21, 1},  {0x40, 1},  {0x43, 1},  {0x61, 1},  {0x70, 1},
        {0x71, 1},  {0x80, 1},  {0x92, 1},  {0xa0, 1},  {0xa1, 1},  {0xb2, 1},  {0xb3, 1},
        {0xc0, 1},  {0xdf, 1},  {0x4d0, 1}, {0x4d1, 1}, {0x510, 1}, {0x514, 4}, {0x51b, 1},
        {0x3f8, 1}, {0x3ff, 1}, {0x3f5, 4}, {0x3f7, 2}, {0x3d, 4},  {0x4ce, 4}, {0xffff, 2},
    };
    static const struct access others[] = {{0x22, 1},  {0x44, 1},  {0x62, 1},  {0xa2, 1},
                                           {0xb1, 1},  {0xe0, 1},  {0x3f7, 1}, {0x400, 4},
                                           {0x4cf, 1}, {0x4d2, 2}, {0x50f, 1}, {0xffff, 1}};

    set_iopl(1);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (!port_faults(own[i].port, own[i].bytes))
            FAIL("%u bytes at 0x%x", own[i].bytes, own[i].port);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (port_faults(others[i].port, others[i].bytes))
            FAIL("no access to %u bytes at 0x%x", others[i].bytes, others[i].port);
}

static uint8_t port_bitmap[8192];

static long set_iobitmap(uint64_t bitmap, uint32_t nr_ports)
{
    struct physdev_set_iobitmap op = {.nr_ports = nr_ports};

    op.bitmap.p = (uint8_t *)(uintptr_t)bitmap;
    return physdev(PHYSDEVOP_set_iobitmap, &op);
}

TEST_WHERE(physdev_iobitmap, "Without I/O privilege the guest's bitmap opens ports, but not ours.",
           needs_dom0)
{
    set_iopl(0);
    memset(port_bitmap, 0xff, sizeof(port_bitmap));
    port_bitmap[0x2ff / 8] = 0x7f;
    port_bitmap[0x70 / 8] = 0;
    CHECK_OK(set_iobitmap(address_of(port_bitmap), 65536));
    CHECK(!port_faults(0x2ff, 1));
    CHECK(port_faults(0x2fe, 1));
    CHECK(port_faults(0x2fe, 2));
    CHECK(port_faults(0x300, 1));
    if (host_is_parvus())
        CHECK(port_faults(0x70, 1));
    CHECK_OK(set_iobitmap(address_of(port_bitmap), 0x2ff)); /* one port less */
    CHECK(port_faults(0x2ff, 1));
    CHECK_OK(set_iobitmap(address_of(port_bitmap), 0x300));
    CHECK(!port_faults(0x2ff, 1));
    set_iopl(1); /* over and above the bitmap */
    CHECK(!port_faults(0x300, 1));
    set_iopl(0);
    CHECK(port_faults(0x300, 1));
    CHECK(!port_faults(0x2ff, 1));

    CHECK_EQ(set_iobitmap(address_of(port_bitmap), 65537), -XEN_EINVAL);
    CHECK_EQ(set_iobitmap(0xffff830000000000, 65536), -XEN_EINVAL);
    CHECK(!port_faults(0x2ff, 1));         /* the former one still holds */
    CHECK_OK(set_iobitmap(0x1000, 65536)); /* nothing there to read */
    CHECK(port_faults(0x2ff, 1));
    CHECK_OK(set_iobitmap(0, 0));
    CHECK(port_faults(0x2ff, 1));
    set_iopl(1);
}

/* --- Lines ---------------------------------------------------------------------------------- */

TEST_WHERE(pirq_bad, "Lines, pirqs and domains that do not exist are refused.", needs_dom0)
{
    static const int numbers[] = {-1, 4096, 65536, INT32_MIN, INT32_MAX};
    struct physdev_map_pirq map = {.domid = DOMID_SELF, .type = 5, .index = FREE_GSI, .pirq = -1};
    uint32_t port;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        CHECK_EQ(setup_gsi(numbers[i], 0), -XEN_EINVAL);
        CHECK_EQ(map_gsi(numbers[i], numbers[i]), -XEN_EINVAL);
        CHECK_EQ(unmap(numbers[i]), -XEN_EINVAL);
        CHECK_EQ(bind_pirq((uint32_t)numbers[i], &port), -XEN_EINVAL);
        CHECK_EQ(physdev(PHYSDEVOP_eoi, &(struct physdev_eoi){.irq = (uint32_t)numbers[i]}),
                 -XEN_EINVAL);
        CHECK_EQ(status_flags((uint32_t)numbers[i]), -XEN_EINVAL);
    }
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EINVAL);
    map.type = -1;
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EINVAL);
    map.type = MAP_PIRQ_TYPE_UNKNOWN;
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EINVAL);
    map.type = MAP_PIRQ_TYPE_GSI;
    map.domid = 1234;
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_ESRCH);
    CHECK_EQ(physdev(PHYSDEVOP_unmap_pirq,
                     &(struct physdev_unmap_pirq){.domid = 1234, .pirq = FREE_GSI}),
             -XEN_ESRCH);
    if (host_is_parvus())
        CHECK_EQ(map_gsi(SERIAL_GSI, SERIAL_GSI), -XEN_EPERM);
}

TEST_WHERE(pirq_line, "A line is mapped, bound to one port, looked at, closed.", needs_dom0)
{
    struct evtchn_status state = {.dom = DOMID_SELF};
    uint32_t port, other;
    long error = setup_gsi(FREE_GSI, 0);

    if (error != -XEN_EEXIST) /* another test had it */
        CHECK_OK(error);
    REQUIRE_OK(map_gsi(FREE_GSI, FREE_GSI));
    CHECK_OK(map_gsi(FREE_GSI, FREE_GSI));
    CHECK_EQ(setup_gsi(FREE_GSI, 1), -XEN_EEXIST);
    REQUIRE_OK(bind_pirq(FREE_GSI, &port));
    CHECK_EQ(bind_pirq(FREE_GSI, &other), -XEN_EEXIST);
    state.port = port;
    CHECK_OK(event_op(EVTCHNOP_status, &state));
    CHECK_EQ(state.status, EVTCHNSTAT_pirq);
    CHECK_EQ(state.u.pirq, FREE_GSI);
    CHECK_EQ(event_op(EVTCHNOP_send, &(struct evtchn_send){.port = port}), -XEN_EINVAL);
    CHECK_OK(event_op(EVTCHNOP_bind_vcpu, &(struct evtchn_bind_vcpu){.port = port}));
    CHECK_OK(physdev(PHYSDEVOP_eoi, &(struct physdev_eoi){.irq = FREE_GSI}));
    CHECK_OK(close_port(port));
    REQUIRE_OK(bind_pirq(FREE_GSI, &port));
    CHECK_OK(close_port(port));
}

TEST_WHERE(pirq_unmap, "An unmapped line cannot be bound; a port that was bound to it is closed.",
           needs_dom0_of_parvus) /* Xen takes the right to it away */
{
    uint32_t port;

    unmap(FREE_GSI);
    CHECK_EQ(unmap(FREE_GSI), -XEN_EINVAL);
    CHECK_EQ(bind_pirq(FREE_GSI, &port), -XEN_EINVAL);
    CHECK_EQ(map_gsi(FREE_GSI, FREE_GSI + 1), -XEN_EINVAL);
    CHECK_OK(setup_gsi(FREE_GSI, 1));
    CHECK_OK(setup_gsi(FREE_GSI, 0));
    CHECK_OK(map_gsi(FREE_GSI, -1));
    CHECK_EQ(status_flags(FREE_GSI), 0);
    REQUIRE_OK(bind_pirq(FREE_GSI, &port));
    CHECK_OK(unmap(FREE_GSI));
    CHECK_OK(close_port(port));
    CHECK_OK(setup_gsi(FREE_GSI, 1));
    CHECK_OK(map_gsi(FREE_GSI, FREE_GSI));
    CHECK_EQ(status_flags(FREE_GSI), XENIRQSTAT_needs_eoi);
    CHECK_OK(unmap(FREE_GSI));
}

static uint64_t eoi_page[PAGE_SIZE / 8] __attribute__((aligned(PAGE_SIZE)));

TEST_WHERE(pirq_eoi_page, "A page of the guest's says which pirqs need an end of interrupt.",
           needs_dom0_of_parvus)
{
    struct physdev_pirq_eoi_gmfn op = {.gmfn = last_frame() + 1};

    CHECK_EQ(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL);
    op.gmfn = UINT64_MAX;
    CHECK_EQ(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL);
    op.gmfn = mfn_of_shared().n;
    CHECK_EQ(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL);
    op.gmfn = boot_entry_address(eoi_page, 1) >> PAGE_SHIFT; /* a page table */
    CHECK_EQ(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EINVAL);
    op.gmfn = mfn_of_image(eoi_page).n;
    memset(eoi_page, 0xff, sizeof(eoi_page));
    CHECK_OK(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &op));
    CHECK_EQ(physdev(PHYSDEVOP_pirq_eoi_gmfn_v2, &op), -XEN_EBUSY);
    CHECK(!(eoi_page[0] >> FREE_GSI & 1));
    unmap(FREE_GSI);
    CHECK_OK(setup_gsi(FREE_GSI, 1));
    CHECK_OK(map_gsi(FREE_GSI, FREE_GSI));
    CHECK(eoi_page[0] >> FREE_GSI & 1);
    CHECK_OK(unmap(FREE_GSI));
    CHECK(!(eoi_page[0] >> FREE_GSI & 1));
    /* It stays a page that the hypervisor may write: never a page table. */
    CHECK_OK(map_raw(eoi_page, 0));
    CHECK_EQ(mmuext_raw(MMUEXT_PIN_L1_TABLE, op.gmfn, 0), -XEN_EINVAL);
    CHECK_OK(map_raw(eoi_page, entry_for((mfn_t){op.gmfn}, ENTRY_DATA)));
}

/* --- Messages ------------------------------------------------------------------------------- */

#define NVME_CLASS 0x010802

static int is_nvme(const struct pci_function *f, void *arg)
{
    *(struct pci_function *)arg = *f;
    return f->class_code == NVME_CLASS;
}

static const char *needs_nvme(void)
{
    struct pci_function f;

    return pci_scan(is_nvme, &f) == 1 ? NULL : "this machine has no NVMe controller";
}

static const char *needs_nvme_on_parvus(void)
{
    return host_is_parvus() ? needs_nvme() : "the hypervisor is not ours";
}

static long map_msix(const struct pci_function *f, int entry, uint64_t table, int *pirq)
{
    struct physdev_map_pirq map = {.domid = DOMID_SELF,
                                   .type = MAP_PIRQ_TYPE_MSI_SEG,
                                   .index = -1,
                                   .pirq = *pirq,
                                   .bus = f->bus | f->segment << 16,
                                   .devfn = f->devfn,
                                   .entry_nr = entry,
                                   .table_base = table};
    long error = physdev(PHYSDEVOP_map_pirq, &map);

    *pirq = error ? -1 : map.pirq;
    return error;
}

TEST_WHERE(pirq_msix_bad, "Messages of functions, tables and entries that there are not: refused.",
           needs_nvme_on_parvus)
{
    struct pci_function f, nobody = {.bus = 200, .devfn = 8}, elsewhere, bridge = {0};
    struct pci_bar bar;
    int any = -1, gsi = FREE_GSI, huge = 256, taken;

    REQUIRE_EQ(pci_scan(is_nvme, &f), 1);
    pci_command(&f, PCI_COMMAND_MEMORY, 0);
    REQUIRE_OK(pci_bar(&f, 0, &bar));
    elsewhere = f;
    elsewhere.segment = 1;
    CHECK_EQ(map_msix(&nobody, 0, bar.start.n, &any), -XEN_ENODEV);
    CHECK_EQ(map_msix(&elsewhere, 0, bar.start.n, &any), -XEN_ENODEV);
    CHECK_EQ(map_msix(&bridge, 0, bar.start.n, &any), -XEN_ENODEV);
    CHECK_EQ(map_msix(&bridge, 0, 0, &any), -XEN_ENODEV);
    CHECK_EQ(map_msix(&f, (int)pci_msix_entries(&f), bar.start.n, &any), -XEN_EINVAL);
    CHECK_EQ(map_msix(&f, -1, bar.start.n, &any), -XEN_EINVAL);
    CHECK_EQ(map_msix(&f, INT32_MAX, bar.start.n, &any), -XEN_EINVAL);
    CHECK_EQ(map_msix(&f, 0, bar.start.n + PAGE_SIZE, &any), -XEN_EINVAL);
    CHECK_EQ(map_msix(&f, 0, bar.start.n, &gsi), -XEN_EINVAL);
    CHECK_EQ(map_msix(&f, 0, bar.start.n, &huge), -XEN_EINVAL);
    pci_command(&f, 0, PCI_COMMAND_MEMORY);
    CHECK_EQ(map_msix(&f, 0, bar.start.n, &any), -XEN_ENXIO);
    pci_command(&f, PCI_COMMAND_MEMORY, 0);

    struct physdev_map_pirq map = {.domid = DOMID_SELF,
                                   .type = MAP_PIRQ_TYPE_MULTI_MSI,
                                   .index = -1,
                                   .pirq = -1,
                                   .bus = f.bus,
                                   .devfn = f.devfn,
                                   .entry_nr = 2};
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EOPNOTSUPP);
    map.entry_nr = 0;
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EDOM);
    map.table_base = 1;
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EINVAL);
    map = (struct physdev_map_pirq){.domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_MSI, .index = 100};
    CHECK_EQ(physdev(PHYSDEVOP_map_pirq, &map), -XEN_EINVAL);

    REQUIRE_OK(map_msix(&f, 0, bar.start.n, &any));
    taken = any;
    CHECK_EQ(map_msix(&f, 1, bar.start.n, &taken), -XEN_EEXIST);
    taken = -1;
    CHECK_EQ(map_msix(&f, 0, bar.start.n, &taken), -XEN_EBUSY);
    CHECK_EQ(status_flags((uint32_t)any), 0);
    CHECK_OK(unmap(any));
    CHECK_EQ(unmap(any), -XEN_EINVAL);

    struct physdev_pci_device_add add = {.bus = 200, .devfn = 8};
    CHECK_EQ(physdev(PHYSDEVOP_pci_device_add, &add), -XEN_ENODEV);
    add = (struct physdev_pci_device_add){.seg = 1, .bus = f.bus, .devfn = f.devfn};
    CHECK_EQ(physdev(PHYSDEVOP_pci_device_add, &add), -XEN_ENODEV);
}

TEST_WHERE(pirq_msix_target, "A table moved over memory, or over an APIC, is not written.",
           needs_nvme_on_parvus)
{
    static uint8_t victim[4 * PAGE_SIZE] __attribute__((aligned(4 * PAGE_SIZE)));
    const uint64_t targets[] = {
        (mfn_of_image(victim).n << PAGE_SHIFT) & -(4 * PAGE_SIZE),
        0xfee00000,
        0xfec00000,
        0x100000, /* the hypervisor's image */
        0xfebfc000 + 0x4000,
        frame_beyond_all().n << PAGE_SHIFT,
    };
    struct pci_function f;
    struct pci_bar bar;

    REQUIRE_EQ(pci_scan(is_nvme, &f), 1);
    pci_command(&f, PCI_COMMAND_MEMORY, 0);
    REQUIRE_OK(pci_bar(&f, 0, &bar));
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        int pirq = -1;

        pci_write32(&f, 0x10, (uint32_t)targets[i]);
        pci_write32(&f, 0x14, (uint32_t)(targets[i] >> 32));
        uint64_t now = (uint64_t)pci_read32(&f, 0x14) << 32 | (pci_read32(&f, 0x10) & ~15u);
        if (now == targets[i] && !CHECK_EQ(map_msix(&f, 0, targets[i], &pirq), -XEN_EINVAL))
            FAIL("target 0x%lx", targets[i]);
    }
    pci_write32(&f, 0x10, (uint32_t)bar.start.n);
    pci_write32(&f, 0x14, (uint32_t)(bar.start.n >> 32));
    for (size_t i = 0; i < sizeof(victim); i++)
        if (victim[i])
            FAIL("byte %zu was written", i);
    int pirq = -1;
    CHECK_OK(map_msix(&f, 0, bar.start.n, &pirq));
    CHECK_OK(unmap(pirq));
}
