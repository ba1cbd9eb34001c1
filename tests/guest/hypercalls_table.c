/*
 * Every hypercall, and every operation of those that have some, with arguments that do no harm:
 * pointers to where nothing is mapped, frames and registers that there are not.
 *
 * Real Xen is the judge: the tables say what Xen 4.17 answers. Whatever has no row is -ENOSYS. So
 * is what the Parvus hypervisor leaves out, as if Xen had never heard of it.
 */
#include "tests/guest/hypercall.h"

#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "pv/abi.h"
#include "tests/guest/test.h"

#define COUNT 64   /* of hypercalls, and of operations in each family */
#define NOWHERE 16 /* an address */

enum {
    LEFT_OUT = 1, /* by Parvus */
    DOM0 = 2,     /* Xen: -EPERM for other domains */
    SIZE = 4,     /* a number above 0 that tells of the machine */
    SKIP = 8,     /* it does what it is told, or depends on more than can be told here */
};

struct row {
    uint8_t first, last;
    int16_t expected;
    uint8_t flags;
};

struct family {
    const char *name;
    long (*call)(unsigned operation);
    struct row rows[32]; /* what is behind the last one is all zeroes, as is none of them */
};

static const struct row *row_of(const struct family *family, unsigned operation)
{
    static const struct row unknown = {.expected = -XEN_ENOSYS};

    for (const struct row *r = family->rows; r->first | r->last | r->expected | r->flags; r++)
        if (operation >= r->first && operation <= r->last)
            return r;
    return &unknown;
}

static void check(const struct family *family, unsigned operation)
{
    const struct row *r = row_of(family, operation);
    long expected = r->expected;

    if ((r->flags & SKIP) != 0)
        return;
    if ((r->flags & DOM0) != 0 && !pv_boot.initial_domain)
        expected = -XEN_EPERM;
    if ((r->flags & LEFT_OUT) != 0 && host_is_parvus())
        expected = -XEN_ENOSYS;
    long result = family->call(operation);
    if ((r->flags & SIZE) != 0 ? result <= 0 : result != expected)
        FAIL("%s, %u: %ld instead of %ld", family->name, operation, result, expected);
}

/* --- Families --------------------------------------------------------------------------------- */

static long number(unsigned n)
{
    return hypercall(n, NOWHERE, 1, NOWHERE, DOMID_SELF, 0);
}

