"""Short runs of the fuzzers; `make fuzz` runs them for long."""
import os

import fuzzing
from framework import test

RUNS = 20000
SLOW = {"virtio_net": 3000, "virtio_others": 3000, "mmio": 3000, "lwip": 5000, "pci": 5000, "p9": 8000,
        "daemons": 8000, "inet": 8000}


def fuzz_test(name):
    runs = SLOW.get(name, RUNS)

    @test(f"fuzz-{name.replace('_', '-')}", f"{runs} inputs from tests/fuzz/host/{name}.c do no harm; neither does any that once did.")
    def check(folder):
        fuzzing.build()
        fuzzing.run(name, folder, f"-runs={runs}")


for fuzzer in sorted(fuzzing.SEEDS):
    fuzz_test(fuzzer)


HYPERCALLS = {"tcg-microvm": 200000, "kvm-microvm": 4000, "xen-dom0": 50000}


@test("fuzz-hypercalls", "Hypercalls with random arguments break none of the promises, in Parvus and in Xen.",
      hosts=list(HYPERCALLS))
def check_hypercalls(folder, host):
    fuzzing.hypercalls(host, HYPERCALLS[host], 1, os.path.join(folder, "log"))
