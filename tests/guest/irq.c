/*
 * Interrupts of real devices (QEMU's): a second serial port, on an edge-triggered line; edu devices
 * by INTx and by MSI; an NVMe controller by MSI-X. And their DMA.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>

#include "kernel/clock.h"
#include "kernel/dma.h"
#include "kernel/vm.h"
#include "tests/guest/devices.h"
#include "tests/guest/hypercall.h"
#include "tests/guest/test.h"

/* --- An edge-triggered line: COM2 (PC16550D) ------------------------------------------------ */

#define COM2 0x2f8
#define COM2_GSI 3
enum { UART_DATA, UART_INTERRUPTS, UART_REASON, UART_LINE, UART_MODEM, UART_SCRATCH = 7 };
#define INTERRUPT_EMPTY 0x02
#define NO_INTERRUPT 0x01
#define MODEM_OUT2 0x08

static void uart_write(unsigned reg, uint8_t value)
{
    pv_port_write((uint16_t)(COM2 + reg), 1, value);
}

static uint8_t uart_read(unsigned reg)
{
    return (uint8_t)pv_port_read((uint16_t)(COM2 + reg), 1);
}

static const char *needs_com2(void)
{
    if (pv_port_enable())
        return "the domain may not use devices";
    uart_write(UART_SCRATCH, 0x5a);
    return uart_read(UART_SCRATCH) == 0x5a ? NULL : "this machine has no second serial port";
}

static void uart_served(void *spurious)
{
    if (uart_read(UART_REASON) & NO_INTERRUPT) /* reading clears "transmitter empty" */
        ++*(unsigned *)spurious;
}

TEST_WHERE(irq_edge, "A serial port interrupts each time that its transmitter is empty.",
           needs_com2)
{
    unsigned spurious = 0;
    struct device_events events = {.served = uart_served, .device = &spurious};
    event_port_t port;

    uart_write(UART_INTERRUPTS, 0);
    uart_write(UART_MODEM, MODEM_OUT2);
    uart_read(UART_REASON);
    REQUIRE_OK(pv_irq_bind_gsi(COM2_GSI, PV_IRQ_EDGE, device_event, &events, &port));
    uart_write(UART_INTERRUPTS, INTERRUPT_EMPTY);
    for (unsigned i = 0; i < 200 && device_wait(&events); i++) {
        pv_irq_done(port);
        uart_write(UART_DATA, 'x');
    }
    device_wait(&events);
    CHECK_EQ(events.count, 201);
    CHECK_EQ(spurious, 0);

    event_port_t again;
    CHECK_EQ(pv_irq_bind_gsi(COM2_GSI, PV_IRQ_EDGE, device_event, &events, &again), -EEXIST);
    uart_write(UART_DATA, 'x'); /* which took nothing from the first */
    device_wait(&events);
    CHECK_OK(pv_irq_unbind(port));
    CHECK_EQ(pv_irq_unbind(port), -EINVAL);
    uart_write(UART_DATA, 'x');
    device_settle();
    CHECK_EQ(events.count, 202);
    uart_write(UART_INTERRUPTS, 0);
}

TEST_WHERE(irq_rebind, "A line can be bound and unbound any number of times.", needs_com2)
{
    unsigned spurious = 0;

    uart_write(UART_MODEM, MODEM_OUT2);
    for (unsigned i = 0; i < 300 && !test_has_failed(); i++) {
        struct device_events events = {.served = uart_served, .device = &spurious};
        event_port_t port;

        REQUIRE_OK(pv_irq_bind_gsi(COM2_GSI, PV_IRQ_EDGE, device_event, &events, &port));
        uart_write(UART_INTERRUPTS, INTERRUPT_EMPTY);
        device_wait(&events);
        uart_write(UART_INTERRUPTS, 0);
        CHECK_OK(pv_irq_unbind(port));
    }
    CHECK_EQ(spurious, 0);
}

static const char *needs_com2_on_parvus(void)
{
    const char *missing = needs_parvus();

    return missing ? missing : needs_com2();
}

