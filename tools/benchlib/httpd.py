"""What serving costs: httpd and iperf over a TAP in a network namespace, next to the same programs as
Linux processes behind a veth device; and, without any clock, the instructions, hypercalls and device
accesses of one request (onepage, httpd) and of one byte (iperf)."""
import os
import re
import subprocess
import sys
import tempfile

from parvuslib import images, xen
from parvuslib.errors import Missing
from parvuslib.netns import LinuxNetwork, Network

from .counts import Counter, Symbols
from .plot import bars

HOSTS = {
    "tcg-microvm": ["--accel", "tcg"],
    "kvm-microvm": ["--accel", "kvm"],
    "xen-dom0": ["--accel", "tcg", "--machine", "xen"],
}
LINUX = "Linux process"
PAGE_BYTES = 612
CONNECTIONS, COUNTED_CONNECTIONS = 30, 8
SECONDS, QUICK_SECONDS = 3, 1
RUNS = 4  # of wrk: the last is compared with the first
BULK_BYTES, QUICK_BULK_BYTES = 256 << 20, 16 << 20
NR_SHOWN = 16  # functions
AIMS = {"instructions": 6000, "hypercalls": 0.1}
BYTE_AIM = 0.5
SERVES = {"httpd": r"^httpd: serving .* on port", "iperf": r"^iperf: TCP and UDP port",
          "onepage": r"^onepage: port"}
# The functions of lwIP that add up what TCP carries (with a device that does it, they never run), and
# the one that also adds up the 20 bytes of IP's header and the addresses of TCP's pseudo-header.
CHECKSUMS = ("inet_chksum_pseudo", "inet_chksum_pseudo_partial", "ip6_chksum_pseudo",
             "ip_chksum_pseudo", "inet_cksum_pseudo_base", "lwip_chksum_copy")
HEADER_CHECKSUM = "net_checksum"


def measure(quick):
    seconds = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory(prefix="parvus-bench-") as folder:
        make_site(folder)
        try:
            hosts = {LINUX: on_linux(folder, seconds)}
        except Missing as missing:
            sys.exit(f"tools/bench: httpd: {missing}")
        for name, options in HOSTS.items():
            hosts[name] = on_guest(name, options, folder, seconds)
        bulk = QUICK_BULK_BYTES if quick else BULK_BYTES
        return {"hosts": hosts, "seconds": seconds,
                "counts": count_all(folder, seconds, bulk)}


def make_site(folder):
    site = os.path.join(folder, "site")
    os.mkdir(site)
    with open(os.path.join(site, "page.html"), "w", encoding="ascii") as file:
        file.write("x" * PAGE_BYTES)
    subprocess.run(["tar", "--create", "--file", os.path.join(folder, "site.tar"), "--format=gnu",
                    "--directory", site, "."], check=True)


# --- Rates ----------------------------------------------------------------------------------------

def wrk(network, url, connections, seconds):
    """Requests served in all and per second."""
    text = network.output("wrk", "-t1", f"-c{connections}", f"-d{seconds}", url, timeout=60 + seconds)
    errors = re.search(r"Socket errors: .*|Non-2xx.*", text)
    if errors:
        sys.exit(f"tools/bench: wrk {url}: {errors[0]}")
    return (int(re.search(r"([0-9]+) requests in", text)[1]),
            float(re.search(r"Requests/sec: +([0-9.]+)", text)[1]))


def iperf(network, *options):
    """Bytes per second of one TCP stream; from the server with --reverse."""
    text = network.output("iperf", "-c", network.GUEST, "-y", "C", *options)
    rows = [line.split(",") for line in text.splitlines() if line.count(",") >= 8]
    if not rows:
        sys.exit(f"tools/bench: iperf {' '.join(options)}: {text}")
    return int(rows[-1][8]) / 8


def request_rates(network, port, seconds):
    """The fourth run against the first tells what a server that has served much still does."""
    url = f"http://{network.GUEST}:{port}/page.html"
    runs = [wrk(network, url, CONNECTIONS, seconds)[1] for _ in range(RUNS)]
    return {"requests_s": sorted(runs)[RUNS // 2], "runs": runs, "fourth_to_first": runs[-1] / runs[0]}


def stream_rates(network, seconds):
    return {"receive_bytes_s": iperf(network, "-t", str(seconds)),
            "transmit_bytes_s": iperf(network, "-t", str(seconds), "--reverse")}


def on_linux(folder, seconds):
    programs = {}
    for app in ("httpd", "iperf"):
        sources = os.path.join(images.ROOT, "apps", app)
        programs[app] = os.path.join(folder, app)
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-o", programs[app],
                        *(os.path.join(sources, name) for name in os.listdir(sources)
                          if name.endswith(".c"))], check=True)
    log = os.path.join(folder, "linux.log")
    with LinuxNetwork() as network:
        words = [programs["httpd"], "-p", "80", os.path.join(folder, "site")]
        with network.serve(words, log) as server:
            server.wait_for(SERVES["httpd"])
            rates = request_rates(network, 80, seconds)
        with network.serve([programs["iperf"]], log) as server:
            server.wait_for(SERVES["iperf"])
            return {**rates, **stream_rates(network, seconds)}


def path_of(app, options=()):
    """Xen loads the guest alone."""
    image = images.Image(os.path.join(images.build_folder(), "apps", app, f"{app}.img"))
    return image.guest if "xen" in options else image.path


def missing_host(name, options):
    if name.startswith("kvm") and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm does not open"
    return xen.missing(options[-1]) if "xen" in options else None


