"""Ethernet frames of every kind that a host of ours may get, whole or damaged, from a seed; and what
sends them. For tests only: a length or a checksum may be wrong on purpose.

usage: tests/frames.py fuzz|syn|rst INTERFACE GUEST-MAC GUEST-IP GUEST-IP6 PORT SEED COUNT

fuzz: frames of every kind, half of them damaged; syn: connections that are never completed; rst: resets
and their like. COUNT frames reach the guest, which must answer a ping after each burst of them; the
last line tells how many did. Status 1: it answers no more.

Formats: RFC 791, 792, 793, 768, 826, 2131, 1035, 8200, 4443, 4861; IEEE 802.3.
"""
import random
import select
import socket
import struct
import sys
import time

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, IGMP, TCP, UDP, ICMP6 = 1, 2, 6, 17, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ETH_P_ALL = 3
BROADCAST = b"\xff" * 6
MINIMUM, MAXIMUM = 14, 1514
BURST = 200
ANSWER_TIMEOUT_S, PING_AGAIN_S = 120, 0.5


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination, source, ethertype, payload):
    return destination + source + struct.pack("!H", ethertype) + payload


def ipv4(source, destination, protocol, payload, *, identification=0, fragment=0, ttl=64,
         options=b"", length=None):
    """`fragment`: flags and offset as in the header; `length`: a wrong total length."""
    header_bytes = 20 + len(options)
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | header_bytes // 4, 0,
                         length if length is not None else header_bytes + len(payload),
                         identification, fragment, ttl, protocol, 0, source, destination) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, destination, next_header, payload, hop_limit=255, length=None):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload) if length is None else length,
                       next_header, hop_limit, source, destination) + payload


def pseudo_header(source, destination, protocol, length):
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, protocol, length)
    return source + destination + struct.pack("!II", length, protocol)


def with_checksum(segment, offset, source, destination, protocol):
    """`segment` with the checksum of a transport protocol at `offset`."""
    segment = segment[:offset] + b"\0\0" + segment[offset + 2:]
    value = checksum(pseudo_header(source, destination, protocol, len(segment)) + segment)
    return segment[:offset] + struct.pack("!H", value) + segment[offset + 2:]


def tcp(source, destination, ports, sequence, acknowledged, flags, data=b"", options=b"",
        window=65535):
    header = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, (5 + len(options) // 4) << 4,
                         flags, window, 0, 0) + options
    return with_checksum(header + data, 16, source, destination, TCP)


def udp(source, destination, ports, data):
    return with_checksum(struct.pack("!HHHH", *ports, 8 + len(data), 0) + data, 6, source,
                         destination, UDP)


def icmp(kind, code, rest):
    message = struct.pack("!BBH", kind, code, 0) + rest
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def icmp6(source, destination, kind, code, rest):
    return with_checksum(struct.pack("!BBH", kind, code, 0) + rest, 2, source, destination, ICMP6)


def arp(operation, sender, sender_ip, target, target_ip):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETHERTYPE_IPV4, 6, 4, operation, sender, sender_ip,
                       target, target_ip)