TEST_WHERE(irq_storm, "A device that never stops interrupting is stopped; bound again, it serves.",
           needs_com2_on_parvus)
{
    unsigned spurious = 0;
    struct device_events events = {.served = uart_served, .device = &spurious};
    event_port_t port;

    uart_write(UART_INTERRUPTS, 0);
    uart_write(UART_MODEM, MODEM_OUT2);
    REQUIRE_OK(pv_irq_bind_gsi(COM2_GSI, PV_IRQ_EDGE, device_event, &events, &port));
    for (unsigned storm = 0; storm < 2; storm++) {
        unsigned count = storm ? 11000 : 9000;
        bool unmask = pv_events_mask();

        for (unsigned i = 0; i < count; i++) {
            uart_write(UART_INTERRUPTS, 0);
            uart_write(UART_INTERRUPTS, INTERRUPT_EMPTY);
        }
        pv_events_restore(unmask);
        device_wait(&events);
        CHECK_EQ(events.count, storm + 1);
    }
    uart_write(UART_INTERRUPTS, 0);
    uart_write(UART_INTERRUPTS, INTERRUPT_EMPTY);
    device_settle();
    CHECK_EQ(events.count, 2);
    CHECK_OK(pv_irq_unbind(port));
    uart_write(UART_INTERRUPTS, 0);
    REQUIRE_OK(pv_irq_bind_gsi(COM2_GSI, PV_IRQ_EDGE, device_event, &events, &port));
    uart_write(UART_INTERRUPTS, INTERRUPT_EMPTY);
    device_wait(&events);
    CHECK_EQ(events.count, 3);
    uart_write(UART_INTERRUPTS, 0);
    CHECK_OK(pv_irq_unbind(port));
}

/* --- Level-triggered lines, MSI, DMA: edu (QEMU, docs/specs/edu) ---------------------------- */

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8
enum {
    EDU_STATUS = 0x24,
    EDU_RAISE = 0x60,
    EDU_ACKNOWLEDGE = 0x64,
    EDU_DMA_FROM = 0x80,
    EDU_DMA_TO = 0x88,
    EDU_DMA_COUNT = 0x90,
    EDU_DMA_COMMAND = 0x98,
    EDU_BUFFER = 0x40000,
};
#define EDU_DMA_START 0x1
#define EDU_DMA_TO_MEMORY 0x2
#define EDU_DMA_INTERRUPT 0x4
#define EDU_DMA_BYTES 2048 /* QEMU 7.2 takes its whole buffer for too much */

struct edu {
    struct pci_function f;
    volatile uint32_t *registers;
    struct device_events events;
    event_port_t port;
};

static const char *needs_edu(void)
{
    struct pci_function f;

    return device_find(EDU_VENDOR, EDU_DEVICE, 0, &f) ? NULL : "this machine has no edu device";
}

static void edu_acknowledge(void *arg)
{
    struct edu *edu = arg;
    uint32_t pending = edu->registers[EDU_STATUS / 4];

    if (pending)
        edu->registers[EDU_ACKNOWLEDGE / 4] = pending;
    pv_irq_done(edu->port);
}

