"""The build: what it refuses, what it rebuilds, and that images are reproducible.

Each test builds hello in a folder of its own; the dependencies are shared.
"""
import os
import re

from framework import PARVUS, command, test
from parvuslib.images import ROOT

DEPS = os.path.join(ROOT, os.environ.get("DEPS") or "build/deps")
BUILD_TIMEOUT_S = 1200


def make(folder, *arguments):
    """make with its output in `folder`: (status, output). Not the make that may have started us."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    return command(["make", "-C", ROOT, "--no-print-directory", f"B={folder}", f"DEPS={DEPS}",
                    *arguments], timeout=BUILD_TIMEOUT_S, env=environment)


def built(folder, *arguments):
    status, output = make(folder, *arguments)
    assert status == 0, output
    return output


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@test("build-reproducible", "-j1 and -j4, in different folders, make identical images.")
def check_reproducible(folder):
    for jobs in ("1", "4"):
        built(os.path.join(folder, jobs), "clean")
        built(os.path.join(folder, jobs), f"-j{jobs}")
    for image in ("apps/hello/hello.img", "apps/hello/hello.stripped.elf",
                  "boot/parvus-hypervisor.img"):
        one, four = (read(os.path.join(folder, jobs, image)) for jobs in ("1", "4"))
        assert one == four, f"{image} differs between -j1 and -j4"
        assert ROOT.encode() not in one, f"{image} holds the path of the tree"


@test("build-nothing-to-do", "A second make does nothing; changed flags rebuild.")
def check_second_make(folder):
    built(folder, "-j2")
    assert built(folder) == "", "the second make did something"
    assert "CC" in built(folder, "EXTRA_CFLAGS=-DCHANGED"), "changed flags rebuilt nothing"


@test("build-outside", "A folder outside the tree is an application, warnings and all; its app.mk adds to it.")
def check_outside(folder):
    app = os.path.join(folder, "source/outside")
    folder = os.path.join(folder, "build")
    write(os.path.join(app, "main.c"),
          '#include "part.h"\n#include <stdio.h>\nint main(int argc, char **argv)\n'
          '{\n    int warned_of;\n    printf("%s %d\\n", WORD, part());\n    return 5;\n}\n')
    write(os.path.join(app, "part.h"), "int part(void);\n")
    write(os.path.join(app, "part.c"), '#include "part.h"\nint part(void) { return 42; }\n')
    write(os.path.join(app, "app.mk"), 'APP_CFLAGS := -DWORD=\'"word"\'\n')
    built(folder, "clean")
    built(folder, "-j2")
    output = built(folder, f"APP={app}")
    assert output.count("CC") == 2, f"a new application rebuilt more than itself: {output}"
    image = os.path.join(folder, "apps", "outside", "outside.img")
    status, output = command([PARVUS, "run", "--accel", "tcg", "--timeout", "120", image])
    assert (status, output.replace("\r", "")) == (5, "word 42\n"), (status, output)
    write(os.path.join(app, "part.h"), "int part(void); /* changed */\n")
    output = built(folder, f"APP={app}")
    assert output.count("CC") == 2, f"a changed header rebuilds who includes it: {output}"


@test("build-unknown-app", "An unknown application is refused by name.")
def check_unknown(folder):
    status, output = make(folder, "APP=no-such-app")
    assert status != 0 and "APP=no-such-app: neither an application" in output, output


@test("build-privileged", "A privileged instruction in an application fails the build by name.")
def check_privileged(folder):
    app = os.path.join(folder, "source", "privileged")
    write(os.path.join(app, "main.c"),
          "void stop_interrupts(void);\nint main(void)\n{\n    stop_interrupts();\n    return 0;\n}\n")
    write(os.path.join(app, "stop.c"),
          'void stop_interrupts(void);\nvoid stop_interrupts(void)\n{\n    __asm__("cli");\n}\n')
    status, output = make(folder, f"APP={app}")
    assert status != 0 and re.search(r"privileged\.elf: stop_interrupts\+0x\w+: cli: ", output), output
    assert not os.path.exists(os.path.join(folder, "apps", "privileged", "privileged.elf"))


@test("build-warning", "A warning in our own sources fails the build.")
def check_warning(folder):
    header = os.path.join(folder, "source", "unused.h")
    write(header, "#ifndef __ASSEMBLER__\nstatic int unused(void)\n{\n    return 0;\n}\n#endif\n")
    status, output = make(folder, f"EXTRA_CFLAGS=-include {header}")
    assert status != 0 and "unused-function" in output, output


@test("build-iso", "make iso makes an ISO with three entries.")
def check_iso(folder):
    built(folder, "iso")
    iso = read(os.path.join(folder, "apps", "hello", "hello.iso"))
    for entry in (b"Multiboot 1", b"Multiboot 2", b"hypervisor, guest as module"):
        assert b'menuentry "Parvus (' + entry + b')"' in iso, f"no entry {entry}"
