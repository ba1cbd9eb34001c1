"""Libraries that we did not write, built as they come by their own builds with tools/parvus-cc, and tested in
guests by their own tests."""
import os
import shutil

from framework import PARVUS, Skip, command, test
from parvuslib.images import ROOT, build_folder

CC = os.path.join(ROOT, "tools", "parvus-cc")
DEPS = os.path.realpath(os.path.join(ROOT, os.environ.get("DEPS") or "build/deps"))
TOOLCHAIN = os.path.join(build_folder(), "sysroot", "parvus.cmake")
BUILD_TIMEOUT_S = 1200


def sources(name, folder):
    """A copy of the sources: some builds write into them."""
    status, output = command([os.path.join(ROOT, "tools", "deps", "source"), name, DEPS], timeout=BUILD_TIMEOUT_S)
    assert status == 0, output
    copy = os.path.join(folder, name)
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(os.path.join(DEPS, name), copy, symlinks=True)
    return copy


def built(folder, *commands):
    for words in commands:
        status, output = command(["env", "-C", folder, "-u", "MAKEFLAGS", *words], timeout=BUILD_TIMEOUT_S)
        assert status == 0, f"{' '.join(words)}: {output[-4000:]}"


def run(program, *arguments, options=()):
    status, output = command([PARVUS, "run", "--timeout", "600", *options, program, "--", *arguments],
                             timeout=BUILD_TIMEOUT_S)
    return status, output.replace("\r\n", "\n")


@test("port-zlib", "zlib, by a Makefile: its example works in a guest, files included.")
def check_zlib(folder):
    folder = sources("zlib", folder)
    built(folder, ["CHOST=x86_64-parvus-elf", f"CC={CC}", "./configure", "--static"],
          ["make", "-j2", "libz.a", "example"])
    status, output = run(os.path.join(folder, "example"), "/tmp/example.gz")
    assert status == 0 and "inflate with dictionary: hello, hello!" in output, output


@test("port-mbedtls", "Mbed TLS, by CMake: its self-test passes in a guest.")
def check_mbedtls(folder):
    if not shutil.which("cmake"):
        raise Skip("cmake is missing")
    source = sources("mbedtls", folder)
    build = os.path.join(folder, "build")
    shutil.rmtree(build, ignore_errors=True)
    built(folder, ["cmake", f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}", "-DENABLE_TESTING=OFF", "-S", source, "-B", build],
          ["make", "-C", build, "-j2", "selftest"])
    status, output = run(os.path.join(build, "programs", "test", "selftest"))
    assert status == 0 and "[ All tests PASS ]" in output, output[-2000:]
