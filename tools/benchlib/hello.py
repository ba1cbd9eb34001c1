"""What hello costs: size, memory, instructions of each phase of the boot, hypercalls, start-up."""
import bisect
import collections
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

from parvuslib import images

from .plot import bars
from .trace import Trace, qemu_command

FLOOR = os.path.join(os.path.dirname(os.path.realpath(__file__)), "floor.S")
MEMORY = "64M"  # where instructions are counted
MEMORY_STEP_KIB = 8  # QEMU rounds memory up to this
TIMED_RUNS, QUICK_RUNS = 25, 7
NR_FUNCTIONS = 15  # that are shown
FIRMWARE = "(firmware)"

# The boot in order: what begins, the file with its symbol ("image": hypervisor, "guest") and the
# symbol. A phase lasts until the next one begins.
PHASES = [
    ("boot code", "image", "boot_pvh"),
    ("hypervisor: processor, console", "image", "hypervisor_main"),
    ("hypervisor: boot information", "image", "boot_read"),
    ("hypervisor: memory", "image", "memory_init"),
    ("hypervisor: timer and clock", "image", "apic_init"),
    ("hypervisor: building the domain", "image", "domain_build"),
    ("guest: start on the interface", "guest", "pv_entry"),
    ("guest: command line, scheduler", "guest", "kernel_main"),
    ("guest: memory", "guest", "vm_init"),
    ("guest: timer, main thread", "guest", "tls_init"),
    ("guest: C library", "guest", "application_main"),
    ("main", "guest", "main"),
]
ENTRY, MAIN, EXIT = "boot code", "main", "exit"

HYPERCALL_BYTES = 32  # of an entry in the hypercall page (xen/arch-x86/xen-x86_64.h)
HYPERCALL_NAME = re.compile(r"#define __HYPERVISOR_(\w+) +([0-9]+)$", re.MULTILINE)


def measure(quick):
    image = images.Image(os.path.join(images.build_folder(), "apps", "hello", "hello.img"))
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder:
        counts, calls, functions = count_boot(image, folder)
        runs = QUICK_RUNS if quick else TIMED_RUNS
        floor, start = time_starts([build_floor(folder), image.path], runs)
    order = [*(name for name, *_ in PHASES), EXIT]
    return {
        "image_bytes": os.path.getsize(image.path),
        "guest_bytes": os.path.getsize(f"{os.path.splitext(image.path)[0]}.stripped.elf"),
        "least_memory_kib": least_memory(image),
        "memory_of_counts": MEMORY,
        "instructions_before_entry": counts[ENTRY],
        "instructions_to_main": counts[MAIN] - counts[ENTRY],
        "instructions_to_exit": counts[EXIT] - counts[ENTRY],
        "phases": {name: counts[after] - counts[name] for name, after in zip(order, order[1:])},
        "functions": functions,
        "hypercalls": calls,
        "timed_runs": runs,
        "floor_ms": floor,
        "start_ms": start,
    }


def symbols(elf):
    listing = subprocess.run(["nm", elf], capture_output=True, text=True, check=True).stdout
    return {words[2]: int(words[0], 16) for words in map(str.split, listing.splitlines())
            if len(words) == 3}


def hypercall_names():
    """Numbers to names, from Xen's public header."""
    header = os.path.join(images.ROOT, os.environ.get("DEPS") or "build/deps",
                          "xen", "include", "xen", "xen.h")
    with open(header, encoding="utf-8") as file:
        return {int(number): name for name, number in HYPERCALL_NAME.findall(file.read())}


def count_boot(image, folder):
    """Instructions from power-on to the beginning of each phase and to the last hypercall, which is
    the exit; how often each hypercall was made; and instructions by function."""
    tables = {"image": symbols(image.debug), "guest": symbols(image.guest)}
    trace = Trace(qemu_command(image.path, ["--icount", "--mem", MEMORY, "--append", "noaslr"]), folder)
    counts = {}
    for name, file, symbol in PHASES:
        if symbol not in tables[file]:
            sys.exit(f"tools/bench: no symbol {symbol} in the {file}: mend PHASES")
        if tables[file][symbol] not in trace.first:
            sys.exit(f"tools/bench: hello never got to {symbol}")
        counts[name] = trace.first[tables[file][symbol]]
    calls = {}
    for number, name in hypercall_names().items():
        address = tables["guest"]["hypercall_page"] + HYPERCALL_BYTES * number
        if trace.times[address]:
            calls[name] = trace.times[address]
            counts[EXIT] = max(counts.get(EXIT, 0), trace.last[address])
    return counts, calls, by_function(trace, tables)


