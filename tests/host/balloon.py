"""The virtio balloon: QEMU takes memory of a guest (tests/balloon/) and gives it back; what it says of the
guest, and what of this host's memory it has itself, is the judge."""
import os
import re
import subprocess
import tempfile
import time

import hosts as host_table
import qmp
from framework import BOOT_TIMEOUT_S, PARVUS, app_image, test

MMIO = ["tcg-microvm", "kvm-microvm"]
PCI = ["tcg-q35", "xen-dom0"]
MIB = 1 << 20
PATIENCE_S = 100  # less than what the guest has
DEVICE = "/machine/peripheral/b"


class Guest:
    def __init__(self, host, options="", parameters="log=info"):
        kind = ("-global virtio-mmio.force-legacy=false -device virtio-balloon-device" if host in MMIO
                else "-device virtio-balloon-pci,disable-legacy=on")
        self.folder = tempfile.TemporaryDirectory()
        self.monitor = os.path.join(self.folder.name, "monitor")
        self.pid_file = os.path.join(self.folder.name, "pid")
        self.process = subprocess.Popen(
            [PARVUS, "run", *host_table.OPTIONS[host], "--mem", "64M", "--timeout", str(BOOT_TIMEOUT_S),
             "--append", parameters, "--qemu", f"-qmp unix:{self.monitor},server=on,wait=off -pidfile {self.pid_file} "
             f"{kind},id=b{options}", app_image("balloon")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.text = ""
        self.most = 0  # what QEMU counts as all of the guest's memory; on Xen that is more

    def __enter__(self):
        self.answer("ready")
        self.most = self.actual()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.folder.cleanup()

    def answer(self, *words):
        """The next line of the application that begins with one of these words; the kernel's lines come between."""
        for line in self.process.stdout:
            self.text += line
            if line.startswith(words):
                return line.strip()
        raise AssertionError(f"the guest ended:\n{self.text}")

    def ask(self, line, *words):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer(*words)

    def size(self):
        """KiB that the guest has, and KiB of them free."""
        return tuple(map(int, re.findall(r"\d+", self.ask("size", "size: "))))

    def qemu(self, name, /, **arguments):
        return qmp.ask(self.monitor, name, **arguments)

    def resident(self):
        """Bytes of anonymous memory that QEMU has of this host; the guest's is among it."""
        with open(self.pid_file, encoding="ascii") as file:
            path = f"/proc/{int(file.read())}/status"
        with open(path, encoding="ascii") as file:
            return int(re.search(r"^RssAnon:\s+(\d+) kB$", file.read(), re.MULTILINE)[1]) * 1024

    def settle(self):
        """Xen zeroes its free memory while the guest runs already."""
        before = 0
        while before != (before := self.resident()):
            time.sleep(0.5)

    def balloon(self, taken):
        self.qemu("balloon", value=self.most - taken)

    def wait_for(self, what, is_so):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert self.process.poll() is None, f"the guest ended:\n{self.text}"
            assert time.monotonic() < deadline, f"{what}: it does not come to that:\n{self.text}"
            time.sleep(0.05)

    def actual(self):
        return self.qemu("query-balloon")["actual"]

    def take(self, taken):
        """Bytes that QEMU has of the guest's memory then."""
        self.balloon(taken)
        self.wait_for(f"{taken} bytes taken", lambda: self.actual() == self.most - taken)

    def end(self):
        self.ask("end", "end")
        rest = self.process.stdout.read()
        self.text += rest
        assert self.process.wait(BOOT_TIMEOUT_S) == 0, self.text
        assert "broken" not in self.text and "warning" not in self.text, self.text


@test("balloon", "QEMU takes memory of a guest, and gives it back.", [*MMIO, *PCI])
def check_balloon(host):
    with Guest(host) as guest:
        most, _ = guest.size()
        guest.ask("fill 40960", "filled")
        guest.ask("drop", "dropped")
        guest.settle()
        full = guest.resident()
        for mib in (32, 44, 16, 48):
            guest.take(mib * MIB)
            size, free = guest.size()
            assert size == most - mib * 1024, (mib, size)
            assert guest.ask(f"fill {free - 1024}", "filled", "refused") == "filled", mib
            assert guest.ask("check", "unchanged", "changed") == "unchanged", mib
            guest.ask("drop", "dropped")
            assert guest.ask(f"fill {free + 1024}", "filled", "refused") == "refused", mib
        assert guest.resident() < full - 20 * MIB, f"QEMU had {full} bytes, and has {guest.resident()}"
        guest.take(0)
        assert guest.size()[0] == most, guest.size()
        assert guest.ask("fill 40960", "filled", "refused") == "filled"
        assert guest.ask("check", "unchanged", "changed") == "unchanged"
        guest.end()


@test("balloon-least", "A target beyond what the guest can spare is followed as far as it goes.", [MMIO[0], PCI[0]])
def check_least(host):
    with Guest(host) as guest:
        most, _ = guest.size()
        guest.ask("fill 20480", "filled")
        guest.qemu("balloon", value=1)
        guest.wait_for("little memory", lambda: guest.size()[0] < 30000)
        assert guest.ask("check", "unchanged", "changed") == "unchanged"
        guest.ask("drop", "dropped")
        guest.wait_for("less memory", lambda: guest.size()[0] < 10000)
        guest.answer("parvus: memory ") if "the rest is in use" not in guest.text else None
        guest.take(0)
        assert guest.size()[0] == most, guest.size()
        guest.end()
        assert re.search(r"^parvus: memory \d+ KiB, target 0 KiB: the rest is in use$", guest.text, re.MULTILINE)


@test("balloon-oom", "Rather than fail an allocation the guest takes memory back, if it may.", [MMIO[0], PCI[0]])
def check_oom(host):
    for options, outcome in ((",deflate-on-oom=on", "filled"), ("", "refused")):
        with Guest(host, options) as guest:
            guest.take(48 * MIB)
            assert guest.ask("fill 40960", "filled", "refused") == outcome
            if outcome == "filled":
                assert guest.ask("check", "unchanged", "changed") == "unchanged"
                # It takes what is missing, and nothing if that would not do.
                assert guest.most - guest.actual() > 16 * MIB, guest.actual()
                before = guest.size()[0]
                guest.ask("drop", "dropped")
            assert guest.ask("fill 70000", "filled", "refused") == "refused"
            # The memory goes back once it is not needed any more.
            guest.take(48 * MIB)
            guest.end()


@test("balloon-stats", "The guest tells QEMU how much memory it has and how much of it is free.",
      [MMIO[0], *PCI])
def check_stats(host):
    with Guest(host) as guest:
        def stats():
            answer = guest.qemu("qom-get", path=DEVICE, property="guest-stats")
            return answer["last-update"], answer["stats"]

        def new_stats():
            last, _ = stats()
            guest.wait_for("new statistics", lambda: stats()[0] > last)
            return stats()[1]

        guest.qemu("qom-set", path=DEVICE, property="guest-stats-polling-interval", value=1)
        for taken, kib in ((0, 0), (16, 20480)):
            guest.take(taken * MIB)
            if kib:
                guest.ask(f"fill {kib}", "filled")
            size, free = guest.size()
            new_stats()  # this one may have been under way
            told = new_stats()
            assert told["stat-total-memory"] == size * 1024, (told, size)
            assert told["stat-free-memory"] == told["stat-available-memory"] == free * 1024, (told, free)
            assert told["stat-swap-in"] == told["stat-swap-out"] == told["stat-disk-caches"] == 0, told
            assert told["stat-major-faults"] == 2**64 - 1, told  # not told
        guest.end()


def check_reports(host, options, rounds):
    with Guest(host, options) as guest:
        guest.settle()
        for _ in range(rounds):
            guest.ask("fill 40960", "filled")
            full = guest.resident()
            assert guest.ask("check", "unchanged", "changed") == "unchanged"
            guest.ask("drop", "dropped")
            guest.wait_for("less of this host's memory", lambda: guest.resident() < full - 35 * MIB)
        # What lies between the freed pages is not theirs to take.
        guest.ask("holes 40960", "made")
        full = guest.resident()
        guest.wait_for("less of this host's memory", lambda: guest.resident() < full - 15 * MIB)
        assert guest.ask("check", "unchanged", "changed") == "unchanged"
        free = guest.size()[1]
        assert guest.ask(f"fill {free - 2048}", "filled", "refused") == "filled"
        assert guest.ask("check", "unchanged", "changed") == "unchanged"
        guest.end()


@test("balloon-report", "What the guest has freed QEMU gives back to the host, though nobody asks.", [*MMIO, *PCI])
def check_report(host):
    check_reports(host, ",free-page-reporting=on", 2)


@test("balloon-report-hints", "So it does where the device offers hints, too, which makes it another queue.",
      [MMIO[0], PCI[0]])
def check_report_hints(host):
    check_reports(host, ",free-page-reporting=on,free-page-hint=on,iothread=t -object iothread,id=t", 1)


@test("balloon-stress", "Memory keeps its contents while the host takes some and gives it back.", [*MMIO, *PCI])
def check_stress(host):
    with Guest(host, ",free-page-reporting=on,deflate-on-oom=on", "") as guest:
        most, _ = guest.size()
        guest.ask("holes 8192", "made")
        guest.ask("stress", "started")
        for turn in range(40):
            guest.balloon((50, 0, 30, 63, 20)[turn % 5] * MIB)
            time.sleep(0.1)
        stopped = guest.ask("stop", "stopped")
        assert re.fullmatch(r"stopped: [1-9]\d+ rounds, 0 wrong, 0 refused", stopped), stopped
        assert guest.ask("check", "unchanged", "changed") == "unchanged"
        guest.balloon(0)
        guest.wait_for("all of its memory", lambda: guest.size()[0] == most)
        guest.end()
