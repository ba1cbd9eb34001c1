"""A network namespace with a TAP device, a guest that runs in it while clients talk to it, and the
clients; or, to compare, a second namespace with a Linux process behind a veth device.

Everything happens in namespaces of the caller's own, so that runs do not meet each other nor the
machine's network:

    with Network() as network, network.guest(options, image, log) as guest:
        network.output("curl", "-sS", f"http://{network.GUEST}/")
"""
import itertools
import os
import re
import shutil
import subprocess
import time

from . import images
from .errors import Missing

PARVUS = os.path.join(images.ROOT, "tools", "parvus")
CLIENT_TIMEOUT_S = 300
BOOT_TIMEOUT_S = 180  # generous: it finds what hangs
counter = itertools.count()


def need(*programs):
    """Raises Missing without these programs."""
    for program in programs:
        if not shutil.which(program):
            raise Missing(f"{program} is missing")


class Network:
    """A namespace with one TAP device per interface of the guest; us at .1, the guest at .2."""

    HOST, GUEST, PREFIX = "10.77.0.1", "10.77.0.2", 24
    HOST6, GUEST6 = "fd77::1", "fd77::2"
    STATIC = f"ip={GUEST}/{PREFIX},{HOST},{HOST}"

    def __init__(self, addresses=True):
        self.name = f"parvus-{os.getpid()}-{next(counter)}"
        self.tap = "tap0"
        self.addresses = addresses

    def __enter__(self):
        if os.geteuid() != 0:
            raise Missing("network namespaces need root")
        if not os.path.exists("/dev/net/tun"):
            raise Missing("/dev/net/tun is missing")
        need("ip", "nsenter")
        made = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True)
        if made.returncode != 0:
            raise Missing(f"no network namespace: {made.stderr.strip()}")
        try:
            self.ip("link", "set", "lo", "up")
            self.add_device()
            if self.addresses:
                self.ip("address", "add", f"{self.HOST}/{self.PREFIX}", "dev", self.tap)
                self.ip("address", "add", f"{self.HOST6}/64", "dev", self.tap, "nodad")
            self.ip("link", "set", self.tap, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.name], check=False)

    def add_device(self):
        self.ip("tuntap", "add", self.tap, "mode", "tap", "vnet_hdr")

    def ip(self, *arguments):
        done = subprocess.run(["ip", "-n", self.name, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def inside(self, *words):
        """A command line that runs in the namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *words]

    def run(self, *words, timeout=CLIENT_TIMEOUT_S, text=True, **keywords):
        """Runs a client to its end: (status, standard output, standard error)."""
        need(words[0])
        done = subprocess.run(self.inside(*words), stdin=keywords.pop("stdin", subprocess.DEVNULL),
                              capture_output=True, text=text, timeout=timeout, **keywords)
        return done.returncode, done.stdout, done.stderr

    def output(self, *words, **keywords):
        """The standard output of a client that must succeed."""
        status, output, errors = self.run(*words, **keywords)
        assert status == 0, f"{' '.join(words)}: status {status}: {errors or output}"
        return output

    def start(self, *words, **keywords):
        """Starts a client or server; the caller ends it (`with`)."""
        need(words[0])
        return Process(self.inside(*words), **keywords)

    def guest(self, options, image, log, arguments=(), parameters=()):
        """A guest on this network; see Guest. options: of tools/parvus run."""
        words = [PARVUS, "run", *options, "--net", f"tap:{self.tap}"]
        parameters = " ".join(parameters or (self.STATIC, f"ip6={self.GUEST6}/64"))
        words += ["--append", parameters, image]
        if arguments:
            words += ["--", *arguments]
        return Guest(self.inside(*words), log)


class LinuxNetwork(Network):
    """The same with a second namespace in the guest's place, where Linux processes serve."""

    def add_device(self):
        self.server = f"{self.name}-server"
        subprocess.run(["ip", "netns", "add", self.server], check=True)
        self.ip("link", "add", self.tap, "type", "veth", "peer", "name", "eth0", "netns", self.server)
        for words in (["address", "add", f"{self.GUEST}/{self.PREFIX}", "dev", "eth0"],
                      ["address", "add", f"{self.GUEST6}/64", "dev", "eth0", "nodad"],
                      ["link", "set", "lo", "up"], ["link", "set", "eth0", "up"]):
            subprocess.run(["ip", "-n", self.server, *words], check=True)

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.server], check=False)
        super().__exit__()

    def serve(self, words, log):
        """Starts a server there."""
        return Process(["nsenter", f"--net=/run/netns/{self.server}", "--", *words], log)


class Process:
    """A program that runs beside the test, its output in a file; `with` ends it."""

    def __init__(self, words, log=None):
        self.words = words
        self.log = log

    def __enter__(self):
        output = open(self.log, "wb") if self.log else subprocess.DEVNULL
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=output,
                                        stderr=subprocess.STDOUT, cwd=images.ROOT)
        if self.log:
            output.close()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read().replace("\r\n", "\n")

    def wait_for(self, pattern, timeout=BOOT_TIMEOUT_S):
        """Until the output matches; returns the match."""
        deadline = time.monotonic() + timeout
        while True:
            has_ended = self.process.poll() is not None
            text = self.text()
            match = re.search(pattern, text, re.MULTILINE)
            if match:
                return match
            assert not has_ended, f"it ended with {self.process.returncode}: {text[-2000:]}"
            assert time.monotonic() < deadline, f"no /{pattern}/ in: {text[-2000:]}"
            time.sleep(0.02)


class Guest(Process):
    """A guest that runs beside the test."""

    def is_alive(self):
        return self.process.poll() is None

    def wait(self, timeout=BOOT_TIMEOUT_S):
        """Its exit status, when it ends by itself."""
        return self.process.wait(timeout)
