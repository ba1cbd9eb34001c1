"""The guest's clocks against the host's, on every host.

`guest --clock` (tests/guest/clock_server.c) reads its clocks when it gets a byte of console input and
answers at once. So each reading lies between two of the host's clock, and two of those, far enough
apart, put bounds on the drift. However slow and busy the machine is, only the time until they are
narrow enough gets longer: a drift fails that is too large for certain, or of which nothing can be
said in ten minutes.

What the host's clock is: under KVM the clock that kvmclock is defined by, CLOCK_MONOTONIC_RAW (Linux
arch/x86/kvm/x86.c, get_kvmclock_base_ns). Under TCG the devices that Xen, and our hypervisor where it
measures, go by count QEMU_CLOCK_VIRTUAL, which is the host's CLOCK_MONOTONIC while the machine is not
stopped (QEMU docs/devel/replay.rst and include/qemu/timer.h), and so it is compared with that one.
"""
import collections
import os
import re
import subprocess
import time

import hosts
from framework import (BOOT_TIMEOUT_S, FAILED, LOGS, PARVUS, PASSED, Result, app_image, parvus, register)
from parvuslib import qemu

NS_PER_S = 1_000_000_000
LEAST_NS = 10 * NS_PER_S
FIRST_NS = NS_PER_S  # for a first reading as narrow as they get
LONGEST_NS = 600 * NS_PER_S
PAUSE_S, LONG_PAUSE_S = 0.05, 0.25
ATTEMPTS, PHASES = 15, 5

# The hosts' clocks, other than CLOCK_MONOTONIC.
CLOCKS = {"kvm-microvm": time.CLOCK_MONOTONIC_RAW}

# The guest's clocks, as read between `before` and `after` of the host's.
Reading = collections.namedtuple("Reading", "before after wall_before wall_after ns wall_ns backwards")


