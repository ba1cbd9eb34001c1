"""libstdc++'s own tests, many in one guest: each is compiled by tools/parvus-c++ as it is, its main() renamed and
all other names made its own.

`make test` runs a few of each chapter; LIBSTDCXX_TESTS, patterns of names below the test suite's folder, runs
others: LIBSTDCXX_TESTS='23_containers/*/*.cc' tests/run --id '^libstdcxx$'.
"""
import concurrent.futures
import glob
import os
import re
import shlex
import tarfile

import hosts
from framework import FAILED, LOGS, Result, command, parvus, register, scratch, suite_results
from parvuslib.images import ROOT, build_folder

CXX = os.path.join(ROOT, "tools", "parvus-c++")
RUNNER = os.path.join(ROOT, "tests", "libstdcxx", "runner.cc")
FLAGS = ["-O0", "-w", "-fno-gnu-unique", "-DLOCALEDIR=\"/data\"", "-D_GLIBCXX_ASSERTIONS"]

# What the directives of a test (DejaGnu's) may ask for without being left out.
PRESENT = {"cstdint", "gthreads", "gthreads-timed", "fileio", "string-conversions", "atomic-builtins", "normal-mode",
           "normal-namespace", "binary-io", "sleep", "time", "swprintf", "sched-yield", "thread-fence", "cmath",
           "c-std", "rvalref", "nprocs"}
EFFECTIVE = {"cxx11_abi", "std_allocator_new", "gthreads", "pthread", "random_device", "ieee_floats", "hosted"}
DIRECTIVE = re.compile(r"\{\s*dg-([-a-z]+)((?:[^{}]|\{[^{}]*\}|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")

# Of each chapter what depends on the system below. Not here, as tests of one program must not: what replaces
# operator new, or ends the program as its success.
FEW = """
18_support/cxa_vec.cc 18_support/exception_ptr/rethrow_exception.cc 18_support/nested_exception/throw_with_nested.cc
18_support/type_info/hash_code.cc 20_util/shared_ptr/casts/1.cc 21_strings/basic_string/inserters_extractors/char/10.cc
21_strings/basic_string/modifiers/replace/char/3.cc 21_strings/basic_string/numeric_conversions/char/stod.cc
22_locale/global_templates/1.cc 23_containers/forward_list/cons/4.cc 23_containers/vector/92124.cc
26_numerics/complex/51083.cc 27_io/basic_filebuf/imbue/char/3.cc 27_io/basic_filebuf/seekoff/char/12790-3.cc
27_io/basic_istream/getline/char/1.cc 27_io/basic_istream/seekg/wchar_t/8348-1.cc
28_regex/algorithms/regex_match/basic/string_range_00_03.cc 29_atomics/atomic/operators/integral_conversion.cc
30_threads/async/launch.cc 30_threads/call_once/49668.cc 30_threads/condition_variable/members/3.cc
30_threads/shared_future/members/wait_for.cc 30_threads/shared_lock/locking/3.cc 30_threads/timed_mutex/try_lock_until/3.cc
""".split()


def test_suite():
    deps = os.environ.get("DEPS") or os.path.join(build_folder(), "deps")
    return os.path.join(os.path.join(ROOT, deps), "libstdcxx", "testsuite")


def standard_of(is_not, version, is_only):
    """Which version of C++ a test is compiled as: gcc's default, unless that does not fit."""
    if is_not:
        return {"20": "17", "23": "17", "17": "14", "14": "11", "11": "98"}[version]
    return version if is_only or version > "17" else None


