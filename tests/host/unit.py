"""Functions that need no machine, compiled for this one: each tests/unit/NAME.c is a program that ends
with 0, or prints what is wrong."""
import os

from framework import command, test
from parvuslib.images import ROOT

FOLDER = os.path.join(ROOT, "tests", "unit")


def unit_test(name):
    @test(f"unit-{name.replace('_', '-')}", f"The functions that tests/unit/{name}.c calls.")
    def check(folder):
        program = os.path.join(folder, name)
        flags = ["-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"]
        status, output = command(["gcc", *flags, "-fsanitize=undefined", "-o", program,
                                  os.path.join(FOLDER, f"{name}.c"), "-lm"])
        assert status == 0, output
        status, output = command([program])
        assert status == 0 and not output, output


for source in sorted(os.listdir(FOLDER)):
    if source.endswith(".c"):
        unit_test(source[:-len(".c")])