class ClockGuest:
    """The guest that tells the time."""

    def __init__(self, host, options, log):
        self.clock = CLOCKS.get(host, time.CLOCK_MONOTONIC)
        self.log = open(log, "wb")
        self.process = subprocess.Popen(
            [PARVUS, "run", *hosts.OPTIONS[host], *options, "--timeout", str(2 * LONGEST_NS // NS_PER_S),
             app_image("guest"), "--", "--clock"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            rest, _ = self.process.communicate(timeout=BOOT_TIMEOUT_S)
            self.log.write(rest)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()

    def note(self, text):
        self.log.write(f"[{text}]\n".encode())

    def get(self):
        """One byte of the console."""
        byte = self.process.stdout.read(1)
        self.log.write(byte)
        self.log.flush()
        if not byte:
            raise BrokenPipeError
        return byte

    def line(self):
        line = b""
        while not line.endswith(b"\n"):
            line += self.get()
        return line.decode(errors="replace").strip()

    def wait(self):
        """Until it is ready; returns the console until then."""
        lines = []
        while lines[-1:] != ["clock: ready"]:
            lines.append(self.line())
        return lines

    def read(self):
        wall_before = time.time_ns()
        before = time.clock_gettime_ns(self.clock)
        self.process.stdin.write(b"?")
        while self.get() != b".":
            pass
        after = time.clock_gettime_ns(self.clock)
        wall_after = time.time_ns()
        ns, wall_ns, backwards = map(int, self.line().split())
        return Reading(before, after, wall_before, wall_after, ns, wall_ns, backwards)


def width(reading):
    return reading.after - reading.before


def drift_ppm(first, last):
    """The least and the most that the guest's clock can have gone too fast."""
    guest = last.ns - first.ns
    shortest, longest = last.before - first.after, last.after - first.before
    return (guest / longest - 1) * 1e6, (guest / shortest - 1) * 1e6 if shortest > 0 else float("inf")


def compare(guest, limit_ppm):
    """What is wrong with the guest's clocks, or None."""
    def enough_ns(first):
        """When another reading as narrow will do."""
        return first.ns + max(LEAST_NS, width(first) * 1e6 / limit_ppm)

    first = last = guest.read()
    start, low, high = first, 0.0, 0.0
    while last.ns - start.ns < LONGEST_NS:
        is_between = FIRST_NS < last.ns - start.ns and last.ns < enough_ns(first)
        time.sleep(LONG_PAUSE_S if is_between else PAUSE_S)
        last, previous = guest.read(), last
        if last.ns < previous.ns or last.backwards:
            return f"the clock went backwards ({last.backwards} times within the guest)"
        if last.ns - first.ns >= LEAST_NS:
            low, high = drift_ppm(first, last)
            if low > limit_ppm or high < -limit_ppm:
                return f"drift between {low:.0f} and {high:.0f} ppm, more than {limit_ppm}"
            if -limit_ppm < low and high < limit_ppm:
                guest.note(f"drift between {low:.1f} and {high:.1f} ppm")
                return None
        if enough_ns(last) < enough_ns(first):
            first = last
    return f"drift between {low:.0f} and {high:.0f} ppm: nothing can be said"


def wall_problem(guest, _):
    """The error counts that is left if the host's clock was as near as it can have been."""
    reading = guest.read()
    nearest = min(max(reading.wall_before, reading.wall_ns), reading.wall_after)
    error_s = (reading.wall_ns - nearest) / NS_PER_S
    guest.note(f"wall clock wrong by {error_s:.3f} s")
    return f"the wall clock was wrong by {error_s} s" if abs(error_s) >= 1 else None


def session(test_id, host, options, check):
    """check(guest, console until it was ready) returns a problem or None; and the log."""
    os.makedirs(LOGS, exist_ok=True)
    log = os.path.join(LOGS, f"{test_id}.{host}.log")
    with ClockGuest(host, options, log) as guest:
        try:
            found = check(guest, guest.wait())
        except BrokenPipeError:
            found = "the guest ended"
    return found, log


def result(test_id, problem, log=None):
    return [Result(test_id, FAILED, problem, log) if problem else Result(test_id, PASSED)]


def drift_test(test_id, sentence, limits_ppm, source=None, parameters="",
               options=()):
    """`limits_ppm` by host; `source`: what the hypervisor must say that it uses."""
    def check(guest, console, limit_ppm):
        if source and f"parvus: clock: {source}" not in [line.split(",")[0] for line in console]:
            return f"the clock is not {source}"
        return compare(guest, limit_ppm)

    def run(host):
        return result(test_id, *session(test_id, host, [*options, "--append", f"log=debug {parameters}"],
                                        lambda *found: check(*found, limits_ppm[host])))
    register(test_id, sentence, list(limits_ppm), run, waits=True)


def wall_test(test_id, sentence, where):
    """A PC's clock knows no fractions of a second, and QEMU's begins a second when QEMU begins, so
    that it is wrong by up to one itself (QEMU hw/rtc/mc146818rtc.c, rtc_set_date_from_host). So
    QEMU has to begin with a second of the host's. How long it takes to begin depends on the machine:
    each attempt starts it earlier in the second."""
    def run(host):
        problem = log = None
        for attempt in range(ATTEMPTS):
            time.sleep(-(time.time() + attempt / PHASES) % 1)
            problem, log = session(test_id, host, (), wall_problem)
            if not problem:
                break
        return result(test_id, problem, log)
    register(test_id, sentence, where, run)


def rate_test(test_id, sentence, host, source, limit_ppm):
    """Under icount a tick of the TSC is a nanosecond of every device's time (QEMU
    docs/devel/tcg-icount.rst), however busy the machine is: so 1 GHz is the truth."""
    def run(_):
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        status, console = parvus(host, app_image("pvbench"), ["--trace", "none"],
                                 ["--icount", "--append", f"log=debug clock={source}"], log=log)
        rate = re.search(r'"tsc_hz": ([0-9]+)', console)
        problem = None
        if status or not rate or f"parvus: clock: {source}\n" not in console:
            problem = f"status {status}, or the clock is not {source}"
        elif abs(int(rate[1]) - NS_PER_S) * 1e6 > limit_ppm * NS_PER_S:
            problem = f"{rate[1]} ticks a second: not within {limit_ppm} ppm of 1 GHz"
        return result(test_id, problem, log)
    register(test_id, sentence, [host], run)


drift_test("clock-drift", "Over 10 s the clock drifts less than 100 ppm, and never steps back.",
           {"xen-dom0": 100})
# A reading takes some milliseconds there, so that 100 ppm would take a minute to tell.
NESTED_PPM = 400
drift_test("clock-drift-kvmclock", "So does kvmclock, which is KVM's first choice.",
           {"kvm-microvm": 100, **dict.fromkeys(hosts.NESTED, NESTED_PPM)}, source="kvmclock")
drift_test("clock-drift-hyperv", "So does the one that follows Hyper-V's reference counter.",
           {"nested-kvm-2": NESTED_PPM}, source="hyperv",
           options=["--qemu=-cpu host,kvm=off,hv-time"])
drift_test("clock-drift-vmware", "So does VMware's leaf, which QEMU has for a TSC of a fixed rate.",
           {"kvm-microvm": 100}, source="vmware",
           parameters="clock=vmware", options=[f"--qemu=-cpu {qemu.cpu('kvm')},+invtsc"])

# Exact; the others can be wrong by two of their ticks in 10 ms.
rate_test("clock-rate-apic", "The rate measured by the APIC timer is right.", "tcg-microvm", "apic", 1)
rate_test("clock-rate-pmtimer", "So is the one by the PM timer.", "tcg-q35", "pmtimer", 60)
rate_test("clock-rate-pit", "So is the one by the PIT.", "tcg-pc", "pit", 170)

wall_test("clock-wall", "The wall clock is within a second of the host's.", hosts.ALL)
register("clock-wall-none", "Without any, it begins in 1970.", hosts.ONE, lambda host: result(
    "clock-wall-none", *session("clock-wall-none", host, ["--qemu=-machine rtc=off"],
                                lambda guest, _: guest.read().wall_ns > LONGEST_NS and "no, later")))
