"""tools/parvus itself: exit statuses, options, console and input, on a fake image (fake.S)."""
import os
import re
import shlex
import signal
import subprocess
import sys
import time

from framework import PARVUS, app_image, command, scratch, test

FAKE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "fake.S")


def fake_image(name, message="hello\\n", exit_line=None, *defines):
    """Builds a variant of fake.S; returns the image's path."""
    folder = scratch("fake")
    image, object_file = (os.path.join(folder, f"{name}.{kind}") for kind in ("img", "o"))
    defines = [f'-DMESSAGE="{message}"', *defines]
    if exit_line:
        defines.append(f'-DEXIT_LINE="{exit_line}\\n"')
    for step in (["gcc", "-g", *defines, "-c", FAKE, "-o", object_file],
                 ["ld", "-Ttext=0x100000", "-z", "max-page-size=4096", "-o", image, object_file]):
        status, output = command(step)
        assert status == 0, output
    return image


def run(image, *options, **keywords):
    return command([PARVUS, "run", "--accel", "tcg", "--timeout", "60", *options, image], **keywords)


def expect(got, status, pattern):
    assert got[0] == status, f"status {got[0]} instead of {status}: {got[1]}"
    assert re.search(pattern, got[1]), f"/{pattern}/ not in: {got[1]}"


@test("tool-status", "The status is the application's, or says how else the run ended.")
def check_statuses():
    for line, status, pattern in [
            ("exit 0", 0, r"\Ahello\n\Z"), ("exit 7", 7, r"\Ahello\n\Z"),
            ("exit 255", 255, r"\Ahello\n\Z"), ("exit 134", 134, r"\Ahello\n\Z"),
            ("crash", 134, "parvus: the guest crashed"), ("oom", 137, "parvus: .*out of memory"),
            ("hypervisor", 126, "parvus: the hypervisor gave up"),
            (None, 125, "parvus: QEMU failed")]:
        image = fake_image("status-" + (line or "none").replace(" ", "-"), exit_line=line)
        expect(run(image), status, pattern)


@test("tool-qemu-fails", "A QEMU that does not start is status 125 and its message is shown.")
def check_qemu_failure():
    expect(run(fake_image("qemu", exit_line="exit 0"), "--qemu=-no-such-option"), 125,
           "no-such-option(.|\n)*parvus: QEMU failed")


@test("tool-timeout", "A time-out is status 124 and leaves no QEMU behind.")
def check_timeout():
    image = fake_image("timeout", "spinning\\n", None, "-DSPIN")
    expect(run(image, "--timeout", "2"), 124, r"\Aspinning\nparvus: time-out after 2 s")
    assert not processes(image), "QEMU is still running"


