"""Endings as QEMU reports them itself, and one that no guest can bring about: a fault in the
hypervisor. tests/host/crashes.py has the others, as `tools/parvus run` reports them."""
import os
import re
import shutil
import subprocess

from framework import (FAILED, LOGS, PARVUS, PASSED, Result, app_image, command, mismatch, parvus,
                       register, scratch, test)

# isa-debug-exit makes 2 * value + 1 of what it is told (boot/layout.h, DEBUG_EXIT_*).
STATUSES = [
    ("an exit with 0", 1, [], ["--crash", "return_0"]),
    ("an exit with 7", 15, [], ["--crash", "return_7"]),
    ("a larger status", 255, [], ["--crash", "return_255"]),
    ("a crash", 227, [], ["--crash", "null_read"]),
    ("a guest ended by the hypervisor", 227, [], ["--crash", "no_trap_handlers"]),
    ("no memory", 229, ["--append", "stack=1G"], []),
    ("the hypervisor gave up", 225, ["--append", "clock=sundial"], []),
]


@test("end-qemu-status", "QEMU's own exit status tells the endings apart, too.")
def check_statuses():
    for what, expected, options, arguments in STATUSES:
        words = [PARVUS, "run", "--accel", "tcg", "--dry-run", *options, app_image("guest")]
        status, line = command(words + (["--", *arguments] if arguments else []))
        assert status == 0, line
        status, output = command(["sh", "-c", line])
        assert status == expected, f"{what}: {status} instead of {expected}: {output}"


def symbol(file, name):
    symbols = subprocess.run(["nm", file], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^(\w+) \w {name}$", symbols, re.MULTILINE)[1], 16)


def patched_image(folder, function, code):
    """A copy of hello's image with `code` at the beginning of a function of the hypervisor."""
    image = app_image("hello")
    copy = os.path.join(scratch(folder), "hello.img")
    shutil.copy(image, copy)
    shutil.copy(f"{image}.debug", f"{copy}.debug")
    address = symbol(f"{image}.debug", function)
    headers = subprocess.run(["readelf", "-lW", image], capture_output=True, text=True,
                             check=True).stdout
    for offset, virtual, bytes_ in re.findall(r"LOAD +(\w+) (\w+) \w+ (\w+)", headers):
        if 0 <= address - int(virtual, 16) < int(bytes_, 16):
            with open(copy, "r+b") as file:
                file.seek(int(offset, 16) + address - int(virtual, 16))
                file.write(code)
            return copy
    raise AssertionError(f"{function} is in no segment of {image}")


def hypervisor_fault(host):
    """ud2 where the first hypercall of every guest leads."""
    log = os.path.join(LOGS, f"end-hypervisor-fault.{host}.log")
    image = patched_image(f"hypervisor-fault-{host}", "hypercall_xen_version", b"\x0f\x0b")
    status, console = parvus(host, image, log=log, leaks=True)
    problem = mismatch(console, [
        r"^parvus: fault in the hypervisor: exception 6, ", r"^  rip 0xffff83",
        r"^  #0 0xffff83\w+ hypercall_xen_version\+0x0 .*version\.c:\d+$",
        r"^parvus: the hypervisor gave up: .*\(status 126\)$"], ["Hello"])
    if status != 126:
        problem = f"status {status} instead of 126"
    return [Result("end-hypervisor-fault", FAILED, problem, log) if problem
            else Result("end-hypervisor-fault", PASSED)]


def hypervisor_overflow(host):
    """A call of itself there: the stack runs into the unmapped page below it."""
    log = os.path.join(LOGS, f"end-hypervisor-overflow.{host}.log")
    image = patched_image(f"hypervisor-overflow-{host}", "hypercall_xen_version",
                          b"\xe8\xfb\xff\xff\xff")
    status, console = parvus(host, image, log=log, leaks=True)
    guard = symbol(f"{app_image('hello')}.debug", "boot_cpu_guard")
    problem = mismatch(console, [
        r"^parvus: fault in the hypervisor: exception 8, ",
        rf"^  rip 0x\w+ rsp {guard + 4096:#x} .* cr2 {guard + 4096 - 8:#x} ",
        r"^parvus: the hypervisor gave up: .*\(status 126\)$"], ["Hello"])
    if status != 126:
        problem = f"status {status} instead of 126"
    return [Result("end-hypervisor-overflow", FAILED, problem, log) if problem
            else Result("end-hypervisor-overflow", PASSED)]


register("end-hypervisor-overflow", "An overflow of the hypervisor's stack hits its guard page.",
         ["tcg-microvm"], hypervisor_overflow)
register("end-hypervisor-fault", "A fault in the hypervisor is reported with registers and place.",
         ["tcg-microvm", "kvm-microvm"], hypervisor_fault)