static bool edu_open(struct edu *edu, unsigned nth)
{
    volatile void *registers;

    *edu = (struct edu){.port = 0};
    edu->events.device = edu;
    if (!CHECK(device_find(EDU_VENDOR, EDU_DEVICE, nth, &edu->f)))
        return false;
    pci_command(&edu->f, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
    if (!CHECK_OK(pci_map_bar(&edu->f, 0, 0, PAGE_SIZE, "edu", &registers)))
        return false;
    edu->registers = registers;
    edu->registers[EDU_ACKNOWLEDGE / 4] = UINT32_MAX;
    return true;
}

static void edu_close(struct edu *edu)
{
    CHECK_OK(vm_unmap((void *)(uintptr_t)edu->registers, PAGE_SIZE));
}

static void edu_raise(struct edu *edu)
{
    edu->registers[EDU_RAISE / 4] = 1;
}

/* Waits until its interrupts are served. More than one event may come of one: see check_events. */
static bool edu_wait_quiet(struct edu *edu)
{
    while (edu->registers[EDU_STATUS / 4])
        if (!device_wait(&edu->events))
            return false;
    return true;
}

/*
 * One event for each interrupt of a level-triggered line. Xen takes such a line for done after a
 * millisecond and sends another event if it is not (Xen 4.17, xen/arch/x86/irq.c,
 * irq_guest_eoi_timer_fn), which happens where the machine is busy.
 */
static void check_events(const struct edu *edu, unsigned interrupts)
{
    if (host_is_xen())
        CHECK_GE(edu->events.count, interrupts);
    else
        CHECK_EQ(edu->events.count, interrupts);
}

TEST_WHERE(irq_level, "A level-triggered line comes once, and again when it is done but not quiet.",
           needs_edu)
{
    struct edu edu;

    REQUIRE(edu_open(&edu, 0));
    REQUIRE_OK(pci_intx_bind(&edu.f, device_event, &edu.events, &edu.port));
    edu_raise(&edu);
    device_wait(&edu.events);
    device_settle();
    if (!host_is_xen()) /* which takes it for done after a millisecond */
        CHECK_EQ(edu.events.count, 1);
    CHECK_LT(edu.events.count, 1000);
    pv_irq_done(edu.port); /* nothing was cleared */
    device_wait(&edu.events);
    edu_acknowledge(&edu);
    device_settle();
    unsigned before = edu.events.count;
    if (!host_is_xen())
        CHECK_EQ(before, 2);
    device_settle();
    CHECK_EQ(edu.events.count, before);

    edu.events.served = edu_acknowledge;
    for (unsigned i = 0; i < 200 && !test_has_failed(); i++) {
        edu_raise(&edu);
        edu_wait_quiet(&edu);
    }
    check_events(&edu, before + 200);
    CHECK_OK(pci_intx_unbind(&edu.f, edu.port));
    before = edu.events.count;
    edu_raise(&edu);
    device_settle();
    CHECK_EQ(edu.events.count, before);
    edu.registers[EDU_ACKNOWLEDGE / 4] = UINT32_MAX;
    edu_close(&edu);
}

TEST_WHERE(irq_shared, "Devices that share a line each see their interrupts.", needs_edu)
{
    struct edu edus[2];

    REQUIRE(edu_open(&edus[0], 0) && edu_open(&edus[1], 1));
    CHECK_EQ(pci_read8(&edus[0].f, 0x3c), pci_read8(&edus[1].f, 0x3c));
    for (unsigned i = 0; i < 2; i++) {
        edus[i].events.served = edu_acknowledge;
        REQUIRE_OK(pci_intx_bind(&edus[i].f, device_event, &edus[i].events, &edus[i].port));
    }
    for (unsigned i = 0; i < 100 && !test_has_failed(); i++) {
        edu_raise(&edus[i % 2]);
        if (i % 3 == 0)
            edu_raise(&edus[(i + 1) % 2]);
        for (unsigned k = 0; k < 2; k++)
            edu_wait_quiet(&edus[k]);
    }
    CHECK_OK(pci_intx_unbind(&edus[0].f, edus[0].port));
    CHECK_EQ(pci_intx_unbind(&edus[0].f, edus[0].port), -EINVAL);
    unsigned before = edus[0].events.count;
    edu_raise(&edus[1]);
    edu_wait_quiet(&edus[1]);
    CHECK_EQ(edus[0].events.count, before);
    CHECK_OK(pci_intx_unbind(&edus[1].f, edus[1].port));
    edu_close(&edus[0]);
    edu_close(&edus[1]);
}

TEST_WHERE(irq_neighbour, "A device without a driver does not hold the line of one that has one.",
           needs_edu)
{
    struct edu edu, neighbour;

    REQUIRE(edu_open(&edu, 0) && edu_open(&neighbour, 1));
    pci_command(&neighbour.f, 0, PCI_COMMAND_NO_INTX); /* as at reset */
    edu_raise(&neighbour);
    edu.events.served = edu_acknowledge;
    REQUIRE_OK(pci_intx_bind(&edu.f, device_event, &edu.events, &edu.port));
    device_settle();
    CHECK_EQ(edu.events.count, 0);
    for (unsigned i = 0; i < 10 && !test_has_failed(); i++) {
        edu_raise(&edu);
        edu_wait_quiet(&edu);
    }
    check_events(&edu, 10);
    CHECK_OK(pci_intx_unbind(&edu.f, edu.port));
    neighbour.registers[EDU_ACKNOWLEDGE / 4] = UINT32_MAX;
    edu_close(&edu);
    edu_close(&neighbour);
}

static void edu_dma_start(struct edu *edu, uint64_t from, uint64_t to, uint32_t command)
{
    edu->registers[EDU_DMA_FROM / 4] = (uint32_t)from;
    edu->registers[EDU_DMA_FROM / 4 + 1] = (uint32_t)(from >> 32);
    edu->registers[EDU_DMA_TO / 4] = (uint32_t)to;
    edu->registers[EDU_DMA_TO / 4 + 1] = (uint32_t)(to >> 32);
    edu->registers[EDU_DMA_COUNT / 4] = EDU_DMA_BYTES;
    edu->registers[EDU_DMA_COMMAND / 4] = command | EDU_DMA_START | EDU_DMA_INTERRUPT;
}

static bool edu_dma(struct edu *edu, uint64_t from, uint64_t to, uint32_t command)
{
    edu_dma_start(edu, from, to, command);
    while (edu->registers[EDU_DMA_COMMAND / 4] & EDU_DMA_START)
        if (!device_wait(&edu->events))
            return false;
    return edu_wait_quiet(edu);
}

TEST_WHERE(irq_dma, "A device behind a bridge reads and writes memory at its machine address.",
           needs_edu)
{
    struct edu edu;
    char *from = dma_page(), *to = dma_page();

    REQUIRE(from && to);
    REQUIRE(edu_open(&edu, 2));
    edu.events.served = edu_acknowledge;
    REQUIRE_OK(pci_intx_bind(&edu.f, device_event, &edu.events, &edu.port));
    /* The device reaches 256 MiB only, as QEMU makes it. */
    REQUIRE((dma_address(from).n | dma_address(to).n) < 1ul << 28);
    for (unsigned i = 0; i < EDU_DMA_BYTES; i++)
        from[i] = (char)(i * 7 + (i >> 8));
    if (edu_dma(&edu, dma_address(from).n, EDU_BUFFER, 0) &&
        edu_dma(&edu, EDU_BUFFER, dma_address(to).n, EDU_DMA_TO_MEMORY))
        CHECK_EQ(memcmp(from, to, EDU_DMA_BYTES), 0);
    CHECK_OK(pci_intx_unbind(&edu.f, edu.port));
    edu_close(&edu);
    dma_page_free(from);
    dma_page_free(to);
}

static long physdev(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_physdev_op, command, address_of(argument), 0, 0, 0);
}