class Peers:
    """Makes frames to one guest from neighbours that do not exist, by a seeded `random`. They have
    addresses of their own, so that the real neighbour's stay as they are."""

    def __init__(self, random, guest_mac, guest_ip, guest_ip6, port):
        self.random = random
        self.mac = guest_mac
        self.ip = socket.inet_aton(guest_ip)
        self.ip6 = socket.inet_pton(socket.AF_INET6, guest_ip6)
        self.port = port
        self.makers = [self.make_arp, self.make_tcp, self.make_tcp, self.make_tcp6, self.make_udp,
                       self.make_ping, self.make_error, self.make_fragment, self.make_options,
                       self.make_neighbour, self.make_extension, self.make_dhcp, self.make_dns,
                       self.make_noise]

    def neighbour(self):
        number = self.random.randrange(100, 250)
        return (b"\x02\0\0\0\0" + bytes([number]), self.ip[:3] + bytes([number]),
                self.ip6[:15] + bytes([number]))

    def bytes(self, least, most):
        return self.random.randbytes(self.random.randint(least, most))

    def in_ipv4(self, make, protocol, **keywords):
        mac, ip, _ = self.neighbour()
        return ethernet(self.mac, mac, ETHERTYPE_IPV4,
                        ipv4(ip, self.ip, protocol, make(ip, self.ip), **keywords))

    def in_ipv6(self, make, protocol, before=b""):
        mac, _, ip = self.neighbour()
        return ethernet(self.mac, mac, ETHERTYPE_IPV6,
                        ipv6(ip, self.ip6, protocol, before + make(ip, self.ip6)))

    def segment(self, source, destination):
        flags = self.random.choice([SYN, SYN, ACK, ACK | PSH, RST, RST | ACK, FIN | ACK, SYN | ACK,
                                    SYN | FIN, 0, 0xFF, ACK | URG])
        options = self.random.choice([b"", b"", struct.pack("!BBH", 2, 4, self.random.randrange(65536)),
                                      b"\x01\x01\x08\x0a" + self.bytes(8, 8),
                                      b"\x01\x03\x03" + self.bytes(1, 1), b"\x05\x0a" + self.bytes(10, 10),
                                      b"\x02\x00\x01\x01", self.bytes(40, 40)])
        ports = (self.random.randrange(1024, 65536),
                 self.random.choice([self.port, self.port, self.random.randrange(65536)]))
        return tcp(source, destination, ports, self.random.getrandbits(32),
                   self.random.getrandbits(32), flags, self.bytes(0, 200), options,
                   self.random.randrange(65536))

    def datagram(self, source, destination):
        ports = (self.random.randrange(65536), self.random.choice([self.port, 7, 53, 67, 68, 5353,
                                                                   self.random.randrange(65536)]))
        return udp(source, destination, ports, self.bytes(0, 300))

    def make_tcp(self):
        return self.in_ipv4(self.segment, TCP)

    def make_tcp6(self):
        return self.in_ipv6(self.segment, TCP)

    def make_udp(self):
        return self.random.choice([self.in_ipv4, self.in_ipv6])(self.datagram, UDP)

    def make_ping(self):
        if self.random.random() < 0.5:
            return self.in_ipv4(lambda *_: icmp(8, 0, self.bytes(4, 1400)), ICMP)
        return self.in_ipv6(lambda source, destination: icmp6(
            source, destination, 128, 0, self.bytes(4, 1400)), ICMP6)

    def make_error(self):
        """ICMP errors about packets that the guest may have sent."""
        def message(source, destination):
            inner = ipv4(destination, source, self.random.choice([TCP, UDP, ICMP]), self.bytes(0, 64))
            return icmp(self.random.choice([3, 4, 5, 11, 12]), self.random.randrange(16),
                        self.bytes(4, 4) + inner)
        return self.in_ipv4(message, ICMP)

    def make_fragment(self):
        return self.in_ipv4(lambda *_: self.bytes(0, 1400), self.random.choice([TCP, UDP, ICMP]),
                            identification=self.random.randrange(8),
                            fragment=self.random.choice([0x2000, 0]) | self.random.randrange(8192))

    def make_options(self):
        return self.in_ipv4(self.datagram, UDP, options=self.bytes(4, 4) * self.random.randint(1, 10))

    def make_neighbour(self):
        """Neighbour discovery: solicitations, advertisements, routers, redirects."""
        kind = self.random.choice([133, 134, 135, 136, 137, 130, 131, 132, 143])

        def message(source, destination):
            target = self.random.choice([self.ip6, self.neighbour()[2], self.bytes(16, 16)])
            options = b"".join(bytes([self.random.randrange(8), self.random.randrange(5)]) + self.bytes(6, 6)
                               for _ in range(self.random.randrange(5)))
            return icmp6(source, destination, kind, 0, self.bytes(4, 12) + target + options)
        return self.in_ipv6(message, ICMP6)

    def make_extension(self):
        """IPv6 with a chain of extension headers."""
        chain, kinds = b"", [0, 43, 44, 60, 51, 50, 135]
        first = self.random.choice(kinds)
        for _ in range(self.random.randint(1, 6)):
            chain += bytes([self.random.choice(kinds + [TCP, UDP, ICMP6, 59]),
                            self.random.choice([0, 0, 1, 255])]) + self.bytes(6, 6)
        return self.in_ipv6(self.datagram, first, chain)

    def make_dhcp(self):
        def message(source, destination):
            options = b"\x63\x82\x53\x63" + b"".join(
                bytes([self.random.randrange(256), self.random.choice([0, 1, 4, 255])]) + self.bytes(0, 8)
                for _ in range(self.random.randrange(12)))
            return udp(source, destination, (67, 68), struct.pack(
                "!BBBBI", 2, 1, 6, 0, self.random.getrandbits(32)) + self.bytes(228, 228) + options)
        return self.in_ipv4(message, UDP)

    def make_dns(self):
        return self.in_ipv4(lambda source, destination: udp(
            source, destination, (53, self.random.randrange(1024, 65536)),
            struct.pack("!HHHHHH", self.random.getrandbits(16), 0x8180, 1, self.random.randrange(4), 0, 0)
            + self.random.choice([b"\xc0\x0c", b"\x3f" + self.bytes(63, 63), b"\x01a\0"])
            + self.bytes(0, 60)), UDP)

    def make_arp(self):
        mac, ip, _ = self.neighbour()
        return ethernet(self.random.choice([self.mac, BROADCAST]), mac, ETHERTYPE_ARP,
                        arp(self.random.randrange(4), mac, ip, self.mac,
                            self.random.choice([self.ip, ip, bytes(4)])) + bytes(18))

    def make_noise(self):
        mac, _, _ = self.neighbour()
        return ethernet(self.mac, mac, self.random.choice([ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP,
                                                           0x8100, self.random.randrange(65536)]),
                        self.bytes(0, 1500))

    def damage(self, frame):
        """Cuts off, adds, or changes a few bytes behind the Ethernet header."""
        kind = self.random.randrange(4)
        if kind == 0:
            return frame[:self.random.randint(MINIMUM, len(frame))]
        if kind == 1:
            return (frame + self.bytes(1, 64))[:MAXIMUM]
        damaged = bytearray(frame)
        for _ in range(self.random.randint(1, 4)):
            if len(damaged) > MINIMUM:
                damaged[self.random.randrange(MINIMUM, len(damaged))] = self.random.randrange(256)
        return bytes(damaged)

    def frame(self):
        frame = self.random.choice(self.makers)()
        return self.damage(frame) if self.random.random() < 0.5 else frame[:MAXIMUM]


    def syn(self):
        return self.in_ipv4(lambda source, destination: tcp(
            source, destination, (self.random.randrange(1024, 65536), self.port),
            self.random.getrandbits(32), 0, SYN, b"", b"\x02\x04\x05\xb4"), TCP)

    def rst(self):
        """Resets and other segments of connections that may be just there."""
        return self.in_ipv4(lambda source, destination: tcp(
            source, destination, (self.random.randrange(1024, 1024 + 64), self.port),
            self.random.getrandbits(32), self.random.getrandbits(32),
            self.random.choice([SYN, RST, RST, RST | ACK, ACK, FIN | ACK])), TCP)