@test("tool-interrupt", "Ctrl-C, or the end of the tool by SIGTERM, ends QEMU.")
def check_interrupt():
    for number in (signal.SIGINT, signal.SIGTERM):
        image = fake_image(f"interrupt-{number}", "spinning\\n", None, "-DSPIN")
        tool = subprocess.Popen([PARVUS, "run", "--accel", "tcg", "--timeout", "60", image], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        assert tool.stdout.readline() == "spinning\n"
        tool.send_signal(number)
        output, _ = tool.communicate(timeout=60)
        expect((tool.returncode, output), 130, "parvus: interrupted")
        assert not processes(image), "QEMU is still running"


def processes(word):
    """The processes with that word on their command line, after a moment for them to go."""
    for _ in range(20):
        found = [pid for pid in os.listdir("/proc") if pid.isdecimal() and word in arguments_of(pid)]
        if not found:
            break
        time.sleep(0.1)
    return found


def arguments_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().split("\0")
    except OSError:  # it has just ended
        return []


@test("tool-qemu-options", "Options for QEMU add up.")
def check_qemu_options():
    status, output = command([PARVUS, "run", "--accel", "tcg", "--dry-run", "--qemu=-device one",
                              "--qemu=-device two", app_image("hello")])
    assert status == 0 and "-device one -device two" in output, output


@test("tool-input", "Input from a pipe and from a file reaches the guest, and so does its end.")
def check_input(folder):
    image = fake_image("input", "ready\\n", "exit 0", "-DECHO")
    text = "".join(f"line {i}\n" for i in range(200))
    path = os.path.join(folder, "input.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    with open(path, encoding="ascii") as file:
        expect(run(image, stdin=file), 0, r"\Aready\n" + text + r"\Z")
    with subprocess.Popen(["sh", "-c", f"sleep 0.5; cat {shlex.quote(path)}"],
                          stdout=subprocess.PIPE) as writer:
        expect(run(image, stdin=writer.stdout), 0, r"\Aready\n" + text + r"\Z")


# Reads to the end of input as the console has it, and says whether anything follows.
READER = """
import os, select
text = b""
while not text.endswith(b"\\4"):
    text += os.read(0, 100)
print(text, bool(select.select([0], [], [], 0.5)[0]), flush=True)
"""
SESSION = """
import sys
from parvuslib.session import Session
Session.exit_line_options = lambda self, fd: []
Session([sys.executable, "-c", sys.argv[1]], None, 60, input_at_once=True).run()
"""


@test("tool-input-once", "The end of a file as input reaches the guest once.")
def check_input_once(folder):
    path = os.path.join(folder, "input.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("text")
    with open(path, encoding="ascii") as file:
        _, output = command([sys.executable, "-B", "-c", SESSION, READER], stdin=file,
                            env={**os.environ, "PYTHONPATH": os.path.dirname(PARVUS)})
    assert "b'text\\x04' False" in output, output


def read(file, size):
    """Reads what comes, up to `size` bytes; fewer when the other side ends before."""
    text = b""
    while len(text) < size and (part := os.read(file.fileno(), size - len(text))):
        text += part
    return text


@test("tool-live", "The console passes through as it comes, without waiting for a line's end.")
def check_live():
    image = fake_image("live", "  #prompt> ", "exit 0", "-DECHO")
    tool = subprocess.Popen([PARVUS, "run", "--accel", "tcg", "--timeout", "60", image], bufsize=0,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert read(tool.stdout, len("  #prompt> ")) == b"  #prompt> "
        tool.stdin.write(b"x")
        assert read(tool.stdout, 1) == b"x"
        tool.stdin.close()
        assert tool.wait(60) == 0
    finally:
        tool.kill()
        tool.wait()


@test("tool-backtrace", "Backtrace lines get function, offset, file and line; others stay.")
def check_backtrace():
    lines = r"  #0 0x100000\n  #1 0x100005\n  #2 0x1\n  #3 is not one\n #4 0x100000\n"
    image = fake_image("backtrace", lines, "crash")
    command(["cp", image, os.path.splitext(image)[0] + ".elf"])
    expect(run(image), 134,
           r"\A  #0 0x100000 start\+0x0 \S*fake\.S:\d+\n  #1 0x100005 start\+0x5 \S*fake\.S:\d+\n"
           r"  #2 0x1\n  #3 is not one\n #4 0x100000\n")


@test("tool-symbolize", "The filter does the same to a log.")
def check_symbolize():
    image = fake_image("symbolize", exit_line="exit 0")
    done = subprocess.run([PARVUS, "symbolize", image], input="a\n  #0 0x100000\nb", text=True,
                          stdout=subprocess.PIPE, check=True)
    assert re.fullmatch(r"a\n  #0 0x100000 start\+0x0 \S+fake.S:\d+\nb", done.stdout), done.stdout


@test("tool-dry-run", "--dry-run prints one command that a shell runs as it stands.")
def check_dry_run():
    image = fake_image("dry run", "dry\\n", "exit 0")
    status, output = run(image, "--dry-run", "--append", "a=b c='d'")
    assert status == 0 and output.count("\n") == 1, output
    expect(command(["sh", "-c", output]), 11, r"\Adry\n\Z")


@test("tool-options", "Wrong and not yet supported options are refused by name with status 2.")
def check_options():
    image = fake_image("options", exit_line="exit 0")
    for options, pattern in [
            (["--mem", "64"], "--mem: '64' is not a size"), (["--mem", "0K"], "--mem: '0K'"),
            (["--mem", "640K"], "--mem 640K is too little"),
            (["--smp", "0"], "--smp: '0'"), (["--smp", "2"], "--smp 2 is not supported yet"),
            (["--net", "wifi"], "--net: 'wifi' is none of"),
            (["--share", "/no/such"], "--share /no/such: is no folder"),
            (["--machine", "sparc"], "--machine: invalid choice: 'sparc'"),
            (["--machine", "microvm", "--boot", "multiboot"], "microvm boots by pvh only"),
            (["--accel", "kvm", "--icount"], "--icount needs"),
            (["--timeout", "soon"], "--timeout: 'soon'"), (["--bogus"], "--bogus"),
            (["--boot", "floppy"], "--boot: invalid choice: 'floppy'"),
            (["--initrd", "/no/such"], "/no/such is no file"),
            (["--boot", "multiboot"], "no Multiboot header")]:
        expect(run(image, *options), 2, re.escape(pattern))
    expect(run("no-such-app"), 2, "'no-such-app' is no image, no folder and no application")


@test("tool-command-line", "Arguments survive quoting.")
def check_quoting():
    from parvuslib import qemu
    for words in (["a", ""], ["a b", 'c"d', "e\\f", "\\", '"'], ["--", "'x'", "$(y)", "tab\there"]):
        text = " ".join(qemu.quote(word) for word in words)
        assert qemu.split(text) == words, text
    assert qemu.split('log=info env.A="b c" d\\ e') == ["log=info", "env.A=b c", "d e"]


@test("tool-defaults", "Options that an application brings along hold where none are given.")
def check_defaults(folder):
    image = os.path.join(folder, "app.img")
    command(["cp", fake_image("defaults", exit_line="exit 0"), image])
    for name, text in (("app.run", "--initrd app.initrd --net user,8080:80 --mem 96M\n"), ("app.initrd", "x")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    status, output = run(image, "--dry-run")
    words = shlex.split(output)
    assert status == 0 and "96M" in words and os.path.join(folder, "app.initrd") in words, output
    assert "user,hostfwd=tcp:127.0.0.1:8080-:80,id=net0" in words, output
    status, output = run(image, "--dry-run", "--net", "none", "--mem", "32M")
    words = shlex.split(output)
    assert status == 0 and "32M" in words and "-netdev" not in words, output
