"""Systems that are restored from one snapshot (QEMU's migration to a file)."""
import os
import re
import shlex
import subprocess
import time

import hosts
import qmp
from framework import BOOT_TIMEOUT_S, PARVUS, app_image, command, test

RESTORED = 2
EXIT_0 = 1  # QEMU's status by isa-debug-exit
NUMBERS = re.compile(r"^(getrandom|getentropy|urandom) (\w{32})$", re.MULTILINE)
# Where random numbers come from, as the log names it, and QEMU's options for that. Some KVM shows the
# processor's generator whatever the options say.
SOURCES = {
    "tcg-microvm": {
        "the processor": "-cpu max",
        "the entropy device": "-cpu max,-rdrand -global virtio-mmio.force-legacy=off -device virtio-rng-device",
        "the jitter of the clock": "-cpu max,-rdrand",
    },
    "kvm-microvm": {"": ""},
}


class System:
    """QEMU with the guest of tests/security/ends.c that draws numbers once a line has come."""

    def __init__(self, host, options, folder, name):
        self.monitor, self.log = (os.path.relpath(os.path.join(folder, f"{kind}-{name}")) for kind in ("monitor", "log"))
        status, line = command([PARVUS, "run", *hosts.OPTIONS[host], "--append", "log=info", "--qemu",
                                f"{options} -qmp unix:{self.monitor},server=on,wait=off",
                                "--dry-run", app_image("security"), "--", "--end", "random"])
        assert status == 0, line
        with open(self.log, "w", encoding="utf-8") as console:
            self.child = subprocess.Popen(shlex.split(line), stdin=subprocess.PIPE, stdout=console,
                                          stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate()

    def console(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_until(self, condition, what):
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while not condition():
            assert self.child.poll() is None, f"it ended: {self.console()}"
            assert time.monotonic() < deadline, f"no {what}: {self.console()}"
            time.sleep(0.02)

    def runs(self):
        try:
            return qmp.ask(self.monitor, "query-status")["running"]
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # QEMU is not so far yet

    def draw(self):
        """The numbers that it draws now, at its end. What comes earlier the serial port loses."""
        self.wait_until(self.runs, "running guest")
        try:
            self.child.communicate(b"\n", timeout=BOOT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.console()}") from None
        assert self.child.returncode == EXIT_0, f"status {self.child.returncode}: {self.console()}"
        return dict(NUMBERS.findall(self.console()))

    def save(self, path):
        qmp.ask(self.monitor, "migrate", uri=f"exec:cat > {shlex.quote(path)}")

        def ended():
            state = qmp.ask(self.monitor, "query-migrate").get("status")
            assert state != "failed", qmp.ask(self.monitor, "query-migrate")
            return state == "completed"

        self.wait_until(ended, "snapshot")


def draw_in_all(host, options, source, folder):
    """The numbers of a system and of those restored from its snapshot. It has drawn some before."""
    state = os.path.join(folder, "state")
    with System(host, options, folder, "first") as first:
        first.wait_until(lambda: "waiting" in first.console(), "waiting guest")
        assert f"random numbers come from {source}" in first.console(), first.console()
        first.save(state)
        drawn = []
        incoming = f"-incoming {shlex.quote('exec:cat ' + shlex.quote(state))}"
        for number in range(RESTORED):
            with System(host, f"{options} {incoming}", folder, number) as restored:
                drawn.append(restored.draw())
        qmp.ask(first.monitor, "cont")
        drawn.append(first.draw())
    os.remove(state)
    return drawn


@test("random-restored", "Systems restored from one snapshot draw other random numbers than each other and than the one "
      "that goes on, at once, wherever these come from.", hosts=list(SOURCES))
def check_restored(host, folder):
    for source, options in SOURCES[host].items():
        drawn = draw_in_all(host, options, source, folder)
        numbers = [number for system in drawn for number in system.values()]
        assert len(numbers) == 3 * (RESTORED + 1), f"{source}: {drawn}"
        assert len(set(numbers)) == len(numbers), f"{source}: the same numbers: {drawn}"
