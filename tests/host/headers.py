"""The C library's headers: each stands alone, and what ours declare is there."""
import os
import re

from framework import command, test
from parvuslib.images import ROOT

CC = os.path.join(ROOT, "tools", "parvus-cc")
HEADERS = os.path.join(ROOT, "libc-glue", "include")
# Parts of others, and those that say that a thing is not there.
LEFT_OUT = {"machine/_threads.h", "sys/_pthreadtypes.h", "sys/features.h", "spawn.h", "wordexp.h"}

MARKER = re.compile(r'# \d+ "([^"]+)"')
FUNCTION = re.compile(r"\b([a-z_]\w*)\s*\((?!\s*\*)[^;{}]*\)[^;{}()]*(?:\(\([^;]*\)\))?\s*;")
KEYWORDS = {"sizeof", "__attribute__", "__asm__", "_Static_assert", "__extension__", "__typeof__"}


def headers():
    found = []
    for folder, _, names in os.walk(HEADERS):
        found += [os.path.relpath(os.path.join(folder, name), HEADERS)
                  for name in names if name.endswith(".h")]
    return sorted(set(found) - LEFT_OUT)


def declared(source):
    """Names of the functions that our own headers declare, as the preprocessor leaves them."""
    status, text = command([CC, "-D_GNU_SOURCE", "-E", source])
    assert status == 0, text
    ours, is_ours = [], False
    for line in text.splitlines():
        marker = MARKER.match(line)
        if marker:
            is_ours = "libc-glue/include/" in marker[1]
        elif is_ours:
            ours.append(line)
    # Bodies of inline functions go, from the inside out; structures stay as "struct name;".
    text, before = "\n".join(ours), None
    while text != before:
        text, before = re.sub(r"\{[^{}]*\}", "", text), text
    return sorted(set(FUNCTION.findall(text)) - KEYWORDS)


@test("headers", "Each header of ours compiles alone, and every function that they declare links.")
def check_headers(folder):
    names = headers()
    source = os.path.join(folder, "all.c")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(f"#include <{name}>\n" for name in names)
    functions = declared(source)
    assert len(functions) > 200, functions
    with open(source, "a", encoding="utf-8") as file:
        file.write("#undef errno\nvoid *volatile all[] = {\n")
        file.writelines(f"    (void *)({name}),\n" for name in functions)
        file.write("};\nint main(void) { return all[0] == 0; }\n")
    status, output = command([CC, "-D_GNU_SOURCE", "-O1", "-w", source, "-o", os.path.join(folder, "all")])
    missing = sorted(set(re.findall(r"undefined reference to `(\w+)'", output)))
    assert status == 0, f"not defined: {' '.join(missing)}" if missing else output
    for name in names:
        alone = os.path.join(folder, "alone.c")
        with open(alone, "w", encoding="utf-8") as file:
            file.write(f"#include <{name}>\nint nothing;\n")
        status, output = command([CC, "-Wall", "-Werror", "-fsyntax-only", alone])
        assert status == 0, f"<{name}> alone: {output}"
