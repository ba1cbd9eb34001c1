"""What the protections cost, in instructions from the entry to the end: with each of them and without, for hello,
for pvbench and for something heavy (SQLite's speedtest1).

Without ASLR: booted with noaslr. Without the seal: the guest's ELF note does not ask for it. Without
canaries: a build of its own (CANARIES=off), newlib included unless it has to be quick. Nothing else
differs. What ASLR costs depends on where it puts things: the mean of some boots.
"""
import os
import struct
import subprocess
import sys
import tempfile

from parvuslib import images

from .counts import Counter
from .plot import bars
from .trace import qemu_command

# Application, its arguments, and random addresses that are tried.
APPS = [("hello", [], 16), ("pvbench", [], 2), ("speedtest1", ["--size", "2", "/tmp/test.db"], 2)]
AIM_PERCENT = 2.0
MEMORY = "64M"
TIMEOUT_S = 600
FEATURES_NOTE = struct.pack("<III", 7, 4, 1) + b"Parvus\0\0"  # pv/abi.h: PARVUS_NOTE_*
FEATURE_SEAL = 8
# Code runs from 1 MiB on, the firmware at the ends of 1 MiB and 4 GiB.
FIRMWARE = (range(1 << 20), range((1 << 32) - (1 << 20), 1 << 32))


def measure(quick):
    apps = APPS[:1] if quick else APPS
    plain = build_without_canaries([name for name, *_ in apps], quick)
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder:
        counter = Counter(folder)
        return {"newlib": "with canaries in all builds" if quick else "as the rest",
                "apps": {name: costs(counter, folder, name, arguments, plain, range(1, boots + 1))
                         for name, arguments, boots in apps}}


def build_without_canaries(names, quick):
    """The folder of builds that differ in canaries alone."""
    deps = os.path.join(images.ROOT, os.environ.get("DEPS") or "build/deps")
    build = os.path.join(images.build_folder(), "bench", "no-canaries" + ("-quick" if quick else ""))
    if not quick:
        own = os.path.join(images.build_folder(), "bench", "no-canaries-deps")
        os.makedirs(own, exist_ok=True)
        for name in os.listdir(deps):
            if "newlib" not in name.split("-")[0] and name not in ("lock", "built-newlib"):
                link(os.path.join(deps, name), os.path.join(own, name))
        link(os.path.join(deps, "newlib-src"), os.path.join(own, "newlib-src"))
        subprocess.run([os.path.join(images.ROOT, "tools", "deps", "newlib"), own], check=True,
                       stdout=sys.stderr, env={**os.environ, "PARVUS_CANARIES": "off"})
        with open(os.path.join(own, "built-newlib"), "a", encoding="ascii"):
            pass
        deps = own
    for name in names:
        images.make("-s", f"-j{os.cpu_count()}", "image", f"APP={name}", f"B={build}", f"DEPS={deps}", "CANARIES=off")
    return build


def link(target, path):
    if not os.path.islink(path):
        os.symlink(target, path)


def image_of(build, name):
    return os.path.join(build, "apps", name, f"{name}.img")


def unsealed(folder, build, name):
    """A copy whose guest does not ask for the seal."""
    with open(os.path.join(build, "apps", name, f"{name}.elf"), "rb") as file:
        guest = bytearray(file.read())
    at = guest.find(FEATURES_NOTE) + len(FEATURES_NOTE)
    features = struct.unpack_from("<I", guest, at)[0]
    if guest.count(FEATURES_NOTE) != 1 or not features & FEATURE_SEAL:
        sys.exit(f"tools/bench: {name} does not ask for the seal: mend FEATURES_NOTE")
    struct.pack_into("<I", guest, at, features & ~FEATURE_SEAL)
    path = os.path.join(folder, f"{name}-unsealed")
    with open(path, "wb") as file:
        file.write(guest)
    images.build(path, f"{path}.img")
    return f"{path}.img"


def count(counter, path, arguments, append=None, seed=1):
    counter.clear()
    command = qemu_command(path, ["--icount", "--mem", MEMORY, *(["--append", append] if append else []), "--qemu",
                                  f"-plugin {counter.plugin},out={counter.table} -seed {seed}"], arguments)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
    if done.returncode != 1:  # 0 by isa-debug-exit
        sys.exit(f"tools/bench: {path} ended with {done.returncode}")
    return sum(times for address, times in counter.read().items()
               if not any(address in firmware for firmware in FIRMWARE))


def costs(counter, folder, name, arguments, plain, seeds):
    build = images.build_folder()
    protected, no_seal = image_of(build, name), unsealed(folder, build, name)
    fixed = count(counter, protected, arguments, "noaslr")
    # The word itself is read, too: twice costs it once more.
    word = count(counter, protected, arguments, "noaslr noaslr") - fixed
    moved = [count(counter, protected, arguments, None, seed) + word for seed in seeds]
    results = {
        "with_all": round(sum(moved) / len(moved)),
        "without_aslr": fixed,
        "aslr": round(sum(moved) / len(moved)) - fixed,
        "aslr_most": max(moved) - fixed,
        "seal": fixed - count(counter, no_seal, arguments, "noaslr"),
        "canaries": fixed - count(counter, image_of(plain, name), arguments, "noaslr"),
        "without_any": count(counter, unsealed(folder, plain, name), arguments, "noaslr"),
    }
    results["percent"] = 100 * (results["with_all"] / results["without_any"] - 1)
    return results


def tables(results):
    rows = [("instructions to the end", "without any", "ASLR", "seal", "canaries", "with all", "together",
             "aim")]
    for name, cost in results["apps"].items():
        together = f"{cost['percent']:.2f} %" + ("" if cost["percent"] <= AIM_PERCENT else " (missed)")
        rows.append((name, f"{cost['without_any']:,}", f"{cost['aslr']:,}", f"{cost['seal']:,}",
                     f"{cost['canaries']:,}", f"{cost['with_all']:,}", together, f"<= {AIM_PERCENT:g} %"))
    return [rows]


def pictures(results):
    return {"protections": bars("the protections together, against none of them", "%",
                                [(name, cost["percent"]) for name, cost in results["apps"].items()])}
