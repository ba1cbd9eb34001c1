"""Where the instructions of a stretch of a guest's run go, one address at a time."""
import collections
import os
import subprocess

from .trace import LINE, TIMEOUT_S


def between(command, mark, folder):
    """How often each address executed between the first and the second execution of `mark`, when a
    QEMU command line (with -icount) runs to its end. The log, 80 bytes per instruction, goes to
    `folder`; see trace.py for what it holds."""
    log = os.path.join(folder, f"profile-{mark:x}-{id(command):x}")
    subprocess.run(command + ["-singlestep", "-d", "exec,nochain", "-D", log],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
    times = collections.Counter()
    marks, address = 0, None
    with open(log, "rb") as lines:
        for line in lines:
            match = LINE.search(line)
            if not match:
                continue
            if match[1]:
                address = int(match[1], 16)
                marks += address == mark
                if marks == 1:
                    times[address] += 1
            elif marks == 1:  # went back to before that instruction: the log holds it again
                times[address] -= 1
    os.remove(log)
    return times