TEST_WHERE(irq_msi, "A function without MSI-X interrupts by MSI.", needs_edu)
{
    struct edu edu;

    REQUIRE(edu_open(&edu, 0));
    struct physdev_pci_device_add add = {.bus = edu.f.bus, .devfn = edu.f.devfn};
    struct physdev_map_pirq map = {.domid = DOMID_SELF,
                                   .type = MAP_PIRQ_TYPE_MSI_SEG,
                                   .index = -1,
                                   .pirq = -1,
                                   .bus = edu.f.bus,
                                   .devfn = edu.f.devfn,
                                   .entry_nr = 1};
    unsigned control = pci_capability(&edu.f, 0x05, 0) + 2;
    edu.events.served = edu_acknowledge;
    REQUIRE_OK(physdev(PHYSDEVOP_pci_device_add, &add));
    REQUIRE_OK(physdev(PHYSDEVOP_map_pirq, &map));
    CHECK_GE(map.pirq, 16);
    struct evtchn_bind_pirq bind = {.pirq = (uint32_t)map.pirq};
    bool unmask = pv_events_mask();
    CHECK_OK(
        hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, address_of(&bind), 0, 0, 0));
    CHECK_OK(pv_event_bind_port(bind.port, device_event, &edu.events, &edu.port));
    pv_events_restore(unmask);
    pci_write16(&edu.f, control, pci_read16(&edu.f, control) | 1);
    for (unsigned i = 0; i < 100 && !test_has_failed(); i++) {
        edu_raise(&edu);
        device_wait(&edu.events);
    }
    CHECK_EQ(edu.events.count, 100);
    pci_write16(&edu.f, control, pci_read16(&edu.f, control) & ~1);
    CHECK_OK(pv_event_close(edu.port));
    CHECK_OK(physdev(PHYSDEVOP_unmap_pirq,
                     &(struct physdev_unmap_pirq){.domid = DOMID_SELF, .pirq = map.pirq}));
    edu_close(&edu);
}

static const char *needs_edu_and_parvus(void)
{
    const char *missing = needs_edu();

    return missing ? missing : needs_parvus();
}

