"""Disks that fail, change and vanish (tests/blkdev/trouble.c): the guest hears of it, and lives on."""
import os
import subprocess
import tempfile
import time

import hosts as host_table
import nbd
import qmp
from blkdev import MMIO, PCI
from framework import (BOOT_TIMEOUT_S, FAILED, LOGS, PARVUS, Result, app_image, mismatch, parvus, register,
                       suite_results)

DISK_BYTES = 8 << 20
# As in trouble.c.
BAD_READS, BAD_WRITES, BAD_RANGES, BAD_FLUSHES = 1000, 2000, 3000, 4000


def device(host, drive):
    name = "virtio-blk-device" if host in MMIO else "virtio-blk-pci,disable-legacy=on"
    return f"-device {name},drive={drive}"


FORCE_MODERN = "-global virtio-mmio.force-legacy=false"


class FailingDisk(nbd.Disk):
    flush_fails = False

    def fails_at(self, operation, sector):
        if operation == nbd.WRITE:
            self.flush_fails = sector == BAD_FLUSHES
        return (operation == nbd.FLUSH and self.flush_fails
                or (operation, sector) in ((nbd.READ, BAD_READS), (nbd.WRITE, BAD_WRITES),
                                           (nbd.WRITE_ZEROES, BAD_RANGES), (nbd.TRIM, BAD_RANGES)))


def run_errors(host):
    test_id = "disk-errors"
    log = os.path.join(LOGS, f"{test_id}.{host}.log")
    with tempfile.TemporaryDirectory() as folder:
        disk = FailingDisk(os.path.join(folder, "disk"), bytearray(DISK_BYTES))
        disk.fails = disk.fails_at
        drive = f"if=none,id=d,format=raw,discard=unmap,werror=report,rerror=report,file=nbd:unix:{disk.path}"
        status, text = parvus(host, app_image("blkdev"), ["trouble_errors"],
                              ["--qemu", f"{FORCE_MODERN if host in MMIO else ''} -drive {drive} "
                                         f"{device(host, 'd')}"], BOOT_TIMEOUT_S, log)
        disk.stop()
    return suite_results(test_id, status, text, log)


def run_resize(host):
    """Resizes as the guest asks on its console."""
    test_id = "disk-resize"
    log = os.path.join(LOGS, f"{test_id}.{host}.log")
    os.makedirs(LOGS, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path, monitor = os.path.join(folder, "disk"), os.path.join(folder, "monitor")
        with open(path, "wb") as file:
            file.truncate(DISK_BYTES)
        qemu = (f"{FORCE_MODERN if host in MMIO else ''} -qmp unix:{monitor},server=on,wait=off "
                f"-drive if=none,id=d,format=raw,file={path} {device(host, 'd')}")
        with open(log, "w", encoding="utf-8") as file:
            child = subprocess.Popen([PARVUS, "run", *host_table.OPTIONS[host], "--timeout", str(BOOT_TIMEOUT_S),
                                      "--qemu", qemu, app_image("blkdev"), "--", "trouble_resize"],
                                     stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        done = 0
        while child.poll() is None:
            with open(log, encoding="utf-8", errors="replace") as file:
                asked = [int(line.split()[3]) for line in file if line.startswith("trouble: resize to ")
                         and line.rstrip().endswith("sectors")]
            for sectors in asked[done:]:
                qmp.ask(monitor, "block_resize", device="d", size=sectors * nbd.SECTOR_BYTES)
            done = len(asked)
            time.sleep(0.02)
    with open(log, encoding="utf-8", errors="replace") as file:
        return suite_results(test_id, child.returncode, file.read().replace("\r\n", "\n"), log)


def run_gone(host):
    test_id = "disk-gone"
    log = os.path.join(LOGS, f"{test_id}.{host}.log")
    with tempfile.TemporaryDirectory() as folder:
        qemu = ""
        for name in ("a", "b"):
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.truncate(DISK_BYTES)
            qemu += f"-drive if=none,id={name},format=raw,file={path} {device(host, name)} "
        status, text = parvus(host, app_image("blkdev"), ["trouble_gone"], ["--qemu", qemu], BOOT_TIMEOUT_S, log)
    problem = mismatch(text, [r"parvus: error: virtio-blk at pci \S+ is broken: it is gone \(status 0x(0|ff)\)$"], [])
    return suite_results(test_id, status, text, log) + ([Result(test_id, FAILED, problem, log)] if problem else [])


register("disk-errors", "Errors of a disk's medium reach the caller, and nobody else.",
         ["tcg-microvm", "tcg-q35", "xen-dom0"], run_errors)
register("disk-resize", "The host resizes a disk in use.", ["tcg-microvm", "tcg-q35", "xen-dom0"], run_resize)
register("disk-gone", "A disk that vanishes is reported as gone; the guest lives on.", PCI, run_gone)
