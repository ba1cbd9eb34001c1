"""What the fuzzers start from: for each a few inputs that are right, and those that once were not read
rightly (REGRESSION: each was a bug). All are made here: SEEDS[fuzzer][name] is bytes."""
import io
import struct
import tarfile

from parvuslib.cpio import member

BASE = 0x10000  # BOOT_MEMORY_START


def text(string):
    return string.encode()


# --- boot: a byte for the protocol, then memory from BASE on --------------------------------------

def multiboot1(command_line=b"mem log=info\0", ranges=((0, 0x9f000, 1), (0x100000, 0x7f00000, 1)),
               modules=((0x200000, 0x300000, b"guest.elf\0"),), loader=b"qemu\0", command_line_at=0):
    entries = b"".join(struct.pack("<IQQI", 20, *entry) for entry in ranges)
    at = BASE + 72
    texts, places = b"", []
    for piece in (entries, command_line, loader, *(module[2] for module in modules)):
        places.append(at + len(texts))
        texts += piece
    table = b"".join(struct.pack("<IIII", start, end, places[3 + i], 0)
                     for i, (start, end, _) in enumerate(modules))
    info = struct.pack("<12I", 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9, 0, 0, 0, command_line_at or places[1], len(modules),
                       at + len(texts), 0, 0, 0, 0, len(entries))
    info += struct.pack("<5I", places[0], 0, 0, 0, places[2])
    return info.ljust(72, b"\0") + texts + table


def tag(kind, body):
    data = struct.pack("<II", kind, 8 + len(body)) + body
    return data + bytes(-len(data) % 8)


def multiboot2(*tags):
    body = b"".join(tags) + tag(0, b"")
    return struct.pack("<II", 8 + len(body), 0) + body


def memory_map(entry_bytes=24, ranges=((0, 0x9f000, 1), (0x100000, 0x7f00000, 1))):
    return tag(6, struct.pack("<II", entry_bytes, 0)
               + b"".join(struct.pack("<QQII", *entry, 0) for entry in ranges))


MULTIBOOT2 = multiboot2(tag(1, b"log=info\0"), tag(3, struct.pack("<II", 0x200000, 0x300000) + b"guest\0"),
                        memory_map(), tag(14, b"RSD PTR ".ljust(20, b"\0")), tag(15, bytes(36)))


def pvh():
    at = BASE + 56
    table = b"".join(struct.pack("<QQII", *entry, 0) for entry in ((0, 0x9f000, 1), (0x100000, 0x7f00000, 1)))
    modules = struct.pack("<QQQQ", 0x200000, 0x1000, at, 0)
    words = b"log=debug\0".ljust(16, b"\0")
    start = struct.pack("<IIIIQQQQII", 0x336ec578, 1, 0, 1, at + 16, at, at + 16 + len(modules) + len(table),
                        at + 16 + len(modules), 2, 0)
    return start + words + modules + table + b"RSD PTR ".ljust(36, b"\0")


# --- elf ------------------------------------------------------------------------------------------

def note(name, kind, desc):
    def padded(data):
        return data + bytes(-len(data) % 4)
    return struct.pack("<III", len(name), len(desc), kind) + padded(name) + padded(desc)


NOTES = (note(b"Xen\0", 5, b"xen-3.0\0") + note(b"Xen\0", 8, b"generic\0")
         + note(b"Xen\0", 3, struct.pack("<Q", 0)) + note(b"Xen\0", 1, struct.pack("<Q", 0x100000))
         + note(b"Xen\0", 2, struct.pack("<Q", 0x100000))
         + note(b"Xen\0", 10, b"!writable_page_tables|pae_pgdir_above_4gb\0")
         + note(b"Parvus\0", 1, struct.pack("<I", 7)))


def elf(notes=NOTES, segments=((5, 0x100000, b"\xc3" * 16, 0x1000), (6, 0x101000, b"data", 0x2000))):
    count = len(segments) + 1
    at = 64 + 56 * count
    headers, body = b"", b""
    for flags, address, data, memory in segments:
        headers += struct.pack("<IIQQQQQQ", 1, flags, at + len(body), address, address, len(data), memory, 4096)
        body += data
    headers += struct.pack("<IIQQQQQQ", 4, 4, at + len(body), 0, 0, len(notes), len(notes), 4)
    return (b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
            + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x100000, 64, 0, 0, 64, 56, count, 0, 0, 0)
            + headers + body + notes)


# --- acpi: the RSDP, then memory from BASE on -----------------------------------------------------

def summed(data, at):
    return data[:at] + bytes([-sum(data) % 256]) + data[at + 1:]


def table(signature, body):
    return summed(struct.pack("<4sIBB26s", signature, 36 + len(body), 1, 0, b"") + body, 9)


