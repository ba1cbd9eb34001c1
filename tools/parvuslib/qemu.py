"""QEMU's command line for one run (QEMU 7.2 or later)."""
import os
import re

from . import devices, images
from .errors import UsageError

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"

# Without the devices that the hypervisor has no use for. Without ACPI, whose tables would describe the
# virtio devices, they are named on the guest's command line.
MICROVM = "microvm,x-option-roms=off,pit=off,pic=off,rtc=on,isa-serial=on,acpi=off"

# Where the hypervisor leaves the exit status (boot/, pv/hypervisor/): a byte for QEMU's own exit
# status, and a line that tells an application's status from a crash.
EXIT_PORT = 0xF4
EXIT_LINE_PORT = 0xE9

# A real KVM in an emulated host (nested.py), which has so many processors.
NESTED = {"nested": 1, "nested:2": 2}
NESTED_QEMU = os.path.join(images.ROOT, "tools", "kvm-host", "qemu")


def has_hardware_virtualization():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
            return re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo.read(), re.MULTILINE) is not None
    except OSError:
        return False


def can_open_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def accelerator(options):
    if options.accel == "auto":
        is_fast = can_open_kvm() and has_hardware_virtualization()
        return "kvm" if is_fast and not options.icount else "tcg"
    if options.accel == "kvm" and not can_open_kvm():
        raise UsageError("--accel kvm: /dev/kvm does not open for reading and writing here")
    return options.accel


def cpu(accel):
    if accel == "tcg":
        return "max"
    if accel in NESTED:
        return "host"
    # A KVM that itself runs in a guest may lack the register behind this feature, and QEMU aborts.
    return "host" if has_hardware_virtualization() else "host,-arch-capabilities"


def kib(size):
    """A size such as 64M, in KiB."""
    return int(size[:-1]) * {"K": 1, "M": 1024, "G": 1024 * 1024}[size[-1]]


def memory(options, image):
    """What QEMU's -m gets. Where the image itself does not fit, there is nobody to say so."""
    needed = -(-images.least_memory_bytes(image.path) // 1024)
    if kib(options.mem) < needed:
        raise UsageError(f"--mem {options.mem} is too little: {image.path} alone needs {needed}K")
    return options.mem


def program(accel):
    """QEMU, with the accelerator that it is to use."""
    if accel in NESTED:
        return [NESTED_QEMU, "--processors", str(NESTED[accel]), "-accel", "kvm"]
    return ["qemu-system-x86_64", "-accel", accel]


def machine(options):
    name = options.machine or ("microvm" if options.boot == "pvh" else "q35")
    return MICROVM if name == "microvm" else name


def quote(word):
    """One word of the guest's command line: double quotes group, backslash escapes."""
    if word and not re.search(r'[\s"\\]', word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split(text):
    """The words of a guest's command line; what quote() joined."""
    parts = re.findall(r'(?:"(?:[^"\\]|\\.)*"?|\\.|[^\s"\\])+', text)
    return [re.sub(r'\\(.)|"', lambda match: match[1] or "", part) for part in parts]


def guest_command_line(options):
    """Parameters of the system, then `--` and the application's arguments."""
    words = [options.append] if options.append else []
    if options.arguments:
        words += ["--"] + [quote(word) for word in options.arguments]
    text = " ".join(words)
    if "\0" in text or "\n" in text:
        raise UsageError("the guest's command line is one line of text")
    return text


def boot_options(options, image, files):
    """What to boot and how. A module's own command line would need a loader that has one: QEMU's
    PVH loader gives modules none, so the line is the hypervisor's, which hands it on."""
    text = guest_command_line(options)
    if options.initrd and not os.path.isfile(options.initrd):
        raise UsageError(f"--initrd: {options.initrd} is no file")
    if options.boot.startswith("grub"):
        entry = options.boot.partition(":")[2] or "mb2"
        firmware = []
        if entry == "uefi":
            if not os.path.exists(OVMF_CODE):
                raise UsageError(f"--boot grub:uefi: {OVMF_CODE} is missing (package ovmf)")
            firmware = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}",
                        "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={OVMF_VARIABLES}"]
            entry = "mb2"
        return firmware + ["-boot", "d", "-cdrom", images.grub_iso(image, entry, options.initrd, split(text), files)]

    path = images.multiboot_copy(image, files) if options.boot == "multiboot" else image.path
    modules = [path for path in (image.module, options.initrd) if path]
    arguments = ["-kernel", path]
    if modules:
        if len(modules) > 1 and options.boot != "multiboot":
            raise UsageError("a guest and --initrd together need --boot multiboot")
        if options.boot == "multiboot":
            modules = [module.replace(",", ",,") for module in modules]
        arguments += ["-initrd", ",".join(modules)]
    return arguments + (["-append", text] if text else [])


def processors(options, accel):
    """QEMU before 8.1 leaves a guest's memory barriers out where there can only be one processor, but its
    devices run beside it, and notifications get lost. (With -icount they do not.)"""
    return f"{options.smp}" + (",maxcpus=2" if accel == "tcg" and not options.icount else "")


def command_line(options, image, files):
    """The whole command line as a list of words."""
    accel = accelerator(options)
    command = [*program(accel), "-cpu", cpu(accel), "-M", machine(options),
               "-m", memory(options, image), "-smp", processors(options, accel),
               "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
               "-serial", "stdio", "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"]
    if options.icount:
        command += ["-icount", "shift=0,sleep=off"]
    if options.gdb:
        command += ["-s", "-S"]
    return (command + devices.qemu_options(options, machine(options) == MICROVM, accel)
            + boot_options(options, image, files) + options.qemu)


def exit_line_options(fd):
    """Sends the exit line to an inherited file descriptor."""
    return ["-chardev", f"file,id=exit-line,path=/dev/fd/{fd}",
            "-device", f"isa-debugcon,iobase={EXIT_LINE_PORT:#x},chardev=exit-line"]
