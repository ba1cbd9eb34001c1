"""The hosts that images are tested on: options of `tools/parvus run`, and what each one needs."""
import functools
import os
import shutil
import threading

from parvuslib import nested, qemu, xen

# On a KVM that interprets ring 0 (shared hosts) things take their time; time-outs are for hangs.
PVH = {
    "tcg-microvm": ["--accel", "tcg"],
    "tcg-q35": ["--accel", "tcg", "--machine", "q35"],
    "tcg-pc": ["--accel", "tcg", "--machine", "pc"],
    "kvm-microvm": ["--accel", "kvm"],
}
MULTIBOOT = {
    "tcg-q35-multiboot": ["--accel", "tcg", "--machine", "q35", "--boot", "multiboot"],
    "tcg-pc-multiboot": ["--accel", "tcg", "--machine", "pc", "--boot", "multiboot"],
}
GRUB = {
    "grub-bios-mb1": ["--accel", "tcg", "--boot", "grub:mb1"],
    "grub-bios-mb2": ["--accel", "tcg", "--boot", "grub:mb2"],
    "grub-bios-module": ["--accel", "tcg", "--boot", "grub:module"],
    "grub-uefi": ["--accel", "tcg", "--boot", "grub:uefi"],
}
XEN = {
    "xen-dom0": ["--accel", "tcg", "--machine", "xen"],
    "xen-domu": ["--accel", "tcg", "--machine", "xen-domu"],
}
# A real KVM, without one in this machine: its clock is stable with one processor, not so with two.
NESTED = {
    "nested-kvm": ["--accel", "nested"],
    "nested-kvm-2": ["--accel", "nested:2"],
}
OPTIONS = {**PVH, **MULTIBOOT, **GRUB, **XEN, **NESTED}

# Devices for the in-guest tests of interrupts and PCI: a second serial port, and where there is PCI
# two edu functions in one slot, a third one behind a bridge, and an NVMe controller.
SERIAL_DEVICE = ("-chardev null,id=com2 -device isa-serial,index=1,chardev=com2",)
PCI_DEVICES = ("-device edu,multifunction=on,addr=0x5.0", "-device edu,addr=0x5.1",
               "-device pci-bridge,id=bridge,chassis_nr=1,addr=6", "-device edu,bus=bridge,addr=3",
               "-device nvme,serial=1,addr=7")


def devices(host):
    """Options for those devices, as far as the host can have them."""
    if host in NESTED or host == "xen-domu":
        return []
    return ["--qemu", " ".join(SERIAL_DEVICE if "microvm" in host else SERIAL_DEVICE + PCI_DEVICES)]


# Where tests run that concern one loader or none: the fastest host that there always is.
ONE = ["tcg-microvm"]
ALL = list(OPTIONS)
ON_PARVUS = [host for host in ALL if host not in XEN]
SLOW = ["kvm-microvm", "xen-domu", "grub-uefi", *NESTED]
LOCAL = "local"  # no guest: a test of the build or of a tool

xen_missing = functools.cache(xen.missing)
xen_lock = threading.Lock()  # Xen is fetched once
nested_missing = functools.cache(nested.missing)


def missing(host):
    """What this machine lacks for a host, or None."""
    if host == LOCAL:
        return None
    needed = ["qemu-system-x86_64"]
    if host.startswith("grub"):
        needed += ["grub-mkrescue", "xorriso", "mformat"]
    for program in needed:
        if not shutil.which(program):
            return f"{program} is missing"
    if host.startswith("kvm") and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm does not open"
    if host == "grub-uefi" and not os.path.exists("/usr/share/OVMF/OVMF_CODE_4M.fd"):
        return "UEFI firmware (package ovmf) is missing"
    if host in XEN:
        with xen_lock:
            return xen_missing(XEN[host][-1])
    if host in NESTED:
        return nested_missing(qemu.NESTED[NESTED[host][-1]])
    return None
