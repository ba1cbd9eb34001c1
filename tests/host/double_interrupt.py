"""An interrupt that arrives a second time at the first instruction of its handler, in ring 0 with interrupts off, as
some KVMs inject it: it goes back to where it came from. Here gdb's stub does what such a KVM does."""
import os
import re
import struct
import subprocess
import tempfile

import gdb
import hosts
from framework import BOOT_TIMEOUT_S, FAILED, LOGS, PARVUS, Result, app_image, command, register, suite_results
from parvuslib.images import ROOT

TIMES = 20


def timer_entry():
    """Where the timer's interrupt enters the hypervisor."""
    with open(os.path.join(ROOT, "pv", "hypervisor", "offsets.h"), encoding="utf-8") as file:
        vector = int(re.search(r"^#define VECTOR_TIMER (\w+)$", file.read(), re.MULTILINE)[1], 0)
    _, symbols = command(["nm", f"{app_image('guest')}.debug"])
    stubs = int(re.search(r"^(\w+) T vector_stubs$", symbols, re.MULTILINE)[1], 16)
    return stubs + vector * 16


def interrupt_again(cpu):
    """What the processor does for an interrupt of the same ring (Intel SDM vol. 3A, 6.14.2)."""
    values = cpu.registers()
    frame = struct.pack("<QQQQQ", values["rip"], values["cs"], values["eflags"], values["rsp"], values["ss"])
    values["rsp"] = (values["rsp"] & -16) - len(frame)
    cpu.write(values["rsp"], frame)
    cpu.set_registers(values)


def interrupt_twice(cpu, entry):
    cpu.ask("?")
    cpu.breakpoint(entry, True)
    for _ in range(TIMES):
        cpu.go()
        cpu.wait()
        assert cpu.registers()["rip"] == entry, f"it stopped at {cpu.registers()['rip']:#x}, not at {entry:#x}"
        interrupt_again(cpu)
    cpu.breakpoint(entry, False)
    cpu.go()


def run(host):
    test_id = "double-interrupt"
    log = os.path.join(LOGS, f"{test_id}.{host}.log")
    os.makedirs(LOGS, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open(log, "w", encoding="utf-8") as file:
        path = os.path.join(folder, "gdb")
        child = subprocess.Popen([PARVUS, "run", *hosts.OPTIONS[host], "--timeout", str(BOOT_TIMEOUT_S),
                                  "--qemu", f"-S -gdb unix:{path},server=on,wait=off", app_image("guest"), "--",
                                  "time", "sleep"],
                                 stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        try:
            interrupt_twice(gdb.Cpu(path, BOOT_TIMEOUT_S), timer_entry())
            status = child.wait(BOOT_TIMEOUT_S)
        except (AssertionError, OSError) as error:
            return [Result(test_id, FAILED, repr(error), log)]
        finally:
            child.terminate()
            child.wait()
    with open(log, encoding="utf-8", errors="replace") as file:
        return suite_results(test_id, status, file.read().replace("\r\n", "\n"), log)


register("double-interrupt", "An interrupt that comes twice, at the first instruction of its handler, does no harm.",
         hosts.ONE, run)
