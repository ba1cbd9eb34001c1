/*
 * PCI: finding functions, their configuration space and BARs.
 */
#include "kernel/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm.h"
#include "tests/guest/devices.h"
#include "tests/guest/test.h"

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

static const char *needs_edu(void)
{
    struct pci_function f;

    return device_find(EDU_VENDOR, EDU_DEVICE, 0, &f) ? NULL : "this machine has no edu device";
}

static int stop_at_once(const struct pci_function *f, void *arg)
{
    *(struct pci_function *)arg = *f;
    return 77;
}

TEST(pci_host_bridge, "A machine has a host bridge at 00:00.0, or no PCI at all.")
{
    struct pci_function f = {.bus = 99};
    int result = pci_scan(stop_at_once, &f);
    const char *host = getenv("TEST_HOST");

    if (host && strstr(host, "microvm"))
        CHECK_EQ(result, -ENODEV);
    if (result == -ENODEV) {
        CHECK_EQ(f.bus, 99);
        CHECK(!host || (!strstr(host, "q35") && !strstr(host, "tcg-pc") && !strstr(host, "grub")));
        return;
    }
    CHECK_EQ(result, 77);
    CHECK_EQ(f.bus, 0);
    CHECK_EQ(f.devfn, 0);
    CHECK_EQ(f.class_code >> 8, 0x0600);
}

struct seen {
    uint32_t last;
    unsigned functions, edus, behind_bridges;
};

static int look(const struct pci_function *f, void *arg)
{
    struct seen *seen = arg;
    uint32_t id = (uint32_t)f->bus << 8 | f->devfn;

    if (seen->functions++)
        CHECK_LT(seen->last, id);
    seen->last = id;
    CHECK_NE(f->vendor, 0xffff);
    CHECK_EQ(pci_read16(f, 0), f->vendor);
    CHECK_EQ(pci_read32(f, 0), f->vendor | (uint32_t)f->device << 16);
    CHECK_EQ(pci_read8(f, 8), f->revision);
    if (f->vendor == EDU_VENDOR && f->device == EDU_DEVICE) {
        seen->edus++;
        seen->behind_bridges += f->bus != 0;
        CHECK_EQ(f->class_code >> 8, 0x00ff);
    }
    return 0;
}

TEST_WHERE(pci_scan, "A scan finds each function once: of multifunction devices, behind bridges.",
           needs_edu)
{
    struct seen seen = {0};

    CHECK_OK(pci_scan(look, &seen));
    CHECK_EQ(seen.edus, 3); /* tests/hosts.py: two in a slot, one behind a bridge */
    CHECK_EQ(seen.behind_bridges, 1);
}

TEST_WHERE(pci_capabilities, "Capabilities are found by kind and number; others are not there.",
           needs_edu)
{
    struct pci_function f;

    REQUIRE(device_find(EDU_VENDOR, EDU_DEVICE, 0, &f));
    unsigned msi = pci_capability(&f, 0x05, 0);
    CHECK_GE(msi, 0x40);
    CHECK_EQ(pci_read8(&f, msi), 0x05);
    CHECK_EQ(pci_capability(&f, 0x05, 1), 0);
    CHECK_EQ(pci_capability(&f, 0x05, UINT32_MAX), 0);
    CHECK_EQ(pci_capability(&f, PCI_CAPABILITY_MSIX, 0), 0);
    CHECK_EQ(pci_msix_entries(&f), 0);
}

TEST_WHERE(pci_bar, "BARs have the sizes that the device has, and are left as they were.",
           needs_edu)
{
    struct pci_function f;
    struct pci_bar bar;

    REQUIRE(device_find(EDU_VENDOR, EDU_DEVICE, 0, &f));
    uint32_t before = pci_read32(&f, 0x10);
    uint16_t command = pci_read16(&f, PCI_COMMAND);
    REQUIRE_OK(pci_bar(&f, 0, &bar));
    CHECK_EQ(bar.bytes, 1 << 20); /* QEMU, docs/specs/edu */
    CHECK_EQ(bar.start.n, before & ~15u);
    CHECK(!bar.is_port && !bar.is_64bit && !bar.is_prefetchable);
    CHECK_EQ(pci_read32(&f, 0x10), before);
    CHECK_EQ(pci_read16(&f, PCI_COMMAND), command);
    for (unsigned i = 1; i < 8; i++)
        CHECK_EQ(pci_bar(&f, i, &bar), -ENOENT);
    pci_write32(&f, 0x10, 0); /* nobody assigned an address */
    CHECK_EQ(pci_bar(&f, 0, &bar), -EINVAL);
    pci_write32(&f, 0x10, before);
    CHECK_OK(pci_bar(&f, 0, &bar));
}

TEST_WHERE(pci_map_bar, "Parts of a BAR are mapped, and nothing beyond its end.", needs_edu)
{
    struct pci_function f;
    volatile void *registers;

    REQUIRE(device_find(EDU_VENDOR, EDU_DEVICE, 0, &f));
    CHECK_EQ(pci_map_bar(&f, 0, 0, (1 << 20) + 1, "edu", &registers), -EINVAL);
    CHECK_EQ(pci_map_bar(&f, 0, 1 << 20, 1, "edu", &registers), -EINVAL);
    CHECK_EQ(pci_map_bar(&f, 0, UINT64_MAX, 1, "edu", &registers), -EINVAL);
    CHECK_EQ(pci_map_bar(&f, 0, 0, SIZE_MAX, "edu", &registers), -EINVAL);
    CHECK_EQ(pci_map_bar(&f, 1, 0, 1, "edu", &registers), -ENOENT);
    pci_command(&f, PCI_COMMAND_MEMORY, 0);
    REQUIRE_OK(pci_map_bar(&f, 0, 0, 4096, "edu", &registers));
    CHECK_EQ(((volatile uint32_t *)registers)[0] & 0xffff, 0x00ed);
    ((volatile uint32_t *)registers)[1] = 0x12345678; /* the liveness check: inverted */
    CHECK_EQ(((volatile uint32_t *)registers)[1], ~0x12345678u);
    CHECK_OK(vm_unmap((void *)(uintptr_t)registers, 4096));
}
