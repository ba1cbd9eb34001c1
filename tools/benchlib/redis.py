"""What Redis serves: apps/redis over a TAP in a network namespace, next to the same sources as a Linux
process behind a veth device (`make linux`), in one run; and the instructions of one operation, of the
Linux process those in user mode, without the kernel's network."""
import os
import re
import sys
import tempfile

from parvuslib import images
from parvuslib.errors import Missing
from parvuslib.netns import LinuxNetwork, Network, need

from .compute import image_of, linux_program, make_linux
from .counts import Counter, LinuxSymbols, Symbols
from .httpd import HOSTS, LINUX, missing_host
from .plot import bars

OPERATIONS = {"tcg-microvm": 1_000_000, "kvm-microvm": 200_000, "xen-dom0": 200_000, LINUX: 1_000_000}
QUICK_OPERATIONS = 20_000
FIRST_OPERATIONS = 5_000  # before anything is counted
KINDS = ("SET", "GET")
ARGUMENTS = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp"]
IS_READY = "Ready to accept connections"
MEMORY = ["--mem", "256M"]
NR_SHOWN = 24  # functions


def measure(quick):
    make_linux("redis")
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder:
        try:
            need("redis-benchmark")
            hosts = {LINUX: on_linux([linux_program("redis")], folder, nr_of(LINUX, quick))[0]}
            for name, options in HOSTS.items():
                hosts[name] = on_host(name, options, folder, nr_of(name, quick))
            counter = Counter(folder)
            return {"hosts": hosts, "counts": {
                "guest": on_guest(HOSTS["tcg-microvm"], folder, nr_of("tcg-microvm", True), counter)[1],
                "linux": on_linux(counter.linux(linux_program("redis")), folder,
                                  nr_of(LINUX, True), counter)[1]}}
        except Missing as missing:
            sys.exit(f"tools/bench: redis: {missing}")


def nr_of(host, quick):
    """Of each kind: as REDIS_OPERATIONS says, or what takes no more than minutes."""
    return int(os.environ.get("REDIS_OPERATIONS") or (QUICK_OPERATIONS if quick else OPERATIONS[host]))


def rates(output):
    """Operations per second of each kind, from redis-benchmark -q."""
    found = re.findall(r"(\w+): ([0-9.]+) requests per second", output)
    if [kind for kind, _ in found] != list(KINDS):
        sys.exit(f"tools/bench: redis-benchmark: {output[-2000:]}")
    return {kind: float(rate) for kind, rate in found}


def benchmark(network, nr, kinds=KINDS):
    return network.output("redis-benchmark", "-h", network.GUEST, "-t", ",".join(kinds).lower(), "-P", "16",
                          "-c", "30", "-n", str(nr), "-q", timeout=1800)


def serve(network, nr, counter, symbols):
    """The rates; with a counter also what one operation costs."""
    if counter is None:
        return rates(benchmark(network, nr)), None
    benchmark(network, FIRST_OPERATIONS)  # what happens once does not count
    before = counter.read()
    rate = rates(benchmark(network, nr))
    after = counter.read()
    after.subtract(before)
    summary = symbols.summary(after)
    nr *= len(KINDS)
    functions = list(summary.pop("functions").items())[:NR_SHOWN]
    return rate, {"operations": nr, **{name: times / nr for name, times in summary.items()},
                  "functions": {name: times / nr for name, times in functions}}


def on_linux(command, folder, nr, counter=None):
    if counter:
        counter.clear()
    with LinuxNetwork() as network, \
            network.serve([*command, *ARGUMENTS], os.path.join(folder, "linux.log")) as server:
        server.wait_for(IS_READY)
        return serve(network, nr, counter, LinuxSymbols(command[-1]))


def on_guest(options, folder, nr, counter=None):
    image = image_of("redis")
    path = image.guest if "xen" in options else image.path
    if counter:
        counter.clear()
        options = [*options, *counter.options()]
    with Network() as network, network.guest([*options, *MEMORY], path, os.path.join(folder, "guest.log"),
                                             arguments=ARGUMENTS) as guest:
        guest.wait_for(IS_READY)
        return serve(network, nr, counter, Symbols(image))


def on_host(name, options, folder, nr):
    missing = missing_host(name, options)
    if missing:
        return {"missing": missing}
    try:
        return on_guest(options, folder, nr)[0]
    except AssertionError as error:
        return {"missing": str(error).strip().splitlines()[-1]}


def tables(results):
    return [rate_table(results["hosts"]), count_table(results["counts"]),
            *(profile_table(*side) for side in results["counts"].items())]


def rate_table(hosts):
    rows = [("redis, operations/s", *(cell for kind in KINDS for cell in (kind, "of Linux")))]
    for name, host in hosts.items():
        if "missing" in host:
            rows.append((f"{name}: {host['missing']}", *[""] * (2 * len(KINDS))))
            continue
        rows.append((name, *(cell for kind in KINDS for cell in
                             (f"{host[kind]:,.0f}", f"{host[kind] / hosts[LINUX][kind]:.2f}"))))
    return rows


def count_table(counts):
    guest, linux = counts["guest"], counts["linux"]
    return [("counted, each operation", "instructions", "ring 0", "hypercalls", "interrupts", "kicks"),
            ("guest", f"{guest['instructions']:,.0f}", f"{guest['ring_0']:,.1f}",
             *(f"{guest[event]:.4f}" for event in ("hypercalls", "interrupts", "kicks"))),
            ("Linux process, user mode alone", f"{linux['instructions']:,.0f}", "", "", "", "")]


def profile_table(name, count):
    return [(f"{name}: instructions of an operation by function", ""),
            *((function, f"{times:,.1f}") for function, times in count["functions"].items())]


def pictures(results):
    hosts = {name: host for name, host in results["hosts"].items() if "missing" not in host}
    return {"redis": bars("redis: operations/s, 30 connections, 16 at a time", "",
                          [(f"{kind}, {name}", round(host[kind]))
                           for kind in KINDS for name, host in hosts.items()])}
