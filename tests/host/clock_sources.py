"""Where the hypervisor's clock is from: each source on a host that has it, chosen as README says.

The nested hosts' KVM shows what each CPU option says: its own clock, Hyper-V's, VMware's, none. The
hypervisor names the source that it took (log=debug), and the guest's tests of time run on it.
"""
import hosts
from framework import boot
from parvuslib import qemu

REFUSED = 126
STABLE, UNSTABLE = hosts.NESTED
BARE = "-cpu host,kvm=off"  # a KVM that does not say so: no APIC timer that is known to be right


def source(name, sentence, host, line, cpu="-cpu host", parameters="", options=()):
    """`line`: what the hypervisor says of its clock."""
    boot(f"clock-source-{name}", sentence, app="guest", hosts=[host],
         options=[*options, f"--qemu={cpu}", "--append", f"log=debug env.TEST_SLOW=10 {parameters}"],
         arguments=["sleep", "timer", "clock"],
         console=[rf"^parvus: clock: {line}$", r"^tests: [1-9][0-9]* passed, 0 failed"])


source("kvm", "KVM's clock comes first.", STABLE, "kvmclock, TSC stable")
source("kvm-unstable", "Also where the host's TSC is not stable.", UNSTABLE, "kvmclock, TSC not stable")
source("kvm-first", "KVM's clock comes before Hyper-V's.", UNSTABLE, "kvmclock, TSC not stable",
       "-cpu host,hv-time")
source("hyperv", "Hyper-V's reference TSC page, where that is all there is.", STABLE,
       "hyperv, TSC page", "-cpu host,kvm=off,hv-time")
source("hyperv-counter", "Hyper-V's reference counter, where the TSC page says nothing.", UNSTABLE,
       "hyperv, counter", "-cpu host,kvm=off,hv-time")
source("hyperv-wanted", "clock=hyperv passes over KVM's clock.", STABLE, "hyperv, TSC page",
       "-cpu host,hv-time", "clock=hyperv")
source("vmware", "VMware's CPUID leaf, which KVM has among its own.", STABLE, "vmware",
       "-cpu host,-kvmclock,vmware-cpuid-freq=on,tsc-frequency=@TSC_HZ@")
source("apic", "The APIC timer of a KVM that has no clock.", UNSTABLE, "apic", "-cpu host,-kvmclock")
source("pmtimer", "The ACPI timer of an unknown machine.", STABLE, "pmtimer", BARE,
       options=["--machine", "q35"])
source("pit", "The interval timer of one without ACPI.", UNSTABLE, "pit", f"{BARE} -machine acpi=off",
       options=["--machine", "pc"])

source("apic-wanted", "clock=apic passes over KVM's clock.", "kvm-microvm", "apic",
       f"-cpu {qemu.cpu('kvm')}", "clock=apic")

ABSENT = "this machine does not have it"
for wanted, message in (("sundial", "there is no such clock"), ("kvmclock", ABSENT), ("hyperv", ABSENT),
                        ("vmware", ABSENT), ("cpuid", ABSENT), ("pmtimer", ABSENT), ("pit", ABSENT)):
    boot(f"clock-source-no-{wanted}", f"clock={wanted} is refused by name where it cannot be had.",
         app="hello", options=["--append", f"clock={wanted}"], status=REFUSED,
         console=[rf"^parvus: cannot boot: clock={wanted}: {message}$"])

for hosts_of, wall in (([STABLE, "kvm-microvm"], "kvm"), (["tcg-microvm", "tcg-q35"], "rtc")):
    boot(f"clock-source-wall-{wall}", "The hypervisor says where the wall clock is from.", app="hello",
         hosts=hosts_of, options=["--append", "log=debug"],
         console=[rf"^parvus: wall clock: {wall}$"])
