"""Libraries that we did not write, built as they come by their own builds with tools/parvus-cc, and tested in
guests by their own tests."""
import os
import re
import shutil

from framework import PARVUS, Skip, command, tar, test
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


# One process runs many of libevent's tests (--no-fork). These pass only in one of their own, as on Linux: they set what
# cannot be set twice, or count in what is never set back. Here only those of threads get it: each is a boot.
ALONE = ["main/del_notify", "main/del_wait", "et/et_mix_error", "finalize/debug_use_after_free",
         "listener/error", "listener/error_ts", "listener/error_unlock",
         *("bufferevent/bufferevent_" + name
           for name in ("pair_release_lock", "pair_watermarks", "connect_defer", "connect_lock", "connect_lock_defer",
                        "connect_unlocked_cbs", "trigger", "trigger_defer", "trigger_postpone", "trigger_defer_postpone",
                        "connect_fail_eventcb", "connect_fail_eventcb_defer")),
         *("dns/" + name for name in ("disable_when_inactive_no_ns", "leak_shutdown", "leak_cancel", "leak_resume",
                                      "leak_cancel_and_resume", "leak_resume_send_err", "leak_cancel_and_resume_send_err"))]
EXCLUDED = ["main/fork", "util/log", "thread/forking",        # need fork
            "main/event_pending",                             # expects that the machine is up for six seconds
            "main/mm_functions",                              # frees by free() what its own malloc() gave
            "dns/bufferevent_connect_hostname_emfile"]        # expects that looking up a name needs a descriptor
TOGETHER = [["main/.."], ["heap/..", "evtag/..", "util/..", "evbuffer/..", "et/..", "signal/..", "listener/.."],
            ["http/..", "rpc/..", "finalize/.."], ["bufferevent/..", "dns/.."], ["thread/basic"],
            ["thread/conditions_simple"], ["thread/no_events"]]
RESOLVER = {"etc/resolv.conf": "nameserver 127.0.0.1\n", "etc/hosts": "127.0.0.1 localhost\n"}


@test("port-libevent", "libevent, by autotools: its regression tests pass in guests, but for a few.")
def check_libevent(folder):
    initrd = tar(folder, RESOLVER)
    folder = sources("libevent", folder)
    programs = ["regress", "test-changelist", "test-closed", "test-eof", "test-fdleak", "test-weof"]
    built(folder, ["./configure", "--host=x86_64-parvus-elf", f"CC={CC}", "CFLAGS=-O1 -w", "--disable-shared",
                   "--disable-openssl", "--disable-samples", "--disable-dependency-tracking"],
          ["make", "include/event2/event-config.h"], ["make", "-j2", *(f"test/{name}" for name in programs)])
    # By --icount time passes as the guest computes or waits, however busy this machine is.
    for program in programs[1:]:
        status, output = run(os.path.join(folder, "test", program), options=["--icount"])
        assert status == 0, f"{program}: {output}"
    passed = 0
    for tests in TOGETHER:
        left_out = [f":{name}" for name in [*ALONE, *EXCLUDED] if name.split("/")[0] + "/.." in tests]
        status, output = run(os.path.join(folder, "test", "regress"), "--no-fork", *tests, *left_out,
                             options=["--icount", "--mem", "256M", "--initrd", initrd])
        done = re.search(r"^([0-9]+) tests ok\.", output, re.MULTILINE)
        assert status == 0 and done, f"{tests}: status {status}: {output[-4000:]}"
        passed += int(done[1])
    assert passed > 230, passed
