"""A guest as a domU of the real Xen: what xl sees of it, and its console."""
import os
import random
import subprocess

import hosts
from framework import (FAILED, LOGS, PARVUS, PASSED, Result, app_image, boot, parvus, register,
                       scratch)

DOMU = ["xen-domu"]
LINES = [f"line {i} of a text that is longer than any buffer on its way" for i in range(5000)]


def xl_sees(state):
    """Commands for dom0: wait until xl shows the guest in a state, and show it."""
    return ["--dom0", f"until xl list guest | grep -q -e '{state}'; do sleep 0.1; done; xl list guest"]


boot("domu-shutdown", "xl sees the ordinary end of a guest as a shutdown.", app="guest", hosts=DOMU,
     arguments=["--crash", "return_7"], options=xl_sees("---s--"), status=7,
     console=[r"^guest +[0-9]+ +64 +1 +---s-- "])
boot("domu-crash", "xl sees a panic as a crash.", app="guest", hosts=DOMU,
     arguments=["--crash", "null_read"], options=xl_sees("---sc-"), status=134,
     console=[r"^guest +[0-9]+ +64 +1 +---sc- ", r"the guest crashed \(status 134\)$"])
boot("domu-killed", "xl sees a guest that Xen ended as a crash; Xen's own words are shown.",
     app="guest", hosts=DOMU, arguments=["--crash", "stack_pointer_lost"], options=xl_sees("---sc-"),
     status=134, console=[r"^guest +[0-9]+ +64 +1 +---sc- ", r"the guest crashed \(status 134\)$"])
boot("domu-killed-words", "What Xen says about a guest that it ended is shown, with the place.",
     app="guest", hosts=DOMU, arguments=["--crash", "output_then_killed"], status=134,
     console=[r"^\(XEN\) Domain [0-9]+ \(vcpu#0\) crashed",
              r"^  #0 0x\w+ output_then_killed\+0x\w+ .*crash\.c:"])
boot("domu-destroyed", "A guest that xl destroys leaves no exit status.", app="guest", hosts=DOMU,
     arguments=["--crash", "hang"], options=["--dom0", "xl destroy guest"], status=125,
     console=[r"^parvus: QEMU failed: .* left no exit status"])

def check_refused(host):
    path = os.path.join(scratch("domu"), "no-guest.elf")
    with open(path, "w", encoding="ascii") as file:
        file.write("no ELF")
    status, text = parvus(host, path)
    if status == 126 and "libxl: error:" in text:
        return [Result("domu-refused", PASSED)]
    return [Result("domu-refused", FAILED, f"status {status}: {text[-500:]}")]


register("domu-refused", "What xl cannot start is refused with xl's words.", DOMU, check_refused)


def complete(test_id, sentence, end, status):
    """The guest's output is complete, in order, however it ended."""
    def run(host):
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        got, text = parvus(host, app_image("guest"), ["--crash", end], log=log)
        lines = [line for line in text.splitlines() if line.startswith("line ")]
        if got == status and lines == LINES:
            return [Result(test_id, PASSED)]
        return [Result(test_id, FAILED, f"status {got}, {len(lines)} lines instead of 5000", log)]
    register(test_id, sentence, hosts.ONE + list(hosts.XEN), run)


complete("console-exit", "All output before an exit arrives.", "output_then_exit", 9)
complete("console-panic", "All output before a panic arrives.", "output_then_panic", 134)
complete("console-killed", "All output arrives though the hypervisor ends the guest.",
         "output_then_killed", 134)


