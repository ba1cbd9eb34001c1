"""How tests are declared (in tests/host/*.py) and what running one of them does.

    @test("id", "Sentence.")            a function on this machine; raises on failure
    @test("id", "Sentence.", hosts=...) the same for each of these hosts
    boot("id", "Sentence.", ...)        an application on hosts, with what to expect of it
    suite("id", "Sentence.", app=...)   an image of in-guest tests; counts each of them

In-guest tests print on the console, a line each,

    test: ID ... ok
    test: ID ... FAILED file:line: message
    test: ID ... skipped: reason

and at the end `tests: N passed, N failed, N skipped`; the image exits with 0 or 1. A missing last
line, another status or a time-out is a failure too. A line `test: ID ...` without a result says
which test began, so that a crash has a name.
"""
import collections
import io
import os
import re
import subprocess
import tarfile
import threading

import hosts as host_table
from parvuslib import images
from parvuslib.errors import Missing

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
PARVUS = os.path.join(images.ROOT, "tools", "parvus")
BUILD = images.build_folder()
LOGS = os.path.join(BUILD, "tests")

# Generous: a time-out finds what hangs, on any machine, however slow and busy.
BOOT_TIMEOUT_S = 180
SUITE_TIMEOUT_S = 900
BUILD_TIMEOUT_S = 1800

# Those of 1 MiB steps, and what is pushed there, are made up by guests that look for something.
HYPERVISOR_ADDRESS = re.compile(r"\b(?:0x)?ffff8[0-7](?!\w{5}(?:00000|fff\w\w)\b)[0-9a-f]{10}\b")

RESULT = re.compile(r"test: (\S+) \.\.\.(?: (ok|FAILED|skipped):? ?(.*))?")
TOTAL = re.compile(r"tests: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped")

Result = collections.namedtuple("Result", "id outcome message log", defaults=("", None))
Job = collections.namedtuple("Job", "id sentence host run waits")


Skip = Missing  # raised by a test that cannot run here; says what is missing

registered = []
building = threading.Lock()  # one make at a time


def register(test_id, sentence, hosts, run, waits=False):
    """`run(host)` returns Results. `waits`: most of the time it does nothing, and runs beside others."""
    if any(other_id == test_id for other_id, *_ in registered):
        raise ValueError(f"two tests with the id {test_id}")
    registered.append((test_id, sentence, hosts, run, waits))


def jobs(pattern):
    """The jobs whose id matches. Slow ones first, so that the end does not wait for one of them."""
    found = [Job(test_id, sentence, host, lambda run=run, host=host: run(host), waits)
             for test_id, sentence, hosts, run, waits in registered if pattern.search(test_id)
             for host in hosts]
    return sorted(found, key=lambda job: (job.host not in host_table.SLOW, job.host))


def test(test_id, sentence, hosts=(host_table.LOCAL,)):
    """Decorates a function whose parameters, if any, are `folder`, a scratch folder of its own, and
    `host`."""
    def decorate(function):
        names = function.__code__.co_varnames[:function.__code__.co_argcount]

        def run(host):
            values = {"host": host}
            if "folder" in names:
                values["folder"] = scratch(test_id if host == host_table.LOCAL
                                           else f"{test_id}.{host}")
            try:
                function(**{name: values[name] for name in names})
            except Skip as reason:
                return [Result(test_id, SKIPPED, str(reason))]
            except AssertionError as error:
                line = error.__traceback__.tb_next
                while line.tb_next:
                    line = line.tb_next
                where = f"{os.path.basename(line.tb_frame.f_code.co_filename)}:{line.tb_lineno}"
                return [Result(test_id, FAILED, f"{where}: {error}")]
            return [Result(test_id, PASSED)]
        register(test_id, sentence, hosts, run)
        return function
    return decorate


def scratch(name):
    folder = os.path.join(LOGS, name)
    os.makedirs(folder, exist_ok=True)
    return folder


