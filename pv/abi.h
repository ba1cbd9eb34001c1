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

/*
 * The seal. PARVUS_HYPERCALL_SEAL(start, end): the mappings of the addresses start..end-1, as the
 * page tables in use have them, stay as they are for good, and so do the contents of the frames
 * behind them; and from then on no mapping becomes executable, wherever it is. In detail:
 *
 * - An L1 entry that is executable, or that maps a sealed frame, is refused (-EPERM), and so is a
 * new page table with one.
 * - An entry of any level that maps a sealed frame, or leads to the sealed addresses, cannot be
 *   changed (-EPERM). Entries above level 1 that are written later are no-execute, whether they say
 *   so or not: through them, code that is there already cannot be executed at another address.
 * - The base of the address space stays the page table that it is (MMUEXT_NEW_BASEPTR: -EPERM).
 *
 * start and end are page-aligned, at most PARVUS_SEAL_MAX_PAGES apart. 0; -EINVAL: not so, or a
 * page is not mapped, is writable at these or any addresses, or is not the domain's; nothing has
 * changed then. -EPERM: sealed already. -ENOSYS: the domain did not ask for this feature and
 * PARVUS_FEATURE_WX.
 *
 * The number is __HYPERVISOR_arch_7, the last of the eight that xen.h leaves to each architecture
 * (x86 names arch_0 and arch_1). It cannot be mistaken for a call of some later Xen: a guest makes
 * it only where the feature was granted, which Xen never does (PARVUS_FEATURE_SUBMAP); a guest that
 * did not ask gets the answer of Xen 4.17 to that number.
 */
#define PARVUS_FEATURE_SEAL 0x8u
#define PARVUS_HYPERCALL_SEAL 55
#define PARVUS_SEAL_MAX_PAGES 0x10000

/* The status by which a guest reports that it ended for lack of memory (with SHUTDOWN_crash). */
#define PARVUS_STATUS_OUT_OF_MEMORY 137

#endif
