"""What the paravirtual interface costs, on every hypervisor there is (apps/pvbench).

Under -icount the figures are instructions, on Parvus the same in every run; on KVM they are
nanoseconds, to be compared with others of the same host only.
"""
import bisect
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

from parvuslib import images

from . import profile
from .lines import lines
from .trace import qemu_command

TIMEOUT_S = 900
INSTRUCTIONS, NANOSECONDS = "instructions", "ns"

# A device that interrupts: a second serial port.
DEVICE = ["--qemu", "-chardev null,id=com2 -device isa-serial,index=1,chardev=com2"]

# Host, what its figures are, and the options of `tools/parvus run`. q35 has a clock that a guest may
# read (the ACPI PM timer).
HOSTS = [
    ("Parvus", INSTRUCTIONS, ["--accel", "tcg", "--machine", "q35", "--icount", *DEVICE]),
    ("Xen 4.17", INSTRUCTIONS, ["--machine", "xen", "--icount", "--mem", "128M", *DEVICE]),
    ("Parvus on this KVM", NANOSECONDS, ["--accel", "kvm", "--machine", "q35", *DEVICE]),
    ("Parvus on KVM on emulated SVM", NANOSECONDS, ["--accel", "nested", "--machine", "q35"]),
]

BATCHES = [2 ** power for power in range(10)]
SHOWN_BATCHES = (1, 8, 64, 512)  # in the tables; the JSON file and the plot have all
CHANGES = ("set", "remap", "clear")

# Figures whose instructions are followed one by one, to say whose they are.
PROFILES = ("call.null", "clock.page", "fsbase.hypercall", "trap.page_fault", "event.send",
            "irq.round", "thread.switch", *(f"pte.{change}.mmu_update.{batch}" for change in CHANGES
                               for batch in (1, 512)))
NR_FUNCTIONS, NR_SHOWN = 8, 4  # kept for each, and of those in the table
RING_0_FROM = 1 << 63  # the guest lives in the lower half of the address space, all of it in ring 3


def measure(quick):
    """quick: instructions only, and not all profiles."""
    image = images.Image(os.path.join(images.build_folder(), "apps", "pvbench", "pvbench.img"))
    hosts = {name: run_on(image, unit, options) for name, unit, options in HOSTS
             if unit == INSTRUCTIONS or not quick}
    if not hosts["Parvus"]["figures"]:
        sys.exit(f"tools/bench: pvbench does not run: {hosts['Parvus']['missing']}")
    figures = PROFILES[:2] if quick else PROFILES
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = hosts["Parvus"]["figures"]
        profiles = pool.map(lambda name: profile_of(image, name, counts[name]["n"], folder), figures)
        return {"hosts": hosts, "profiles": dict(zip(figures, profiles))}


