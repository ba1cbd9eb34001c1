"""httpd under load and under attack, over a TAP (tests/netns.py): nothing is lost, nothing leaks, and it
goes on answering."""
import io
import json
import os
import re
import string
import subprocess
import sys
import tarfile
import time

import hosts
from benchlib.counts import Counter
from framework import test
from netns import Network

HOST = hosts.ONE[0]
SERVING = r"^httpd: serving .* on port 80"
FRAMES = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "frames.py")
SEED = 20240607
SETTLE_S = 120
SLACK_BYTES = 512 << 10
# The heap itself only grows: to the most that was in use at once, which differs between two loads.
HEAP_SLACK_BYTES = 8 << 20


def url(path="/"):
    return f"http://{Network.GUEST}{path}"


def status(network):
    return json.loads(network.output("curl", "-sS", "--max-time", "60", url("/status.json")))


def quiet(network):
    """The status once only this question's connection is open."""
    deadline = time.monotonic() + SETTLE_S
    while (now := status(network))["connections_open"] > 1:
        assert time.monotonic() < deadline, f"{now['connections_open']} connections stay open"
        time.sleep(0.2)
    return now


def mac_of(now):
    return next(interface["mac"] for interface in now["interfaces"] if interface["name"] == "eth0")


def check_no_leak(network, before):
    """Before and after a load of the same kind: what it took for a while comes back."""
    deadline = time.monotonic() + SETTLE_S
    while (now := quiet(network))["heap_used_bytes"] > before["heap_used_bytes"] + SLACK_BYTES:
        assert time.monotonic() < deadline, f"heap: {before} before, {now} after"
        time.sleep(1)
    grown = now["heap_bytes"] - before["heap_bytes"]
    assert grown <= HEAP_SLACK_BYTES, f"the heap grew by {grown}: {before} before, {now} after"


def check_log(guest):
    assert guest.is_alive()
    for line in guest.text().splitlines():
        assert not re.search("panic|broken|error|warning", line), line


def wrk(network, connections, seconds):
    output = network.output("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60", url())
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    return int(re.search(r"(\d+) requests in", output)[1])


def ab(network, count):
    output = network.output("ab", "-q", "-s", "60", "-n", str(count), "-c", "16", url())
    assert re.search(rf"^Complete requests: +{count}$", output, re.MULTILINE), output
    assert re.search(r"^Failed requests: +0$", output, re.MULTILINE), output


@test("stress-keep-alive", "256 connections for 60 s lose nothing and leave nothing behind.", [HOST])
def check_keep_alive(host, folder):
    with Network() as network, network.guest(host, "httpd", folder) as guest:
        guest.wait_for(SERVING)
        wrk(network, 256, 3)
        before = quiet(network)
        requests = wrk(network, 256, 60)
        after = quiet(network)
        assert after["answers_2xx"] - before["answers_2xx"] >= requests, (before, after)
        check_no_leak(network, before)
        check_log(guest)


@test("stress-short-connections", "100,000 short connections in a row lose nothing and leave nothing behind.", [HOST])
def check_short(host, folder):
    with Network() as network, network.guest(host, "httpd", folder) as guest:
        guest.wait_for(SERVING)
        ab(network, 5000)
        before = quiet(network)
        ab(network, 100000)
        after = quiet(network)
        assert after["connections_accepted"] - before["connections_accepted"] >= 100000, (before, after)
        check_no_leak(network, before)
        check_log(guest)


@test("stress-four-runs", "The fourth run costs what the first did, in instructions of the guest.", [HOST])
def check_four_runs(host, folder):
    counter = Counter(folder)
    counter.clear()
    with Network() as network, network.guest(host, "httpd", folder, options=counter.options()) as guest:
        guest.wait_for(SERVING)
        wrk(network, 256, 1)
        ab(network, 1000)
        for load in (lambda: wrk(network, 256, 2), lambda: ab(network, 4000) or 4000):
            costs = []
            for _ in range(4):
                before = sum(counter.read().values())
                requests = load()
                costs.append((sum(counter.read().values()) - before) / requests)
            assert costs[3] < costs[0] * 1.05, f"instructions a request, run by run: {costs}"


def attack(network, kind, mac, count):
    """Frames from tests/frames.py, after each burst of which the guest must answer a ping."""
    return network.output(sys.executable, FRAMES, kind, network.tap, mac, Network.GUEST, Network.GUEST6,
                          "80", str(SEED), str(count), timeout=1800)


