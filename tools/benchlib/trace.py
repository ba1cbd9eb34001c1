"""Every instruction that a machine executes, without the guest's help.

QEMU translates one instruction at a time (-singlestep), logs each one that it enters (-d
exec,nochain), and under -icount the log is the same in every run. An instruction may be entered
twice: QEMU says when it went back to before one, which the log then holds again.
"""
import collections
import os
import re
import shlex
import subprocess

from parvuslib import images

TIMEOUT_S = 600
LINE = re.compile(rb"Trace [0-9]+: \S+ \[[0-9a-f]+/([0-9a-f]+)/|(rewound execution|Stopped execution)")


def qemu_command(path, options, arguments=()):
    """QEMU's command line for an image, without KVM and booted by PVH, which needs no other files."""
    command = [os.path.join(images.ROOT, "tools", "parvus"), "run", "--dry-run", "--accel", "tcg",
               *options, path, *(["--", *arguments] if arguments else [])]
    return shlex.split(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


class Trace:
    """What executed. `first[address]` is how many instructions came before the first execution of
    that address, `times[address]` how often it executed, `total` all together."""

    def __init__(self, command, folder):
        """Runs a QEMU command line (with -icount) to the machine's end; the log, 80 bytes per
        instruction, goes to `folder`."""
        log = os.path.join(folder, "trace")
        subprocess.run(command + ["-singlestep", "-d", "exec,nochain", "-D", log],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
        self.first, self.last = {}, {}
        self.times = collections.Counter()
        self.total = 0
        address = None
        with open(log, "rb") as lines:
            for line in lines:
                match = LINE.search(line)
                if not match:
                    continue
                if match[1]:
                    address = int(match[1], 16)
                    self.first.setdefault(address, self.total)
                    self.last[address] = self.total
                    self.times[address] += 1
                    self.total += 1
                else:
                    self.times[address] -= 1
                    self.total -= 1
        os.remove(log)
