/*
 * Start of day: from the hypervisor's start_info to kernel_main.
 *
 * Called by pv/entry.S on the boot stack, in ring 3, events masked. Locks: none, one vCPU.
 */
#include "pv/shared.h"

#include "pv/abi.h"
#include "pv/domu.h"
#include "pv/report.h"

struct pv_boot pv_boot;

/* Copies without relying on libc, which belongs to the layer above. */
static void copy_text(char *out, const char *in, size_t bytes)
{
    size_t i = 0;

    for (; i + 1 < bytes && in[i]; i++)
        out[i] = in[i];
    out[i] = 0;
}

static uint32_t granted_features(void)
{
    struct xen_feature_info info = {.submap_idx = PARVUS_FEATURE_SUBMAP};

    /* Another hypervisor answers -EINVAL: no additions there. */
    return hypervisor_xen_version(XENVER_get_features, &info) == 0 ? info.submap : 0;
}

/*
 * The page behind pv_shared_page in the image is replaced by the hypervisor's. It must be there
 * before the first event or mask operation.
 */
static int map_shared_info(uint64_t machine_address)
{
    uint64_t entry = machine_address | PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER |
                     PV_PTE_ACCESSED | PV_PTE_DIRTY | PV_PTE_NX;

    return (int)hypervisor_update_va_mapping((uintptr_t)pv_shared_page, entry, UVMF_INVLPG);
}

__attribute__((optimize("no-stack-protector"))) _Noreturn void pv_start(struct start_info *si)
{
    static const char no_shared_page[] = "parvus: the hypervisor refused to map shared_info\n";

    kernel_protect_stacks();
    pv_relocate_finish();
    if (map_shared_info(si->shared_info)) {
        pv_console_write(no_shared_page, sizeof(no_shared_page) - 1);
        pv_shutdown(PV_SHUTDOWN_CRASH, 0);
    }
    pv_upcall()->mask = 1;

    uint32_t features = granted_features();
    pv_boot.nr_pages = si->nr_pages;
    pv_boot.command_line = (char *)si->cmd_line;
    pv_boot.command_line[MAX_GUEST_CMDLINE - 1] = 0;
    pv_boot.initial_domain = si->flags & SIF_INITDOMAIN;
    pv_boot.wx_enforced = features & PARVUS_FEATURE_WX;
    pv_boot.seal_offered = features & PARVUS_FEATURE_SEAL;
    if (si->mod_len && !(si->flags & SIF_MOD_START_PFN)) { /* our notes do not ask for that */
        pv_boot.initrd = (const void *)si->mod_start;
        pv_boot.initrd_bytes = si->mod_len;
    }
    pv_boot.max_pages = pv_boot.initial_domain ? si->nr_pages : pv_frames_most(si->nr_pages);
    copy_text(pv_boot.hypervisor, si->magic, sizeof(pv_boot.hypervisor));

    pv_memory_init(si);
    pv_console_ring_init(si);
    pv_store_init(si);
    pv_boot.status_latched = features & PARVUS_FEATURE_EXIT_STATUS;
    pv_boot.status_reported = pv_boot.status_latched || pv_report_init();
    pv_traps_init();
    kernel_main();
}
