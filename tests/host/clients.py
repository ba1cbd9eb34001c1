"""Clients that we did not write talk to httpd and its kin in the guest, over a TAP in a network
namespace (tests/netns.py), on each kind of virtual hardware.
"""
import json
import os
import re

import hosts
from framework import test
from netns import Network

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
                           "--address=/peer.test/10.77.0.1",
                           log=os.path.join(folder, "dnsmasq.log")) as dnsmasq:
            dnsmasq.wait_for("started")
            with httpd(network, host, folder, parameters=["ip=dhcp", "log=info"]) as guest:
                dnsmasq.wait_for("DHCPACK.*10.77.0.50")
                guest.wait_for(LISTENING)
                page = network.output("curl", "-sS", "http://10.77.0.50/")
                assert "</html>" in page.lower(), page
