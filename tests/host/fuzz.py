"""Short runs of the fuzzers on this machine; `make fuzz` runs them for long."""
import threading

import fuzzing
from framework import test

RUNS = 20000
built = threading.Lock()


def fuzz_test(name):
    @test(f"fuzz-{name}", f"{RUNS} inputs from tests/fuzz/host/{name}.c do no harm; neither does any that once did.")
    def check(folder):
        with built:
            fuzzing.build()
        fuzzing.run(name, folder, f"-runs={RUNS}")


for fuzzer in sorted(fuzzing.SEEDS):
    fuzz_test(fuzzer)
