"""Clients that we did not write talk to httpd and its kin in the guest, over a TAP in a network
namespace (tests/netns.py), on each kind of virtual hardware.
"""
import json
import os
import random
import re
import subprocess

import hosts
from framework import test
from netns import CLIENT_TIMEOUT_S, Network

# Both transports, both kinds of PCI interrupt, a hypervisor of ours and one not ours.
HOSTS = ["tcg-microvm", "tcg-q35", "kvm-microvm", "xen-dom0"]
ONE = hosts.ONE

LISTENING = r"^httpd: serving .* on port 80"


def httpd(network, host, folder, **keywords):
    return network.guest(host, "httpd", folder, **keywords)


def url(path="/"):
    return f"http://{Network.GUEST}{path}"


def status_of(network):
    return json.loads(network.output("curl", "-sS", "--max-time", "60", url("/status.json")))


@test("client-curl", "curl gets pages, headers, ranges and errors; a connection serves many requests.", HOSTS)
def check_curl(host, folder):
    with Network() as network, httpd(network, host, folder) as guest:
        guest.wait_for(LISTENING)
        page = network.output("curl", "-sS", url())
        assert "</html>" in page.lower(), page
        head = network.output("curl", "-sSI", url())
        assert re.match(r"HTTP/1\.1 200 ", head), head
        length = int(re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)[1])
        assert length == len(page.encode()), (length, len(page))
        part = network.output("curl", "-sS", "-r", "5-24", "-w", "%{http_code}", url())
        assert part == page[5:25] + "206", part
        got = network.output("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url("/no/such"))
        assert got == "404", got
        got = network.output("curl", "-sS", "-w", "\n%{num_connects}\n", url(), url(), url())
        assert re.findall(r"^(\d)$", got, re.MULTILINE) == ["1", "0", "0"], got
        page6 = network.output("curl", "-gsS", f"http://[{Network.GUEST6}]/")
        assert page6 == page, "another page over IPv6"


@test("client-ping", "ping of all sizes is answered, in fragments, too, over IPv4 and IPv6.", HOSTS)
def check_ping(host, folder):
    with Network() as network, httpd(network, host, folder) as guest:
        guest.wait_for(LISTENING)
        for address in (Network.GUEST, Network.GUEST6):
            for size in (0, 1, 56, 1452, 1473, 4000, 8000):
                # With -w it ends when so many were answered, however long that takes.
                network.output("ping", "-n", "-c", "10", "-i", "0.02", "-w", "100", "-s", str(size),
                               address)


@test("client-checksums", "A guest that computes its checksums itself computes them right.", HOSTS[:2])
def check_checksums(host, folder):
    capture = os.path.join(folder, "capture.pcap")
    off = [word for name in ("csum", "guest_csum", "gso", "host_tso4", "host_tso6", "guest_tso4", "guest_tso6")
           for word in ("--qemu", f"-global virtio-net-device.{name}=off")]
    with Network() as network, httpd(network, host, folder, options=off) as guest:
        guest.wait_for(LISTENING)
        dump = ["tcpdump", "-i", network.tap, "-U", "-w", capture]
        with network.start(*dump, log=os.path.join(folder, "tcpdump.log")) as tcpdump:
            tcpdump.wait_for("listening on")
            for address in (Network.GUEST, f"[{Network.GUEST6}]"):
                network.output("curl", "-gsS", f"http://{address}/")
            network.output("ping", "-n", "-c", "2", "-s", "3000", Network.GUEST)
        text = network.output("tcpdump", "-nn", "-vvv", "-r", capture, "src", "host", Network.GUEST,
                              "or", Network.GUEST6)
    assert text.count("(correct)") > 5, text
    assert "incorrect" not in text and "bad cksum" not in text and "wrong" not in text, text


@test("client-nmap", "nmap sees the one open port, and no other.", ONE)
def check_nmap(host, folder):
    with Network() as network, httpd(network, host, folder) as guest:
        guest.wait_for(LISTENING)
        for scan in ("-sS", "-sT"):
            output = network.output("nmap", "-n", "-Pn", scan, "-p", "1-1000", Network.GUEST)
            assert re.findall(r"^(\d+)/tcp +open", output, re.MULTILINE) == ["80"], output
            assert "Not shown: 999 closed" in output, output
        network.output("curl", "-sS", url())


@test("client-wrk", "wrk with many connections gets answers only.", HOSTS)
def check_wrk(host, folder):
    with Network() as network, httpd(network, host, folder) as guest:
        guest.wait_for(LISTENING)
        output = network.output("wrk", "-t1", "-c64", "-d5s", "--timeout", "60", url())
        assert "Socket errors" not in output and "Non-2xx" not in output, output
        assert int(re.search(r"(\d+) requests in", output)[1]) > 0, output
        assert guest.is_alive()


@test("client-dhcp", "dnsmasq gives the guest its address, and its name server names.", HOSTS)
def check_dhcp(host, folder):
    with Network() as network:
        with network.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--log-dhcp",
                           "--log-queries", f"--interface={network.tap}", "--bind-interfaces",
                           "--dhcp-range=10.77.0.50,10.77.0.50,1h", "--dhcp-leasefile=" +
                           os.path.join(folder, "leases"), "--no-resolv", "--no-hosts",
                           "--address=/peer.test/10.77.0.1", "--address=/peer.test/fd77::1",
                           "--address=/none.test/",
                           log=os.path.join(folder, "dnsmasq.log")) as dnsmasq:
            dnsmasq.wait_for("started")
            with httpd(network, host, folder, parameters=["ip=dhcp", "log=info"]) as guest:
                dnsmasq.wait_for("DHCPACK.*10.77.0.50")
                guest.wait_for(LISTENING)
                page = network.output("curl", "-sS", "http://10.77.0.50/")
                assert "</html>" in page.lower(), page
            # To the same lease, the names that this server has.
            with network.guest(host, "lookup", folder, arguments=["peer.test", "none.test"],
                               parameters=["ip=dhcp"]) as guest:
                guest.wait_for(r"^peer\.test: 10\.77\.0\.1$")
                guest.wait_for(r"^peer\.test: fd77::1$")
                guest.wait_for(r"^none\.test: .*not known")
                assert guest.wait() == 0


