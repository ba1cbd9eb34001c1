"""Counts a guest's instructions from place to place, without its help.

QEMU under -icount numbers every instruction from power-on; its record mode tells the number
(`info replay`), and its gdb stub stops at addresses. Both are exact and do not disturb each other:
a count is the same in every run and with any set of stops.
"""
import json
import re
import socket
import subprocess
import time

CONNECT_TIMEOUT_S = 30
REPLY_TIMEOUT_S = 300


class QemuError(Exception):
    """QEMU ended or answered something else than expected."""


class Counter:
    """One stopped machine. `command` is a QEMU command line with -icount shift=0,sleep=off; `folder`
    is for its sockets. To be used in a `with`."""

    def __init__(self, command, folder):
        command = [f"{word},rr=record,rrfile={folder}/record" if word.startswith("shift=") else word
                   for word in command]
        self.process = subprocess.Popen(
            command + ["-S", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
                       "-gdb", f"unix:{folder}/gdb,server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.monitor = self.connect(f"{folder}/qmp").makefile("rw", encoding="utf-8")
        self.monitor.readline()  # the greeting
        self.execute("qmp_capabilities")
        self.stub = self.connect(f"{folder}/gdb")
        self.stops = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def connect(self, path):
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(REPLY_TIMEOUT_S)
                connection.connect(path)
                return connection
            except OSError:
                time.sleep(0.01)
        self.process.kill()
        raise QemuError(self.process.stderr.read().decode(errors="replace").strip())

    def execute(self, name, **arguments):
        """One QMP command; returns what it returns."""
        self.monitor.write(json.dumps({"execute": name, "arguments": arguments}))
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline() or '{"error": "QEMU ended"}')
            if "error" in answer:
                raise QemuError(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def count(self):
        """Instructions executed since power-on."""
        text = self.execute("human-monitor-command", **{"command-line": "info replay"})
        return int(re.search(r"instruction count = ([0-9]+)", text)[1])

    def packet(self, text):
        """One exchange with the gdb stub; None when QEMU has ended."""
        try:
            self.stub.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) & 0xFF))
            received = b""
            while not (match := re.search(rb"\$([^#]*)#..", received)):
                chunk = self.stub.recv(4096)
                if not chunk:
                    return None
                received += chunk
            self.stub.sendall(b"+")
        except (BrokenPipeError, ConnectionResetError):
            return None
        return match[1].decode()

    def stop_at(self, address):
        self.stops.add(address)
        self.packet(f"Z1,{address:x},1")

    def forget(self, address):
        self.stops.discard(address)
        self.packet(f"z1,{address:x},1")

    def run(self):
        """Runs to the next stop; returns its address, or None when the machine has ended."""
        address = self.address()
        if address in self.stops:  # it would stop right here again
            self.packet(f"z1,{address:x},1")
            stepped = self.packet("s")
            self.packet(f"Z1,{address:x},1")
            if stepped is None:
                return None
            if self.address() in self.stops:
                return self.address()
        answer = self.packet("c")
        return self.address() if answer and answer.startswith("T") else None

    def address(self):
        """The instruction pointer: register 16 of gdb's x86-64."""
        registers = self.packet("g")
        if registers is None:
            return None
        return int.from_bytes(bytes.fromhex(registers[16 * 16:17 * 16]), "little")