def acpi(extended):
    fadt = table(b"FACP", struct.pack("<I", 0x608).rjust(44, b"\0").ljust(55, b"\0") + b"\4" + bytes(20))
    madt = table(b"APIC", struct.pack("<II", 0xfee00000, 1) + struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0)
                 + struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0) + struct.pack("<BBBBIH", 2, 10, 0, 9, 9, 13))
    word = "<Q" if extended else "<I"
    root_bytes = 36 + 2 * struct.calcsize(word)
    places = [BASE + root_bytes, BASE + root_bytes + len(fadt)]
    root = table(b"XSDT" if extended else b"RSDT", b"".join(struct.pack(word, place) for place in places))
    rsdp = struct.pack("<8sB6sBIIQI", b"RSD PTR ", 0, b"", 2 if extended else 0, BASE, 36, BASE, 0)
    return rsdp + root + fadt + madt


# --- archive: a byte (1: tar's checksums are made right), then the archive -----------------------

def tar(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data, fields in (("d/a", b"alpha", {}), ("m" * 90 + "/" + "n" * 90, b"long", {}),
                                   ("link", b"", {"type": tarfile.SYMTYPE, "linkname": "d/a"}),
                                   ("hard", b"", {"type": tarfile.LNKTYPE, "linkname": "d/a"})):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(data))
    return b"\1" + out.getvalue()[:6144]


CPIO = (member(1, "d", 0o040755, b"") + member(2, "d/a", 0o100644, b"alpha")
        + member(3, "link", 0o120777, b"d/a") + member(0, "TRAILER!!!", 0, b""))

# --- pci: configuration space, the BARs' masks, then what is in the parts of the device's memory ----

def virtio_function():
    header = struct.pack("<HHHHIBBBB", 0x1af4, 0x1041, 0, 0x10, 0x02000001, 0, 0, 0, 0)
    header += struct.pack("<6I", 0xfe000000, 0, 0, 0, 0xfd00000c, 0) + struct.pack("<IHHIB", 0, 0x1af4, 1, 0, 0x40)
    config = header.ljust(0x3c, b"\0") + b"\x0b\1\0\0"
    at = 0x40
    for kind, offset, length in ((1, 0, 0x1000), (3, 0x1000, 0x1000), (4, 0x2000, 0x1000), (2, 0x3000, 0x1000)):
        after = at + 20
        config += struct.pack("<BBBBB3xIII", 9, after, 20, kind, 4, offset, length, 4)
        at = after
    config += struct.pack("<BBHII", 0x11, 0, 2, 1, 0x801)
    masks = struct.pack("<6I", 0xfffff000, 0, 0, 0, 0xffffc00c, 0xffffffff)
    common = struct.pack("<IIIIHHBBHHHHH", 0, 0xffffffff, 0, 0, 0, 2, 0, 0, 0, 256, 0, 0, 0).ljust(128, b"\0")
    return config.ljust(256, b"\0") + masks + common


# --- mmio: the first 128 bytes of the registers (virtio 1.2, 4.2.2) -------------------------------

def mmio_registers(device, features):
    return (struct.pack("<4sIII", b"virt", 2, device, 0x554d4551) + struct.pack("<I", features).ljust(0x24, b"\0")
            + struct.pack("<I", 256)).ljust(128, b"\0")


# --- p9: how the host begins, then steps of the application, each followed by the host's answers --

def answer(body=b"", how=0):
    """See make_reply() of p9.c."""
    return struct.pack("<BH", how, 7 + len(body)) + body


P9_STUCK, P9_OTHER_TAG = 4, 32
P9_LOOKUP, P9_LOOK, P9_OPEN, P9_CHANGE, P9_PUT, P9_CLOSE = 0, 1, 2, 5, 6, 7
P9_ENTRIES, P9_WRITE, P9_READ, P9_STAT, P9_SYNC = (3 | use << 3 for use in range(5))
P9_ROOT, P9_NODE = b"\0", b"\1"  # which


def qid(kind=0):
    return struct.pack("<BIQ", kind, 1, 2)


def walked(kind=0):
    return bytes([P9_LOOKUP]) + P9_ROOT + b"\0" + answer(struct.pack("<H", 1) + qid(kind))


def attributes(size=5, ns=7, how=0):
    return answer(struct.pack("<Q", 0x7ff) + qid() + struct.pack("<III", 0o100644, 0, 0)
                  + struct.pack("<15Q", 1, 0, size, 4096, 8, 1, 2, 3, ns, 5, 6, 7, 8, 9, 10), how)


def entries(*names, first=1, how=0):
    body = b"".join(qid() + struct.pack("<QBH", first + i, 8, len(name)) + name for i, name in enumerate(names))
    return answer(struct.pack("<I", len(body)) + body, how)


