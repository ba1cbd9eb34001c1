/*
 * Parvus additions to the Xen PV ABI: the whole contract between a guest and the Parvus hypervisor
 * beyond Xen's public headers. Included by both sides; self-contained.
 *
 * A guest asks for features with an ELF note (name PARVUS_NOTE_NAME, type PARVUS_NOTE_FEATURES,
 * descriptor one 32-bit word of PARVUS_FEATURE_* bits). The hypervisor grants those it knows. The
 * guest reads what was granted with XENVER_get_features on submap PARVUS_FEATURE_SUBMAP; a
 * hypervisor that is not Parvus answers -EINVAL there (Xen 4.17: common/kernel.c knows submap 0
 * only) and the guest works without the features.
 */
#ifndef PARVUS_PV_ABI_H
#define PARVUS_PV_ABI_H

#define PARVUS_NOTE_NAME "Parvus"
#define PARVUS_NOTE_FEATURES 1

/* fi.submap_idx for XENVER_get_features; "PARV". */
#define PARVUS_FEATURE_SUBMAP 0x50415256u

/*
 * SCHEDOP_shutdown_code takes an exit status as well: reason = SHUTDOWN_* | status << 8, with
 * status 0..255. The following SCHEDOP_shutdown ends the domain and reports that status.
 */
#define PARVUS_FEATURE_EXIT_STATUS 0x1u

/*
 * When a trap or event frame cannot be written to the guest's current stack (it overflowed into
 * its guard page), the hypervisor delivers vector 8 (#DF) on the stack last given to
 * HYPERVISOR_stack_switch. CR2 in vcpu_info.arch.cr2 is the address that could not be written.
 * On Xen the domain is crashed instead.
 */
#define PARVUS_FEATURE_FAULT_STACK 0x2u

/*
 * The hypervisor refuses (-EINVAL) any mapping that would leave a frame both writable and
 * executable through any alias, and builds the initial mappings by the segments' own flags
 * (p_flags of the ELF program headers; everything outside the segments is writable, never
 * executable). On Xen everything starts writable and executable.
 */
#define PARVUS_FEATURE_WX 0x4u

/* The status by which a guest reports that it ended for lack of memory (with SHUTDOWN_crash). */
#define PARVUS_STATUS_OUT_OF_MEMORY 137

#endif
