"""tools/parvus-cc and tools/parvus image: programs with a build of their own."""
import os
import re
import subprocess

from framework import BOOT_TIMEOUT_S, PARVUS, command, test
from parvuslib.images import ROOT

CC = os.path.join(ROOT, "tools", "parvus-cc")


def compiled(*arguments):
    status, output = command([CC, *arguments])
    assert status == 0, output


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@test("cc-program", "A program of two objects and a library, in a folder with a blank: linked, run, made an image of.")
def check_program(folder):
    folder = os.path.join(folder, "with a blank")
    source = write(folder, "main.c", '''#include <math.h>
#include <stdio.h>
double half(double);
int main(int argc, char **argv) { printf("%s %g\\n", argv[argc - 1], half(sqrt(argc * 8))); return 9; }
''')
    other = write(folder, "half.c", "double half(double x) { return x / 2; }\n")
    objects = [path.replace(".c", ".o") for path in (source, other)]
    library, program = os.path.join(folder, "libhalf.a"), os.path.join(folder, "program")
    for path, output in zip((source, other), objects):
        compiled("-O2", "-Wall", "-Werror", "-c", path, "-o", output)
    assert command(["ar", "rcs", library, objects[1]])[0] == 0
    compiled(objects[0], f"-L{folder}", "-lhalf", "-lm", "-lpthread", "-lrt", "-ldl", "-o", program)
    assert command([PARVUS, "run", program, "--", "it is"]) == (9, "it is 2\n")
    image = os.path.join(folder, "it's an image")
    assert command([PARVUS, "image", program, "-o", image]) == (0, "")
    assert command([PARVUS, "run", "--machine", "q35", "--boot", "multiboot", image, "--", "a", "b"])[0] == 9


@test("cc-at-once", "Runs of one program that start at the same time do not disturb each other.")
def check_at_once(folder):
    source = write(folder, "seven.c", "int main(void) { return 7; }\n")
    program = os.path.join(folder, "seven")
    compiled(source, "-o", program)
    runs = [subprocess.Popen([PARVUS, "run", "--accel", "tcg", program], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(6)]
    results = [(run.communicate(timeout=BOOT_TIMEOUT_S)[0], run.returncode) for run in runs]
    assert results == [("", 7)] * len(runs), results


@test("cc-target", "Parvus is the target, not this machine: its headers and libraries are not found.")
def check_target(folder):
    source = write(folder, "target.c", '''#if !defined(__parvus__) || defined(__linux__)
#error the target
#endif
int main(void) { return 0; }
''')
    compiled("-c", source, "-o", os.path.join(folder, "target.o"))
    linux = write(folder, "linux.c", "#include <gnu/libc-version.h>\nint main(void) { return 0; }\n")
    status, output = command([CC, linux, "-o", os.path.join(folder, "linux")])
    assert status != 0 and "libc-version.h: No such file" in output, output
    status, output = command([CC, source, "-lanl", "-o", os.path.join(folder, "target")])
    assert status != 0 and "cannot find -lanl" in output, output
    status, output = command([CC, "-shared", source, "-o", os.path.join(folder, "target.so")])
    assert status != 0 and "no shared libraries" in output, output


@test("cc-crash", "A crash names the program's own functions and lines.")
def check_crash(folder):
    source = write(folder, "crash.c", '''static void __attribute__((noinline)) store(volatile int *where) { *where = 1; }
int main(void)
{
    store((int *)16);
    return 0;
}
''')
    program = os.path.join(folder, "crash")
    compiled("-g", source, "-o", program)
    status, output = command([PARVUS, "run", program])
    assert status == 134 and re.search(r"#0 .* store\S* .*crash\.c:1\b", output), output
    assert re.search(r"#1 .* main\S* .*crash\.c:4\b", output), output


@test("cc-crash-overflow", "So does a stack overflow.")
def check_overflow(folder):
    source = write(folder, "overflow.c", '''int depth(volatile int *below)
{
    volatile int here[64] = {*below};
    return here[*below] + depth(here);
}
int main(void) { volatile int zero = 0; return depth(&zero); }
''')
    program = os.path.join(folder, "overflow")
    compiled("-g", "-w", source, "-o", program)
    status, output = command([PARVUS, "run", "--accel", "tcg", program])
    assert status == 134 and re.search(r"^parvus: panic: stack overflow of thread main ", output, re.MULTILINE), output
    assert re.search(r"depth\S* .*overflow\.c:[1-5]\b", output), output
    assert re.search(r"main\S* .*overflow\.c:6\b", output), output


UNDEFINED = {
    "overflow": "int value = INT_MAX; return value + argc;",
    "index": "int of[4] = {0}; return of[argc + 3];",
    "null": "int *nothing = argc == 1 ? NULL : &argc; return *nothing;",
}


@test("cc-undefined", "Undefined behaviour that gcc's sanitizer traps ends in a report that names the function.")
def check_undefined(folder):
    functions = "".join(f"""static int __attribute__((noinline)) bad_{name}(int argc)
{{
    {body}
}}
""" for name, body in UNDEFINED.items())
    calls = "".join(f'    if (strcmp(argv[1], "{name}") == 0)\n        return bad_{name}(argc - 1);\n' for name in UNDEFINED)
    source = write(folder, "undefined.c", f"""#include <limits.h>
#include <string.h>
{functions}int main(int argc, char **argv)
{{
{calls}    return 7;
}}
""")
    program = os.path.join(folder, "undefined")
    compiled("-g", "-w", "-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", source, "-o", program)
    for name in UNDEFINED:
        status, output = command([PARVUS, "run", "--accel", "tcg", program, "--", name])
        assert status == 134 and re.search(r"^parvus: panic: invalid instruction at 0x\w+: 0f 0b .*\(ud2: ", output, re.MULTILINE), output
        assert re.search(rf"#0 .* bad_{name}\S* .*undefined\.c:\d+", output), output
    assert command([PARVUS, "run", "--accel", "tcg", program, "--", "nothing"])[0] == 7


@test("image-refused", "No image is made of what is no guest, or of a guest with a privileged instruction.")
def check_refused(folder):
    source = write(folder, "halt.c", 'int main(void) { __asm__ volatile("hlt"); return 0; }\n')
    program = os.path.join(folder, "halt")
    compiled(source, "-o", program)
    for arguments, message in [
            ((program,), r"halt: main\+\S+: hlt"), ((source,), "is no guest"), (("/bin/true",), "is no guest"),
            ((os.path.join(folder, "none"),), "no such file")]:
        status, output = command([PARVUS, "image", *arguments])
        assert status == 2 and re.search(message, output), output
    assert not os.path.exists(f"{program}.img")