#define FAMILY(name)                                                                               \
    static long name(unsigned operation)                                                           \
    {                                                                                              \
        return hypercall(__HYPERVISOR_##name, operation, NOWHERE, 0, 0, 0);                        \
    }

FAMILY(memory_op)
FAMILY(xen_version)
FAMILY(callback_op)
FAMILY(event_channel_op)
FAMILY(physdev_op)
FAMILY(sched_op)
FAMILY(nmi_op)

static long console_io(unsigned operation)
{
    return hypercall(__HYPERVISOR_console_io, operation, 1, NOWHERE, 0, 0);
}

static long grant_table_op(unsigned operation)
{
    return hypercall(__HYPERVISOR_grant_table_op, operation, NOWHERE, 1, 0, 0);
}

static long vcpu_op(unsigned operation)
{
    return hypercall(__HYPERVISOR_vcpu_op, operation, 0, NOWHERE, 0, 0);
}

static long vcpu_op_of_none(unsigned operation)
{
    return hypercall(__HYPERVISOR_vcpu_op, operation, 1, NOWHERE, 0, 0);
}

static long set_segment_base(unsigned operation)
{
    return hypercall(__HYPERVISOR_set_segment_base, operation, 0x800000000000, 0, 0, 0);
}

static long mmuext_op(unsigned operation)
{
    return mmuext_raw(operation, ~0ul, NOWHERE);
}

static long mmu_update(unsigned kind)
{
    return kind < 8 ? update_raw(frame_beyond_all().n << PAGE_SHIFT, kind, 1) : -XEN_ENOSYS;
}

static const struct family families[] = {
    {"hypercall",
     number,
     {
         {__HYPERVISOR_set_trap_table, __HYPERVISOR_mmu_update, -XEN_EFAULT, 0},
         {__HYPERVISOR_set_gdt, __HYPERVISOR_set_gdt, -XEN_EFAULT, LEFT_OUT},
         {__HYPERVISOR_stack_switch, __HYPERVISOR_fpu_taskswitch, 0, SKIP},
         {__HYPERVISOR_platform_op, __HYPERVISOR_platform_op, -XEN_EFAULT, LEFT_OUT},
         {__HYPERVISOR_set_debugreg, __HYPERVISOR_get_debugreg, -XEN_ENODEV, LEFT_OUT},
         {__HYPERVISOR_update_descriptor, __HYPERVISOR_update_descriptor, -XEN_EINVAL, LEFT_OUT},
         {__HYPERVISOR_memory_op, __HYPERVISOR_memory_op, -XEN_EFAULT,
          LEFT_OUT}, /* set_pod_target */
         {__HYPERVISOR_multicall, __HYPERVISOR_multicall, -XEN_EFAULT, 0},
         {__HYPERVISOR_update_va_mapping, __HYPERVISOR_update_va_mapping, -XEN_EINVAL, 0},
         {__HYPERVISOR_set_timer_op, __HYPERVISOR_set_timer_op, 0, SKIP},
         {16, 16, -XEN_EFAULT, LEFT_OUT}, /* event_channel_op_compat */
         {__HYPERVISOR_console_io, __HYPERVISOR_console_io, -XEN_ENOSYS, DOM0},
         {19, 19, -XEN_EFAULT, LEFT_OUT}, /* physdev_op_compat */
         {__HYPERVISOR_vm_assist, __HYPERVISOR_vm_assist, 0, SKIP},
         {__HYPERVISOR_update_va_mapping_otherdomain, __HYPERVISOR_update_va_mapping_otherdomain,
          -XEN_EINVAL, 0},
         {__HYPERVISOR_iret, __HYPERVISOR_iret, 0, SKIP},
         {__HYPERVISOR_vcpu_op, __HYPERVISOR_vcpu_op, -XEN_ENOENT, 0},
         {__HYPERVISOR_set_segment_base, __HYPERVISOR_set_segment_base, -XEN_EINVAL, 0},
         {__HYPERVISOR_mmuext_op, __HYPERVISOR_mmuext_op, -XEN_EFAULT, 0},
         {__HYPERVISOR_xenoprof_op, __HYPERVISOR_xenoprof_op, -XEN_EPERM, LEFT_OUT},
         {__HYPERVISOR_physdev_op, __HYPERVISOR_physdev_op, -XEN_EFAULT,
          LEFT_OUT}, /* manage_pci_remove */
         {__HYPERVISOR_sysctl, __HYPERVISOR_domctl, -XEN_EFAULT, LEFT_OUT},
         {__HYPERVISOR_kexec_op, __HYPERVISOR_kexec_op, 0, SKIP}, /* 0 without a crash kernel */
         {__HYPERVISOR_xenpmu_op, __HYPERVISOR_xenpmu_op, -XEN_EOPNOTSUPP, LEFT_OUT},
         {__HYPERVISOR_dm_op, __HYPERVISOR_dm_op, -XEN_EFAULT, LEFT_OUT},
         {__HYPERVISOR_hypfs_op, __HYPERVISOR_hypfs_op, -XEN_EFAULT, LEFT_OUT | DOM0},
         {__HYPERVISOR_arch_0, __HYPERVISOR_arch_0, -XEN_EFAULT, LEFT_OUT | DOM0}, /* mca */
         {__HYPERVISOR_arch_1, __HYPERVISOR_arch_1, -XEN_EFAULT, LEFT_OUT},
         {PARVUS_HYPERCALL_SEAL, PARVUS_HYPERCALL_SEAL, 0, SKIP}, /* Parvus alone has it */
     }},
    {"memory_op",
     memory_op,
     {
         {XENMEM_increase_reservation, XENMEM_decrease_reservation, 0, LEFT_OUT}, /* none done */
         {XENMEM_maximum_ram_page, XENMEM_maximum_ram_page, 0, SIZE},
         {XENMEM_current_reservation, XENMEM_maximum_reservation, -XEN_EFAULT, 0},
         {XENMEM_machphys_mfn_list, XENMEM_machphys_mfn_list, -XEN_EFAULT, LEFT_OUT},
         {XENMEM_populate_physmap, XENMEM_populate_physmap, 0, LEFT_OUT},
         {XENMEM_add_to_physmap, XENMEM_add_to_physmap, -XEN_EFAULT, LEFT_OUT},
         {XENMEM_memory_map, XENMEM_memory_map, -XEN_EFAULT, 0},
         {XENMEM_machine_memory_map, XENMEM_machine_memory_map, -XEN_EFAULT, LEFT_OUT | DOM0},
         {XENMEM_exchange, XENMEM_exchange, -XEN_EFAULT, LEFT_OUT},
         {XENMEM_machphys_mapping, XENMEM_machphys_mapping, -XEN_EFAULT, 0},
         {XENMEM_set_memory_map, XENMEM_set_memory_map, -XEN_EFAULT, LEFT_OUT},
         {XENMEM_maximum_gpfn, XENMEM_maximum_gpfn, -XEN_EFAULT, 0},
         {XENMEM_remove_from_physmap, XENMEM_get_pod_target, -XEN_EFAULT, LEFT_OUT},
         {18 /* get_sharing_freed_pages */, 19 /* get_sharing_shared_pages */, 0, LEFT_OUT},
         {21 /* access_op */, 21, -XEN_EFAULT, LEFT_OUT},
         {XENMEM_add_to_physmap_batch, 24 /* claim_pages */, -XEN_EFAULT, LEFT_OUT},
         {XENMEM_machphys_compat_mfn_list, XENMEM_machphys_compat_mfn_list, -XEN_EOPNOTSUPP,
          LEFT_OUT},
         {XENMEM_get_vnumainfo, XENMEM_acquire_resource, -XEN_EFAULT, LEFT_OUT},
     }},
    {"xen_version",
     xen_version,
     {
         {XENVER_version, XENVER_version, 0, SIZE},
         {XENVER_extraversion, XENVER_get_features, -XEN_EFAULT, 0},
         {XENVER_pagesize, XENVER_pagesize, -XEN_EINVAL, 0}, /* it has no argument */
         {XENVER_guest_handle, XENVER_commandline, -XEN_EFAULT, LEFT_OUT},
         {XENVER_build_id, XENVER_build_id, -XEN_EFAULT, LEFT_OUT | DOM0},
     }},
    {"callback_op", callback_op, {{CALLBACKOP_register, CALLBACKOP_unregister, -XEN_EFAULT, 0}}},
    {"event_channel_op",
     event_channel_op,
     {
         {EVTCHNOP_bind_interdomain, EVTCHNOP_reset, -XEN_EFAULT, 0},
         {EVTCHNOP_init_control, 14 /* reset_cont */, -XEN_EFAULT, LEFT_OUT},
     }},
    {"physdev_op",
     physdev_op,
     {
         {PHYSDEVOP_IRQ_UNMASK_NOTIFY, PHYSDEVOP_IRQ_UNMASK_NOTIFY, 0, LEFT_OUT},
         {PHYSDEVOP_irq_status_query, PHYSDEVOP_set_iobitmap, -XEN_EFAULT, 0},
         {PHYSDEVOP_apic_read, PHYSDEVOP_alloc_irq_vector, -XEN_EFAULT, LEFT_OUT},
         {PHYSDEVOP_eoi, PHYSDEVOP_unmap_pirq, -XEN_EFAULT, 0},
         {PHYSDEVOP_manage_pci_add, PHYSDEVOP_pirq_eoi_gmfn_v1, -XEN_EFAULT, LEFT_OUT},
         {PHYSDEVOP_restore_msi, PHYSDEVOP_manage_pci_add_ext, -XEN_EFAULT, LEFT_OUT},
         {PHYSDEVOP_setup_gsi, PHYSDEVOP_setup_gsi, -XEN_EFAULT, 0},
         {PHYSDEVOP_get_free_pirq, PHYSDEVOP_get_free_pirq, -XEN_EFAULT, LEFT_OUT},
         {PHYSDEVOP_pci_mmcfg_reserved, PHYSDEVOP_pci_mmcfg_reserved, -XEN_EFAULT, LEFT_OUT | DOM0},
         {PHYSDEVOP_pci_device_add, PHYSDEVOP_pci_device_add, -XEN_EFAULT, 0},
         {PHYSDEVOP_pci_device_remove, PHYSDEVOP_restore_msi_ext, -XEN_EFAULT, LEFT_OUT},
         {PHYSDEVOP_pirq_eoi_gmfn_v2, PHYSDEVOP_pirq_eoi_gmfn_v2, -XEN_EFAULT, 0},
         {PHYSDEVOP_dbgp_op, PHYSDEVOP_dbgp_op, -XEN_EFAULT, LEFT_OUT | DOM0},
         {PHYSDEVOP_prepare_msix, PHYSDEVOP_release_msix, -XEN_EFAULT, LEFT_OUT},
     }},
    {"sched_op",
     sched_op,
     {
         {SCHEDOP_yield, SCHEDOP_block, 0, SKIP},
         {SCHEDOP_shutdown, SCHEDOP_poll, -XEN_EFAULT, 0},
         {SCHEDOP_remote_shutdown, SCHEDOP_remote_shutdown, -XEN_EFAULT, LEFT_OUT},
         {SCHEDOP_shutdown_code, SCHEDOP_shutdown_code, -XEN_EFAULT, 0},
         {SCHEDOP_watchdog, SCHEDOP_watchdog, -XEN_EFAULT, LEFT_OUT},
         {SCHEDOP_pin_override, SCHEDOP_pin_override, -XEN_EFAULT, LEFT_OUT | DOM0},
     }},
    {"nmi_op",
     nmi_op,
     {
         {XENNMI_register_callback, XENNMI_register_callback, -XEN_EFAULT, LEFT_OUT},
         {XENNMI_unregister_callback, XENNMI_unregister_callback, 0, LEFT_OUT},
     }},
    {"console_io",
     console_io,
     {
         {CONSOLEIO_write, CONSOLEIO_read, -XEN_EFAULT, DOM0},
         {CONSOLEIO_read + 1, COUNT - 1, -XEN_ENOSYS, DOM0},
     }},
    {"grant_table_op",
     grant_table_op,
     {
         {0 /* map_grant_ref */, 2 /* setup_table */, -XEN_EFAULT, LEFT_OUT},
         {4 /* transfer */, 12 /* cache_flush */, -XEN_EFAULT, LEFT_OUT},
     }},
    {"vcpu_op",
     vcpu_op,
     {
         {VCPUOP_initialise, VCPUOP_initialise, -XEN_EFAULT, LEFT_OUT},
         {VCPUOP_up, VCPUOP_down, 0, SKIP},
         {VCPUOP_is_up, VCPUOP_is_up, 1, 0},
         {VCPUOP_get_runstate_info, VCPUOP_get_runstate_info, -XEN_EFAULT, 0},
         {VCPUOP_register_runstate_memory_area, VCPUOP_set_periodic_timer, -XEN_EFAULT, LEFT_OUT},
         {VCPUOP_stop_periodic_timer, VCPUOP_stop_periodic_timer, 0, SKIP},
         {VCPUOP_set_singleshot_timer, VCPUOP_set_singleshot_timer, -XEN_EFAULT, 0},
         {VCPUOP_stop_singleshot_timer, VCPUOP_stop_singleshot_timer, 0, SKIP},
         {VCPUOP_register_vcpu_info, VCPUOP_register_vcpu_info, -XEN_EFAULT, LEFT_OUT},
         {VCPUOP_send_nmi, VCPUOP_send_nmi, -XEN_EINVAL, LEFT_OUT},
         {VCPUOP_get_physid, VCPUOP_get_physid, 0, SKIP}, /* by where it may run */
         {VCPUOP_register_vcpu_time_memory_area, VCPUOP_register_vcpu_time_memory_area, -XEN_EFAULT,
          LEFT_OUT},
     }},
    {"vcpu_op of a vCPU that is none", vcpu_op_of_none, {{0, COUNT - 1, -XEN_ENOENT, 0}}},
    {"set_segment_base",
     set_segment_base,
     {
         {SEGBASE_GS_USER_SEL, SEGBASE_GS_USER_SEL, 0, SKIP}, /* Xen loads any selector */
         {0, COUNT - 1, -XEN_EINVAL, 0},
     }},
    {"mmuext_op",
     mmuext_op,
     {
         {MMUEXT_PIN_L1_TABLE, MMUEXT_NEW_BASEPTR, -XEN_EINVAL, 0},
         {MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_LOCAL, 0, SKIP},
         {MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_MULTI, -XEN_EINVAL, 0}, /* no mask of vCPUs */
         {MMUEXT_TLB_FLUSH_ALL, MMUEXT_FLUSH_CACHE, 0, SKIP},
         {MMUEXT_SET_LDT, MMUEXT_SET_LDT, -XEN_EINVAL, 0},
         {MMUEXT_NEW_USER_BASEPTR, MMUEXT_COPY_PAGE, -XEN_EINVAL, 0},
         {MMUEXT_FLUSH_CACHE_GLOBAL, MMUEXT_FLUSH_CACHE_GLOBAL, 0, SKIP},
         {MMUEXT_MARK_SUPER, MMUEXT_UNMARK_SUPER, -XEN_EOPNOTSUPP, 0},
     }},
    {"mmu_update",
     mmu_update,
     {
         {MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_PRESERVE_AD, -XEN_EINVAL, 0},
         {3 /* MMU_PT_UPDATE_NO_TRANSLATE */, 3, -XEN_EINVAL, LEFT_OUT},
     }},
};

TEST(hypercall_errors, "Each hypercall, and each operation, is refused with the error of Xen.")
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        for (unsigned operation = 0; operation < COUNT; operation++)
            check(&families[i], operation);
}