def attacked(kind, count):
    def check(host, folder):
        with Network() as network, network.guest(host, "httpd", folder) as guest:
            guest.wait_for(SERVING)
            mac = mac_of(quiet(network))
            attack(network, kind, mac, count // 10)
            before = quiet(network)
            attack(network, kind, mac, count)
            # Whatever the frames made it believe of its neighbours, we are asked again.
            network.ip("neighbour", "flush", "dev", network.tap)
            assert "</html>" in network.output("curl", "-sS", "--max-time", "60", url())
            wrk(network, 64, 1)
            check_no_leak(network, before)
            check_log(guest)
    return check


test("stress-fuzz", "A million frames, half of them damaged, leave the server answering.", [HOST])(
    attacked("fuzz", 1_000_000))
test("stress-syn", "A flood of connections that are never completed leaves the server answering.", [HOST])(
    attacked("syn", 50_000))
test("stress-rst", "A storm of resets leaves the server answering.", [HOST])(attacked("rst", 50_000))


def client(network, script, *arguments):
    done = subprocess.run(network.inside(sys.executable, "-c", script, Network.GUEST, *map(str, arguments)),
                          capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr


@test("stress-connections", "Thousands of connections are open at a time, and each is served.", [HOST])
def check_connections(host, folder):
    with Network() as network, network.guest(host, "httpd", folder, options=["--mem", "256M"]) as guest:
        guest.wait_for(SERVING)
        client(network, CONNECTIONS, 4000)
        before = quiet(network)
        client(network, CONNECTIONS, 4000)
        check_no_leak(network, before)
        check_log(guest)


@test("stress-slow-readers", "Clients that ask for much and read nothing do not keep others from being served.", [HOST])
def check_slow_readers(host, folder):
    with open(os.path.join(folder, "large.tar"), "wb") as output, \
            tarfile.open(fileobj=output, mode="w") as archive:
        large = tarfile.TarInfo("large.bin")
        large.size = 3_000_000
        archive.addfile(large, io.BytesIO(bytes(large.size)))
    with Network() as network, network.guest(
            host, "httpd", folder, options=["--mem", "32M", "--initrd", output.name]) as guest:
        guest.wait_for(SERVING)
        before = quiet(network)
        with network.start(sys.executable, "-c", SLOW_READERS, Network.GUEST, "300",
                           log=os.path.join(folder, "readers.log")) as readers:
            readers.wait_for("^they wait$", 300)
            assert "Connections" in network.output("curl", "-sS", "--max-time", "120", url("/status"))
        deadline = time.monotonic() + SETTLE_S
        while (now := quiet(network))["heap_used_bytes"] > before["heap_used_bytes"] + SLACK_BYTES:
            assert time.monotonic() < deadline, f"{before} before, {now} after"
            time.sleep(1)
        check_log(guest)


@test("net-parting", "What was sent before the application ended arrives.", [HOST, "tcg-q35", "xen-dom0"])
def check_parting(host, folder):
    count = 200_000
    expected = (string.ascii_lowercase * (count // 26 + 1))[:count]
    with Network() as network:
        for manner in ("close", "exit"):
            with network.guest(host, "parting", folder, arguments=[str(count), manner]) as guest:
                guest.wait_for("^listening$")
                output = network.output("socat", "-u", f"TCP4:{Network.GUEST}:80", "-")
                assert output == expected, f"{manner}: {len(output)} of {count} bytes"
                status = guest.wait()
                assert status == 42, f"{manner}: status {status}"


SLOW_READERS = """
import socket, sys, time
address, count = sys.argv[1], int(sys.argv[2])
connections = []
for _ in range(count):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(120)
    connection.connect((address, 80))
    connection.sendall(b"GET /large.bin HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    connections.append(connection)
print("they wait", flush=True)
time.sleep(1000)
"""

# Opens so many connections, then asks on each, then again on each.
CONNECTIONS = """
import resource, socket, sys
address, count = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
request = b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
connections = [socket.create_connection((address, 80), 120) for _ in range(count)]
for _ in range(2):
    for connection in connections:
        connection.sendall(request)
    for number, connection in enumerate(connections):
        answer = b""
        while b"</html>" not in answer:
            part = connection.recv(65536)
            assert part, f"connection {number} was closed after {len(answer)} bytes"
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 "), answer
"""