def run_on(image, unit, options):
    """The figures of one host; none, and why, where it cannot be had."""
    # Xen loads the guest alone.
    path = image.guest if "xen" in options else image.path
    done = subprocess.run([os.path.join(images.ROOT, "tools", "parvus"), "run", *options,
                           "--append", "noaslr", "--timeout", str(TIMEOUT_S), path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace")
    host = {"unit": unit, "context": {}, "figures": {}, "missing": None}
    for line in done.stdout.splitlines():
        if not line.startswith("{"):
            continue
        record = json.loads(line)
        if "host" in record:
            host["context"] = record["host"]
        elif "end" in record:
            return host
        else:
            name = record.pop("figure")
            if "ticks" in record:
                record["value"] = record["ticks" if unit == INSTRUCTIONS else "ns"]
            host["figures"][name] = record
    last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    host.update(figures={}, missing=last)
    return host


def code_symbols(elf):
    listing = subprocess.run(["nm", "--defined-only", elf], capture_output=True, text=True,
                             check=True, stdin=subprocess.DEVNULL).stdout
    return [(int(words[0], 16), words[2]) for words in map(str.split, listing.splitlines())
            if len(words) == 3 and words[1] in "tT"]


def profile_of(image, figure, operations, folder):
    """Instructions per operation in each ring and in each function, the most expensive first."""
    command = qemu_command(image.path, ["--icount", *DEVICE, "--append", "noaslr"], ["--trace", figure])
    symbols = sorted(code_symbols(image.guest) + code_symbols(image.debug))
    mark = next(address for address, name in symbols if name == "bench_trace_mark")
    rings, functions = [0, 0], collections.Counter()
    for address, times in profile.between(command, mark, folder).items():
        index = bisect.bisect(symbols, (address, chr(sys.maxunicode))) - 1
        name = symbols[index][1]
        if name.startswith("bench_"):
            continue
        rings[address < RING_0_FROM] += times
        functions[name] += times
    return {"ring 0": round(rings[0] / operations, 1), "ring 3": round(rings[1] / operations, 1),
            "functions": {name: round(times / operations, 1)
                          for name, times in functions.most_common(NR_FUNCTIONS)}}


def tables(results):
    hosts = results["hosts"]
    return [context_table(hosts), target_table(hosts, results["profiles"]),
            figure_table(hosts), profile_table(results["profiles"])]


def context_table(hosts):
    rows = [("host", "figures", "hypervisor", "below it (CPUID)", "TSC, MHz")]
    for name, host in hosts.items():
        context = host["context"]
        if context:
            rows.append((name, host["unit"], context["version"], context["cpuid"],
                         f"{context['tsc_hz'] / 1e6:,.0f}"))
        else:
            rows.append((name, host["missing"], "", "", ""))
    return rows


def value(host, figure):
    return host["figures"].get(figure, {}).get("value")


def target_table(hosts, profiles):
    """What issue and README promise, against the hypervisor of our own and Xen."""
    parvus, xen = hosts["Parvus"], hosts["Xen 4.17"]
    rows = [("target", "measured", "aim", "Xen 4.17")]

    def row(label, host_value, aim, best):
        cells = [show(host_value(host)) for host in (parvus, xen)]
        measured = host_value(parvus)
        met = measured is not None and best(measured)
        rows.append((label, cells[0] + ("" if met else " (missed)"), aim, cells[1]))

    row("null hypercall", lambda host: value(host, "call.null"), "<= 60", lambda v: v <= 60)
    ring_0 = profiles["call.null"]["ring 0"]
    row("of it in ring 0", lambda host: ring_0 if host is parvus else None, "<= 40",
        lambda v: v <= 40)
    for change in CHANGES:
        figure = f"pte.{change}.mmu_update.512"
        row(f"{change}, batch of 512, per entry", lambda host: value(host, figure), "<= 40",
            lambda v: v <= 40)
    for change in CHANGES:
        row(f"{change}: one by one / batch of 512", lambda host: ratio(host, change, "mmu_update"),
            ">= 10", lambda v: v >= 10)
    for change in CHANGES:
        row(f"{change}: the same with a TLB flush each",
            lambda host: ratio(host, change, "mmu_update_flush"), ">= 10", lambda v: v >= 10)
    row("clock read", lambda host: value(host, "clock.page"), "<= 40", lambda v: v <= 40)
    exits = profiles["clock.page"]["ring 0"]
    row("of it in ring 0", lambda host: exits if host is parvus else None, "0", lambda v: v == 0)
    return rows


def ratio(host, change, how):
    single, batch = (value(host, f"pte.{change}.{how}.{size}") for size in (1, 512))
    return single / batch if single and batch else None


def show(number):
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 1000 else f"{number:.1f}"


def figure_table(hosts):
    rows = [("per operation (pte: per entry)",
             *(f"{name}, {host['unit']}" for name, host in hosts.items()))]
    order = {name: None for host in hosts.values() for name in host["figures"]}
    for name in order:
        group, _, batch = name.rpartition(".")
        if group.startswith("pte.") and int(batch) not in SHOWN_BATCHES:
            continue
        rows.append((name, *(show(value(host, name)) for host in hosts.values())))
    return rows


def profile_table(profiles):
    rows = [("instructions per operation", "ring 0", "ring 3", "most of them in")]
    for figure, split in profiles.items():
        functions = [f"{name} {times:.0f}" for name, times in split["functions"].items()]
        rows.append((figure, f"{split['ring 0']:.1f}", f"{split['ring 3']:.1f}",
                     ", ".join(functions[:NR_SHOWN])))
    return rows


def pictures(results):
    """The cost of an entry against the size of its batch: one plot for each unit."""
    drawn = {}
    for unit in (INSTRUCTIONS, NANOSECONDS):
        series = []
        for name, host in results["hosts"].items():
            if host["unit"] != unit:
                continue
            for change in CHANGES:
                figures = [(batch, value(host, f"pte.{change}.mmu_update.{batch}"))
                           for batch in BATCHES]
                series.append((f"{name}: {change}", [pair for pair in figures if pair[1]]))
        series = [(label, points) for label, points in series if points]
        if series:
            drawn[f"pvbench-{unit}"] = lines("mmu_update: cost of an entry by size of the batch",
                                             "entries in a batch", unit, series)
    return drawn
