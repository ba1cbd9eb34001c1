"""Guests that cannot be booted: the hypervisor says why in one line and ends, it never hangs.

Each bad guest is hello's ELF with something changed, handed over as a module.
"""
import os
import re
import struct

import hosts
from framework import BUILD, app_image, parvus, register, scratch
from framework import FAILED, PASSED, Result

HYPERVISOR = os.path.join(BUILD, "boot", "parvus-hypervisor.img")
PT_NULL, PT_LOAD, PT_NOTE = 0, 1, 4
XEN_ELFNOTE_ENTRY = 1
PAGE_BYTES = 4096


def stripped(app):
    return f"{os.path.splitext(app_image(app))[0]}.stripped.elf"


class Elf:
    """A guest's bytes, with access to the fields of its headers (ELF64; elf(5))."""

    FILE = {"class": ("B", 4), "data": ("B", 5), "version": ("B", 6), "type": ("H", 16),
            "machine": ("H", 18), "phoff": ("Q", 32), "phentsize": ("H", 54),
            "phnum": ("H", 56)}
    SEGMENT = {"type": ("I", 0), "flags": ("I", 4), "offset": ("Q", 8), "vaddr": ("Q", 16),
               "paddr": ("Q", 24), "filesz": ("Q", 32), "memsz": ("Q", 40)}

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = bytearray(file.read())

    def get(self, field):
        kind, offset = self.FILE[field]
        return struct.unpack_from("<" + kind, self.bytes, offset)[0]

    def set(self, **fields):
        for field, value in fields.items():
            kind, offset = self.FILE[field]
            struct.pack_into("<" + kind, self.bytes, offset, value)

    def segments(self, segment_type=PT_LOAD):
        """Offsets of the program headers of that type."""
        headers = [self.get("phoff") + 56 * i for i in range(self.get("phnum"))]
        return [at for at in headers if self.get_segment(at, "type") == segment_type]

    def get_segment(self, at, field):
        kind, offset = self.SEGMENT[field]
        return struct.unpack_from("<" + kind, self.bytes, at + offset)[0]

    def set_segment(self, at, **fields):
        for field, value in fields.items():
            kind, offset = self.SEGMENT[field]
            struct.pack_into("<" + kind, self.bytes, at + offset, value)


def move(elf, index, address):
    at = elf.segments()[index]
    delta = elf.get_segment(at, "vaddr") - elf.get_segment(at, "paddr")
    elf.set_segment(at, vaddr=address, paddr=(address - delta) % 2**64)


def move_onto_first(elf):
    move(elf, 1, elf.get_segment(elf.segments()[0], "vaddr"))


def change_segment(index, **fields):
    return lambda elf: elf.set_segment(elf.segments()[index], **fields)


def drop_notes(elf):
    for at in elf.segments(PT_NOTE):
        elf.set_segment(at, type=PT_NULL)


def drop_loads(elf):
    for at in elf.segments():
        elf.set_segment(at, type=PT_NULL)


def cut(size):
    def change(elf):
        del elf.bytes[size(len(elf.bytes)) if callable(size) else size:]
    return change


def rename_notes(elf):
    at = elf.segments(PT_NOTE)[0]
    start = elf.get_segment(at, "offset")
    end = start + elf.get_segment(at, "filesz")
    elf.bytes[start:end] = elf.bytes[start:end].replace(b"Xen\0", b"Xyz\0")


def lengthen_note(elf):
    struct.pack_into("<I", elf.bytes, elf.get_segment(elf.segments(PT_NOTE)[0], "offset"), 2**32 - 1)


def move_entry(elf):
    """The entry point is a note (XEN_ELFNOTE_ENTRY); each note is its name's and its value's size,
    its type, the name, the value."""
    header = struct.pack("<III", 4, 8, XEN_ELFNOTE_ENTRY) + b"Xen\0"
    struct.pack_into("<Q", elf.bytes, elf.bytes.index(header) + len(header), 0x10)


