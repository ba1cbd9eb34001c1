"""The fuzzers of tests/fuzz/: those on this machine (libFuzzer: tests/fuzz/host/), built by `make fuzzers`
and run on the inputs of tests/fuzz/host/seeds.py; and that of hypercalls, in a guest."""
import os
import re
import shutil
import sys

from framework import BUILD, Skip, app_image, command, make, parvus
from parvuslib import images

HOST = os.path.join(images.ROOT, "tests", "fuzz", "host")
sys.path.append(HOST)

from seeds import SEEDS  # noqa: E402

CLANG = os.environ.get("CLANG", "clang-14")
MAX_INPUT_BYTES = "4096"
INPUT_TIMEOUT_S = "60"  # of one input: what hangs


def build():
    """Builds them all."""
    if not shutil.which(CLANG):
        raise Skip(f"{CLANG} is missing (packages clang-14, libclang-rt-14-dev)")
    make("fuzzers")


def seeds(name, folder):
    """A folder with the inputs that a fuzzer starts from."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for seed, data in SEEDS[name].items():
        with open(os.path.join(folder, seed), "wb") as file:
            file.write(data)
    return folder


def run(name, folder, limit, seed=1, corpus=None):
    """Runs a fuzzer in a scratch folder of its own, until the limit (an option of libFuzzer): how many
    inputs it tried. What it found is an assertion's message, and an input in the folder. Inputs that
    reach what no other did are added to the corpus, a folder."""
    inputs = seeds(name, os.path.join(folder, "seeds"))
    status, output = command(
        [os.path.join(BUILD, "fuzz", name), f"-seed={seed}", limit, f"-max_len={MAX_INPUT_BYTES}",
         f"-timeout={INPUT_TIMEOUT_S}", f"-artifact_prefix={folder}/found-", "-print_final_stats=1",
         *([corpus] if corpus else []), inputs], timeout=None)
    tried = re.search(r"stat::number_of_executed_units: (\d+)", output)
    assert status == 0 and tried, f"{name}, -seed={seed}: status {status}\n" + "\n".join(
        line for line in output.splitlines() if not re.match(r"#\d+\s|INFO: |\s+[A-Z]|  0x|=>|0x", line))
    return int(tried[1])


def hypercalls(host, calls, seed, log):
    """The hypercall fuzzer on a host. What it found is an assertion's message, with how to see it again."""
    status, console = parvus(host, app_image("hypercalls"), [str(seed), str(calls)], log=log, timeout=36000)
    assert status == 0 and f"fuzz: {calls} calls, seed {seed}: nothing found\n" in console, (
        f"status {status}\n{console[-3000:]}")
