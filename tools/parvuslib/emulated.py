"""Emulated hosts: machines of QEMU's TCG in which a small Linux runs one command, as if it ran here.

A host boots once (seconds) and is then kept as a file, from which each run starts a machine of its
own (0.2 s): no run sees what another left behind, and several may run at once. The file is for one
QEMU and one boot of this machine, whose TSC the emulated one uses; a few are kept of each host, as
trees that differ may share a folder of dependencies. tools/emulated/init.c is the partner inside;
frames on a virtio-serial port connect the two: files that the command needs, its standard input,
output to /dev/fd/N and its exit status are as they would be here.

Callers: nested.py (a host with KVM), xen.py (one with Xen).
"""
import fcntl
import hashlib
import os
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

SOURCES = os.path.join(images.ROOT, "tools", "emulated")
QEMU = "qemu-system-x86_64"

# Generous: they find what hangs, on any machine, however slow and busy.
BOOT_TIMEOUT_S = 300
SILENCE_TIMEOUT_S = 120

# Frames; tools/emulated/init.c has the same.
HEADER = struct.Struct("<III")
FRAME_FILE, FRAME_RUN, FRAME_INPUT = 1, 2, 3
FRAME_READY, FRAME_ALIVE, FRAME_OUTPUT, FRAME_END = 16, 17, 18, 19

KEPT = 4  # saved machines of each host
CHUNK_BYTES = 16384
LAST_BYTES = 4096  # of the emulated host's own console, shown when it fails
STDIN = 0


class HostFailed(Exception):
    """The emulated host ended or fell silent; the message says which."""


class Host:
    """One kind of emulated host, a folder of the dependencies from which it boots."""

    def __init__(self, name, label, folder, sources, machine, boot, fetch):
        """name: of its saved file. label: for messages. sources: files and folders that it is made
        from. machine: options of QEMU. boot: more of them, relative to the folder, to boot from it.
        fetch: the command that makes the folder, whose last line tells why it could not."""
        self.name = name
        self.label = label
        self.folder = os.path.join(deps_folder(), folder)
        self.sources = sources
        self.machine = machine
        self.boot = boot
        self.fetch = fetch

    def failure(self, reason):
        return UsageError(f"no {self.label}: {reason}")

    def make_folder(self):
        done = subprocess.run(self.fetch, stdin=subprocess.DEVNULL, stdout=sys.stderr,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or [f"{self.fetch[0]} failed"]
            raise self.failure(reason[0])


def deps_folder():
    return os.path.join(images.ROOT, os.environ.get("DEPS") or os.path.join("build", "deps"))


class Machine:
    """One emulated host. `incoming` is the file that it starts from; without one it boots."""

    def __init__(self, host, incoming=None, monitor=None):
        self.port, port = socket.socketpair()
        command = [
            QEMU, *host.machine, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-serial", "stdio", *host.boot, "-device", "virtio-serial-pci",
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
                                        cwd=host.folder)
        port.close()
        self.port.setblocking(False)
        self.console = b""
        self.console_copy = None  # a file descriptor
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
        if self.console_copy is not None:
            write_all(self.console_copy, chunk)

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


def files_below(path):
    if not os.path.isdir(path):
        return [path]
    return [os.path.join(path, name) for name in sorted(os.listdir(path))]


def key_of(host, qemu):
    """What a saved machine depends on, as text: this boot of this machine, QEMU, our sources."""
    status = os.stat(qemu)
    text = f"{qemu} {status.st_size} {status.st_mtime_ns} {host.machine} {host.boot}"
    digest = hashlib.sha256(text.encode())
    for source in [*host.sources, SOURCES, os.path.realpath(__file__),
                   "/proc/sys/kernel/random/boot_id"]:
        for path in files_below(source):
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()


def save(host, path):
    """Boots an emulated host and saves it as the file `path`."""
    ours, monitor = socket.socketpair()
    name = os.path.basename(path)
    with Machine(host, monitor=monitor) as machine:
        try:
            machine.run(lambda kind, *_: kind == FRAME_READY, BOOT_TIMEOUT_S)
        except HostFailed as error:
            raise host.failure(f"it {error}; its last words:\n"
                               + machine.console.decode(errors="replace")) from None
        ours.sendall(f'migrate_set_parameter max-bandwidth 10G\nmigrate "exec:cat>{name}.new"\nquit\n'
                     .encode())
        machine.process.wait(BOOT_TIMEOUT_S)
    os.replace(f"{path}.new", path)


def remove_old(host):
    """Removes saved machines but for those that were used last. Who runs one has its file open."""
    paths = [os.path.join(host.folder, name) for name in os.listdir(host.folder)
             if name.startswith(f"saved-{host.name}-")]
    for path in sorted(paths, key=os.path.getmtime, reverse=True)[KEPT:]:
        os.remove(path)


def saved(host):
    """The file of an emulated host, made if need be."""
    qemu = shutil.which(QEMU)
    if not qemu:
        raise host.failure(f"{QEMU} is missing")
    os.makedirs(deps_folder(), exist_ok=True)
    # One at a time makes the folder and boots from it.
    with open(f"{host.folder}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = os.path.join(host.folder, f"saved-{host.name}-{key_of(host, qemu)[:16]}")
        if not os.path.exists(path):
            host.make_folder()
            save(host, path)
            remove_old(host)
        os.utime(path)
        return open(path, "rb")


def missing(host):
    """What this machine lacks for the host, or None. Makes it ready."""
    try:
        saved(host).close()
    except UsageError as error:
        return str(error)
    return None


def run(host, files, words, console=None):
    """Runs a command (its words) in an emulated host that has `files`, with our standard input and
    outputs; returns its exit status. The host's own console goes to the file descriptor `console`."""
    status = None

    def handle(kind, value, data):
        nonlocal status
        if kind == FRAME_OUTPUT:
            write_all(value, data)
        elif kind == FRAME_END:
            status = value
        return kind == FRAME_END

    with saved(host) as incoming, Machine(host, incoming=incoming) as machine:
        machine.console_copy = console
        try:
            for path in files:
                with open(path, "rb") as file:
                    machine.send(FRAME_FILE, os.fsencode(os.path.abspath(path)) + b"\0" + file.read())
                machine.run(lambda kind, *_: kind == FRAME_READY, SILENCE_TIMEOUT_S)
            # Not before the machine runs: it takes the time as that of the moment.
            words = [str(time.time_ns()), os.getcwd(), *words]
            machine.send(FRAME_RUN, b"".join(os.fsencode(word) + b"\0" for word in words))
            machine.input = STDIN
            machine.run(handle, SILENCE_TIMEOUT_S)
        except HostFailed as error:
            print(f"parvus: the {host.label} {error}; its last words:\n"
                  f"{machine.console.decode(errors='replace')}", file=sys.stderr)
            return QEMU_FAILED
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main(run_arguments, arguments):
    """A command: exits with what run_arguments(arguments) returns."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run_arguments(arguments)
    except UsageError as error:
        print(f"parvus: {error}", file=sys.stderr)
        return QEMU_FAILED
