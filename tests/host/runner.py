"""The runner itself: what it makes of the consoles of in-guest tests, and its options."""
import os
import re

import hosts
from framework import FAILED, PASSED, SKIPPED, command, images, mismatch, suite_results, test


def outcomes(status, text):
    return [(result.id, result.outcome) for result in suite_results("suite", status, text, "log")]


@test("runner-suite", "Every in-guest result counts once; any other end than the last line fails.")
def check_suite():
    whole = "noise\ntest: a ... ok\ntest: b ... skipped: no disk\n"
    assert outcomes(0, whole + "tests: 1 passed, 0 failed, 1 skipped\n") == [
        ("a", PASSED), ("b", SKIPPED)]
    failed = "test: a ... ok\ntest: b ... FAILED b.c:3: x != y\n"
    results = suite_results("suite", 1, failed + "tests: 1 passed, 1 failed, 0 skipped\n", "log")
    assert results[1].outcome == FAILED and results[1].message == "b.c:3: x != y"
    assert len(results) == 2
    for name, status, text in [
            ("b", 134, "test: a ... ok\ntest: b ...\nparvus: panic\n"),  # a crash names its test
            ("suite", 124, "test: a ... ok\n"),  # a time-out between tests
            ("suite", 0, ""),  # nothing at all
            ("suite", 0, "tests: 0 passed, 0 failed, 0 skipped\n"),  # no tests
            ("suite", 1, "test: a ... ok\ntests: 1 passed, 0 failed, 0 skipped\n"),  # odd status
            ("suite", 0, "test: a ... ok\ntests: 2 passed, 0 failed, 0 skipped\n")]:  # lost line
        assert outcomes(status, text)[-1] == (name, FAILED), text


@test("runner-console", "Expected lines must come, in their order, and others must not.")
def check_mismatch():
    text = "one\ntwo\nthree\n"
    assert mismatch(text, ["^one$", "^three$"], ["four"]) is None
    assert mismatch(text, ["^three$", "^one$"], []) is not None
    assert mismatch(text, ["^o$"], []) is not None
    assert mismatch(text, [], ["tw"]) is not None


@test("runner-hosts", "Each host's options are ones that tools/parvus knows.")
def check_hosts():
    from parvuslib.main import check_supported, make_parser
    for options in hosts.OPTIONS.values():
        check_supported(make_parser().parse_args(["run", *options, "image"]))


@test("runner-repeat", "--repeat runs everything so often, and counts each time.")
def check_repeat():
    status, output = command([os.path.join(images.ROOT, "tests", "run"), "--repeat", "3",
                              "--id", "^runner-(console|suite)$"])
    assert status == 0 and output.endswith("\n6 passed, 0 failed, 0 skipped\n"), output
    assert re.findall(r"^run (\d) of 3$", output, re.MULTILINE) == ["1", "2", "3"], output
