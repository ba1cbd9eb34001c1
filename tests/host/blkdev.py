"""Disks (tests/blkdev/): what the guest reads is what we wrote, and the other way round."""
import os
import re
import struct

import hosts
from framework import FAILED, LOGS, BOOT_TIMEOUT_S, Result, app_image, parvus, register, scratch, suite_results

SECTOR_BYTES = 512
NR_SECTORS = 16384
WRITTEN = 0x5A5A000000000000
# What the guest wrote for good (tests/blkdev/): the large transfer, the threads' parts and the file's.
AFTERWARDS = [range(1024, 1024 + 5000), range(8192, 8192 + 24 * 64), range(13312, 13312 + 64)]
KEPT = [range(0, 64), range(14336, NR_SECTORS)]

MMIO = ["tcg-microvm", "kvm-microvm"]
PCI = ["tcg-q35", "tcg-pc", "xen-dom0"]


def contents(sectors, base=0):
    return b"".join(struct.pack("<Q", base + sector) * (SECTOR_BYTES // 8) for sector in sectors)


def device(host, path, options, drive=""):
    name = "virtio-blk-device" if host in MMIO else "virtio-blk-pci,disable-legacy=on"
    before = "-global virtio-mmio.force-legacy=false " if host in MMIO else ""
    return ["--qemu", f"{before}-drive if=none,id=d,format=raw,file={path},discard=unmap{drive} "
                      f"-device {name},drive=d{options}"]


def problem(file, is_written):
    """What is wrong with the disk afterwards, or None."""
    parts = [(sectors, 0) for sectors in KEPT]
    parts += [(sectors, WRITTEN if is_written else 0) for sectors in AFTERWARDS]
    for sectors, base in parts:
        file.seek(sectors.start * SECTOR_BYTES)
        if file.read(len(sectors) * SECTOR_BYTES) != contents(sectors, base):
            return f"sectors {sectors.start} to {sectors.stop} are not as they should be"
    return None


def disk(test_id, sentence, where, options="", drive="", tests=("blkdev", "file")):
    def run(host):
        path = os.path.join(scratch(f"{test_id}.{host}"), "disk")
        with open(path, "wb") as file:
            file.write(contents(range(NR_SECTORS)))
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        status, text = parvus(host, app_image("blkdev"), tests, device(host, path, options, drive),
                              BOOT_TIMEOUT_S, log)
        results = suite_results(test_id, status, text, log)
        with open(path, "rb") as file:
            wrong = problem(file, is_written="blkdev" in tests)
        return results + ([Result(test_id, FAILED, wrong, log)] if wrong else [])
    register(test_id, sentence, where, run)


disk("disk", "A disk is read, written, flushed and discarded.", MMIO + PCI, ",serial=parvus-1")
disk("disk-intx", "So it is by a device that has no MSI-X.", PCI, ",vectors=0")
disk("disk-plain", "So it is by one without indirect descriptors, with few of them and few segments.",
     hosts.ONE, ",indirect_desc=off,event_idx=off,queue-size=16,seg-max-adjust=on")
disk("disk-read-only", "A read-only disk stays as it is.", hosts.ONE, drive=",read-only=on",
     tests=("blkdev_reads", "blkdev_bounds", "readonly", "file_facts", "file_paths"))


def shared_line(host):
    """The tests' own output goes through the other device, so that both work at the same time."""
    test_id = "disk-shared-line"
    folder = scratch(f"{test_id}.{host}")
    path, console, log = (os.path.join(folder, name) for name in ("disk", "console", "log"))
    with open(path, "wb") as file:
        file.write(contents(range(NR_SECTORS)))
    slot = "disable-legacy=on,vectors=0,addr=8"
    status, text = parvus(host, app_image("blkdev"), ["blkdev"],
                          ["--append", "console=virtio log=debug", "--qemu",
                           f"-chardev file,path={console},id=c -drive if=none,id=d,format=raw,file={path},discard=unmap "
                           f"-device virtio-serial-pci,{slot}.0,multifunction=on -device virtconsole,chardev=c "
                           f"-device virtio-blk-pci,{slot}.1,drive=d"], BOOT_TIMEOUT_S, log)
    lines = re.findall(r"^parvus: virtio-(?:console|blk) at pci \S+: INTx, line (\d+)$", text, re.MULTILINE)
    with open(console, encoding="utf-8", errors="replace") as file:
        results = suite_results(test_id, status, file.read().replace("\r\n", "\n"), log)
    if len(lines) != 2 or lines[0] != lines[1]:
        results.append(Result(test_id, FAILED, f"not two devices on one line: {lines}", log))
    return results


# Functions of one slot have one line: in QEMU all of them interrupt by pin A.
register("disk-shared-line", "A disk and a console that share an interrupt line do their work at the same time.",
         PCI, shared_line)
