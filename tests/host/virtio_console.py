"""The virtio console as the application's (console=virtio): whole in both directions.

Output is taken by a file: QEMU's virtconsole drops what a socket does not take at once.
"""
import os
import random
import socket
import subprocess
import tempfile
import time

import hosts
from framework import BOOT_TIMEOUT_S, PARVUS, app_image, boot, test

MMIO = ["tcg-microvm", "kvm-microvm"]
PCI = ["tcg-q35", "xen-dom0"]
LINES = [f"line {i} of a text that is longer than any buffer on its way" for i in range(5000)]
END_OF_INPUT = b"\x04"


def device(host, chardev):
    bus = ("-global virtio-mmio.force-legacy=false -device virtio-serial-device" if host in MMIO
           else "-device virtio-serial-pci,disable-legacy=on")
    return f"-chardev {chardev},id=c {bus} -device virtconsole,chardev=c,nr=0"


def start(host, chardev, end):
    """`guest --crash END` with its console on a virtio device."""
    words = [PARVUS, "run", *hosts.OPTIONS[host], "--timeout", "600", "--append", "console=virtio",
             "--qemu", device(host, chardev), app_image("guest"), "--", "--crash", end]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def finish(process):
    """Its status, and what was on the hypervisor's console."""
    with process:
        console = process.stdout.read().decode(errors="replace").replace("\r\n", "\n")
    return process.returncode, console


def output_of(host, folder, end):
    """Status, the hypervisor's console, the device's."""
    path = os.path.join(folder, "console")
    status, console = finish(start(host, f"file,path={path}", end))
    with open(path, encoding="utf-8", errors="replace") as file:
        return status, console, file.read()


def connect(path):
    """QEMU makes the socket and waits for us."""
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            connection.settimeout(BOOT_TIMEOUT_S)
            return connection
        except OSError:
            connection.close()
            assert time.monotonic() < deadline, "QEMU made no socket"
            time.sleep(0.02)


@test("virtio-console-output", "All output goes to the device, and nowhere else.", MMIO + PCI)
def check_output(host, folder):
    status, hypervisor, device_output = output_of(host, folder, "output_then_exit")
    assert status == 9, (status, hypervisor)
    assert device_output.splitlines() == LINES, f"{len(device_output.splitlines())} lines"
    assert "line " not in hypervisor and "warning" not in hypervisor, hypervisor


@test("virtio-console-panic", "A panic is reported on the hypervisor's console.", MMIO)
def check_panic(host, folder):
    status, hypervisor, device_output = output_of(host, folder, "output_then_panic")
    assert status == 134 and "parvus: panic: " in hypervisor, (status, hypervisor)
    assert device_output.splitlines() == LINES, f"{len(device_output.splitlines())} lines"


@test("virtio-console-input", "All of a long input arrives, in order.", MMIO + PCI)
def check_input(host):
    text = random.Random(1).randbytes(100000).hex().encode()
    total = 0
    for byte in text:
        total = (total * 31 + byte) % 1000000007
    with tempfile.TemporaryDirectory() as short_path:  # of sockets
        path = os.path.join(short_path, "console")
        process = start(host, f"socket,path={path},server=on,wait=on", "sum_of_input")
        with connect(path) as connection:
            connection.sendall(text + END_OF_INPUT)
            device_output = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        status, hypervisor = finish(process)
    assert status == 0, (status, hypervisor)
    assert device_output.strip() == f"input: {len(text)} bytes, sum {total}", device_output


for value, message in (("virtio", "there is no such device"), ("vga", "there is only console=virtio")):
    boot(f"virtio-console-not-{value}", f"console={value} where there is none: a warning, and the hypervisor's.",
         app="hello", options=["--append", f"console={value}"],
         console=[rf"^parvus: warning: console={value}: {message}; the hypervisor's is used$", r"^Hello from Parvus"])
