"""One run of QEMU: starts it, connects the console, and turns its end into an exit status.

The hypervisor writes how the guest ended as a line to a port that QEMU forwards to a pipe of ours:
`exit STATUS`, `crash`, `oom` or `hypervisor`; before that, `console` once input is heard. Without
an end QEMU failed, whatever its status.
"""
import os
import selectors
import signal
import subprocess
import sys
import time

from . import qemu
from .console import Filter
from .errors import (CRASHED, INTERRUPTED, OUT_OF_MEMORY, QEMU_FAILED, REFUSED, TIME_OUT)

CHUNK_BYTES = 65536
KVM_ERROR = b"KVM internal error"
INPUT_IS_HEARD = b"console\n"  # the hypervisor's line; what comes earlier the serial port loses
END_OF_INPUT = b"\x04"  # what a terminal sends for it; a serial line has no other


def report(message):
    print(f"parvus: {message}", file=sys.stderr, flush=True)


def interrupt(*_):
    raise KeyboardInterrupt


class Session:
    def __init__(self, command, symbols, timeout, input_at_once=False):
        """input_at_once: on a host that does not say when it begins to hear its console."""
        self.command = command
        self.console = Filter(symbols)
        self.timeout = timeout
        self.input_at_once = input_at_once
        self.selector = selectors.DefaultSelector()
        self.exit_text = b""
        self.messages = b""
        self.input = b""

    def run(self):
        """Returns the exit status of the run, after a message for every ending but the
        application's own."""
        # QEMU runs in a session of its own: whatever ends us has to end it too.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        exit_read, exit_write = os.pipe()
        try:
            self.process = subprocess.Popen(
                self.command + self.exit_line_options(exit_write), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[exit_write],
                start_new_session=True, bufsize=0)
        except OSError as error:
            report(f"QEMU failed: {self.command[0]}: {error.strerror} (status {QEMU_FAILED})")
            return QEMU_FAILED
        finally:
            os.close(exit_write)
        try:
            has_ended = self.forward(exit_read)
        except KeyboardInterrupt:
            report(f"interrupted (status {INTERRUPTED})")
            return INTERRUPTED
        except BrokenPipeError:
            report(f"nobody reads the console any more (status {INTERRUPTED})")
            return INTERRUPTED
        finally:
            self.kill()
            os.close(exit_read)
        if not has_ended:
            report(f"time-out after {self.timeout:g} s (status {TIME_OUT})")
            return TIME_OUT
        return self.status()

    def exit_line_options(self, fd):
        return qemu.exit_line_options(fd)

    def kill(self):
        """Ends QEMU and whatever it started; harmless when it has ended by itself."""
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def forward(self, exit_read):
        """Passes console and input through until QEMU ends (True) or time is over (False)."""
        deadline = time.monotonic() + self.timeout if self.timeout else None
        self.selector.register(self.process.stdout, selectors.EVENT_READ, self.show_output)
        self.selector.register(self.process.stderr, selectors.EVENT_READ, self.show_message)
        self.selector.register(exit_read, selectors.EVENT_READ, self.read_exit_line)
        os.set_blocking(self.process.stdin.fileno(), False)
        if self.input_at_once:
            self.watch_input()
        self.open_outputs = 3
        while self.open_outputs:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            for key, _ in self.selector.select(left):
                key.data(key.fd)
        self.show(self.console.release())
        self.process.wait()
        return True

    def watch_input(self):
        # Regular files cannot be polled, and need not be: they are always ready.
        self.stdin = sys.stdin.fileno() if sys.stdin else None
        if self.stdin is None:
            return
        try:
            self.selector.register(self.stdin, selectors.EVENT_READ, self.read_input)
        except PermissionError:
            with open(self.stdin, "rb", closefd=False) as file:
                text = file.read()
            self.stdin = None
            self.send(text + END_OF_INPUT)

    def read_input(self, fd):
        """Reads no more until QEMU has taken this."""
        self.selector.unregister(fd)
        chunk = os.read(fd, CHUNK_BYTES)
        if not chunk:
            self.stdin = None
        self.send(chunk or END_OF_INPUT)

    def send(self, text):
        self.input = text
        self.selector.register(self.process.stdin, selectors.EVENT_WRITE, self.write_input)

    def write_input(self, fd):
        try:
            self.input = self.input[os.write(fd, self.input):]
        except BrokenPipeError:  # QEMU is ending
            self.input = b""
            self.stdin = None
        if not self.input:
            self.selector.unregister(fd)
            if self.stdin is not None and self.stdin not in self.selector.get_map():
                self.watch_input()

    def show_output(self, fd):
        chunk = os.read(fd, CHUNK_BYTES)
        if chunk:
            self.show(self.console.feed(chunk))
        else:
            self.close(fd)

    def show(self, text):
        while text:
            text = text[os.write(sys.stdout.fileno(), text):]

    def show_message(self, fd):
        """What QEMU says. On an internal error of KVM it would stop the machine and wait."""
        chunk = os.read(fd, CHUNK_BYTES)
        if not chunk:
            self.close(fd)
            return
        sys.stderr.buffer.write(chunk)
        sys.stderr.flush()
        self.messages = (self.messages + chunk)[-CHUNK_BYTES:]
        if KVM_ERROR in self.messages and b"Code=" in self.messages:
            self.kill()

    def read_exit_line(self, fd):
        chunk = os.read(fd, CHUNK_BYTES)
        was_heard = self.input_at_once or INPUT_IS_HEARD in self.exit_text
        self.exit_text += chunk
        if INPUT_IS_HEARD in self.exit_text and not was_heard:
            self.watch_input()
        if not chunk:
            self.close(fd)

    def close(self, fd):
        self.selector.unregister(fd)
        self.open_outputs -= 1

    def status(self):
        words = self.exit_text.decode("ascii", "replace").split()
        if len(words) >= 2 and words[-2] == "exit" and words[-1].isdecimal():
            return int(words[-1]) & 0xFF
        ending = words[-1] if words else ""
        endings = {
            "crash": (CRASHED, "the guest crashed"),
            "oom": (OUT_OF_MEMORY, "the guest ran out of memory: try a larger --mem"),
            "hypervisor": (REFUSED, "the hypervisor gave up: its message stands above"),
        }
        status, message = endings.get(ending, (
            QEMU_FAILED, f"QEMU failed: it ended with {self.process.returncode} and the guest "
                         "left no exit status"))
        report(f"{message} (status {status})")
        return status
