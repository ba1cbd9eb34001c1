"""gcc's torture tests (gcc.c-torture/execute) in a guest, with Linux as their judge: tests/torture/."""
import functools
import os

import framework
from framework import BUILD, FAILED, PASSED, SUITE_TIMEOUT_S, Result, command, make, register, suite_results

TRAMPOLINE = "gcc puts code on the stack for the address of a nested function, where a guest cannot execute it"
EXCEPTIONS = {"20000822-1": TRAMPOLINE, "nestfunc-3": TRAMPOLINE, "nestfunc-5": TRAMPOLINE, "nestfunc-6": TRAMPOLINE}


@functools.cache
def on_linux():
    """Outcomes by the tests' ids: what passes on Linux can be asked of a guest."""
    log = os.path.join(framework.LOGS, "torture-linux.log")
    status, text = command([os.path.join(BUILD, "torture", "linux")], timeout=SUITE_TIMEOUT_S)
    with open(log, "w", encoding="utf-8") as file:
        file.write(text)
    results = suite_results("torture-linux", status, text, log)
    assert len(results) > 1700, f"{len(results)} tests on Linux: {results[-1]}"
    return {result.id: result.outcome for result in results}


def run_torture(host):
    """What is not as it should be, or that all is."""
    make("torture")
    log = os.path.join(framework.LOGS, f"torture.{host}.log")
    status, text = framework.parvus(host, os.path.join(BUILD, "torture", "guest"), timeout=SUITE_TIMEOUT_S, log=log)
    results = suite_results("torture", status, text, log)
    passed = {result.id for result in results if result.outcome == PASSED}
    wrong = [result for result in results if result.outcome != PASSED and result.id not in EXCEPTIONS
             and on_linux().get(result.id) != FAILED]
    wrong += [Result(name, FAILED, "is an exception, and passes", log) for name in EXCEPTIONS if name in passed]
    missing = sorted(set(on_linux()) - {result.id for result in results})
    if missing:
        wrong.append(Result("torture", FAILED, f"{len(missing)} did not run, the first of them {missing[0]}", log))
    return wrong or [Result("torture", PASSED)]


register("torture", "gcc's torture tests pass in a guest as they do on Linux, but for the exceptions listed.",
         ["tcg-microvm", "kvm-microvm", "xen-dom0"], run_torture)
