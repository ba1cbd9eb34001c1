"""What a disk costs: reading and writing, in order and at random, by one and by 16 threads at a time
(apps/diskbench), on a file that the host has in memory."""
import json
import os
import subprocess
import sys
import tempfile

from parvuslib import images

from .counts import Counter, Symbols
from .plot import bars

DISK_BYTES = 64 << 20
REQUESTS, QUICK_REQUESTS = 2048, 64
DATA_KIB, QUICK_DATA_KIB = 128 << 10, 8 << 10  # of each kind at most
COUNTED = (64, 576)  # requests of two runs, whose difference is what requests cost
COUNTED_LARGE = (4, 36)  # from LARGE bytes on
LARGE = 1 << 20
TIMEOUT_S = 600
NR_SHOWN = 12  # functions


HOSTS = {"tcg-microvm": ["--accel", "tcg"], "kvm-microvm": ["--accel", "kvm"]}


def measure(quick):
    size = (QUICK_REQUESTS, QUICK_DATA_KIB) if quick else (REQUESTS, DATA_KIB)
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.write(bytes(DISK_BYTES))  # no holes
        hosts = {name: rates(options, disk, size) for name, options in HOSTS.items()}
        figures = hosts["tcg-microvm"]["figures"]
        counter = Counter(folder)
        for kind, figure in enumerate(figures):
            if figure["order"] == "sequential":
                figure["counts"] = count(counter, disk, kind, figure["bytes"])
        return {"hosts": hosts}


def run(options, disk, arguments):
    """The figures of one run of diskbench."""
    done = subprocess.run([os.path.join(images.ROOT, "tools", "parvus"), "run", *options, "--disk", disk,
                           "--timeout", str(TIMEOUT_S), image().path, "--", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"tools/bench: disk: diskbench ended with {done.returncode}: "
                 f"{(done.stderr or done.stdout).strip()}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def image():
    return images.Image(os.path.join(images.build_folder(), "apps", "diskbench", "diskbench.img"))


def rates(options, disk, size):
    if "kvm" in options and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return {"missing": "/dev/kvm does not open"}
    figures = run(options, disk, size)
    for figure in figures:
        figure["iops"] = figure["requests"] / figure["ns"] * 1e9
        figure["bytes_s"] = figure["iops"] * figure["bytes"]
    return {"figures": figures}


def count(counter, disk, kind, size):
    """Of one request of a kind: instructions, hypercalls, interrupts, kicks. What happens but once is
    the same in both runs."""
    requests = COUNTED_LARGE if size >= LARGE else COUNTED
    tables = []
    for nr in requests:
        counter.clear()
        run([*HOSTS["tcg-microvm"], *counter.options()], disk, [nr, nr * size >> 10, kind])
        tables.append(counter.read())
    tables[1].subtract(tables[0])
    summary = Symbols(image()).summary(tables[1])
    nr = requests[1] - requests[0]
    functions = list(summary.pop("functions").items())[:NR_SHOWN]
    return {**{name: max(times, 0) / nr for name, times in summary.items()},
            "functions": {name: times / nr for name, times in functions}}


def tables(results):
    shown = []
    for name, host in results["hosts"].items():
        if "missing" in host:
            shown.append([(f"disk, {name}", host["missing"])])
            continue
        rows = [(f"disk, {name}", "KiB", "depth", "MB/s", "IOPS", "instructions", "hypercalls",
                 "interrupts", "kicks")]
        for figure in host["figures"]:
            counts = figure.get("counts")
            rows.append((f"{figure['order']} {figure['operation']}", f"{figure['bytes'] >> 10}",
                         f"{figure['depth']}", f"{figure['bytes_s'] / 1e6:,.0f}", f"{figure['iops']:,.0f}",
                         *([f"{counts['instructions']:,.0f}"] if counts else [""]),
                         *(f"{counts[event]:.2f}" if counts else ""
                           for event in ("hypercalls", "interrupts", "kicks"))))
        shown.append(rows)
    return shown


def pictures(results):
    return {"disk": bars("disk on tcg-microvm: MB/s", "",
                         [(f"{figure['order']} {figure['operation']}, {figure['bytes'] >> 10} KiB, "
                           f"depth {figure['depth']}", round(figure["bytes_s"] / 1e6))
                          for figure in results["hosts"]["tcg-microvm"]["figures"]])}
