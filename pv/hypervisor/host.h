/*
 * What this hypervisor runs on, by CPUID leaves 0x40000000.. (an L0 hypervisor, or nothing). Ring
 * 0.
 */
#ifndef HYPERVISOR_HOST_H
#define HYPERVISOR_HOST_H

#include <stdint.h>

#define HOST_KVM "KVMKVMKVM\0\0"
#define HOST_HYPERV "Microsoft Hv"
#define HOST_VMWARE "VMwareVMware"
#define HOST_TCG "TCGTCGTCGTCG"

/*
 * The first leaf of the L0 hypervisor interface with that signature (12 characters), or 0. Several
 * may be there: KVM that also speaks Hyper-V has its own leaves at 0x40000100.
 */
uint32_t host_leaf(const char *signature);

/* CPUID of a leaf, all zero above what the CPU (or the interface that begins at `first`) has. */
void host_cpuid(uint32_t first, uint32_t leaf, uint32_t r[4]);

#endif