CLONED, OPENED = answer(struct.pack("<H", 0)), answer(qid() + struct.pack("<I", 0))
FILE = walked() + bytes([P9_OPEN]) + P9_NODE + b"\0" + CLONED + OPENED
APPENDED = walked() + bytes([P9_OPEN]) + P9_NODE + b"\1" + CLONED + OPENED
FOLDER = bytes([P9_OPEN]) + P9_ROOT


def listed(*replies):
    return FOLDER + bytes([P9_ENTRIES]) + b"\0" + struct.pack("<H", 2000) + 2 * attributes() + CLONED + OPENED + b"".join(replies)


def moved(use, room, *replies):
    return bytes([use]) + b"\0" + struct.pack("<H", room) + b"".join(replies)


def changed(which, *replies):
    return bytes([P9_CHANGE | which << 3]) + P9_ROOT + P9_NODE + b"\x3f\0" + b"".join(replies)


def link(target):
    return (walked(2) + bytes([P9_LOOK]) + P9_NODE + attributes() + answer(bytes(60))
            + answer(struct.pack("<H", len(target)) + target))


P9 = {
    "file": FILE + moved(P9_READ, 9, answer(struct.pack("<I", 3) + b"abc"), answer(struct.pack("<I", 3) + b"def"), answer(bytes(4)))
    + moved(P9_WRITE, 9, answer(struct.pack("<I", 3)), answer(struct.pack("<I", 6))) + moved(P9_STAT, 0, attributes(), b"\0")
    + moved(P9_SYNC, 0, answer()) + bytes([P9_CLOSE, 0]) + answer() + bytes([P9_PUT]) + answer(),
    "folder": listed(entries(b".", b"..", b"a", b"bc"), entries(b"d", first=5), entries()),
    "change": walked() + b"".join(changed(which, *([CLONED, OPENED, answer(), answer(struct.pack("<H", 1) + qid())] if which == 0
                                                   else [answer(qid())])) for which in range(8)),
    "link": link(b"a/b"),
    # Each of these once was believed.
    "link-with-nul": link(b"a\0b"),
    "other-tag": walked() + bytes([P9_LOOK]) + P9_NODE + attributes(how=P9_OTHER_TAG),
    "only-itself": listed(entries(b".", b".", how=P9_STUCK)),
    "circle": listed(entries(b"a", first=0), entries(b"a", first=0)),
    "ends-far-out": APPENDED + moved(P9_WRITE, 100, attributes(size=2**63 - 5), answer(struct.pack("<I", 33)),
                                     answer(struct.pack("<I", 67))),
    "time": walked() + bytes([P9_LOOK]) + P9_NODE + attributes(ns=10**9),
}