TEST_WHERE(irq_exceptions, "A message with the vector of an exception is nobody's interrupt.",
           needs_edu_and_parvus)
{
    struct edu edu;
    char *page = dma_page();

    REQUIRE(page);
    REQUIRE(edu_open(&edu, 0));
    unsigned message = pci_capability(&edu.f, 0x05, 0); /* of 64 bits; PCI Local Bus 3.0, 6.8.1 */
    unsigned control = message + 2, data = message + 12;
    REQUIRE(pci_read16(&edu.f, control) & 0x80);
    pci_write32(&edu.f, message + 4, 0xfee00000);
    pci_write32(&edu.f, message + 8, 0);
    pci_write16(&edu.f, control, pci_read16(&edu.f, control) | 1);
    /* QEMU's own APIC takes those below 16, too. Of the two left out, one reaches the guest as a
     * breakpoint, the other ends the hypervisor. */
    for (unsigned vector = 0; vector < 32; vector++) {
        if (vector == 3 || vector == 8)
            continue;
        pci_write16(&edu.f, data, (uint16_t)vector);
        edu_raise(&edu); /* in ring 3 */
        edu.registers[EDU_ACKNOWLEDGE / 4] = UINT32_MAX;
    }
    static const uint16_t some[] = {1, 13, 14, 16, 17, 18, 21, 31};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        pci_write16(&edu.f, data, some[i]);
        edu_dma_start(&edu, dma_address(page).n, EDU_BUFFER, 0);
        while (edu.registers[EDU_DMA_COMMAND / 4] & EDU_DMA_START)
            sleep_ms(100); /* in ring 0; that is how long the device takes */
        edu.registers[EDU_ACKNOWLEDGE / 4] = UINT32_MAX;
    }
    pci_write16(&edu.f, control, pci_read16(&edu.f, control) & ~1);
    edu_close(&edu);
    dma_page_free(page);
    sleep_ms(1); /* interrupts come as before */
}

/* --- MSI-X: an NVMe controller (NVM Express 1.4) -------------------------------------------- */

#define NVME_CLASS 0x010802
enum {
    NVME_CONFIGURATION = 0x14,
    NVME_STATUS = 0x1c,
    NVME_QUEUE_SIZES = 0x24,
    NVME_SUBMISSION = 0x28,
    NVME_COMPLETION = 0x30,
    NVME_SUBMISSION_TAIL = 0x1000,
    NVME_COMPLETION_HEAD = 0x1004,
};
#define NVME_ENABLE 0x460001 /* entries of 2^4 and 2^6 bytes */
#define NVME_IDENTIFY 0x06
#define NVME_ENTRIES 16

struct nvme {
    struct pci_function f;
    volatile uint32_t *registers;
    volatile uint32_t *submission, *completion;
    uint8_t *data;
    unsigned tail, head, phase;
    struct device_events events;
    event_port_t port;
};

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

static void nvme_enable(struct nvme *nvme, bool enable)
{
    uint64_t deadline_ns = ms_from_now(DEVICE_WAIT_MS);

    nvme->registers[NVME_CONFIGURATION / 4] = enable ? NVME_ENABLE : 0;
    while ((nvme->registers[NVME_STATUS / 4] & 1) != enable && clock_monotonic_ns() < deadline_ns)
        ;
    CHECK_EQ(nvme->registers[NVME_STATUS / 4] & 1, enable);
}

