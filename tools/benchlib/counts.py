"""What a guest or a Linux process executes, also while it serves clients outside, counted by a plugin of
QEMU's TCG (count.c): instructions only, so that neither idling nor the machine's speed counts."""
import array
import bisect
import collections
import os
import subprocess

from parvuslib.netns import need

SOURCE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "count.c")
TABLE_BYTES = 4 << 20  # as count.c has it
RING_0_FROM = 1 << 63  # on Parvus; Xen and its guest share the upper half
HYPERCALL_PAGE_BYTES, HYPERCALL_BYTES = 4096, 32  # of an entry (xen/arch-x86/xen-x86_64.h)
# Each execution of their first instruction is one of these.
EVENTS = {"interrupts": ("pv_event_entry",), "kicks": ("notify",)}


class Counter:
    """A plugin that is built in `folder`, and the table that it writes."""

    def __init__(self, folder):
        self.plugin = os.path.join(folder, "count.so")
        self.table = os.path.join(folder, "counts")
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                        "-o", self.plugin, SOURCE], check=True)
        self.clear()

    def clear(self):
        """Before a guest starts."""
        with open(self.table, "wb") as file:
            file.truncate(TABLE_BYTES)

    def options(self):
        """Of tools/parvus run."""
        return ["--append", "noaslr", "--qemu", f"-plugin {self.plugin},out={self.table}"]

    def linux(self, program):
        """The beginning of a command line that runs a program for Linux and counts it: what it executes
        in user mode, the kernel's part not. -cpu max, as the guests have it: glibc chooses its
        functions by the processor."""
        need("qemu-x86_64")
        return ["qemu-x86_64", "-cpu", "max", "-plugin", f"{self.plugin},out={self.table}", program]

    def read(self):
        """How often each address has executed until now."""
        words = array.array("Q")
        with open(self.table, "rb") as file:
            words.frombytes(file.read())
        if words[-1]:
            raise RuntimeError("the table of count.c is full")
        return collections.Counter(dict(zip(words[0::2], words[1::2])))


class LinuxSymbols:
    """Functions of a program for Linux that is linked to fixed addresses."""

    def __init__(self, program):
        self.places = sorted(symbols(program))

    def name(self, address):
        index = bisect.bisect(self.places, (address, "\U0010ffff")) - 1
        return self.places[index][1] if index >= 0 else "(outside)"

    def summary(self, counts):
        """Instructions, and instructions by function."""
        return {"instructions": sum(counts.values()), "functions": by_function(self, counts)}


class Symbols:
    """Functions of a guest and of the hypervisor under it."""

    def __init__(self, image, is_xen=False):
        self.places = sorted(place for elf in ([image.guest] if is_xen else [image.guest, image.debug])
                             for place in symbols(elf))
        self.page = next(at for at, name in self.places if name == "hypercall_page")
        self.is_xen = is_xen

    def name(self, address):
        if self.is_xen and address >= RING_0_FROM:
            return "(Xen)"
        if self.page <= address < self.page + HYPERCALL_PAGE_BYTES:
            return "hypercall_page"
        index = bisect.bisect(self.places, (address, "\U0010ffff")) - 1
        return self.places[index][1] if index >= 0 else "(firmware)"

    def summary(self, counts):
        """Instructions, those in ring 0, hypercalls, interrupts, kicks; and instructions by function."""
        calls = sum(counts[self.page + at] for at in range(0, HYPERCALL_PAGE_BYTES, HYPERCALL_BYTES))
        return {
            "instructions": sum(counts.values()),
            "ring_0": sum(times for address, times in counts.items() if address >= RING_0_FROM),
            "hypercalls": calls,
            **{event: sum(counts[at] for at, name in self.places if name in names)
               for event, names in EVENTS.items()},
            "functions": by_function(self, counts),
        }


def by_function(names, counts):
    functions = collections.Counter()
    for address, times in counts.items():
        if times:
            functions[names.name(address)] += times
    return dict(functions.most_common())


def symbols(elf):
    listing = subprocess.run(["nm", "--defined-only", elf], capture_output=True, text=True, check=True,
                             stdin=subprocess.DEVNULL).stdout
    return [(int(words[0], 16), words[2]) for words in map(str.split, listing.splitlines())
            if len(words) == 3 and words[1] in "tTwWi"]