@test("client-socat", "socat gets back from echo what it sends, by TCP and UDP, over IPv4 and IPv6.", HOSTS)
def check_socat(host, folder):
    data = random.Random(3).randbytes(1_000_000)
    with Network() as network, network.guest(host, "echo", folder) as guest:
        guest.wait_for("^echo: TCP and UDP port 7")
        for tcp, udp, address in (("TCP4", "UDP4", Network.GUEST), ("TCP6", "UDP6", f"[{Network.GUEST6}]")):
            check_socat_sends(network, "60", f"{tcp}:{address}:7", data)
            for size in (1, 1400, 5000):  # the last one in fragments
                check_socat_sends(network, "1", f"{udp}:{address}:7", data[:size])


def check_socat_sends(network, wait_s, address, data):
    """`wait_s`: how long it waits for the answer once all is sent; by TCP, for its end at most."""
    done = subprocess.run(network.inside("socat", "-t", wait_s, "-b", "65536", "-", address), input=data,
                          capture_output=True, timeout=CLIENT_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data, f"{address}: {len(done.stdout)} of {len(data)} bytes, or others"


def run_iperf(network, *options):
    return network.output("iperf", "-c", Network.GUEST, "-f", "k", *options)


@test("client-iperf", "iperf sends and gets by TCP, and loses little by UDP.", HOSTS)
def check_iperf(host, folder):
    with Network() as network, network.guest(host, "iperf", folder) as guest:
        guest.wait_for("^iperf: TCP and UDP port 5001")
        for options, directions in (((), 1), (("--reverse",), 1), (("--full-duplex",), 2)):
            output = run_iperf(network, "-t", "1", *options)
            rates = re.findall(r"^\[ *\*?[0-9]+\] .* ([0-9]+) Kbits/sec", output, re.MULTILINE)
            assert len(rates) == directions and all(int(rate) > 0 for rate in rates), output
        output = run_iperf(network, "-u", "-t", "1", "-b", "1M")
        report = re.search(r"Server Report:(.|\n)* ([0-9]+)/ *([0-9]+) \(", output)
        assert report and int(report[3]) > 10 and int(report[2]) < int(report[3]) / 2, output


def check_segments(network, address, mss, receive_buffer, most):
    """The largest packets that the device cuts for a peer are cut to `most`, at least some."""
    text = network.output("python3", os.path.join(os.path.dirname(__file__), "echo_peer.py"), network.tap,
                          address, str(mss), str(receive_buffer))
    size, count = map(int, text.split())
    assert size == most and count > 0, f"{count} packets are cut, to {size} bytes at most, not {most}"


@test("client-segments", "The device cuts TCP's packets as the peer asks for: small ones, jumbo frames, small windows.", ONE)
def check_cut(host, folder):
    with Network() as network, network.guest(host, "echo", folder) as guest:
        guest.wait_for("^echo: TCP and UDP port 7")
        # A multiple of 8 (net/stream.c).
        check_segments(network, Network.GUEST, 0, 0, 1456)
        check_segments(network, Network.GUEST6, 0, 0, 1440)
        check_segments(network, Network.GUEST, 536, 0, 536)
        check_segments(network, Network.GUEST, 536, 6000, 536)
    with Network() as network:
        network.ip("link", "set", network.tap, "mtu", "9000")
        jumbo = ["--qemu", "-global virtio-net-device.host_mtu=9000"]
        with network.guest(host, "echo", folder, options=jumbo) as guest:
            guest.wait_for("^echo: TCP and UDP port 7")
            check_segments(network, Network.GUEST, 0, 0, 8960)


@test("client-intx", "Without MSI-X, by the interrupt line, wrk and ping get their answers.", ["tcg-q35", "xen-dom0"])
def check_intx(host, folder):
    with Network() as network, httpd(network, host, folder,
                                     options=["--qemu", "-global virtio-net-pci.vectors=0"]) as guest:
        guest.wait_for(LISTENING)
        network.output("ping", "-n", "-c", "20", "-i", "0.02", "-w", "100", Network.GUEST)
        output = network.output("wrk", "-t1", "-c16", "-d2s", "--timeout", "60", url())
        assert "Socket errors" not in output and int(re.search(r"(\d+) requests in", output)[1]) > 0, output
        eth0 = status_of(network)["interfaces"][1]
        assert eth0["interrupts"] > 0, eth0
