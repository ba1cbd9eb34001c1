/*
 * The hypervisor's boot story: from the boot code's long mode to the guest's first instruction.
 * Ring 0, boot CPU.
 */
#include <stdint.h>
#include <xen/xen.h>
#include "boot/boot.h"
#include "pv/hypervisor/acpi.h"
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/clock.h"
#include "pv/hypervisor/console.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/ioapic.h"
#include "pv/hypervisor/kvm.h"
#include "pv/hypervisor/m2p.h"
#include "pv/hypervisor/memory.h"
#include "pv/hypervisor/timer.h"

extern char guest_start[], guest_end[]; /* linker script */

static struct boot_info info;
static struct free_list memory;

/* Where the guest is: inside the image, or the first module; what follows is its initrd. */
static struct {
    struct boot_range file;
    const char *command_line;
    const struct boot_range *initrd;
} guest;

/* What follows the prefix; NULL: the text begins otherwise. */
static const char *after(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return NULL;
    return text;
}

static void find_guest(void)
{
    unsigned int next_module = 0;

    guest.command_line = info.command_line;
    if (virtual_to_machine(guest_start) != virtual_to_machine(guest_end)) {
        guest.file =
            (struct boot_range){virtual_to_machine(guest_start), virtual_to_machine(guest_end)};
    } else {
        if (info.nr_modules == 0)
            boot_fail("no guest: none in the image, and the loader gave no module");

        const struct boot_module *module = &info.modules[next_module++];

        guest.file = module->bytes;
        if (module->command_line[0])
            guest.command_line = module->command_line;
    }
    if (next_module < info.nr_modules)
        guest.initrd = &info.modules[next_module++].bytes;
    if (next_module < info.nr_modules)
        boot_fail("too many modules: the guest is in the image, so only its initrd may follow");
}

/* The value of a parameter ("NAME=") among the system's (those before "--"), cut at its room. */
struct value {
    char text[16];
};

static struct value parameter(const char *name)
{
    struct value value = {""};
    const char *at = guest.command_line, *text;

    while (*at && !after(at, "-- ")) {
        text = after(at, name);
        if (text) {
            for (unsigned int i = 0; *text && *text != ' ' && i < sizeof(value.text) - 1; i++)
                value.text[i] = *text++;
            break;
        }
        while (*at && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
    return value;
}

/* log=debug is for the guest's kernel first of all; it checks the value, too. */
static void start_clock(void)
{
    clock_init(parameter("clock=").text);
    if (after(parameter("log=").text, "debug"))
        clock_report();
}

_Noreturn void hypervisor_main(uint32_t magic, uint32_t loader_info)
{
    console_init();
    cpu_init();                           /* descriptor tables, SYSCALL */
    boot_read(magic, loader_info, &info); /* memory map, command line, modules */
    memory_init(&info, &memory);          /* map all RAM, one word a frame */
    m2p_init();                           /* room for the machine-to-physical table */
    memory_protect();                     /* W^X for ourselves */
    domain_init();                        /* shared_info, for the clock */
    find_guest();                         /* in the image, or a module */
    kvm_init();                           /* what a KVM host offers */
    acpi_init(&info);                     /* the firmware's tables */
    apic_init();                          /* the timer's hardware */
    ioapic_init();                        /* device interrupts */
    start_clock();                        /* kvmclock, ... or measure the TSC */
    timer_init();                         /* deadlines */
    memory_reclaim(&info, &memory);       /* what only held boot data is the domain's, too */
    domain_build(&guest.file, guest.command_line, guest.initrd, &memory);
    cpu_return_to_guest();
}
