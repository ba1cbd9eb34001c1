"""Network devices and their driver, with a stack of a few lines (tests/netdev/): a wire that sends
every frame back."""
import os
import tempfile

from framework import BOOT_TIMEOUT_S, FAILED, LOGS, PASSED, Result, app_image, mismatch, parvus, register

# Where virtio devices are on the host's machine, and how they interrupt.
MMIO = {host: "" for host in ("tcg-microvm", "kvm-microvm")}
PCI = {host: "" for host in ("tcg-q35", "tcg-pc", "xen-dom0")}
INTX = {host: ",vectors=0" for host in ("tcg-q35", "tcg-pc", "xen-dom0")}


def device(host, kind, options=""):
    """QEMU's options for a virtio device ("net,netdev=n")."""
    name, _, rest = kind.partition(",")
    rest = f",{rest}" if rest else ""
    if host in MMIO:
        return f"-global virtio-mmio.force-legacy=false -device virtio-{name}-device{rest}"
    return f"-device virtio-{name}-pci,disable-legacy=on{rest}{options}"


def loop(test_id, sentence, options):
    """Registers a test with frames of all sizes on a wire that sends back what it gets."""
    def run(host):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wire")
            wire = f"-netdev dgram,id=n,local.type=unix,local.path={path},remote.type=unix,remote.path={path}"
            log = os.path.join(LOGS, f"{test_id}.{host}.log")
            status, text = parvus(host, app_image("netdev"), ["loop", "5000"],
                                  ["--qemu", f"{wire} {device(host, 'net,netdev=n', options[host])}"],
                                  BOOT_TIMEOUT_S, log)
        problem = mismatch(text, [r"^netdev: 5000 received, 0 wrong, 5000 sent, 5000 reported$"], [])
        if status != 0:
            problem = f"status {status}" + (f"; {problem}" if problem else "")
        return [Result(test_id, FAILED, problem, log) if problem else Result(test_id, PASSED)]
    register(test_id, sentence, list(options), run)


loop("netdev-loop", "Frames of all sizes, in pieces, come back as they were sent.", {**MMIO, **PCI})
loop("netdev-loop-intx", "They do with a device that has no MSI-X.", INTX)