def check_input(host):
    """As fast as the tool sends it, and more than any buffer on the way holds."""
    text = random.Random(1).randbytes(200000).hex().encode()
    total = 0
    for byte in text:
        total = (total * 31 + byte) % 1000000007
    done = subprocess.run([PARVUS, "run", *hosts.OPTIONS[host], "--timeout", "600",
                           app_image("guest"), "--", "--crash", "sum_of_input"],
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = done.stdout.decode(errors="replace").strip()
    expected = f"input: {len(text)} bytes, sum {total}"
    if done.returncode == 0 and output == expected:
        return [Result("console-input", PASSED)]
    return [Result("console-input", FAILED, f"status {done.returncode}, '{output[-200:]}', not '{expected}'")]


register("console-input", "All of a long input arrives, in order.", DOMU, check_input)


# ---- the memory target ---------------------------------------------------------------------------

def sizes(kib, *commands, mem="64M", more=()):
    """Options of a run in which the guest waits for each of these sizes, and dom0 runs the commands."""
    return ["--mem", mem, *more, "--append", f'log=info env.SIZES="{kib}"', "--dom0", "; ".join(commands)]


def wait_for(mebibytes):
    return (f"until [ $(xl list guest | awk 'END {{ print $3 }}') = {mebibytes} ]; do sleep 0.1; done; "
            "xl list guest")


MEMORY = ["--crash", "memory_sizes"]

boot("domu-memory-down-up", "xl takes memory from the guest and gives it back.", app="guest",
     hosts=DOMU, arguments=MEMORY,
     options=sizes("32768 65536", "xl mem-set guest 32", wait_for(32), "xl mem-set guest 64"),
     console=[r"^memory: 32768 KiB, usable$", r"^memory: 65536 KiB, usable$"], absent=["warning"])
# A domain whose own answers woke it to ask again kept xenstored busy for half of the time and more.
boot("domu-memory-idle", "While the target does not change the guest leaves xenstored alone.",
     app="guest", hosts=DOMU, arguments=MEMORY,
     options=sizes("32768", "set -e",
                   """store=$(ps | awk '$3 == "xenstored" { print $1 }')""",
                   "ticks() { awk '{ print $14 + $15 }' /proc/$store/stat; }", "sleep 1", "before=$(ticks)", "sleep 3",
                   "echo xenstored: $(($(ticks) - before)) ticks", "xl mem-set guest 32"),
     console=[r"^xenstored: [0-9]{1,2} ticks$", r"^memory: 32768 KiB, usable$"])
boot("domu-memory-most", "A guest that starts with less than its most grows when xl lets it.",
     app="guest", hosts=DOMU, arguments=MEMORY,
     options=sizes("98304 32768 16384 98304", "xl mem-set guest 96", wait_for(96),
                   "xl mem-set guest 32", wait_for(32), "xl mem-set guest 16", wait_for(16),
                   "xl mem-set guest 96", mem="32M", more=["--max-mem", "96M"]),
     console=[r"^memory: 98304 KiB, usable$", r"^memory: 32768 KiB, usable$",
              r"^memory: 16384 KiB, usable$", r"^memory: 98304 KiB, usable$"], absent=["warning"])
boot("domu-memory-least", "A target below what the guest needs is followed as far as it can be.",
     app="guest", hosts=DOMU, arguments=MEMORY,
     options=sizes("<16384 65536", "xl mem-set guest 1",
                   "until [ $(xl list guest | awk 'END { print $3 }') -lt 16 ]; do sleep 0.1; done",
                   "sleep 2", "xl list guest", "xl mem-set guest 64"),
     console=[r"^parvus: memory [0-9]+ KiB, target 1024 KiB: the rest is in use$",
              r"^parvus: memory 65536 KiB, target 65536 KiB$"], absent=["warning"])
# The memory that Xen has left goes to a second domain, which never runs.
boot("domu-memory-none", "Where Xen has no memory left the guest keeps trying until there is some.",
     app="guest", hosts=DOMU, arguments=MEMORY,
     options=sizes("196608", "free=$(xl info free_memory)",
                   """sed -e 's/"guest"/"hog"/' -e "s/^\\(max\\)*mem\\(ory\\)*=.*/memory=$((free - 40))/" """
                   "$CONFIG >/tmp/hog",
                   "xl create -e -q -p /tmp/hog || xl info", "xl mem-set guest 192", "sleep 3",
                   "xl list", "xl destroy hog", mem="32M", more=["--max-mem", "192M"]),
     console=[r"^parvus: memory [0-9]+ KiB, target 196608 KiB: the host has no more$",
              r"^memory: 196608 KiB, usable$"])
