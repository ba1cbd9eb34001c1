"""newlib's own test suite (its folder testsuite), each program in a guest of its own, as it comes."""
import fnmatch
import glob
import os
import re

from framework import PARVUS, command, test
from parvuslib.images import ROOT

SUITE = os.path.join(os.path.realpath(os.path.join(ROOT, os.environ.get("DEPS") or "build/deps")),
                     "newlib-src", "newlib", "testsuite")
CC = os.path.join(ROOT, "tools", "parvus-cc")

# Those that write into the current folder, which is / and read-only: they begin in /tmp.
WRITES = {"tmmap"}
IN_TMP = '''#include <unistd.h>
static void __attribute__((constructor)) go(void) { if (chdir("/tmp") != 0) _exit(1); }
'''
# Mistakes of the tests: what is wrong, and what is meant.
WRONG = {
    # U+0967 is a digit, and none of the letters that iswalpha knows; U+0961 is a letter.
    "twctype": ("CHECK (iswalpha(0x0967));", "CHECK (iswalpha(0x0961));"),
}
# The description of UTF-8's output is older than newlib's code, by which nothing is beyond U+10FFFF (RFC 3629),
# and halves of surrogate pairs are characters.
OUTDATED = re.compile(r"(2\.1\.[56]|2\.2\.[456]|2\.3\.5): Invalid|5\.[12]\.[1-7]: Valid Character Found")


def expected_output(path):
    """What a program must print, a pattern a line, by its description for dejagnu; [] where any will do."""
    try:
        with open(f"{path}.exp", encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return []
    return re.findall(r'^"(.*)"$', text, re.MULTILINE) if "newlib_check_output" in text else []


def newlib_test(path):
    name = os.path.basename(path)

    @test(f"newlib-{name}", f"newlib's test {os.path.relpath(path, SUITE)} passes.")
    def check(folder):
        source, program = f"{path}.c", os.path.join(folder, name)
        if name in WRONG:
            with open(source, encoding="utf-8") as file:
                text = file.read()
            assert WRONG[name][0] in text, "newlib's test has been put right"
            source = f"{program}.c"
            with open(source, "w", encoding="utf-8") as file:
                file.write(text.replace(*WRONG[name]))
        sources = [source]
        if name in WRITES:
            sources.append(os.path.join(folder, "in-tmp.c"))
            with open(sources[-1], "w", encoding="utf-8") as file:
                file.write(IN_TMP)
        status, output = command([CC, "-w", "-O2", f"-I{SUITE}/include", *sources, "-lm", "-o", program])
        assert status == 0, output
        status, output = command([PARVUS, "run", "--accel", "tcg", program])
        lines, expected = output.splitlines(), expected_output(path)
        assert status == 0 and len(lines) >= len(expected), f"status {status}: {output}"
        for line, pattern in zip(lines, expected):
            assert fnmatch.fnmatchcase(line, pattern) or name == "UTF-8" and OUTDATED.fullmatch(line), (
                f"{line!r} instead of {pattern!r}")


for found in sorted(glob.glob(os.path.join(SUITE, "newlib.*", "*.c"))):
    newlib_test(found[:-2])
