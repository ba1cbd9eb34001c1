"""What network tests are made of: a network namespace with a TAP device, a guest that runs in it
while clients talk to it, and the clients.

Everything happens in a namespace of the test's own, so that tests do not meet each other nor the
machine's network:

    with Network() as network, network.guest(host, "httpd", folder) as guest:
        network.command("curl", "-sS", f"http://{network.GUEST}/")
"""
import itertools
import os
import re
import shutil
import subprocess
import time

import hosts as host_table
from framework import BOOT_TIMEOUT_S, PARVUS, Skip, app_image
from parvuslib import images

CLIENT_TIMEOUT_S = 300
counter = itertools.count()


def need(*programs):
    """A test that uses these programs is skipped without them."""
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is missing")


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
            raise Skip("network namespaces need root")
        if not os.path.exists("/dev/net/tun"):
            raise Skip("/dev/net/tun is missing")
        need("ip", "nsenter")
        made = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True)
        if made.returncode != 0:
            raise Skip(f"no network namespace: {made.stderr.strip()}")
        try:
            self.ip("link", "set", "lo", "up")
            self.ip("tuntap", "add", self.tap, "mode", "tap", "vnet_hdr")
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

    def guest(self, host, app, folder, arguments=(), options=(), parameters=()):
        """A guest on this network; see Guest."""
        words = [PARVUS, "run", *host_table.OPTIONS[host], "--net", f"tap:{self.tap}", *options]
        parameters = " ".join(parameters or (self.STATIC, f"ip6={self.GUEST6}/64"))
        words += ["--append", parameters, app_image(app)]
        if arguments:
            words += ["--", *arguments]
        return Guest(self.inside(*words), os.path.join(folder, f"{app}.log"))


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