def tar(folder, files):
    """An archive for --initrd of these files: their texts by their names."""
    path = os.path.join(folder, "initrd.tar")
    with tarfile.open(path, "w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def app_image(app):
    """The image of an application that make has built."""
    return os.path.join(BUILD, "apps", app, f"{app}.img")


def command(arguments, timeout=BOOT_TIMEOUT_S, **keywords):
    """Runs a program to its end: (status, output with stderr in it)."""
    done = subprocess.run(arguments, stdin=keywords.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                          cwd=images.ROOT, text=True, errors="replace", **keywords)
    return done.returncode, done.stdout


def make(target):
    """Has make build what only some tests need."""
    with building:
        status, output = command(["make", "-C", images.ROOT, "--no-print-directory", "-s", f"B={os.path.relpath(BUILD, images.ROOT)}",
                                  f"DEPS={os.environ.get('DEPS', os.path.join(BUILD, 'deps'))}", target],
                                 timeout=BUILD_TIMEOUT_S, env={name: value for name, value in os.environ.items()
                                                               if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")})
    assert status == 0, output


def parvus(host, image, arguments=(), options=(), timeout=BOOT_TIMEOUT_S, log=None, leaks=False):
    """`tools/parvus run` on a host: (status, console with the tool's own messages in it). No address
    of the hypervisor may be in it, unless it `leaks`: where the hypervisor itself fails."""
    words = [PARVUS, "run", *host_table.OPTIONS[host], "--timeout", str(timeout), *options, image]
    status, console = command(words + (["--", *arguments] if arguments else []), timeout=None)
    console = console.replace("\r\n", "\n")
    if log:
        os.makedirs(os.path.dirname(log), exist_ok=True)
        with open(log, "w", encoding="utf-8") as file:
            file.write(console)
    leak = None if leaks or host in host_table.XEN else HYPERVISOR_ADDRESS.search(console)
    assert not leak, f"the console has an address of the hypervisor: {leak[0]} ({log})"
    return status, console


def boot(test_id, sentence, app=None, image=None, hosts=host_table.ONE, arguments=(), options=(),
         status=0, console=(), absent=(), timeout=BOOT_TIMEOUT_S):
    """Boots an application (or an image, a path) and expects its exit status, regular expressions
    that match somewhere in the console (`^` and `$` are a line's), in this order, and `absent` ones that do not."""
    def run(host):
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        got, text = parvus(host, image or app_image(app), arguments, options, timeout, log)
        problem = mismatch(text, console, absent)
        if got != status:
            problem = f"status {got} instead of {status}" + (f"; {problem}" if problem else "")
        return [Result(test_id, FAILED, problem, log) if problem else Result(test_id, PASSED)]
    register(test_id, sentence, hosts, run)


def mismatch(text, patterns, absent):
    position = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(text, position)
        if not match:
            return f"the console lacks /{pattern}/" + (" at its place" if position else "")
        position = match.end()
    return next((f"the console has /{pattern}/" for pattern in absent
                 if re.search(pattern, text, re.MULTILINE)), None)


def suite(test_id, sentence, app, hosts=tuple(host_table.ALL), arguments=(), options=(),
          timeout=SUITE_TIMEOUT_S):
    """An image of in-guest tests. It learns the host's name as environment variable TEST_HOST.
    options: a list, or a function of the host that returns it when the test runs."""
    def run(host):
        log = os.path.join(LOGS, f"{test_id}.{host}.log")
        status, text = parvus(host, app_image(app), arguments,
                              [*(options(host) if callable(options) else options),
                               "--append", f"env.TEST_HOST={host}"], timeout, log)
        return suite_results(test_id, status, text, log)
    register(test_id, sentence, hosts, run)


def suite_results(test_id, status, text, log):
    results, running, total = [], None, None
    outcomes = {"ok": PASSED, "FAILED": FAILED, "skipped": SKIPPED}
    for line in text.splitlines():
        result = RESULT.fullmatch(line.rstrip())
        if result and result[2]:
            results.append(Result(result[1], outcomes[result[2]], result[3], log))
            running = None
        elif result:
            running = result[1]
        elif TOTAL.fullmatch(line):
            total = tuple(int(number) for number in TOTAL.fullmatch(line).groups())
    counted = collections.Counter(result.outcome for result in results)
    seen = (counted[PASSED], counted[FAILED], counted[SKIPPED])
    expected_status = 1 if counted[FAILED] else 0
    if total is None:
        problem = f"ended early with status {status}"
    elif total != seen:
        problem = f"its last line says {total}, its other lines {seen} passed, failed, skipped"
    elif status != expected_status:
        problem = f"status {status} instead of {expected_status}"
    elif not results:
        problem = "ran no test"
    else:
        return results
    return results + [Result(running or test_id, FAILED, problem, log)]
