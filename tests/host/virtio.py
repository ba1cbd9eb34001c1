"""Virtio devices in general: found by each transport, or refused with a message; entropy."""
import os

from framework import LOGS, SUITE_TIMEOUT_S, app_image, boot, parvus, register, suite_results
from netdev import INTX, MMIO, PCI, device

MODERN = "-global virtio-mmio.force-legacy=false"


def entropy(test_id, sentence, options, cpu=""):
    def run(host):
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        status, text = parvus(host, app_image("guest"), ["entropy"],
                              ["--qemu", f"{device(host, 'rng', options[host])} {cpu}"], SUITE_TIMEOUT_S, log)
        results = suite_results(test_id, status, text, log)
        # Here is a device: a test that misses it has failed.
        return [result._replace(outcome="failed") if result.outcome == "skipped" else result
                for result in results]
    register(test_id, sentence, list(options), run)


entropy("virtio-rng", "The entropy device delivers.", {**MMIO, **PCI})
entropy("virtio-rng-intx", "It does without MSI-X.", INTX)
entropy("virtio-rng-getentropy", "getentropy takes its bytes where the processor has none.",
        {"tcg-microvm": ""}, cpu="-cpu max,-rdrand")

HELLO = r"^Hello from Parvus"

boot("virtio-mmio-legacy", "A legacy MMIO device is refused with a message; the guest lives on.", app="hello",
     options=["--qemu", "-device virtio-rng-device"],
     console=[r"virtio mmio device 0xfeb00e00: a legacy device \(version 1\), version 2 is needed", HELLO])
boot("virtio-pci-legacy", "A legacy PCI device is refused with a message; the guest lives on.", app="hello",
     hosts=["tcg-q35", "xen-dom0"], options=["--qemu", "-device virtio-rng-pci,disable-modern=on,disable-legacy=off"],
     console=[r"virtio pci device 00:0\d\.0 \(type 4\): it lacks the interface of virtio 1\.0", HELLO])
boot("virtio-pci-transitional", "A transitional PCI device is used as a modern one.", app="hello",
     hosts=["tcg-q35", "tcg-pc", "xen-dom0"],
     options=["--append", "log=info", "--qemu", "-device virtio-rng-pci,disable-modern=off,disable-legacy=off"],
     console=[r"virtio-rng at pci 00:0\d\.0: features 0x1[0-9a-f]{8}$", HELLO])
boot("virtio-no-driver", "A device without a driver is named.", app="hello",
     options=["--qemu", f"{MODERN} -device virtio-keyboard-device"],
     console=[r"virtio device of type 18 at mmio 0xfeb00e00: no driver", HELLO])
boot("virtio-mmio-nonsense", "A bad description of a device is refused by its name.", app="hello",
     options=["--append", "virtio_mmio.device=512@ virtio_mmio.device=0x200@0xfeb00001:3 "
                          "virtio_mmio.device=512@0xfee01000:5 virtio_mmio.device=4k@0xfeb01000:5:x"],
     console=[r"virtio_mmio.device=512@: not of the form", r"virtio_mmio.device=0x200@0xfeb00001:3: not of the form",
              r"virtio mmio device 0xfee01000: ", r"virtio_mmio.device=4k@0xfeb01000:5:x: not of the form", HELLO])
boot("virtio-rng-net", "The network's numbers come from the entropy device where the processor has none.", app="net",
     arguments=["stream_ipv4"], options=["--qemu", f"-cpu max,-rdrand {MODERN} -device virtio-rng-device"],
     absent=["sequence numbers may be guessed"])
boot("entropy-jitter", "Where nothing else is random, the jitter of the clock is, with a warning.", app="posix",
     arguments=["random_"], options=["--qemu", "-cpu max,-rdrand"],
     console=["^parvus: warning: random numbers come from the jitter of the clock"])
boot("entropy-none", "A clock without jitter is noticed: there are no random numbers, and the network says so.",
     app="net", arguments=["stream_ipv4"], options=["--icount", "--qemu", "-cpu max,-rdrand"],
     console=["^parvus: error: no random numbers: ", "sequence numbers may be guessed"])
boot("entropy-none-getrandom", "getrandom then fails.", app="guest", arguments=["--crash", "no_randomness"],
     options=["--icount", "--qemu", "-cpu max,-rdrand"], status=38, console=["^getrandom: Function not implemented"])
boot("entropy-processor", "log=info tells where random numbers come from.", app="posix", arguments=["random_"],
     options=["--append", "log=info"], console=["^parvus: random numbers come from the processor$"])
