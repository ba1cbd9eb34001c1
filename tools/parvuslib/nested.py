"""QEMU with a real KVM, on any machine: a small Linux with KVM under an emulator of AMD's SVM.

tools/kvm-host/qemu takes QEMU's own arguments and behaves as QEMU does on a machine with KVM: files
that arguments name, standard input and output, output to /dev/fd/N and the exit status are those of
the machine that it is called on. In an argument, @TSC_HZ@ stands for the emulated host's frequency.

The emulated host boots once (4 s) and is then kept as a file, from which each run starts a machine of
its own (0.2 s): no run sees what another left behind, and several may run at once. The file is for
one QEMU and one boot of this machine, whose TSC the emulated one uses. tools/kvm-host/init.c is the
partner inside; frames on a virtio-serial port connect the two. Status 125 and a message say that the
emulated host failed, and not the QEMU in it.
"""
import fcntl
import hashlib
import os
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

from . import images
from .errors import QEMU_FAILED, UsageError

SOURCES = os.path.join(images.ROOT, "tools", "kvm-host")
QEMU = "qemu-system-x86_64"

# The number of the emulated host's processors decides its clock: one keeps the TSC, and then KVM says
# that its clock is stable; with more Linux gives the TSC up (on AMD, without CONSTANT_TSC).
CLOCKSOURCES = {1: "tsc", 2: "hpet"}

# microvm hangs as a host. Watching the TSC on a busy machine would find faults that are the machine's.
MACHINE = ["-accel", "tcg", "-M", "q35", "-cpu", "max", "-m", "512"]
LINUX_OPTIONS = ("console=ttyS0 quiet loglevel=0 panic=-1 mitigations=off nokaslr tsc=nowatchdog "
                 "CLOCKSOURCE={}")

# Generous: they find what hangs, on any machine, however slow and busy.
BOOT_TIMEOUT_S = 300
SILENCE_TIMEOUT_S = 120

# Frames; tools/kvm-host/init.c has the same.
HEADER = struct.Struct("<III")
FRAME_FILE, FRAME_RUN, FRAME_INPUT = 1, 2, 3
FRAME_READY, FRAME_ALIVE, FRAME_OUTPUT, FRAME_END = 16, 17, 18, 19

CHUNK_BYTES = 16384
LAST_BYTES = 4096  # of the emulated host's own console, shown when it fails
STDIN, STDOUT, STDERR = 0, 1, 2


class HostFailed(Exception):
    """The emulated host ended or fell silent; the message says which."""


class Machine:
    """One emulated host. `incoming` is the file that it starts from; without one it boots."""

    def __init__(self, processors, folder, incoming=None, monitor=None):
        self.port, port = socket.socketpair()
        command = [
            QEMU, *MACHINE, "-smp", str(processors), "-nodefaults", "-no-user-config",
            "-no-reboot", "-display", "none", "-serial", "stdio",
            "-kernel", os.path.join(folder, "linux"), "-initrd", os.path.join(folder, "initramfs"),
            "-append", LINUX_OPTIONS.format(CLOCKSOURCES[processors]), "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=port,fd={port.fileno()}",
            "-device", "virtserialport,chardev=port,nr=1"]
        inherited = [port.fileno()]
        if incoming:
            command += ["-incoming", f"fd:{incoming.fileno()}"]
            inherited.append(incoming.fileno())
        if monitor:
            command += ["-chardev", f"socket,id=monitor,fd={monitor.fileno()}",
                        "-mon", "chardev=monitor"]
            inherited.append(monitor.fileno())
        self.process = subprocess.Popen(command, pass_fds=inherited, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                                        cwd=folder)
        port.close()
        self.port.setblocking(False)
        self.console = b""
        self.received = b""
        self.unsent = b""
        self.handle = None
        self.input = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ, self.read_console)
        self.selector.register(self.port, selectors.EVENT_READ, self.exchange)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.port.close()

    def send(self, kind, data):
        self.unsent += HEADER.pack(kind, 0, len(data)) + data
        self.watch()

    def watch(self):
        """Listens for what there is to do. Reads no input while some of it is still to be sent."""
        writing = selectors.EVENT_WRITE if self.unsent else 0
        self.selector.modify(self.port, selectors.EVENT_READ | writing, self.exchange)
        is_watched = self.input is not None and self.input in self.selector.get_map()
        if self.input is not None and not self.unsent and not is_watched:
            try:
                self.selector.register(self.input, selectors.EVENT_READ, self.read_input)
            except PermissionError:  # a regular file: always ready
                self.read_input()
        elif self.unsent and is_watched:
            self.selector.unregister(self.input)

    def read_input(self):
        chunk = os.read(self.input, CHUNK_BYTES)
        if not chunk:
            if self.input in self.selector.get_map():
                self.selector.unregister(self.input)
            self.input = None
        self.send(FRAME_INPUT, chunk)

    def read_console(self):
        chunk = os.read(self.process.stdout.fileno(), CHUNK_BYTES)
        if not chunk:
            raise HostFailed(f"ended with status {self.process.wait()}")
        self.console = (self.console + chunk)[-LAST_BYTES:]

    def exchange(self):
        try:
            if self.unsent:
                self.unsent = self.unsent[self.port.send(self.unsent):]
                if not self.unsent:
                    self.watch()
        except BlockingIOError:
            pass
        try:
            self.received += self.port.recv(4 * CHUNK_BYTES)
        except (BlockingIOError, ConnectionResetError):  # its console tells when it has ended
            return
        while len(self.received) >= HEADER.size:
            kind, value, size = HEADER.unpack_from(self.received)
            if len(self.received) < HEADER.size + size:
                return
            data = self.received[HEADER.size:HEADER.size + size]
            self.received = self.received[HEADER.size + size:]
            self.heard = time.monotonic()
            self.handle(kind, value, data)

    def run(self, handle, timeout):
        """Gives each frame to `handle`, until that returns True, with the status that it set."""
        self.handle = lambda kind, value, data: self.done.append(handle(kind, value, data))
        self.done = []
        self.heard = time.monotonic()
        while not any(self.done):
            self.done.clear()
            left = self.heard + timeout - time.monotonic()
            if left <= 0:
                raise HostFailed(f"hangs: nothing was heard of it for {timeout} s")
            for key, _ in self.selector.select(left):
                key.data()


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def files_in(arguments):
    """Every file that an argument names, alone or as a part, such as in `-drive file=F,if=ide`."""
    parts = [part for word in arguments
             for part in (word, *re.split(r"(?<!,),(?!,)|=", word))]
    return sorted({part.replace(",,", ",") for part in parts if os.path.isfile(part)})


