"""A disk that loses power under a random workload (tests/blkdev/workload.c): what was flushed is there, what came
later is there or not, sector by sector, and nothing else is.

QEMU is killed, and the disk behind it (nbd.py) forgets a random part of what was not flushed: a killed QEMU
alone would leave all that it wrote in the page cache of this host, flushed or not."""
import os
import re
import signal
import struct
import subprocess
import tempfile
import time

import hosts as host_table
import nbd
from blkdev import MMIO
from framework import BOOT_TIMEOUT_S, FAILED, LOGS, PARVUS, PASSED, Result, app_image, register

# As in workload.c.
NR_THREADS, PART_SECTORS, MOST_SECTORS = 6, 256, 40
KINDS = ["write"] * 8 + ["zero"] * 2 + ["discard"] + ["flush"] * 2 + ["read"] * 3
WORD = (1 << 64) - 1

SEEDS = 3
ROUNDS = 2  # with a power cut at the end of each, on the same disk


def mix(x):
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & WORD
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & WORD
    return x ^ x >> 33


def tag_of(seed, thread, i):
    return seed << 40 | thread << 32 | i + 1


def operation(seed, thread, i):
    """(kind, sectors of the thread's part)"""
    random = mix(tag_of(seed, thread, i))
    start = (random >> 8 & 0xFFFF) % PART_SECTORS
    return KINDS[random & 15], range(start, min(start + 1 + (random >> 32) % MOST_SECTORS, PART_SECTORS))


ZEROES = bytes(nbd.SECTOR_BYTES)
ANYTHING = None


class Model:
    """What each sector may contain. A value is a sector's contents, or ANYTHING."""

    def __init__(self, contents, seed):
        self.before, self.seed = bytes(contents), seed

    @staticmethod
    def sector(contents, sector):
        return bytes(contents[sector * nbd.SECTOR_BYTES:(sector + 1) * nbd.SECTOR_BYTES])

    def value(self, thread, i, kind, sector):
        if kind == "write":
            return struct.pack("<QQ", tag_of(self.seed, thread, i), sector) * (nbd.SECTOR_BYTES // 16)
        return ZEROES if kind == "zero" else ANYTHING

    def allowed(self, thread, flushed, started):
        """For each sector of the thread's part the set of its values, of which the first `flushed` operations
        are there for good, and of which the first `started` were begun."""
        first = thread * PART_SECTORS
        values = [{self.sector(self.before, first + s)} for s in range(PART_SECTORS)]
        for i in range(started):
            kind, sectors = operation(self.seed, thread, i)
            for s in sectors if kind in ("write", "zero", "discard") else ():
                value = self.value(thread, i, kind, first + s)
                values[s] = {value} if i < flushed else values[s] | {value}
        return values

    def check(self, contents, flushed, started):
        """Raises for the first sector that is wrong."""
        for thread in range(NR_THREADS):
            for s, values in enumerate(self.allowed(thread, flushed[thread], started[thread])):
                sector = thread * PART_SECTORS + s
                found = self.sector(contents, sector)
                assert ANYTHING in values or found in values, (
                    f"sector {sector} begins with {found[:16].hex()}; {flushed[thread]} operations of part "
                    f"{thread} were flushed, {started[thread]} begun, so that {len(values)} contents are right, "
                    f"e.g. {min(values)[:16].hex()}")


class WatchedDisk(nbd.Disk):
    """Notes how far each thread has come, by the tags that it writes."""

    started = (0,) * NR_THREADS

    def execute(self, operation_, flags, handle, sector, count, data, written_before):
        if operation_ == nbd.WRITE and len(data) >= 8:
            tag, = struct.unpack_from("<Q", data)
            thread = tag >> 32 & 0xFF
            self.started = tuple(max(n, tag & 0xFFFFFFFF) if t == thread else n
                                 for t, n in enumerate(self.started))
        return super().execute(operation_, flags, handle, sector, count, data, written_before)


def started_at_most(seed, seen):
    """A thread that had begun operation n - 1, a write, had not got further than behind the next write."""
    counts = []
    for thread, count in enumerate(seen):
        while operation(seed, thread, count)[0] != "write":
            count += 1
        counts.append(count + 1)
    return counts


def flushed_before(console):
    """How many operations of each thread are on the disk for good."""
    lines = re.findall(r"^flushed((?: \d+){%d})$" % NR_THREADS, console, re.MULTILINE)
    assert lines, "no flush was reported"
    return [max(counts) for counts in zip(*([int(n) for n in line.split()] for line in lines))]


def run_until_cut(host, disk, folder, seed, log):
    """Boots the workload, kills QEMU when the power is cut, returns the console."""
    pid_file = os.path.join(folder, f"pid-{seed}")
    device = "virtio-blk-device" if host in MMIO else "virtio-blk-pci,disable-legacy=on"
    # Every other time with one processor for certain, where QEMU loses notifications (tools/parvuslib/qemu.py).
    qemu = (f"{'-smp 1 ' if seed % 2 else ''}"
            f"{'-global virtio-mmio.force-legacy=false ' if host in MMIO else ''}-pidfile {pid_file} "
            f"-drive if=none,id=d,format=raw,cache=writeback,discard=unmap,file=nbd:unix:{disk.path} "
            f"-device {device},drive=d")
    with open(log, "w", encoding="utf-8") as file:
        child = subprocess.Popen([PARVUS, "run", *host_table.OPTIONS[host], "--timeout", str(2 * BOOT_TIMEOUT_S),
                                  "--qemu", qemu, app_image("blkdev"), "--", "workload", str(seed)],
                                 stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    try:
        while not disk.has_power_cut.wait(0.05):
            assert child.poll() is None, f"it ended with {child.returncode} before the power was cut"
            assert time.monotonic() < deadline, f"only {disk.requests} requests came"
        with open(pid_file, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        child.wait(BOOT_TIMEOUT_S)
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    with open(log, encoding="utf-8", errors="replace") as file:
        console = file.read().replace("\r\n", "\n")
    assert "workload:" not in console, re.search("workload:.*", console)[0]
    return console


def cut(host, contents, folder, seed, log):
    cut_at = 200 + mix(seed) % 1200
    model = Model(contents, seed)
    disk = WatchedDisk(os.path.join(folder, f"disk-{seed}"), contents, seed, cut_at)
    try:
        console = run_until_cut(host, disk, folder, seed, log)
    finally:
        disk.stop()
    flushed = flushed_before(console)
    started = started_at_most(seed, disk.started)
    assert all(f <= s for f, s in zip(flushed, started)), (flushed, started)
    model.check(contents, flushed, started)


def run(host):
    results = []
    os.makedirs(LOGS, exist_ok=True)
    for first_seed in range(1, SEEDS + 1):
        test_id = f"disk-power-cut-{first_seed}"
        contents = bytearray(os.urandom(NR_THREADS * PART_SECTORS * nbd.SECTOR_BYTES))
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        try:
            with tempfile.TemporaryDirectory() as folder:
                for number in range(ROUNDS):
                    cut(host, contents, folder, first_seed * 100 + number, log)
            results.append(Result(test_id, PASSED))
        except AssertionError as error:
            results.append(Result(test_id, FAILED, f"round {number}: {error}", log))
    return results


register("disk-power-cut", "What was flushed survives a loss of power, what was not is old or new.",
         ["tcg-microvm", "tcg-q35", "xen-dom0"], run)
