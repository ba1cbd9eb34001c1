"""The tests of the POSIX interface (tests/posix/): in the guest, and on Linux, which is right."""
import glob
import os
import shutil

import framework
import hosts
from framework import SKIPPED, Result, command, register, scratch, suite, suite_results
from parvuslib.images import ROOT

suite("posix", "What programs expect of POSIX holds in the guest.", app="posix")

FLAGS = ["-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I", ROOT]


def run_on_linux(_):
    compiler = os.environ.get("CC") or "gcc"
    if not shutil.which(compiler):
        return [Result("posix-linux", SKIPPED, f"{compiler} is missing")]
    program = os.path.join(scratch("posix-linux"), "posix")
    log = f"{program}.log"
    status, text = command([compiler, *FLAGS, "-o", program,
                            *sorted(glob.glob(os.path.join(ROOT, "tests", "posix", "*.c")))])
    if status == 0:
        status, text = command([program], timeout=framework.SUITE_TIMEOUT_S)
    with open(log, "w", encoding="utf-8") as file:
        file.write(text)
    return suite_results("posix-linux", status, text, log)


register("posix-linux", "The same tests pass as a Linux program: the expectations are right.",
         [hosts.LOCAL], run_on_linux)