def on_guest(name, options, folder, seconds):
    """The rates of one host; none, and why, where it cannot be had."""
    missing = missing_host(name, options)
    if missing:
        return {"missing": missing}
    log = os.path.join(folder, f"{name}.log")
    files = ["--initrd", os.path.join(folder, "site.tar")]
    try:
        with Network() as network:
            with network.guest([*options, *files], path_of("httpd", options), log) as guest:
                guest.wait_for(SERVES["httpd"])
                rates = request_rates(network, 80, seconds)
            with network.guest(options, path_of("iperf", options), log) as guest:
                guest.wait_for(SERVES["iperf"])
                return {**rates, **stream_rates(network, seconds)}
    except AssertionError as error:
        return {"missing": str(error).strip().splitlines()[-1]}


# --- Counts ---------------------------------------------------------------------------------------

def count_all(folder, seconds, bulk_bytes):
    """What one request or one byte costs on tcg-microvm."""
    counter = Counter(folder)
    counts = {}

    def count(what, app, options, work):
        counter.clear()
        image = images.Image(path_of(app))
        log = os.path.join(folder, "count.log")
        with Network() as network, network.guest(
                [*HOSTS["tcg-microvm"], *counter.options(), *options], image.path, log) as guest:
            guest.wait_for(SERVES[app])
            # What happens once (addresses, the first allocations) does not count.
            work(network, True)
            before = counter.read()
            operations = work(network, False)
            after = counter.read()
            after.subtract(before)
            summary = Symbols(image).summary(after)
        functions = summary.pop("functions")
        counts[what] = {
            "operations": operations,
            **{name: times / operations for name, times in summary.items()},
            "checksums": sum(functions.get(name, 0) for name in CHECKSUMS) / operations,
            "header_checksums": functions.get(HEADER_CHECKSUM, 0) / operations,
            "functions": {name: times / operations for name, times in list(functions.items())[:40]},
        }

    def requests(network, is_first, url=""):
        return wrk(network, f"http://{network.GUEST}/{url}", COUNTED_CONNECTIONS,
                   1 if is_first else seconds)[0]

    def transmit(network, is_first):
        size = (1 << 20) if is_first else bulk_bytes
        iperf(network, "-n", str(size), "--reverse")
        return size

    def receive(network, is_first):
        size = (1 << 20) if is_first else bulk_bytes
        iperf(network, "-n", str(size))
        return size

    count("onepage, a request", "onepage", [], requests)
    count("httpd, a request", "httpd", ["--initrd", os.path.join(folder, "site.tar")],
          lambda network, is_first: requests(network, is_first, "page.html"))
    count("iperf, a byte sent", "iperf", [], transmit)
    count("iperf, a byte received", "iperf", [], receive)
    return counts


# --- What is shown --------------------------------------------------------------------------------

def tables(results):
    return [rate_table(results["hosts"]), count_table(results["counts"]),
            *(profile_table(name, count) for name, count in results["counts"].items())]


def rate_table(hosts):
    rows = [("httpd and iperf", "requests/s", "of Linux", "fourth run/first", "to it, MB/s", "of Linux",
             "from it, MB/s", "of Linux")]
    linux = hosts[LINUX]
    for name, host in hosts.items():
        if "missing" in host:
            rows.append((f"{name}: {host['missing']}", *[""] * 7))
            continue
        cells = [f"{host['requests_s']:,.0f}", f"{host['requests_s'] / linux['requests_s']:.2f}",
                 f"{host['fourth_to_first']:.2f}"]
        for key in ("receive_bytes_s", "transmit_bytes_s"):
            cells += [f"{host[key] / 1e6:,.0f}", f"{host[key] / linux[key]:.2f}"]
        rows.append((name, *cells))
    return rows


def count_table(counts):
    rows = [("counted, each", "instructions", "aim", "ring 0", "TCP checksum", "IP header's",
             "hypercalls", "aim", "interrupts", "kicks")]
    for name, count in counts.items():
        is_request = "request" in name
        aim = f"{AIMS['instructions']:,}" if name.startswith("onepage") else \
            f"{BYTE_AIM}" if "sent" in name else ""
        places = 3 if is_request else 6
        rows.append((name, f"{count['instructions']:,.0f}" if is_request else
                     f"{count['instructions']:.3f}", aim, f"{count['ring_0']:,.{3 - is_request * 2}f}",
                     f"{count['checksums']:,.{3 - is_request * 2}f}",
                     f"{count['header_checksums']:,.{3 - is_request * 2}f}",
                     f"{count['hypercalls']:.{places}f}",
                     f"{AIMS['hypercalls']}" if is_request else "",
                     f"{count['interrupts']:.{places}f}", f"{count['kicks']:.{places}f}"))
    return rows


def profile_table(name, count):
    is_request = "request" in name
    return [(f"{name}: instructions by function", ""),
            *((function, f"{times:,.1f}" if is_request else f"{times:.4f}")
              for function, times in list(count["functions"].items())[:NR_SHOWN])]


def pictures(results):
    hosts = {name: host for name, host in results["hosts"].items() if "missing" not in host}
    drawn = {"httpd-requests": bars(f"httpd: requests/s, {PAGE_BYTES} bytes, {CONNECTIONS} connections",
                                    "", [(name, round(host["requests_s"])) for name, host in hosts.items()])}
    onepage = results["counts"]["onepage, a request"]["functions"]
    drawn["httpd-profile"] = bars("onepage: instructions of one request by function", "",
                                  [(name, round(times)) for name, times in list(onepage.items())[:NR_SHOWN]])
    return drawn