static bool nvme_open(struct nvme *nvme)
{
    volatile void *registers;

    *nvme = (struct nvme){.phase = 1};
    if (!CHECK_EQ(pci_scan(is_nvme, &nvme->f), 1))
        return false;
    pci_command(&nvme->f, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
    nvme->submission = dma_page();
    nvme->completion = dma_page();
    nvme->data = dma_page();
    if (!CHECK(nvme->submission && nvme->completion && nvme->data) ||
        !CHECK_OK(pci_map_bar(&nvme->f, 0, 0, 2 * PAGE_SIZE, "nvme", &registers)))
        return false;
    nvme->registers = registers;
    nvme_enable(nvme, false);
    nvme->registers[NVME_QUEUE_SIZES / 4] = (NVME_ENTRIES - 1) << 16 | (NVME_ENTRIES - 1);
    nvme->registers[NVME_SUBMISSION / 4] = (uint32_t)dma_address(nvme->submission).n;
    nvme->registers[NVME_SUBMISSION / 4 + 1] = (uint32_t)(dma_address(nvme->submission).n >> 32);
    nvme->registers[NVME_COMPLETION / 4] = (uint32_t)dma_address(nvme->completion).n;
    nvme->registers[NVME_COMPLETION / 4 + 1] = (uint32_t)(dma_address(nvme->completion).n >> 32);
    return true;
}

static void nvme_close(struct nvme *nvme)
{
    nvme_enable(nvme, false);
    pci_command(&nvme->f, 0, PCI_COMMAND_MASTER);
    CHECK_OK(vm_unmap((void *)(uintptr_t)nvme->registers, 2 * PAGE_SIZE));
    dma_page_free((void *)(uintptr_t)nvme->submission);
    dma_page_free((void *)(uintptr_t)nvme->completion);
    dma_page_free(nvme->data);
}

/* Asks what the controller is, and waits for the interrupt that says it answered. */
static void nvme_identify(struct nvme *nvme)
{
    volatile uint32_t *command = nvme->submission + nvme->tail * 16;
    volatile uint32_t *done = nvme->completion + nvme->head * 4;

    memset(nvme->data, 0xaa, PAGE_SIZE);
    for (unsigned i = 0; i < 16; i++)
        command[i] = 0;
    command[0] = NVME_IDENTIFY | 0x1234u << 16;
    command[6] = (uint32_t)dma_address(nvme->data).n;
    command[7] = (uint32_t)(dma_address(nvme->data).n >> 32);
    command[10] = 1; /* the controller */
    nvme->tail = (nvme->tail + 1) % NVME_ENTRIES;
    nvme->registers[NVME_SUBMISSION_TAIL / 4] = nvme->tail;
    while ((done[3] >> 16 & 1) != nvme->phase) {
        if (!device_wait(&nvme->events))
            return;
        pv_irq_done(nvme->port); /* the line may be another device's, too */
    }
    CHECK_EQ(done[3] & 0xffff, 0x1234);
    CHECK_EQ(done[3] >> 17, 0);
    CHECK_EQ(nvme->data[0] | nvme->data[1] << 8, nvme->f.vendor);
    nvme->head = (nvme->head + 1) % NVME_ENTRIES;
    if (!nvme->head)
        nvme->phase ^= 1;
    nvme->registers[NVME_COMPLETION_HEAD / 4] = nvme->head; /* which lowers the line of INTx */
}

TEST_WHERE(irq_msix, "A controller interrupts by its MSI-X entry, once for each command.",
           needs_nvme)
{
    struct nvme nvme;

    REQUIRE(nvme_open(&nvme));
    CHECK_GE(pci_msix_entries(&nvme.f), 2);
    REQUIRE_OK(pci_msix_bind(&nvme.f, 0, device_event, &nvme.events, &nvme.port));
    pci_msix_enable(&nvme.f, true);
    nvme_enable(&nvme, true); /* behind MSI-X, or QEMU does not see that the entry is in use */
    for (unsigned i = 0; i < 100 && !test_has_failed(); i++)
        nvme_identify(&nvme);
    CHECK_EQ(nvme.events.count, 100);
    pci_msix_enable(&nvme.f, false);
    CHECK_OK(pv_irq_unbind(nvme.port));
    nvme_close(&nvme);
}

TEST_WHERE(irq_intx_fallback, "The same controller interrupts by its line, with MSI-X disabled.",
           needs_nvme)
{
    struct nvme nvme;

    REQUIRE(nvme_open(&nvme));
    REQUIRE_OK(pci_intx_bind(&nvme.f, device_event, &nvme.events, &nvme.port));
    nvme_enable(&nvme, true);
    for (unsigned i = 0; i < 100 && !test_has_failed(); i++)
        nvme_identify(&nvme);
    CHECK_OK(pci_intx_unbind(&nvme.f, nvme.port));
    nvme_close(&nvme);
}

TEST_WHERE(irq_msix_all, "All entries of a table can be bound, as far as there are vectors.",
           needs_nvme)
{
    static event_port_t ports[2048];
    struct nvme nvme;
    unsigned bound[2];

    REQUIRE(nvme_open(&nvme));
    unsigned entries = pci_msix_entries(&nvme.f);
    CHECK_EQ(pci_msix_bind(&nvme.f, entries, device_event, &nvme.events, &ports[0]), -EINVAL);
    CHECK_EQ(pci_msix_bind(&nvme.f, UINT32_MAX, device_event, &nvme.events, &ports[0]), -EINVAL);
    for (unsigned round = 0; round < 2; round++) {
        unsigned n = 0;
        int error = 0;

        /* From the end, so that entry 0 is the one that might be missing. */
        for (; n < entries && !error; n += !error)
            error = pci_msix_bind(&nvme.f, entries - 1 - n, device_event, &nvme.events, &ports[n]);
        if (error)
            CHECK_EQ(error, -ENOSPC);
        CHECK_GE(n, 32);
        bound[round] = n;
        while (n)
            CHECK_OK(pv_irq_unbind(ports[--n]));
    }
    CHECK_EQ(bound[0], bound[1]);
    nvme_close(&nvme);
}