def key_of(qemu):
    """What a saved machine depends on, as text: this boot of this machine, QEMU, our sources."""
    status = os.stat(qemu)
    digest = hashlib.sha256(f"{qemu} {status.st_size} {status.st_mtime_ns}".encode())
    paths = [os.path.join(SOURCES, name) for name in sorted(os.listdir(SOURCES))]
    for path in [*paths, os.path.realpath(__file__), "/proc/sys/kernel/random/boot_id"]:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def save(processors, folder, path):
    """Boots an emulated host and saves it as the file `path`."""
    ours, monitor = socket.socketpair()
    name = os.path.basename(path)
    with Machine(processors, folder, monitor=monitor) as machine:
        try:
            machine.run(lambda kind, *_: kind == FRAME_READY, BOOT_TIMEOUT_S)
        except HostFailed as error:
            raise UsageError(f"no emulated KVM host: it {error}; its last words:\n"
                             + machine.console.decode(errors="replace")) from None
        ours.sendall(f'migrate_set_parameter max-bandwidth 10G\nmigrate "exec:cat>{name}.new"\nquit\n'
                     .encode())
        machine.process.wait(BOOT_TIMEOUT_S)
    os.replace(f"{path}.new", path)


def saved(processors):
    """The file of an emulated host, made if need be, and the folder with what it booted from."""
    qemu = shutil.which(QEMU)
    if not qemu:
        raise UsageError(f"no emulated KVM host: {QEMU} is missing")
    deps = os.path.join(images.ROOT, os.environ.get("DEPS") or os.path.join("build", "deps"))
    folder = os.path.join(deps, "kvm-host")
    os.makedirs(deps, exist_ok=True)
    with open(os.path.join(deps, f"kvm-host-{processors}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = os.path.join(folder, f"saved-{processors}-{key_of(qemu)[:16]}")
        if not os.path.exists(path):
            fetch(deps)
            for name in os.listdir(folder):
                if name.startswith(f"saved-{processors}-"):
                    os.remove(os.path.join(folder, name))
            save(processors, folder, path)
        return open(path, "rb"), folder


def fetch(deps):
    done = subprocess.run([os.path.join(SOURCES, "fetch"), deps], stdin=subprocess.DEVNULL,
                          stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["tools/kvm-host/fetch failed"]
        raise UsageError(f"no emulated KVM host: {reason[0]}")


def missing(processors):
    """What this machine lacks for an emulated host, or None. Makes the host ready."""
    try:
        saved(processors)[0].close()
    except UsageError as error:
        return str(error)
    return None


def run_qemu(processors, arguments):
    """Runs QEMU in an emulated host; returns its exit status."""
    incoming, folder = saved(processors)
    status = None

    def handle(kind, value, data):
        nonlocal status
        if kind == FRAME_OUTPUT:
            write_all(value, data)
        elif kind == FRAME_END:
            status = value
        return kind == FRAME_END

    with incoming, Machine(processors, folder, incoming=incoming) as machine:
        try:
            for path in files_in(arguments):
                with open(path, "rb") as file:
                    machine.send(FRAME_FILE, os.fsencode(os.path.abspath(path)) + b"\0" + file.read())
                machine.run(lambda kind, *_: kind == FRAME_READY, SILENCE_TIMEOUT_S)
            # Not before the machine runs: it takes the time as that of the moment.
            words = [str(time.time_ns()), os.getcwd(), shutil.which(QEMU), *arguments]
            machine.send(FRAME_RUN, b"".join(os.fsencode(word) + b"\0" for word in words))
            machine.input = STDIN
            machine.run(handle, SILENCE_TIMEOUT_S)
        except HostFailed as error:
            print(f"kvm-host: the emulated host {error}; its last words:\n"
                  f"{machine.console.decode(errors='replace')}", file=sys.stderr)
            return QEMU_FAILED
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main(arguments):
    """The command tools/kvm-host/qemu [--processors N] ARGUMENTS-OF-QEMU."""
    processors = 1
    if arguments[:1] == ["--processors"] and len(arguments) > 1:
        processors, arguments = int(arguments[1]), arguments[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run_qemu(processors, arguments)
    except UsageError as error:
        print(f"kvm-host: {error}", file=sys.stderr)
        return QEMU_FAILED