def options(path):
    """The compiler's options that a test asks for; None if it is none to run here."""
    with open(path, encoding="latin-1") as file:
        text = file.read()
    flags, standard, runs = [], None, "dg-do" not in text
    for kind, words in DIRECTIVE.findall(text):
        if kind == "do":
            version = re.search(r"(! )?c\+\+(\d\d)(_only)?", words)
            standard = version and standard_of(*version.groups())
            runs = words.split()[0] == "run" and not (
                "target" in words and not version or re.search(r"simulator|lp64|xfail \*-\*-\*", words))
        elif kind in ("options", "additional-options"):
            target = re.search(r"\{\s*target(.*)\}", words)
            if not target or "x86_64-*-*" in target[1]:
                flags += shlex.split(re.search(r'"([^"]*)"', words)[1])
        elif kind == "require-effective-target" and re.match(r"\s*c\+\+\d\d", words):
            standard = standard_of(None, words.split()[0][len("c++"):], None)
        elif kind == "require-effective-target":
            runs = runs and words.split()[0] in EFFECTIVE
        elif kind.startswith("require-"):
            runs = runs and kind[len("require-"):] in PRESENT
        elif kind in ("skip-if", "xfail-run-if", "error", "warning") and "x86_64" in words + "x86_64":
            runs = runs and kind != "error"
    if standard and not any(flag.startswith("-std") for flag in flags):
        flags.append(f"-std=gnu++{standard}")
    return flags if runs and re.search(r"\bmain\s*\(", text) else None


def compiled(number, name, folder):
    """An object that has nothing global but suite_N; an error message if there is none."""
    path = os.path.join(test_suite(), name)
    base = os.path.join(folder, f"{number}")
    if os.path.exists(f"{base}.o"):
        os.remove(f"{base}.o")
    for step in [
            [CXX, *FLAGS, *options(path), f"-I{os.path.join(test_suite(), 'util')}", "-c", path, "-o", f"{base}.raw.o"],
            ["ld", "-r", "--force-group-allocation", f"{base}.raw.o", "-o", f"{base}.one.o"],
            ["objcopy", f"--redefine-sym=main=suite_{number}", f"--keep-global-symbol=suite_{number}",
             f"{base}.one.o", f"{base}.o"]]:
        status, text = command(step)
        if status != 0:
            return text
    return None


def linked(names, folder):
    """(program, results of those that do not compile, names of the others)."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = dict(zip(names, pool.map(lambda i: compiled(i, names[i], folder), range(len(names)))))
    good = [i for i, name in enumerate(names) if not errors[name]]
    table = os.path.join(folder, "table.cc")
    with open(table, "w", encoding="utf-8") as file:
        file.writelines(f'extern "C" int suite_{i}();\n' for i in good)
        file.write("struct suite_test { const char *id; int (*run)(); };\nextern const suite_test suite_tests[] = {\n")
        file.writelines(f'    {{"{names[i]}", suite_{i}}},\n' for i in good)
        file.write(f"}};\nextern const int nr_suite_tests = {len(good)};\n")
    program = os.path.join(folder, "program")
    util = [os.path.join(test_suite(), "util", f"testsuite_{part}.cc") for part in ("hooks", "allocator", "character")]
    status, text = command([CXX, "-O1", "-w", "-std=gnu++17", f"-I{os.path.join(test_suite(), 'util')}", table, RUNNER, *util,
                            *(os.path.join(folder, f"{i}.o") for i in good), "-Wl,--wrap=abort", "-o", program])
    assert status == 0, text
    return program, [Result(name, FAILED, f"does not compile: {text}") for name, text in errors.items() if text], \
        [names[i] for i in good]


def data(folder):
    """The files that tests read, as an initrd."""
    path = os.path.join(folder, "initrd.tar")
    with tarfile.open(path, "w") as archive:
        archive.add(os.path.join(test_suite(), "data"), "data")
    return path


def run(host):
    patterns = os.environ.get("LIBSTDCXX_TESTS", "").split() or FEW
    names = sorted({os.path.relpath(path, test_suite()) for pattern in patterns
                    for path in glob.glob(os.path.join(test_suite(), pattern), recursive=True)})
    names = [name for name in names if options(os.path.join(test_suite(), name)) is not None]
    folder = scratch("libstdcxx")
    program, results, names = linked(names, folder)
    first = 0
    # A test that ends the guest fails; the next boot goes on behind it.
    while first < len(names):
        log = os.path.join(LOGS, f"libstdcxx.{first}.log")
        status, text = parvus(host, program, [str(first)], ["--mem", "256M", "--initrd", data(folder)], 600, log)
        found = suite_results("libstdcxx", status, text, log)
        results += found
        first += len(found)
    return results


register("libstdcxx", "libstdc++'s own tests pass in the guest.", hosts.ONE, run)
