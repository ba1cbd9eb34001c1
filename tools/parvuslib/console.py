"""The guest's console: passed through as it comes, with function and line added to backtraces.

A backtrace line is `  #N 0xADDRESS`; pv's panic and the hypervisor print them."""
import bisect
import re
import subprocess

FRAME = re.compile(rb"  #([0-9]{1,10}) 0x([0-9a-f]{1,16})\r?")
# Every beginning of such a line; what matches may still become one.
FRAME_START = re.compile(rb"(?: ?|  (?:#(?:[0-9]{1,10}(?: (?:0(?:x[0-9a-f]{0,16}\r?)?)?)?)?)?)")

MOVED_BY = 2 << 20  # pv/relocate.c
RING_0_FROM = 1 << 47


def demangled(name):
    """A function's name as its source has it: C++ has types in its symbols."""
    if not name.startswith("_Z"):
        return name
    return subprocess.run(["c++filt", "-p", name], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL).stdout.strip()


class Symbols:
    """Names for addresses, from ELF files with debug information. Reads them at the first use."""

    def __init__(self, elfs):
        self.elfs = elfs
        self.tables = None

    @staticmethod
    def of_image(image):
        return Symbols([elf for elf in (image.guest, image.debug) if elf])

    def load(self):
        """One sorted table of (address, size, name) of code per file."""
        self.tables = []
        for elf in self.elfs:
            listing = subprocess.run(["nm", "-S", "--defined-only", elf], capture_output=True,
                                     text=True, stdin=subprocess.DEVNULL).stdout
            table = []
            for line in listing.splitlines():
                words = line.split()
                if words[-2] in "tTwW":
                    size = int(words[1], 16) if len(words) == 4 else 0
                    table.append((int(words[0], 16), size, words[-1]))
            self.tables.append((elf, sorted(table)))

    def describe(self, address, is_return_address):
        """`function+offset file:line`, or "" for an address in no known function. A return address
        may be the first of the next function or line: the call is what stands before it."""
        if self.tables is None:
            self.load()
        text = self.describe_linked(address, is_return_address)
        if text or not self.tables or not self.tables[0][1]:
            return text
        # A hypervisor tells where the guest ran: it moved itself by a multiple of MOVED_BY.
        first, last = self.tables[0][1][0][0], self.tables[0][1][-1][0]
        if last // MOVED_BY == first // MOVED_BY and address < RING_0_FROM:
            return self.describe_linked(first // MOVED_BY * MOVED_BY + address % MOVED_BY,
                                        is_return_address)
        return ""

    def describe_linked(self, address, is_return_address):
        code = address - 1 if is_return_address else address
        for elf, table in self.tables:
            index = bisect.bisect(table, (code, float("inf"))) - 1
            if index < 0:
                continue
            start, size, name = table[index]
            if size and code >= start + size:
                continue
            if not size and (code >= start + 4096 or index + 1 == len(table)):
                continue
            place = subprocess.run(["addr2line", "-e", elf, hex(code)], capture_output=True,
                                   text=True, stdin=subprocess.DEVNULL).stdout.split(" (")[0].strip()
            known = "" if place.startswith("?") or place.endswith("?") else f" {place}"
            return f"{demangled(name)}+{address - start:#x}{known}"
        return ""

    def annotate(self, frame):
        """A backtrace line with its description."""
        match = FRAME.fullmatch(frame)
        text = self.describe(int(match[2], 16), is_return_address=int(match[1]) > 0)
        end = b"\r" if frame.endswith(b"\r") else b""
        return frame.rstrip(b"\r") + (b" " + text.encode() if text else b"") + end


class Filter:
    """Turns chunks of the console into chunks to show, holding back no more than a line that may
    be a backtrace line."""

    def __init__(self, symbols):
        self.symbols = symbols
        self.held = b""
        self.at_line_start = True

    def feed(self, chunk):
        shown = []
        for line in chunk.splitlines(keepends=True) if b"\n" in chunk else [chunk]:
            shown.append(self.feed_part(line))
        return b"".join(shown)

    def feed_part(self, part):
        """`part` holds at most one newline, at its end."""
        if not self.at_line_start:
            self.at_line_start = part.endswith(b"\n")
            return part
        self.held += part
        if not self.held.endswith(b"\n"):
            return b"" if FRAME_START.fullmatch(self.held) else self.release()
        frame = self.held[:-1]
        if FRAME.fullmatch(frame):
            self.held = self.symbols.annotate(frame) + b"\n"
        return self.release()

    def release(self):
        """Shows what was held back; also to be called at the end of the console."""
        shown, self.held = self.held, b""
        if shown:
            self.at_line_start = shown.endswith(b"\n")
        return shown


def symbolize_stream(symbols, source, sink):
    console = Filter(symbols)
    for line in source:
        sink.write(console.feed(line))
    sink.write(console.release())
    sink.flush()
