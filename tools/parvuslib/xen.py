"""Runs a guest on the real Xen: as its initial domain (--machine xen), or as a domain that a small
Linux dom0 starts (--machine xen-domu). tools/xen/ fetches Xen and makes that dom0.

Xen gets the guest's ELF as it is. As dom0 the guest shares the serial line with Xen, whose lines
begin with "(XEN) "; as domU it has the second serial line to itself, and Xen and Linux the first.
How it ended comes by the exit line, as elsewhere: from the guest itself in dom0, from tools/xen/init
for a domU (see pv/report.c). Where Xen ended the guest, Xen's own words say so.
"""
import collections
import os
import re
import subprocess
import sys

from . import devices, images, qemu
from .console import Filter
from .cpio import Archive
from .errors import UsageError
from .session import Session

MACHINES = ["xen", "xen-domu"]

# In MiB: what Xen needs beside the domains and the files that they are built from; dom0's.
XEN_MIB = 64
DOM0_MIB = 192

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

# What tools/xen/init writes on the domU's line once it is connected.
CONNECTED = b"parvus-domu-console\n"
END_OF_OUTPUT = b"\x04"  # the domU's last byte (pv/report.c)


def is_xen(options):
    return options.machine in MACHINES


def check(options):
    if options.boot != "pvh":
        raise UsageError(f"--machine {options.machine} boots by Xen, not by --boot {options.boot}")


def fetch(part):
    """Makes sure that a part of the Xen hosts (tools/xen/fetch) is there; returns its folder."""
    deps = os.path.join(images.ROOT, os.environ.get("DEPS") or os.path.join("build", "deps"))
    done = subprocess.run([os.path.join(images.ROOT, "tools", "xen", "fetch"), part, deps],
                          stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["tools/xen/fetch failed"]
        raise UsageError(f"no Xen: {reason[0]}")
    return os.path.join(deps, "xen-host")


def missing(machine):
    """What this machine lacks for Xen, or None."""
    try:
        fetch("hypervisor")
        if machine == "xen-domu":
            fetch("dom0")
    except UsageError as error:
        return str(error)
    return None


def guest_mebibytes(options):
    """The guest's memory: Xen's tools count in MiB."""
    return -(-qemu.memory_kib(options) // 1024)


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
    """QEMU's command line as a list of words."""
    check(options)
    accel = qemu.accelerator(options)
    folder = fetch("hypervisor")
    make = dom0_options if options.machine == "xen" else domu_options
    mebibytes, xen_options, modules, serial = make(options, guest(options, image), files)
    lines = [module(path, line, files) for path, line in modules]
    mebibytes += XEN_MIB + sum(-(-os.path.getsize(path) >> 20) for path, _ in modules)
    command = ["qemu-system-x86_64", "-accel", accel,
               # SMAP would break the iretq of PV guests under TCG.
               "-cpu", "max,-smap" if accel == "tcg" else qemu.cpu(accel),
               "-M", "q35", "-m", f"{mebibytes}M", "-smp", str(options.smp),
               "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *serial,
               "-device", f"isa-debug-exit,iobase={qemu.EXIT_PORT:#x},iosize=4"]
    if options.icount:
        command += ["-icount", "shift=0,sleep=off"]
    if options.gdb:
        command += ["-s", "-S"]
    command += devices.qemu_options(options, is_mmio=False, accel=accel)
    return command + ["-kernel", os.path.join(folder, "xen"), "-append",
                      f"{XEN_OPTIONS} {xen_options}", "-initrd", ",".join(lines), *options.qemu]


def dom0_options(options, elf, _):
    """Memory of the domains in MiB, options for Xen, modules (file and line) and serial lines."""
    size = guest_mebibytes(options)
    modules = [(elf, qemu.guest_command_line(options))]
    if options.initrd:
        modules.append((options.initrd, ""))
    return size, f"dom0_mem={size}M,max:{size}M", modules, ["-serial", "stdio"]


def domu_options(options, elf, files):
    folder = fetch("dom0")
    size = guest_mebibytes(options)
    serial = ["-serial", "file:/dev/fd/2" if options.verbose else f"file:{files.path('dom0.log')}",
              "-serial", "stdio"]
    modules = [(os.path.join(folder, "linux"), LINUX_OPTIONS),
               (domu_initramfs(folder, options, elf, size, files), "")]
    return DOM0_MIB + size, f"dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M", modules, serial


def xl_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def domu_initramfs(folder, options, elf, size, files):
    """dom0's root file system, and behind it the guest and its xl configuration."""
    archive = Archive()
    config = {"name": '"guest"', "kernel": '"/guest/elf"', "memory": str(size), "vcpus": "1",
              # Else Xen traps every rdtsc, in case the domain moves to another machine.
              "tsc_mode": '"native"',
              "cmdline": xl_string(qemu.guest_command_line(options)),
              # For tools/xen/init to see how it ended.
              "on_poweroff": '"preserve"', "on_crash": '"preserve"', "on_reboot": '"preserve"'}
    contents = {"guest/elf": elf, **({"guest/initrd": options.initrd} if options.initrd else {})}
    if options.initrd:
        config["ramdisk"] = '"/guest/initrd"'
    for name, path in contents.items():
        with open(path, "rb") as file:
            archive.add_file(name, file.read())
    text = "".join(f"{key}={value}\n" for key, value in config.items())
    archive.add_file("guest/config", text.encode())
    if options.dom0:
        archive.add_file("guest/commands", options.dom0.encode() + b"\n")
    path = files.path("initramfs")
    with open(path, "wb") as output, open(os.path.join(folder, "initramfs"), "rb") as base:
        output.write(base.read() + archive.contents())
    return path


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


class DomUConsole(Filter):
    """The domU's own line: what comes before the connection is noise of the serial port."""

    def __init__(self, symbols):
        super().__init__(symbols)
        self.before = b""
        self.is_ready = False
        self.has_ended = False

    def feed(self, chunk):
        if not self.is_ready:
            self.before += chunk
            start = self.before.find(CONNECTED)
            if start < 0:
                return b""
            self.is_ready = True
            chunk = self.before[start + len(CONNECTED):]
        if self.has_ended and chunk:  # that was not the end
            chunk = END_OF_OUTPUT + chunk
        self.has_ended = chunk.endswith(END_OF_OUTPUT)
        return super().feed(chunk[:-1] if self.has_ended else chunk)


class DomUSession(Session):
    """The exit line and the end of the output come by different ways: it is over with both."""

    def __init__(self, command, symbols, options, files):
        super().__init__(command, symbols, options.timeout)
        self.console = DomUConsole(symbols)
        self.log = None if options.verbose else files.path("dom0.log")
        self.is_connected = False

    def show_output(self, fd):
        super().show_output(fd)
        if self.console.is_ready and not self.is_connected:
            self.is_connected = True
            self.watch_input()
        self.end_if_over()

    def read_exit_line(self, fd):
        super().read_exit_line(fd)
        self.end_if_over()

    def end_if_over(self):
        if self.console.has_ended and b"\n" in self.exit_text:
            self.kill()

    def run(self):
        status = super().run()
        if not self.console.has_ended and self.log and os.path.exists(self.log):
            with open(self.log, "rb") as log:
                lines = log.read().splitlines()[-LAST_LINES:]
            sys.stderr.buffer.write(b"".join(line + b"\n" for line in lines))
            sys.stderr.flush()
        return status


def session(command, symbols, options, files):
    if options.machine == "xen":
        return Dom0Session(command, symbols, options)
    return DomUSession(command, symbols, options, files)
