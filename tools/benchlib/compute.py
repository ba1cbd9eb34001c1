"""What computing costs: SQLite's speedtest1 and a Lua script that allocates much (alloc.lua), next to the
same sources as Linux processes (`make linux`: the same compiler and flags, but glibc, and the kernel
behind system calls, which is not counted). A guest is counted as a whole: hypervisor, boot, kernel."""
import os
import statistics
import subprocess
import sys
import tempfile
import time

from parvuslib import images
from parvuslib.errors import Missing

from .counts import Counter, LinuxSymbols, Symbols
from .plot import bars

HERE = os.path.dirname(os.path.realpath(__file__))
SCRIPT = "alloc.lua"
MEMORY = "256M"
SIZE, QUICK_SIZE = 25, 5  # of speedtest1
DEPTH, QUICK_DEPTH = 13, 10  # of alloc.lua's trees
TIMED_RUNS = 3
TIMEOUT_S = 900
NR_KEPT, NR_SHOWN = 60, 16  # functions
AIM = 1.03
TMPFS = "/dev/shm"  # the file that the Linux process has; the guest's is in its /tmp


def measure(quick):
    make_linux("lua", "speedtest1")
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder, \
            tempfile.TemporaryDirectory(prefix="parvus-bench-", dir=TMPFS) as tmpfs:
        archive = os.path.join(folder, "script.tar")
        subprocess.run(["tar", "--create", "--file", archive, "--format=gnu", "--directory", HERE, SCRIPT],
                       check=True)
        counter = Counter(folder)
        size, depth = (QUICK_SIZE, QUICK_DEPTH) if quick else (SIZE, DEPTH)
        size = ["--size", str(size)]
        # What runs, and its arguments in the guest and on Linux.
        runs = {
            "speedtest1, in memory": ("speedtest1", [*size, "--memdb"], [*size, "--memdb"], []),
            "speedtest1, a file in memory": ("speedtest1", [*size, "/tmp/speed.db"],
                                             [*size, os.path.join(tmpfs, "speed.db")], []),
            "Lua, allocating": ("lua", [f"/{SCRIPT}", str(depth)],
                                [os.path.join(HERE, SCRIPT), str(depth)], ["--initrd", archive]),
        }
        try:
            return {"runs": {name: compare(counter, 0 if quick else TIMED_RUNS, *run)
                             for name, run in runs.items()}}
        except Missing as missing:
            sys.exit(f"tools/bench: compute: {missing}")


def make_linux(*apps):
    """Builds what is not built yet."""
    folder = os.path.relpath(images.build_folder(), images.ROOT)
    done = subprocess.run(["make", "-s", *(f"{folder}/linux/{app}/{app}" for app in apps)], cwd=images.ROOT,
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"tools/bench: {done.stdout}{done.stderr}")


def linux_program(app):
    return os.path.join(images.build_folder(), "linux", app, app)


def image_of(app):
    return images.Image(os.path.join(images.build_folder(), "apps", app, f"{app}.img"))


def compare(counter, timed_runs, app, arguments, linux_arguments, options):
    counter.clear()
    finish([*counter.linux(linux_program(app)), *linux_arguments])
    linux = LinuxSymbols(linux_program(app)).summary(counter.read())
    counter.clear()
    finish(guest("tcg", app, [*counter.options(), *options], arguments))
    parvus = Symbols(image_of(app)).summary(counter.read())
    for side in (linux, parvus):
        side["functions"] = dict(list(side["functions"].items())[:NR_KEPT])
    result = {"linux": linux, "guest": parvus, "ratio": parvus["instructions"] / linux["instructions"],
              "seconds": {}}
    if timed_runs:
        result["seconds"] = times({"Linux process": [linux_program(app), *linux_arguments],
                                   "kvm-microvm": guest("kvm", app, options, arguments)}, timed_runs)
    return result


def guest(accelerator, app, options, arguments):
    return [os.path.join(images.ROOT, "tools", "parvus"), "run", "--accel", accelerator, "--mem", MEMORY,
            "--timeout", str(TIMEOUT_S), *options, image_of(app).path, "--", *arguments]


def finish(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=TIMEOUT_S)
    if done.returncode != 0:
        sys.exit(f"tools/bench: compute: {' '.join(command)} ended with {done.returncode}: "
                 f"{(done.stderr or done.stdout).strip()[-2000:]}")


def times(commands, runs):
    """The median of each, the guest's boot included; they take turns."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return {}
    taken = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            start = time.monotonic()
            finish(command)
            taken[name].append(time.monotonic() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def tables(results):
    rows = [("instructions", "Linux process", "guest", "ratio", "aim", "of it ring 0", "hypercalls",
             "seconds, kvm", "of Linux")]
    for name, run in results["runs"].items():
        seconds = run["seconds"]
        rows.append((name, f"{run['linux']['instructions']:,}", f"{run['guest']['instructions']:,}",
                     f"{run['ratio']:.3f}", f"{AIM}", f"{run['guest']['ring_0']:,}",
                     f"{run['guest']['hypercalls']:,}",
                     *((f"{seconds['kvm-microvm']:.2f}",
                        f"{seconds['kvm-microvm'] / seconds['Linux process']:.2f}") if seconds else ("", ""))))
    return [rows, *(differences(name, run) for name, run in results["runs"].items())]


def differences(name, run):
    """Where the two differ most, function by function."""
    ours, theirs = run["guest"]["functions"], run["linux"]["functions"]
    names = sorted({*ours, *theirs}, key=lambda key: -abs(ours.get(key, 0) - theirs.get(key, 0)))
    return [(f"{name}: instructions by function", "guest", "Linux"),
            *((key, f"{ours.get(key, 0):,}", f"{theirs.get(key, 0):,}") for key in names[:NR_SHOWN])]


def pictures(results):
    return {"compute": bars("instructions, of those of the same program as a Linux process", "",
                            [(name, round(run["ratio"], 3)) for name, run in results["runs"].items()])}