class Wire:
    """Whole frames on an interface of this network namespace."""

    PING = struct.pack("!HH", 0x5057, 0)  # identifier and sequence number of our own echo requests

    def __init__(self, interface, peers):
        self.interface = interface
        self.peers = peers
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))

    def dropped(self):
        """What never reached the guest's side."""
        with open("/proc/net/dev", encoding="ascii") as table:
            line, = (line for line in table if line.strip().startswith(f"{self.interface}:"))
        return int(line.split(":")[1].split()[11])

    def is_answer(self, frame):
        return (frame[:6] == self.us[0] and frame[12:14] == b"\x08\0" and frame[23:24] == b"\x01"
                and frame[34:35] == b"\0" and frame[38:42] == self.PING)

    def wait_for_answer(self):
        """Pings until the guest has answered once: it has then seen all that came before."""
        self.us = (b"\x02\0\0\0\0\x63", self.peers.ip[:3] + b"\x63")
        ping = ethernet(self.peers.mac, self.us[0], ETHERTYPE_IPV4,
                        ipv4(self.us[1], self.peers.ip, ICMP, icmp(8, 0, self.PING)))
        # The guest asks who we are; nobody else would answer.
        answer = ethernet(self.peers.mac, self.us[0], ETHERTYPE_ARP,
                          arp(2, self.us[0], self.us[1], self.peers.mac, self.peers.ip))
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < deadline:
            self.socket.send(answer)
            self.socket.send(ping)
            until = time.monotonic() + PING_AGAIN_S
            while select.select([self.socket], [], [], max(until - time.monotonic(), 0))[0]:
                if self.is_answer(self.socket.recv(MAXIMUM)):
                    return True
        return False

    def send(self, make, count):
        """Returns how many frames reached the guest; fewer than `count` if it answers no more."""
        sent, dropped = 0, self.dropped()
        while sent - (self.dropped() - dropped) < count:
            for _ in range(BURST):
                self.socket.send(make())
            sent += BURST
            if not self.wait_for_answer():
                break
        return sent - (self.dropped() - dropped)


def main():
    if len(sys.argv) != 9 or sys.argv[1] not in ("fuzz", "syn", "rst"):
        sys.exit(__doc__)
    kind, interface, mac, ip, ip6, port, seed, count = sys.argv[1:]
    peers = Peers(random.Random(int(seed)), bytes.fromhex(mac.replace(":", "")), ip, ip6, int(port))
    make = {"fuzz": peers.frame, "syn": peers.syn, "rst": peers.rst}[kind]
    reached = Wire(interface, peers).send(make, int(count))
    print(f"{reached} frames reached the guest")
    sys.exit(0 if reached >= int(count) else 1)


if __name__ == "__main__":
    main()