SEEDS = {
    "acpi": {"rsdt": acpi(False), "xsdt": acpi(True)},
    "archive": {"ustar": tar(tarfile.USTAR_FORMAT), "pax": tar(tarfile.PAX_FORMAT),
                "gnu": tar(tarfile.GNU_FORMAT), "cpio": b"\0" + CPIO},
    "boot": {"endless": b"\x80" + multiboot1(command_line_at=0x200000),
             "map-entry-wraps": b"\1" + multiboot2(memory_map(0xfffffff0, ())),
             "multiboot1": b"\0" + multiboot1(), "multiboot1-grub": b"\0" + multiboot1(loader=b"GRUB\0"),
             "multiboot2": b"\1" + MULTIBOOT2, "pvh": b"\2" + pvh()},
    "cmdline": {"all": text('log=debug stack=64K env.A="b c" ip=10.0.0.2/24,10.0.0.1 hostname=x odd=1 '
                            'virtio_mmio.device=512@0xfeb00e00:12 -- one "two three" a\\ b '
                            'virtio_mmio.device=512@0xfeb00c00:11')},
    # Steps: see step() and daemon_step() of daemons.c.
    "daemons": {
        "target": b"\0\0\x80\2\2\3parvus\0" + b"\0\0\x80\0\0\x05" + b"65536" + b"\0\0",
        "write": b"\1\0\x80\1\1\3OK\0" + b"\1\0\x80\4\1\7ENOENT\0",
        "console": b"\4\x2c" * 60 + b"\5\0\x86\0\0\0\0\x85\x40\0\6\x20\6\x40",
        "nonsense": b"\x83\xff\xff\xff\xff\0\0\x84\0\0\0\x80\3\0\x87\0\0\0\x80\0\0\0\x80\4\x20\6\xff"},
    "elf": {"guest": elf()},
    "request": {
        "get": text("GET /a/../b%20c?q=1 HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\nConnection: close, keep-alive\r\n"
                    "If-None-Match: \"a\", W/\"b\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"),
        "post": text("POST http://h/x HTTP/1.1\r\nhost:h\r\ncontent-length: 5, 5\r\nexpect: 100-continue\r\n\r\nhello"),
        "old": text("\r\nHEAD / HTTP/1.0\nIf-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT\n\n"),
        "refused-scheme": text("POST hvtp://h/x HTTP/1.1\r\nhost:h\r\n\r\n"),
        "year-with-sign": text("GET / HTTP/1.0\r\nIf-Modified-Since: Sun, 08 Feb -99408:49:37 GMT\r\n\r\n"),
        "options": text("OPTIONS * HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    # Features (5 bytes), the queues' sizes (2 bytes each), then steps of the device (0x80 and up) and the stack.
    "virtio_net": {
        name: struct.pack("<IBHH", features, 1, 256, 256) + bytes(8)
        + b"\x8a\x03\x40\x00\x0c" + bytes(10) + b"\x01\x00" + b"\x06\x40" * 3
        + b"\x00\x02\x40\x40\x00\x00\x01\x8b\x01\x06\x40" * 4 + b"\x80\x01\x00\x00\x00\x10\x00\x00\x00\x07\x40"
        for name, features in (("plain", 0), ("all", 0x30018dab))} | {
            # A buffer that is full but for a tail that is too short: refused.
            "full": struct.pack("<IBHH", 0, 1, 256, 256) + b"\0\x8a\0" + struct.pack("<HB", 1944, 0) + b"\x06\x40"},
    "inet": {name: name.encode() for name in (
        "127.0.0.1", "1.2.3", "0x7f.1", "01.02.03.04", "256.1", "::", "::1", "fe80::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8",
        "1::2::3", ":1", "1:", "12345::", "1:2:3:4:5:6:1.2.3.4")},
    "mmio": {"net": b"512@0xfeb00c00:11".ljust(32, b"\0") + 2 * mmio_registers(1, 0x30018dab),
             "not-there": b"4K@0xfeb0:".ljust(32, b"\0") + mmio_registers(0, 0), "too-small": b"16@0x1000:3".ljust(32, b"\0")},
    "p9": {name: b"\0" + steps for name, steps in P9.items()} | {
        "begin": b"\1" + answer(struct.pack("<IH", 0x20000, 8) + b"9P2000.L") + answer(qid(0x80))},
    # Which device, then as for virtio_net; what the device does while the user waits lies between.
    "virtio_others": {
        f"{name}-{kind}": bytes([which]) + struct.pack("<IB", features, 1) + bytes(2)  # features, generation, queues
        + b"\x00\x01" * 5 + bytes(60) + b"\x00\x06\x00\x01\x8a\x00\x10\x00\x0c" * 12
        for which, (name, bits) in enumerate({"blk": 0x6676, "console": 0, "rng": 0, "balloon": 0x27, "9p": 0}.items())
        for kind, features in (("plain", bits), ("all", bits | 0x30000000))} | {
            # A disk that says first 5, then 2^28 segments: it got no room for any request.
            "segments-grow": struct.pack("<BIBHII", 0, 4, 0, 16, 5, 1 << 28) + b"\x00\x00"},
    "pci": {"virtio": virtio_function(), "bridge": virtio_function()[:14] + b"\1" + virtio_function()[15:]},
    "config": {"dhcp": b"dhcp", "static": b"10.0.2.15/24,10.0.2.2,10.0.2.3,1.1.1.1", "no-gateway": b"10.0.2.15/8,,1.1.1.1",
               "ip6": b"fd00::15/64,fd00::2,2001:db8::53"},
    # A byte for DHCP, then steps: see step() of lwip.c.
    "lwip": {
        "tcp": b"\0" + b"".join(b"\1" + bytes([flags, 0, 0]) + struct.pack("<H", len(data)) + data for flags, data in
                               ((0x82, b""), (0x10, b""), (0x18, b"GET / HTTP/1.0"), (0x11, b""), (0x10, b""))),
        "tcp-options": b"\0\1\x82\0\5" + bytes([2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0]) + b"\0\0",
        "dns": b"\0\x86\1\0\0\4\x10\0\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4",
        "dhcp": b"\1" + b"".join(b"\5" + struct.pack("<H", len(options)) + options + b"\x08\0\2" for options in (
            b"\x35\1\2\x36\4\x0a\0\2\2\1\4\xff\xff\xff\0\3\4\x0a\0\2\2\6\4\x0a\0\2\3\x33\4\0\0\x0e\x10\xff",
            b"\x35\1\5\x36\4\x0a\0\2\2\1\4\xff\xff\xff\0\3\4\x0a\0\2\2\6\4\x0a\0\2\3\x33\4\0\0\x0e\x10\xff")),
        "ip6": b"\0\7\x80\x18\0" + b"\x86\0\0\0\x40\0\7\x08" + bytes(8) + b"\1\1\2\0\0\0\0\1",
        "ip6-header-cut": b"\0\x2b\0\0\0",
        "udp": b"\0\3\x10\x27\4\0abcd", "ping": b"\0\x84\x08\0\x08\0\0\0\0\1\0\1"},
}
