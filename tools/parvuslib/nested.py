"""QEMU with a real KVM, on any machine: a small Linux with KVM under an emulator of AMD's SVM.

tools/kvm-host/qemu takes QEMU's own arguments and behaves as QEMU does on a machine with KVM: files
that arguments name, standard input and output, output to /dev/fd/N and the exit status are those of
the machine that it is called on. In an argument, @TSC_HZ@ stands for the emulated host's frequency.

emulated.py says how it runs (boot: 4 s, once). Status 125 and a message say that the emulated host
failed, and not the QEMU in it.
"""
import os
import re
import shutil

from . import emulated, images

SOURCES = os.path.join(images.ROOT, "tools", "kvm-host")

# The number of the emulated host's processors decides its clock: one keeps the TSC, and then KVM says
# that its clock is stable; with more Linux gives the TSC up (on AMD, without CONSTANT_TSC).
CLOCKSOURCES = {1: "tsc", 2: "hpet"}

# microvm hangs as a host. Processors take turns: of code that one changes while another runs it, TCG
# with a thread for each can keep an old translation for good (accel/tcg/cputlb.c, notdirty_write:
# those of the old bytes go before the new bytes come). Linux changes code when KVM's first guest starts.
MACHINE = ["-accel", "tcg,thread=single", "-M", "q35", "-cpu", "max", "-m", "512", "-smp"]
# Watching the TSC on a busy machine would find faults that are the machine's.
LINUX_OPTIONS = ("console=ttyS0 quiet loglevel=0 panic=-1 mitigations=off nokaslr tsc=nowatchdog "
                 "CLOCKSOURCE={}")


def host(processors):
    boot = ["-kernel", "linux", "-initrd", "initramfs", "-append",
            LINUX_OPTIONS.format(CLOCKSOURCES[processors])]
    return emulated.Host(f"kvm-host-{processors}", "emulated KVM host", "kvm-host",
                         [SOURCES, os.path.realpath(__file__)], [*MACHINE, str(processors)], boot,
                         [os.path.join(SOURCES, "fetch"), emulated.deps_folder()])


def files_in(arguments):
    """Every file that an argument names, alone or as a part, such as in `-drive file=F,if=ide`."""
    parts = [part for word in arguments
             for part in (word, *re.split(r"(?<!,),(?!,)|=", word))]
    return sorted({part.replace(",,", ",") for part in parts if os.path.isfile(part)})


def missing(processors):
    """What this machine lacks for an emulated host, or None. Makes the host ready."""
    return emulated.missing(host(processors))


def run_qemu(arguments):
    """Runs [--processors N] ARGUMENTS-OF-QEMU in an emulated host; returns its exit status."""
    processors = 1
    if arguments[:1] == ["--processors"] and len(arguments) > 1:
        processors, arguments = int(arguments[1]), arguments[2:]
    return emulated.run(host(processors), files_in(arguments),
                        [shutil.which(emulated.QEMU), *arguments])
