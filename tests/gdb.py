"""A virtual CPU through QEMU's gdb stub (-gdb unix:PATH,server=on,wait=off): registers, memory, breakpoints, by GDB's
Remote Serial Protocol. Addresses are virtual; errors of the stub are assertions."""
import socket
import struct
import time

# The order of GDB's x86-64 target: sixteen registers of 8 bytes, rip; then eflags and six selectors of 4.
WIDE = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)), "rip")
NARROW = ("eflags", "cs", "ss", "ds", "es", "fs", "gs")
FORM = f"<{len(WIDE)}Q{len(NARROW)}I"


class Cpu:
    def __init__(self, path, timeout_s):
        deadline = time.monotonic() + timeout_s
        while True:
            self.connection = socket.socket(socket.AF_UNIX)
            try:
                self.connection.connect(path)
                break
            except OSError:
                self.connection.close()
                assert time.monotonic() < deadline, "QEMU made no socket"
                time.sleep(0.02)
        self.connection.settimeout(timeout_s)
        self.input = self.connection.makefile("rb")

    def send(self, text):
        self.connection.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())

    def receive(self):
        while (byte := self.input.read(1)) != b"$":
            assert byte == b"+", f"the stub said {byte!r}"
        text = b"".join(iter(lambda: self.input.read(1), b"#")).decode()
        self.input.read(2)
        self.connection.sendall(b"+")
        return text

    def ask(self, text):
        self.send(text)
        answer = self.receive()
        assert not answer.startswith("E"), f"{text}: {answer}"
        return answer

    def registers(self):
        self.rest = bytes.fromhex(self.ask("g"))  # there are more behind these
        return dict(zip(WIDE + NARROW, struct.unpack_from(FORM, self.rest)))

    def set_registers(self, values):
        packed = struct.pack(FORM, *(values[name] for name in WIDE + NARROW))
        self.ask("G" + (packed + self.rest[len(packed):]).hex())

    def write(self, address, data):
        self.ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def breakpoint(self, address, is_set):
        self.ask(f"{'Z' if is_set else 'z'}1,{address:x},1")

    def go(self):
        self.send("c")

    def wait(self):
        answer = self.receive()
        assert answer.startswith("T05"), answer
