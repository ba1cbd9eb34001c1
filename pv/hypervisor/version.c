/* xen_version: xen/version.h, xen/features.h. Ring 0. */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/version.h>
#include <xen/features.h>
#include "pv/abi.h"
#include "pv/hypervisor/hypercall.h"
#include "pv/hypervisor/domain.h"
#include "pv/hypervisor/work.h"

/* The version whose PV ABI this is a subset of. */
#define ABI_MAJOR 4
#define ABI_MINOR 17

static int64_t get_features(uint64_t arg)
{
    struct xen_feature_info info;

    if (guest_read(&info, arg, sizeof(info)))
        return -EFAULT;
    switch (info.submap_idx) {
    case 0:
        info.submap = 1u << XENFEAT_pae_pgdir_above_4gb | 1u << XENFEAT_mmu_pt_update_preserve_ad |
                      1u << XENFEAT_memory_op_vnode_supported;
        break;
    case PARVUS_FEATURE_SUBMAP:
        info.submap = domain.features;
        break;
    default:
        return -EINVAL;
    }
    return guest_write(arg, &info, sizeof(info));
}

int64_t hypercall_xen_version(uint64_t command, uint64_t arg)
{
    static const char extra_version[XEN_EXTRAVERSION_LEN] = ".0-parvus";
    static const char capabilities[sizeof(xen_capabilities_info_t)] = "xen-3.0-x86_64 ";
    static const char changeset[sizeof(xen_changeset_info_t)] = "unavailable";
    static const struct xen_compile_info compile_info = {.compiler = "gcc"};
    static const struct xen_platform_parameters platform = {HYPERVISOR_VIRT_START};

    command = (uint32_t)command;
    if (command == XENVER_version) /* the usual choice of those who want a call that does nothing */
        return ABI_MAJOR << 16 | ABI_MINOR;
    switch (command) {
    case XENVER_extraversion:
        return guest_write(arg, extra_version, sizeof(extra_version));
    case XENVER_compile_info:
        return guest_write(arg, &compile_info, sizeof(compile_info));
    case XENVER_capabilities:
        work.left -= WORK_PAGE; /* a kilobyte */
        return guest_write(arg, capabilities, sizeof(capabilities));
    case XENVER_changeset:
        return guest_write(arg, changeset, sizeof(changeset));
    case XENVER_platform_parameters:
        return guest_write(arg, &platform, sizeof(platform));
    case XENVER_get_features:
        return get_features(arg);
    case XENVER_pagesize: /* it has no argument */
        return arg ? -EINVAL : (int64_t)PAGE_BYTES;
    default:
        return -ENOSYS;
    }
}
