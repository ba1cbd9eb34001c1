"""Programs in C++: tests/cxx/ in the guest and on Linux, which is right; tools/parvus-c++; what they leave alone."""
import glob
import os
import re
import shutil

import framework
from compiler import CC, write
from framework import PARVUS, Skip, app_image, boot, command, register, scratch, suite, suite_results, test
from parvuslib.images import ROOT, build_folder

CXX = os.path.join(ROOT, "tools", "parvus-c++")
HOSTS = ["tcg-microvm", "kvm-microvm", "xen-dom0"]

suite("cxx", "What C++ and its library need of the system holds in the guest.", app="cxx", hosts=HOSTS,
      options=["--mem", "128M"])


def run_on_linux(_):
    folder = scratch("cxx-linux")
    program = os.path.join(folder, "cxx")
    log = f"{program}.log"
    status, text = command(["g++", "-std=gnu++17", "-O0", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program,
                            *sorted(glob.glob(os.path.join(ROOT, "tests", "cxx", "*.cc")))])
    if status == 0:
        status, text = command([program])
    with open(log, "w", encoding="utf-8") as file:
        file.write(text)
    return suite_results("cxx-linux", status, text, log)


register("cxx-linux", "The same tests hold on Linux.", [framework.host_table.LOCAL], run_on_linux)


def end(name, sentence, status, console=(), absent=(), hosts=(HOSTS[0],), options=()):
    boot(f"cxx-end-{name.replace('_', '-')}", sentence, app="cxx", hosts=hosts, arguments=["--end", name],
         status=status, console=console, absent=["no ending is called", *absent], options=options)


end("order", "Objects of the main thread, then handlers and static objects, the last one first.", 0,
    [r"^~other thread\r?\n~main thread\r?\n~after\r?\natexit\r?\n~local\r?\n~global$"], hosts=HOSTS)
end("order_by_exit", "exit() destroys what is the calling thread's, and nothing on any stack.", 3,
    [r"^~caller of exit\r?\n~global$"], ["automatic"])
end("order_at_once", "_Exit() destroys nothing.", 4, absent=["~"])
end("uncaught", "An exception that nobody catches is named, and a crash.", 134,
    [r"^terminate called after throwing an instance of 'std::runtime_error'$", r"what\(\):  nobody catches this$",
     r"^parvus: panic: abort\(\) called$", r"#\d+ \S+ \(anonymous namespace\)::end_uncaught\+0x.* .*endings\.cc:\d+"], ["automatic"], HOSTS)
end("uncaught_in_thread", "So is one that leaves a thread.", 134,
    [r"^terminate called after throwing an instance of 'int'$", r"^parvus: panic: abort\(\) called$"])
end("noexcept_broken", "And one that leaves a function that promised none.", 134,
    [r"instance of 'std::out_of_range'$", r"^parvus: panic: abort\(\) called$"])
end("memory", "When memory ends, each request says so by an exception, and all is well once some is free.", 0,
    [r"^told; 1000$"], hosts=HOSTS, options=["--mem", "32M"])


@test("c++-program", "A program of C and C++ and a library in a folder with a blank: linked by tools/parvus-c++, run.")
def check_program(folder):
    folder = os.path.join(folder, "with a blank")
    main = write(folder, "main.cc", '''#include <iostream>
#include <string>
extern "C" int each(const int *, int, void (*)(int));
static void visit(int n) { if (n == 3) throw std::string("three"); std::cout << n << ' '; }
int main(int argc, char **argv)
{
    const int numbers[] = {1, 2, 3, 4};
    try { return each(numbers, 4, visit); }
    catch (const std::string &text) { std::cout << text << ' ' << argv[argc - 1] << std::endl; }
    return 9;
}
''')
    each = write(folder, "each.c", "int each(const int *n, int count, void (*fn)(int))\n"
                 "{ for (int i = 0; i < count; i++) fn(n[i]); return 0; }\n")
    program, library = os.path.join(folder, "program"), os.path.join(folder, "libeach.a")
    for compiler, source, flags in ((CXX, main, ["-std=c++11"]), (CC, each, [])):
        status, output = command([compiler, "-O2", "-Wall", "-Werror", *flags, "-c", source, "-o", f"{source}.o"])
        assert status == 0, output
    assert command(["ar", "rcs", library, f"{each}.o"])[0] == 0
    status, output = command([CXX, f"{main}.o", f"-L{folder}", "-leach", "-o", program])
    assert status == 0, output
    assert command([PARVUS, "run", program, "--", "it is"]) == (9, "1 2 three it is\n")


@test("c++-folder", "A folder with C++ and C is an application.")
def check_folder(folder):
    folder = os.path.join(folder, "greeter")
    write(folder, "greeter.cpp", '#include <iostream>\nextern "C" int seven(void);\n'
          'int main(int, char **argv) { std::cout << "hi " << argv[1] << std::endl; return seven() / OF; }\n')
    write(folder, "seven.c", "int seven(void) { return 7; }\n")
    write(folder, "app.mk", "APP_CXXFLAGS := -DOF=1\n")
    status, output = command([PARVUS, "run", folder, "--", "you"], timeout=600)
    assert status == 7 and output.endswith("hi you\n"), output


@test("c++-left-out", "A program in C has nothing of it: no tables, no destructors; one in C++ has them read-only.")
def check_left_out():
    for app, has in (("hello", False), ("cxx", True)):
        status, text = command(["readelf", "-SlW", app_image(app).replace(".img", ".elf")])
        assert status == 0 and ("GNU_EH_FRAME" in text) == has, text
        assert bool(re.search(r" \.eh_frame .* A  ", text)) == has, text
        assert bool(re.search(r" \.gcc_except_table .* A  ", text)) == has, text


@test("c++-cmake", "jsoncpp (CMake, unmodified): built by the toolchain file, its own tests pass in the guest.")
def check_cmake(folder):
    if not shutil.which("cmake"):
        raise Skip("cmake is missing")
    deps = os.path.join(ROOT, os.environ.get("DEPS") or os.path.join(build_folder(), "deps"))
    status, output = command([os.path.join(ROOT, "tools", "deps", "source"), "jsoncpp", deps])
    assert status == 0, output
    build = os.path.join(folder, "build")
    shutil.rmtree(build, ignore_errors=True)
    for step in (["cmake", "-S", os.path.join(deps, "jsoncpp"), "-B", build, "-DCMAKE_BUILD_TYPE=Debug",
                  "-DJSONCPP_WITH_POST_BUILD_UNITTEST=OFF", "-DBUILD_SHARED_LIBS=OFF", "-DBUILD_OBJECT_LIBS=OFF",
                  f"-DCMAKE_TOOLCHAIN_FILE={os.path.join(build_folder(), 'sysroot', 'parvus.cmake')}"],
                 ["cmake", "--build", build, "--parallel", "2", "--target", "jsoncpp_test"]):
        status, output = command(step, timeout=600)
        assert status == 0, output
    status, output = command([PARVUS, "run", os.path.join(build, "bin", "jsoncpp_test")])
    passed = re.search(r"^All (\d+) tests passed$", output, re.MULTILINE)
    assert status == 0 and passed and int(passed[1]) > 100, output