# id, what is wrong, the change, words that the message has.
BAD = [
    ("empty", "is empty", cut(0), ""),
    ("text", "is no ELF", lambda elf: elf.bytes.__setitem__(slice(0, 4), b"text"), ""),
    ("header-cut", "ends within its ELF header", cut(40), ""),
    ("segments-cut", "ends within its segments", cut(lambda size: size // 2), ""),
    ("program-headers-cut", "ends within its program headers", cut(100), ""),
    ("class", "is a 32-bit ELF", lambda elf: elf.set(**{"class": 1}), ""),
    ("endian", "is big-endian", lambda elf: elf.set(data=2), ""),
    ("machine", "is for another processor", lambda elf: elf.set(machine=183), ""),
    ("type", "is an object file", lambda elf: elf.set(type=1), ""),
    ("header-size", "has program headers of a wrong size", lambda elf: elf.set(phentsize=32), ""),
    ("headers-far", "has program headers past its end", lambda elf: elf.set(phoff=2**64 - 8), ""),
    ("entry", "has an entry point outside its memory", move_entry, ""),
    ("no-load", "has nothing to load", drop_loads, ""),
    ("no-notes", "has no Xen notes", drop_notes, ""),
    ("other-notes", "has notes, but not Xen's", rename_notes, ""),
    ("note-length", "has a note longer than its notes", lengthen_note, ""),
    ("overlap", "has segments that overlap", move_onto_first, ""),
    ("high", "has a segment in the hypervisor's half",
     lambda elf: move(elf, 1, 0xffff800000000000), ""),
    ("wrap", "has a segment that wraps around", lambda elf: move(elf, 1, 2**64 - PAGE_BYTES), ""),
    ("huge", "has a segment larger than memory", change_segment(-1, memsz=2**40), ""),
    ("file-larger", "has a segment larger in the file than in memory",
     change_segment(-1, memsz=1), ""),
    ("file-past-end", "has a segment past the file's end", change_segment(0, offset=2**40), ""),
    ("offset-wraps", "has a segment whose place in the file wraps around",
     change_segment(0, offset=2**64 - PAGE_BYTES), ""),
]

ONE_LINE = re.compile(r"\Aparvus: [^\n]+\nparvus: the hypervisor gave up[^\n]*\n\Z")
HOSTS = ["tcg-microvm", "kvm-microvm"]


def bad_guest(name, sentence, change, words):
    def run(host):
        elf = Elf(stripped("hello"))
        change(elf)
        path = os.path.join(scratch("bad-images"), f"{name}.{host}.elf")
        with open(path, "wb") as file:
            file.write(elf.bytes)
        return refused(test_id, host, words, HYPERVISOR, ["--initrd", path])
    test_id = f"bad-guest-{name}"
    register(test_id, f"A guest that {sentence} is refused in one line.", HOSTS, run)


def refused(test_id, host, words, image, options):
    log = os.path.join(scratch("bad-images"), f"{test_id}.{host}.log")
    # An address that is refused is named.
    status, console = parvus(host, image, options=options, log=log, leaks=test_id == "bad-guest-high")
    if status != 126:
        return [Result(test_id, FAILED, f"status {status} instead of 126", log)]
    # GRUB, SeaBIOS and UEFI may have their say before.
    own = console[max(console.find("parvus: "), 0):]
    if not ONE_LINE.match(own):
        return [Result(test_id, FAILED, "not one line of message", log)]
    if words not in own:
        return [Result(test_id, FAILED, f"the message does not say '{words}'", log)]
    return [Result(test_id, PASSED)]


for case in BAD:
    bad_guest(*case)

register("bad-modules-none", "A hypervisor without guest and modules says so in one line.",
         ["tcg-microvm", "kvm-microvm", "tcg-pc-multiboot"],
         lambda host: refused("bad-modules-none", host, "", HYPERVISOR, []))


def five_modules(host):
    return refused("bad-modules-five", host, "module", HYPERVISOR,
                   [f"--qemu=-initrd {','.join([stripped('hello')] * 5)}"])


register("bad-modules-five", "Five modules are refused in one line.", list(hosts.MULTIBOOT),
         five_modules)

register("bad-memory", "A guest that does not fit into memory is refused in one line.", HOSTS,
         lambda host: refused("bad-memory", host, "memory", HYPERVISOR,
                              ["--initrd", stripped("guest"), "--mem", "2600K"]))

for case, sentence, options, case_hosts in [
        ("cpu-32", "long mode", ["--qemu=-cpu qemu32"], ["tcg-microvm", "tcg-q35-multiboot"]),
        ("cpu-nx", "NX", ["--qemu=-cpu qemu64,-nx"], ["tcg-microvm", "tcg-q35-multiboot"]),
        ("cpu-apic", "local APIC", ["--qemu=-cpu qemu64,-apic"], ["tcg-q35"])]:
    register(f"bad-{case}", f"A processor without {sentence} is refused in one line.", case_hosts,
             lambda host, case=case, options=options:
             refused(f"bad-{case}", host, "CPU", app_image("hello"), options))