def by_function(trace, tables):
    """Instructions executed in each function, the most expensive ones first."""
    starts = sorted((address, name) for table in tables.values() for name, address in table.items())
    functions = collections.Counter()
    for address, times in trace.times.items():
        index = bisect.bisect(starts, (address, chr(sys.maxunicode))) - 1
        functions[starts[index][1] if index >= 0 else FIRMWARE] += times
    return dict(functions.most_common(NR_FUNCTIONS))


def boots(image, kib):
    done = subprocess.run([os.path.join(images.ROOT, "tools", "parvus"), "run", "--accel", "tcg",
                           "--mem", f"{kib}K", "--timeout", "60", image.path],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0 and b"Hello" in done.stdout


def least_memory(image):
    """The least memory, in KiB, with which hello runs and exits with 0."""
    fails, works = 0, 64 * 1024
    if not boots(image, works):
        sys.exit(f"tools/bench: hello does not boot with {works} KiB")
    while works - fails > MEMORY_STEP_KIB:
        middle = (fails + works) // 2 // MEMORY_STEP_KIB * MEMORY_STEP_KIB
        if boots(image, middle):
            works = middle
        else:
            fails = middle
    return works


def build_floor(folder):
    path = os.path.join(folder, "floor")
    for step in (["gcc", "-m32", "-c", FLOOR, "-o", f"{path}.o"],
                 ["ld", "-m", "elf_i386", "-n", "-s", "-Ttext=0x100000", "-e", "start",
                  "-o", path, f"{path}.o"]):
        subprocess.run(step, check=True)
    return path


def time_starts(paths, runs):
    """For each image the median time from starting QEMU to the first byte on the console, in ms. The
    images take turns, so that whatever else the machine does meets all of them."""
    commands = [qemu_command(path, []) for path in paths]
    times = [[] for _ in paths]
    for _ in range(runs):
        for arguments, taken in zip(commands, times):
            start = time.monotonic()
            with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, bufsize=0) as process:
                if not process.stdout.read(1):
                    sys.exit(f"tools/bench: nothing on the console of: {' '.join(arguments)}")
                taken.append(time.monotonic() - start)
                process.stdout.read()
                process.kill()
    return [round(1000 * statistics.median(taken), 1) for taken in times]


def tables(results):
    main = [
        ("hello", "measured", "aim"),
        ("image, stripped, bytes", f"{results['image_bytes']:,}", "131,072"),
        ("of that the guest", f"{results['guest_bytes']:,}", ""),
        ("least memory, KiB", f"{results['least_memory_kib']:,}", "1,536"),
        ("instructions, entry to main", f"{results['instructions_to_main']:,}", "300,000"),
        ("instructions, entry to exit", f"{results['instructions_to_exit']:,}", ""),
        ("hypercalls", f"{sum(results['hypercalls'].values()):,}", ""),
        ("start to first byte, ms", f"{results['start_ms']:.1f}", f"{results['floor_ms'] + 10:.1f}"),
        ("the same of a kernel of 28 bytes, ms", f"{results['floor_ms']:.1f}", ""),
    ]
    phases = [("instructions by phase", ""),
              *((name, f"{count:,}") for name, count in results["phases"].items())]
    calls = [("hypercalls by name", ""),
             *((name, f"{count:,}") for name, count in sorted(results["hypercalls"].items()))]
    functions = [("instructions by function, the most expensive", ""),
                 *((name, f"{count:,}") for name, count in results["functions"].items())]
    return [main, phases, functions, calls]


def pictures(results):
    return {"hello": bars("hello: instructions by phase of the boot", "",
                          list(results["phases"].items()))}
