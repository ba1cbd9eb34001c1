"""The command line of tools/parvus: options, what they may be, and the subcommands."""
import argparse
import os
import re
import shlex
import sys

from . import devices, images, qemu, xen
from .console import Symbols, symbolize_stream
from .errors import USAGE_ERROR, UsageError
from .session import Session

BOOTS = ["pvh", "multiboot", "grub", "grub:mb1", "grub:mb2", "grub:module", "grub:uefi"]


def parse_memory(text):
    if not re.fullmatch(r"[1-9][0-9]*[KMG]", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 64M or 1536K")
    return text


def parse_positive(text):
    if not re.fullmatch(r"[0-9]+", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 up")
    return int(text)


def parse_seconds(text):
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    return float(text)


class Join(argparse.Action):
    """Of an option that is given several times: all of its texts, in a row."""
    def __call__(self, parser, namespace, value, option=None):
        setattr(namespace, self.dest, f"{getattr(namespace, self.dest)} {value}".strip())


def make_parser():
    parser = argparse.ArgumentParser(prog="tools/parvus", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="run|image|symbolize", required=True)

    run = commands.add_parser(
        "run", allow_abbrev=False, usage="tools/parvus run [options] IMAGE|APP [-- ARGS]",
        help="boot an image or an application; the exit status is the application's",
        description="Boots an image on QEMU and shows its console. Exit status: the application's; "
                    "134 crash, 137 out of memory, 126 refused by the hypervisor, 124 time-out, "
                    "125 QEMU failed, 2 wrong options (each with a message on stderr).")
    run.add_argument("image", metavar="IMAGE|APP",
                     help="NAME.img; or a name under apps/ or a folder, which is built first; or what "
                          "tools/parvus-cc has linked, of which PROGRAM.img is made first; or a "
                          "guest NAME.elf, which goes with the bare hypervisor as a module")
    run.add_argument("--accel", choices=["tcg", "kvm", "auto", *qemu.NESTED], default="auto",
                     help="auto: kvm where the host has hardware virtualization, else tcg; nested: "
                          "a real KVM in an emulated host (nested:2: with two processors)")
    run.add_argument("--machine", choices=["microvm", "q35", "pc", *xen.MACHINES],
                     help="default: microvm with --boot pvh, else q35; xen: NAME.elf as the "
                          "initial domain of the real Xen, xen-domu: under a Linux that is")
    run.add_argument("--boot", choices=BOOTS, default="pvh", metavar="pvh|multiboot|grub[:ENTRY]",
                     help="ENTRY: mb1, mb2, module (BIOS) or uefi; default: pvh")
    run.add_argument("--mem", type=parse_memory, metavar="SIZE",
                     help="memory, e.g. 64M or 1536K; default 64M")
    run.add_argument("--max-mem", type=parse_memory, metavar="SIZE",
                     help="what xl may let the guest grow to (machine xen-domu); default: --mem")
    run.add_argument("--smp", type=parse_positive, default=1, metavar="N",
                     help="virtual processors; only 1 yet")
    run.add_argument("--net", type=devices.parse_net, action="append",
                     metavar="none|user[,PORT:PORT...]|tap:NAME",
                     help="a network interface, once for each; user: QEMU's own network, with TCP "
                          "ports of this host that lead to the guest's (8080:80; 5353:53/udp: UDP); "
                          "tap: a TAP interface of this host")
    run.add_argument("--disk", action="append", metavar="FILE",
                     help="a disk, once for each: a file with its raw contents, or a block device")
    run.add_argument("--share", metavar="DIR",
                     help="a folder of this host, which the guest reads and writes at /host")
    run.add_argument("--initrd", metavar="FILE", help="files for the guest: a tar or cpio (newc) archive")
    run.add_argument("--append", default="", action=Join, metavar="TEXT",
                     help="parameters of the system, such as log=info or env.NAME=value; several "
                          "times: all of them")
    run.add_argument("--timeout", type=parse_seconds, metavar="S",
                     help="end the run after S seconds with status 124")
    run.add_argument("--icount", action="store_true",
                     help="count instructions: deterministic virtual time (tcg)")
    run.add_argument("--gdb", action="store_true", help="wait for gdb on port 1234")
    run.add_argument("--qemu", type=shlex.split, action="extend", default=[], metavar="TEXT",
                     help="more options for QEMU, e.g. --qemu='-cpu Nehalem'")
    run.add_argument("--dom0", metavar="TEXT",
                     help="commands that dom0's shell runs beside the guest (machine xen-domu); "
                          "their output appears on the console")
    run.add_argument("--verbose", action="store_true",
                     help="show on stderr what Xen and dom0 say, too")
    run.add_argument("--dry-run", action="store_true",
                     help="print the command line for a shell instead")
    run.set_defaults(function=run_image)

    image = commands.add_parser(
        "image", allow_abbrev=False,
        help="make an image, which boots by itself, of a guest that tools/parvus-cc has linked")
    image.add_argument("guest", metavar="PROGRAM")
    image.add_argument("-o", dest="output", metavar="NAME.img", help="default: PROGRAM.img")
    image.set_defaults(function=make_image)

    symbolize = commands.add_parser(
        "symbolize", allow_abbrev=False,
        help="a filter: adds function and line to the backtraces in a console log")
    symbolize.add_argument("elf", metavar="NAME.elf")
    symbolize.set_defaults(function=symbolize_log)
    return parser


def check_supported(options):
    """Refuses what the design names and no code supports yet, and what contradicts itself."""
    if options.smp != 1:
        raise UsageError(f"--smp {options.smp} is not supported yet")
    for name, value in (("--dom0", options.dom0), ("--max-mem", options.max_mem)):
        if value and options.machine != "xen-domu":
            raise UsageError(f"{name} needs --machine xen-domu")
    if options.icount and options.accel not in ("tcg", "auto"):
        raise UsageError("--icount needs --accel tcg")
    has_devices = any(options.net or []) or options.disk or options.share
    if options.accel in qemu.NESTED and (options.gdb or xen.is_xen(options) or has_devices):
        raise UsageError(f"--accel {options.accel} does not go with --gdb, Xen, --net, --disk or --share")
    if options.machine == "xen-domu" and has_devices:
        raise UsageError("--machine xen-domu has no virtio devices: no --net, --disk or --share")
    if options.machine == "microvm" and options.boot != "pvh":
        raise UsageError(f"--machine microvm boots by pvh only, not by {options.boot}")


def use_defaults(options, image):
    """What is not given comes from the application (APP_RUN of its app.mk, in NAME.run beside the
    image), whose files are named from there."""
    words = image.default_options()
    theirs = make_parser().parse_args(["run", *words, image.path])
    if theirs.initrd:
        theirs.initrd = os.path.join(os.path.dirname(image.path), theirs.initrd)
    for name, last_resort in (("net", []), ("disk", []), ("share", None), ("initrd", None), ("mem", "64M")):
        given = getattr(options, name)
        setattr(options, name, given if given is not None else getattr(theirs, name) or last_resort)


def run_image(options):
    image = images.resolve(options.image)
    use_defaults(options, image)
    check_supported(options)
    if options.gdb:
        options.append = f"noaslr {options.append}".strip()  # the symbols' addresses hold
    with images.Files() as files:
        make = xen if xen.is_xen(options) else qemu
        command = make.command_line(options, image, files)
        if options.dry_run:
            files.keep()
            print(shlex.join(command))
            return 0
        devices.check(options)
        for url in devices.urls(options):
            print(f"parvus: {url}", file=sys.stderr)
        if options.gdb:
            print(f"parvus: waiting for: gdb {image.guest or image.path} "
                  "-ex 'target remote localhost:1234'", file=sys.stderr)
        if xen.is_xen(options):
            return xen.session(command, Symbols.of_image(image), options).run()
        return Session(command, Symbols.of_image(image), options.timeout).run()


def make_image(options):
    images.build(options.guest, options.output or f"{options.guest.removesuffix('.elf')}.img")
    return 0


def symbolize_log(options):
    symbolize_stream(Symbols([options.elf]), sys.stdin.buffer, sys.stdout.buffer)
    return 0


def main(arguments):
    """Returns the exit status. What follows `--` is for the application, whatever it looks like."""
    if "--" in arguments:
        split = arguments.index("--")
        arguments, application_arguments = arguments[:split], arguments[split + 1:]
    else:
        application_arguments = []
    options = make_parser().parse_args(arguments)
    options.arguments = application_arguments
    try:
        return options.function(options)
    except UsageError as error:
        print(f"parvus: {error}", file=sys.stderr)
        return USAGE_ERROR
