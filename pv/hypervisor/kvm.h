/*
 * What KVM offers its guests, and this hypervisor takes. Linux: Documentation/virt/kvm/x86/
 * cpuid.rst and msr.rst. Ring 0.
 *
 * Not taken, hence never enabled:
 *   asynchronous page faults: their delivery as an exception would have to be hidden from the
 * guest; hypercalls (vmcall, vmmcall; hypercalls.rst): those for other CPUs have nobody to be for,
 * and the MSR of the wall clock tells as much as KVM_HC_CLOCK_PAIRING; MSR_KVM_POLL_CONTROL,
 * polling here before HLT: the guest's idle loop polls, in ring 3, where events show without an
 * exit (kernel/sched.c), and for less time than the host does after it.
 */
#ifndef HYPERVISOR_KVM_H
#define HYPERVISOR_KVM_H

#include <stdint.h>

struct vcpu_time_info;
struct shared_info;

/* Detect KVM; switch on PV end of interrupt and steal time where it has them. */
void kvm_init(void);
int kvm_is_host(void);

/* Let the host write its clock into `page`, which has the same layout. 0, or -ENODEV. */
int kvm_start_clock(struct vcpu_time_info *page);
/* Let the host write the wall clock at its boot time into wc_version, wc_sec, wc_nsec. */
int kvm_start_wall_clock(struct shared_info *info);

/* Nonzero: the host takes the interrupt for ended, and no EOI register need be written. */
int kvm_end_of_interrupt(void);

/* How long the host ran something else while this CPU wanted to run, in ns. */
uint64_t kvm_steal_ns(void);

#endif
