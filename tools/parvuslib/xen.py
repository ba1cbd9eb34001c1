"""Runs a guest on the real Xen: as its initial domain (--machine xen), or as a domain that a small
Linux dom0 starts (--machine xen-domu). tools/xen/ fetches Xen and makes that dom0.

Xen gets the guest's ELF as it is. As dom0 the guest shares the serial line with Xen, whose lines
begin with "(XEN) ". Xen with the Linux dom0 is an emulated host (emulated.py; it boots once), in which
tools/xen/domu.c starts the guest and passes its console through. How it ended comes by the exit line,
as elsewhere: from the guest itself in dom0, from domu.c for a domU (see pv/report.c). Where Xen ended
the guest, Xen's own words say so.
"""
import collections
import os
import re
import subprocess
import sys

from . import devices, emulated, images, qemu
from .console import Filter
from .errors import UsageError
from .session import Session

MACHINES = ["xen", "xen-domu"]
SOURCES = os.path.join(images.ROOT, "tools", "xen")

# In MiB: what Xen needs beside the domains and the files that they are built from; Linux's.
XEN_MIB = 64
DOM0_MIB = 192
LEAST_HOST_MIB = 512

CPU = "max,-smap"  # SMAP would break the iretq of PV guests under TCG
# With XSAVE, too, one domain at times gets the FPU registers of another there.
CPU_OF_TWO = CPU + ",-xsave"

# No key switches the serial line's input from the guest to Xen.
XEN_OPTIONS = "com1=115200,8n1 console=com1 dom0=pv conswitch=`"
LINUX_OPTIONS = "console=hvc0 panic=1 quiet"

PREFIX = b"(XEN) "
# Xen's last words of its own boot; input before them would be commands to Xen.
BOOTED = b"Freed "
ENDINGS = {  # what Xen says, and the exit line that it stands for
    b"Hardware Dom0 crashed": b"crash\n",
    b"Hardware Dom0 halted": b"\n",
    b"Reboot in five seconds": b"hypervisor\n",  # after a panic of Xen
    b"Manual reset required": b"hypervisor\n",
}
INSTRUCTION = re.compile(rb"RIP:.*\[<([0-9a-f]{16})>\]")
LAST_LINES = 60  # of Xen, shown when it ended the guest


def is_xen(options):
    return options.machine in MACHINES


def check(options):
    if options.boot != "pvh":
        raise UsageError(f"--machine {options.machine} boots by Xen, not by --boot {options.boot}")


