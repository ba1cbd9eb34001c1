"""The security tests (tests/security/): the checklist of docs/security.md, on a host of each kind."""
import concurrent.futures
import os
import re
import subprocess
import tarfile
import time

import hosts
import qmp
from framework import BOOT_TIMEOUT_S, PARVUS, Skip, app_image, boot, parvus, suite, test

HOSTS = ["tcg-microvm", "kvm-microvm", "xen-dom0", "nested-kvm"]

suite("security", "The guest reaches for what it may not have.", app="security", hosts=HOSTS)

# What each privileged instruction looks like in the report.
INSTRUCTIONS = {
    "cli": "fa", "hlt": "f4", "lgdt": "0f 01 14 24", "lidt": "0f 01 1c 24", "rdmsr": "0f 32",
    "wrmsr": "0f 30", "write_cr0": "0f 22 c0", "read_cr3": "0f 20 d8", "invlpg": "0f 01 3c 24",
    "in": "e4 60", "out": "e6 80",
}

for name, code in INSTRUCTIONS.items():
    boot(f"security-{name.replace('_', '-')}-reported",
         f"{name} in ring 3 ends the guest, with a report of it.", app="security",
         arguments=["--end", name], status=134,
         console=[rf"^parvus: panic: privileged instruction at 0x\w+: {code}",
                  r"^  #0 0x\w+ holder_"], absent=["was executed"])

# Register, bit, and what it gives (SDM volume 3, 2.5 and 2.2.1). QEMU's `max` has all of them.
PROTECTIONS = [
    ("CR0", 16, "WP: ring 0 cannot write what is read-only"),
    ("CR4", 11, "UMIP: ring 3 cannot read where the tables are"),
    ("CR4", 20, "SMEP: ring 0 cannot execute what is ring 3's"),
    ("EFER", 11, "NXE: no-execute pages"),
]


@test("security-processor", "The processor's own protections are on.", hosts=["tcg-microvm"])
def check_processor(host, folder):
    monitor, log = os.path.relpath(os.path.join(folder, "monitor")), os.path.join(folder, "log")
    with open(log, "w+", encoding="utf-8") as console:
        child = subprocess.Popen(
            [PARVUS, "run", *hosts.OPTIONS[host], "--timeout", str(BOOT_TIMEOUT_S), "--qemu",
             f"-qmp unix:{monitor},server=on,wait=off", app_image("security"), "--", "--end", "wait"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)
        while "waiting" not in open(log, encoding="utf-8", errors="replace").read():
            assert child.poll() is None, "it ended"
            time.sleep(0.02)
        text = qmp.ask(monitor, "human-monitor-command", **{"command-line": "info registers"})
        qmp.ask(monitor, "quit")
        child.wait()
    registers = {name: int(value, 16) for name, value in
                 re.findall(r"\b(CR0|CR4|EFER) *= *([0-9a-f]+)", text)}
    for register, bit, what in PROTECTIONS:
        assert registers[register] >> bit & 1, f"{register} {registers[register]:#x} lacks bit {bit}, {what}"


BOOTS, AT_A_TIME = 20, 4  # Xen and an interpreting KVM wait for much of a boot
# Bits that must differ between boots, of the addresses that tests/security/ends.c tells.
RANDOM_BITS = {"image": 16, "heap": 20, "region": 20, "stack": 20, "canary": 60}
ADDRESSES = re.compile(r"^image (\w+) heap (\w+) region (\w+) stack (\w+) canary (\w+)$", re.MULTILINE)


def places(host, *options):
    status, console = parvus(host, app_image("security"), ["--end", "addresses"], options)
    found = ADDRESSES.search(console)
    assert status == 0 and found, console
    return dict(zip(RANDOM_BITS, (int(text, 16) for text in found.groups())))


@test("security-aslr", "Over 20 boots image, heap, regions, stack and canary differ, by the promised bits.",
      hosts=["tcg-microvm", "kvm-microvm", "xen-dom0"])
def check_aslr(host):
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        boots = list(pool.map(lambda _: places(host), range(BOOTS)))
    for name, bits in RANDOM_BITS.items():
        values = [boot[name] for boot in boots]
        assert len(set(values)) == len(values), f"{name} was the same twice: {values}"
        changed = 0
        for value in values:
            changed |= value ^ values[0]
        assert changed.bit_count() >= bits, f"{name}: only the bits {changed:#x} differ"
    for one, other in ("image", "heap"), ("image", "region"), ("heap", "region"):
        assert len({boot[one] - boot[other] for boot in boots}) > 1, f"{one} tells where {other} is"


@test("security-aslr-boots", "Two boots differ where a boot takes long, too.", hosts=["xen-domu"])
def check_aslr_boots(host):
    first, second = places(host), places(host)
    assert all(first[name] != second[name] for name in RANDOM_BITS), (first, second)


@test("security-aslr-large", "More than 1 GiB is moved as well: a large initrd.", hosts=["tcg-microvm"])
def check_aslr_large(folder, host):
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 6 << 30:
        raise Skip("this machine has less than 6 GiB of memory")
    path, member = os.path.join(folder, "large.tar"), tarfile.TarInfo("large")
    member.size = 1 << 30
    with open(path, "wb") as file:
        file.write(member.tobuf())
        file.truncate(len(member.tobuf()) + member.size + 1024)  # two blocks of zeros end it
    image = places(host, "--initrd", path, "--mem", "2300M")["image"]
    os.remove(path)
    assert image >> 30, f"image {image:#x} was not moved"


@test("security-noaslr", "With noaslr the addresses are those of the link, in each boot.", hosts=["tcg-microvm"])
def check_noaslr(host):
    first, second = (places(host, "--append", "noaslr") for _ in range(2))
    assert first.pop("canary") != second.pop("canary")
    assert first == second and first["image"] >> 21 == 0x400000 >> 21, (first, second)