/* --- Domains, and vCPUs ----------------------------------------------------------------------- */

TEST(hypercall_domains, "Page tables are changed as DOMID_SELF: no number will do, not one's own.")
{
    static const uint64_t others[] = {
        0, 1, 1234, DOMID_FIRST_RESERVED - 1, DOMID_COW, DOMID_INVALID};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i] == 0 && !pv_boot.initial_domain) /* another domain that there is */
            continue;
        CHECK_EQ(hypercall(__HYPERVISOR_mmu_update, NOWHERE, 1, 0, others[i], 0), -XEN_ESRCH);
        CHECK_EQ(hypercall(__HYPERVISOR_mmuext_op, NOWHERE, 1, 0, others[i], 0), -XEN_ESRCH);
        CHECK_EQ(hypercall(__HYPERVISOR_update_va_mapping_otherdomain, address_of(spare[0]),
                           entry_of(spare[0]), 0, others[i], 0),
                 -XEN_ESRCH);
    }
}

TEST(hypercall_flush_masks, "A flush on the vCPUs of a mask that cannot be read is refused.")
{
    static uint64_t first = 1;
    uint64_t entry = entry_of(spare[0]), at = address_of(spare[0]);

    for (unsigned kind = UVMF_NONE; kind <= UVMF_INVLPG; kind++) {
        CHECK_OK(hypercall(__HYPERVISOR_update_va_mapping, at, entry, kind | UVMF_LOCAL, 0, 0));
        CHECK_OK(hypercall(__HYPERVISOR_update_va_mapping, at, entry, kind | UVMF_ALL, 0, 0));
        CHECK_OK(
            hypercall(__HYPERVISOR_update_va_mapping, at, entry, kind | address_of(&first), 0, 0));
        CHECK_EQ(hypercall(__HYPERVISOR_update_va_mapping, at, entry, kind | NOWHERE, 0, 0),
                 kind == UVMF_NONE ? 0 : -XEN_EFAULT);
    }
    CHECK_OK(mmuext_raw(MMUEXT_TLB_FLUSH_MULTI, 0, address_of(&first)));
    CHECK_OK(mmuext_raw(MMUEXT_INVLPG_MULTI, at, address_of(&first)));
    CHECK_EQ(mmuext_raw(MMUEXT_TLB_FLUSH_MULTI, 0, 0), -XEN_EINVAL);
    CHECK_EQ(mmuext_raw(MMUEXT_INVLPG_MULTI, at, NOWHERE), -XEN_EINVAL);
}
