"""echo and iperf in the guest, over QEMU's user networking: judged by socat and by Debian's iperf client."""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

import hosts
from framework import FAILED, PARVUS, PASSED, SKIPPED, Result, app_image, register, scratch
from parvuslib.images import ROOT

HOSTS = ["tcg-microvm", "tcg-q35", "kvm-microvm", "xen-dom0"]
WAIT_S = 120


def free_port():
    """One that is free for TCP and UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
                return tcp.getsockname()[1]


@contextlib.contextmanager
def guest(host, app, guest_port, log):
    """A guest that says on its console that it serves; yields the port of this host that leads there."""
    port = free_port()
    with open(log, "wb") as output:
        child = subprocess.Popen(
            [PARVUS, "run", *hosts.OPTIONS[host], "--net", f"user,{port}:{guest_port},{port}:{guest_port}/udp",
             app_image(app)], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        deadline = time.monotonic() + WAIT_S
        while f"{app}: TCP and UDP port {guest_port}" not in read(log):
            assert child.poll() is None, f"it ended with {child.returncode}"
            assert time.monotonic() < deadline, "it does not serve"
            time.sleep(0.1)
        yield port
        assert child.poll() is None, f"it ended with {child.returncode}"
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def run(words, data=None):
    done = subprocess.run(words, input=data, stdin=None if data is not None else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT_S)
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stdout[-300:]!r}"
    return done.stdout


def check_echo(port):
    data = random.Random(2).randbytes(1_000_000)
    assert run(["socat", "-t", "60", "-", f"TCP4:127.0.0.1:{port}"], data) == data, "TCP changed it"
    for size in (1, 100, 1400):
        assert run(["socat", "-t", "2", "-b", "65536", "-", f"UDP4:127.0.0.1:{port}"], data[:size]) == data[:size], \
            f"a datagram of {size} bytes did not come back"


def check_iperf(port):
    for options, directions in [([], 1), (["--reverse"], 1), (["--full-duplex"], 2), (["-P", "3"], 3)]:
        output = run(["iperf", "-c", "127.0.0.1", "-p", str(port), "-t", "1", "-f", "k", *options]).decode()
        rates = re.findall(r"^\[ *\*?[0-9]+\] .* ([0-9]+) Kbits/sec", output, re.MULTILINE)
        assert len(rates) == directions and all(int(rate) > 0 for rate in rates), f"{options}: {output}"
    output = run(["iperf", "-c", "127.0.0.1", "-p", str(port), "-n", "1M", "-f", "k"]).decode()
    assert "1024 KBytes" in output or "1.00 MBytes" in output or "1025 KBytes" in output, output
    output = run(["iperf", "-u", "-c", "127.0.0.1", "-p", str(port), "-t", "1", "-b", "1M"]).decode()
    report = re.search(r"Server Report:(.|\n)* ([0-9]+)/ *([0-9]+) \(", output)
    assert report and int(report[3]) > 10 and int(report[2]) < int(report[3]) / 2, output


def app_test(app, guest_port, program, check):
    def run_on(host):
        test_id = f"net-{app}"
        if not shutil.which(program):
            return [Result(test_id, SKIPPED, f"{program} is missing")]
        log = os.path.join(scratch("net-apps"), f"{app}.{host}.log")
        try:
            with guest(host, app, guest_port, log) as port:
                check(port)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            return [Result(test_id, FAILED, str(error), log)]
        return [Result(test_id, PASSED)]
    register(f"net-{app}", f"{app} in the guest does what {program} expects, by TCP and UDP.", HOSTS, run_on)


app_test("echo", 7, "socat", check_echo)
app_test("iperf", 5001, "iperf", check_iperf)