def fetch():
    """Makes sure that Xen itself is there; returns its path."""
    done = subprocess.run([os.path.join(SOURCES, "fetch"), "hypervisor", emulated.deps_folder()],
                          stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["tools/xen/fetch failed"]
        raise UsageError(f"no Xen: {reason[0]}")
    return os.path.join(emulated.deps_folder(), "xen-host", "xen")


def missing(machine):
    """What this machine lacks for Xen, or None."""
    try:
        fetch()
    except UsageError as error:
        return str(error)
    return emulated.missing(dom0(guest_mebibytes("64M"))) if machine == "xen-domu" else None


def guest_mebibytes(size):
    """The guest's memory: Xen's tools count in MiB."""
    return -(-qemu.kib(size) // 1024)


def module(path, text, files):
    """One of QEMU's comma-separated Multiboot modules: a file name without blanks, its line."""
    path = os.path.realpath(path)
    if re.search(r"\s", path):
        link = files.path(f"module-{len(os.listdir(files.path('.')))}")
        os.symlink(path, link)
        path = link
    return f"{path} {text}".strip().replace(",", ",,")


def guest(options, image):
    if not image.guest:
        raise UsageError(f"--machine {options.machine} needs {image.path}'s guest, NAME.elf")
    for path in [image.guest, options.initrd]:
        if path and not os.path.isfile(path):
            raise UsageError(f"{path} is no file")
    return image.guest


def command_line(options, image, files):
    """The command line as a list of words."""
    check(options)
    make = dom0_command if options.machine == "xen" else domu_command
    return make(options, guest(options, image), files)


def dom0_command(options, elf, files):
    accel = qemu.accelerator(options)
    size = guest_mebibytes(options.mem)
    modules = [(elf, qemu.guest_command_line(options))]
    if options.initrd:
        modules.append((options.initrd, ""))
    lines = [module(path, line, files) for path, line in modules]
    mebibytes = XEN_MIB + size + sum(-(-os.path.getsize(path) >> 20) for path, _ in modules)
    command = ["qemu-system-x86_64", "-accel", accel,
               "-cpu", CPU if accel == "tcg" else qemu.cpu(accel),
               "-M", "q35", "-m", f"{mebibytes}M", "-smp", qemu.processors(options, accel),
               "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
               "-device", f"isa-debug-exit,iobase={qemu.EXIT_PORT:#x},iosize=4"]
    if options.icount:
        command += ["-icount", "shift=0,sleep=off"]
    if options.gdb:
        command += ["-s", "-S"]
    command += devices.qemu_options(options, is_mmio=False, accel=accel)
    return command + ["-kernel", fetch(), "-append",
                      f"{XEN_OPTIONS} dom0_mem={size}M,max:{size}M", "-initrd", ",".join(lines),
                      *options.qemu]


def dom0(mebibytes):
    """The emulated host with a Linux dom0 and memory for a domU of so much."""
    total = DOM0_MIB + XEN_MIB + mebibytes * 65 // 64
    total = max(LEAST_HOST_MIB, 1 << (total - 1).bit_length())  # few sizes: each is booted and kept
    boot = ["-kernel", "xen", "-initrd", f"linux {LINUX_OPTIONS},initramfs", "-append",
            f"{XEN_OPTIONS} dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M"]
    return emulated.Host(f"xen-host-{total}", "Xen host", "xen-host",
                         [SOURCES, os.path.realpath(__file__)],
                         ["-accel", "tcg", "-M", "q35", "-cpu", CPU_OF_TWO, "-m", f"{total}M"], boot,
                         [os.path.join(SOURCES, "fetch"), "dom0", emulated.deps_folder()])


def domu_command(options, elf, files):
    if options.accel not in ("auto", "tcg") or options.icount or options.gdb or options.qemu:
        raise UsageError("--machine xen-domu runs by --accel tcg, without --icount, --gdb and --qemu")
    size = guest_mebibytes(options.mem)
    most = guest_mebibytes(options.max_mem or options.mem)
    if most < size:
        raise UsageError(f"--max-mem {options.max_mem} is less than --mem {options.mem}")
    config = {"name": '"guest"', "kernel": xl_string(os.path.realpath(elf)), "memory": str(size),
              "maxmem": str(most), "vcpus": "1",
              # Else Xen traps every rdtsc, in case the domain moves to another machine.
              "tsc_mode": '"native"',
              "cmdline": xl_string(qemu.guest_command_line(options)),
              # For tools/xen/domu.c to see how it ended.
              "on_poweroff": '"preserve"', "on_crash": '"preserve"', "on_reboot": '"preserve"'}
    if options.initrd:
        config["ramdisk"] = xl_string(os.path.realpath(options.initrd))
    text = "".join(f"{key}={value}\n" for key, value in config.items())
    commands = [write(files.path("dom0"), options.dom0 + "\n")] if options.dom0 else []
    return [os.path.join(SOURCES, "domu"), *(["--verbose"] if options.verbose else []), str(most),
            write(files.path("config"), text), *(commands or ["-"]), os.path.realpath(elf),
            *([os.path.realpath(options.initrd)] if options.initrd else [])]


def write(path, text):
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return path


def run_domu(arguments):
    """The command tools/xen/domu, which says what the arguments are."""
    is_verbose = arguments[0] == "--verbose"
    mebibytes, config, commands, *files, end = arguments[is_verbose:]
    words = ["/bin/domu", config, end] + ([commands] if commands != "-" else [])
    return emulated.run(dom0(int(mebibytes)), [config, *words[3:], *files], words,
                        console=sys.stderr.fileno() if is_verbose else None)


def xl_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Dom0Console:
    """The serial line that Xen and its dom0 share: takes Xen's lines out, wherever they begin."""

    def __init__(self, symbols, verbose):
        self.symbols = symbols
        self.guest = Filter(symbols)
        self.verbose = verbose
        self.held = b""
        self.is_banner = True  # what Xen writes before its first line
        self.is_ready = False  # the guest runs and hears its input
        self.last_lines = collections.deque(maxlen=LAST_LINES)
        self.ending = None

    def feed(self, chunk):
        self.held += chunk
        shown = b""
        while True:
            start = self.held.find(PREFIX)
            if start < 0:
                return shown + self.take(len(self.held) - self.prefix_at_end())
            shown += self.take(start)
            end = self.held.find(b"\n")
            if end < 0:
                return shown
            self.is_banner = False
            self.xen_line(self.held[len(PREFIX):end].rstrip(b"\r"))
            self.held = self.held[end + 1:]

    def prefix_at_end(self):
        """How many of the last bytes may become the beginning of a line of Xen."""
        return next((length for length in range(len(PREFIX) - 1, 0, -1)
                     if self.held.endswith(PREFIX[:length])), 0)

    def take(self, count):
        text, self.held = self.held[:count], self.held[count:]
        return b"" if self.is_banner else self.guest.feed(text)

    def release(self):
        rest, self.held = self.held, b""
        is_dropped = self.is_banner or rest.startswith(PREFIX)
        return (b"" if is_dropped else self.guest.feed(rest)) + self.guest.release()

    def xen_line(self, line):
        if self.verbose:
            sys.stderr.buffer.write(PREFIX + line + b"\n")
            sys.stderr.flush()
        if self.is_ready:
            self.last_lines.append(line)
        elif line.startswith(BOOTED):
            self.is_ready = True
        for words, exit_line in ENDINGS.items():
            if line.startswith(words):
                self.ending = exit_line

    def last_words(self):
        """Of Xen, about the guest that it ended; with the place in the guest's source."""
        lines = [PREFIX + line for line in self.last_lines]
        matches = filter(None, map(INSTRUCTION.search, lines))
        lines += [self.symbols.annotate(b"  #0 0x" + match[1].lstrip(b"0")) for match in matches]
        return b"".join(line + b"\n" for line in lines)


class Dom0Session(Session):
    def __init__(self, command, symbols, options):
        super().__init__(command, symbols, options.timeout)
        self.console = Dom0Console(symbols, options.verbose)
        self.is_connected = False

    def show_output(self, fd):
        super().show_output(fd)
        if self.console.is_ready and not self.is_connected:
            self.is_connected = True
            self.watch_input()
        if self.console.ending is not None and not self.exit_text.strip():
            # Xen would wait for seconds, or for ever.
            self.exit_text = self.console.ending
            if not self.console.verbose:
                sys.stderr.buffer.write(self.console.last_words())
                sys.stderr.flush()
            self.kill()


class DomUSession(Session):
    """Where Xen ended the guest, its messages get the place in the guest's source."""

    def __init__(self, command, symbols, options):
        super().__init__(command, symbols, options.timeout, input_at_once=True)
        self.symbols = symbols

    def exit_line_options(self, fd):
        return [f"/dev/fd/{fd}"]

    def status(self):
        for match in INSTRUCTION.finditer(self.messages):
            place = self.symbols.annotate(b"  #0 0x" + match[1].lstrip(b"0"))
            sys.stderr.buffer.write(place + b"\n")
        return super().status()


def session(command, symbols, options):
    if options.machine == "xen":
        return Dom0Session(command, symbols, options)
    return DomUSession(command, symbols, options)
