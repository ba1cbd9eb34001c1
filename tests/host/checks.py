"""The static checks: that the tree passes them, and that each of them can fail."""
import os
import re
import shutil

from framework import Skip, command, test
from parvuslib.images import ROOT

CHECKS = os.path.join(ROOT, "tools", "check")
SAMPLES = os.path.join(ROOT, "tests", "check")


def check(name, *arguments):
    if name == "format" and not shutil.which("clang-format"):
        raise Skip("clang-format is missing")
    return command([os.path.join(CHECKS, name), *arguments])


@test("check-format", "The C sources have the house style.")
def check_format():
    status, output = check("format")
    assert status == 0, output


@test("check-format-fails", "The style check names file and line of what it refuses.")
def check_format_fails(folder):
    good, bad = (os.path.join(folder, name) for name in ("good.c", "bad.c"))
    write(good, "int f(void)\n{\n    return 1;\n}\n")
    write(bad, "int f(void)\n{\n    return  1;\n}\n")
    assert check("format", good) == (0, "")
    status, output = check("format", good, bad)
    assert status != 0 and re.search(r"bad\.c:3:", output), output


@test("check-includes", "No include crosses the layers the wrong way.")
def check_includes():
    status, output = check("includes")
    assert status == 0, output


# File, include line, and what the check says of it (None: nothing).
INCLUDES = [
    ("apps/demo/main.c", "<stdio.h>", None),
    ("apps/demo/main.c", '"demo.h"', None),
    ("apps/demo/main.c", '"kernel/thread.h"', 'apps/ may not include "kernel/thread.h"'),
    ("apps/demo/main.c", "<xen/xen.h>", "apps/ may not include <xen/xen.h>"),
    ("libc-glue/file.c", '"kernel/thread.h"', None),
    ("libc-glue/file.c", '"pv/pv.h"', 'libc-glue/ may not include "pv/pv.h"'),
    ("net/port.c", '"kernel/thread.h"', None),
    ("net/port.c", '"libc-glue/file.h"', 'net/ may not include "libc-glue/file.h"'),
    ("kernel/main.c", '"pv/pv.h"', None),
    ("kernel/main.c", "<stdint.h>", None),
    ("kernel/main.c", "<stdio.h>", "kernel/ may not include <stdio.h>"),
    ("kernel/main.c", "<xen/xen.h>", "kernel/ may not include <xen/xen.h>"),
    ("kernel/main.c", '"pv/event.h"', 'kernel/ may not include "pv/event.h"'),
    ("kernel/main.c", '"kernel/none.h"', '"kernel/none.h" is not in the tree'),
    ("kernel/main.c", '"../pv/pv.h"', "name it by its path from the root"),
    ("pv/event.c", "<xen/xen.h>", None),
    ("pv/event.c", '"kernel/thread.h"', 'pv/ may not include "kernel/thread.h"'),
    ("pv/event.c", '"pv/hypervisor/frame.h"', 'pv/ may not include "pv/hypervisor/frame.h"'),
    ("pv/hypervisor/frame.c", '"pv/abi.h"', None),
    ("pv/hypervisor/frame.c", '"boot/boot.h"', None),
    ("pv/hypervisor/frame.c", '"pv/pv.h"', 'pv/hypervisor/ may not include "pv/pv.h"'),
    ("pv/hypervisor/frame.c", "<stdio.h>", "pv/hypervisor/ may not include <stdio.h>"),
    ("boot/boot.c", '"pv/hypervisor/frame.h"', None),
    ("boot/boot.c", '"kernel/thread.h"', 'boot/ may not include "kernel/thread.h"'),
    ("tests/guest/thread.c", '"kernel/thread.h"', None),
    ("tests/guest/thread.c", '"pv/hypervisor/frame.h"',
     'tests/guest/ may not include "pv/hypervisor/frame.h"'),
]


@test("check-includes-fails", "The include check names file, line and include of each wrong edge.")
def check_includes_fails(folder):
    headers = ["apps/demo/demo.h", "kernel/thread.h", "libc-glue/file.h", "pv/pv.h", "pv/abi.h",
               "pv/event.h", "pv/hypervisor/frame.h", "boot/boot.h"]
    for header in headers:
        write(os.path.join(folder, header), "")
    for source, include, message in INCLUDES:
        path = os.path.join(folder, source)
        write(path, f"/* A comment\n#include <stdio.h> */\n#include {include}\n")
        status, output = check("includes", "--root", folder)
        os.remove(path)
        if message is None:
            assert (status, output) == (0, ""), output
        else:
            assert status == 1 and output.count("\n") == 1, output
            assert output.startswith(f"{source}:3: ") and message in output, output


@test("check-privileged-fails", "The disassembly check finds each instruction and only those.")
def check_privileged_fails(folder):
    source = os.path.join(SAMPLES, "privileged.S")
    elf, object_file = (os.path.join(folder, f"privileged.{kind}") for kind in ("elf", "o"))
    for step in (["gcc", "-c", source, "-o", object_file],
                 ["ld", "-e", "bad_cli", "-o", elf, object_file]):
        status, output = command(step)
        assert status == 0, output
    status, output = check("privileged", elf)
    with open(source, encoding="utf-8") as file:
        functions = re.findall(r"^ +function (\w+), *(?:rep )?([a-z0-9]+)", file.read(), re.MULTILINE)
    bad = {name for name, _ in functions if name.startswith("bad_")}
    found = re.findall(rf"^{re.escape(elf)}: (\w+)\+0x0: \S.*: .+$", output, re.MULTILINE)
    assert status == 1 and len(bad) > 50
    assert len(found) == output.count("\n"), output
    assert set(found) == bad, f"found by mistake or not found: {set(found) ^ bad}"


@test("check-privileged-input", "The disassembly check fails on a file that it cannot read.")
def check_privileged_input(folder):
    text = os.path.join(folder, "text.elf")
    write(text, "no ELF\n")
    status, output = check("privileged", text)
    assert status != 0 and "cannot disassemble" in output, output


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
