"""Images: which file an argument means, building it, and the copies that some boots need."""
import os
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

from .errors import UsageError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# The disabled Multiboot 1 header of an image (boot/): magic, flags, checksum. Enabling it makes
# QEMU's -kernel enter by Multiboot; the disabled one lets it see an ELF with a PVH note.
DISABLED_HEADER = struct.pack("<III", 0xE4524FFD, 0x00010003, 0xE4514FFB)
MULTIBOOT_MAGIC = struct.pack("<I", 0x1BADB002)
PT_LOAD, PT_NOTE = 1, 4  # elf(5)
XEN_ELFNOTE_ENTRY = struct.pack("<I", 1) + b"Xen\0"  # of a guest, not of an image around one
HEADER_SEARCH_BYTES = 8192  # Multiboot 0.6.96, 3.1


def build_folder():
    """Where make writes, as an absolute path."""
    return os.path.join(ROOT, os.environ.get("B") or "build")


class Image:
    """What to boot: `path`, plus `module` when the guest is a separate file; `guest` is the ELF
    with the guest's symbols and `debug` the one with the hypervisor's, where they exist."""

    def __init__(self, path, module=None):
        self.path = path
        self.module = module
        stem = os.path.splitext(path)[0]
        self.guest = existing(module or f"{stem}.elf") or existing(stem)
        self.debug = existing(f"{path}.debug")

    def default_options(self):
        """Of tools/parvus run, as make left them beside the image of an application."""
        path = f"{os.path.splitext(self.guest or self.path)[0]}.run"
        if not existing(path):
            return []
        with open(path, encoding="utf-8") as file:
            return shlex.split(file.read())


def existing(path):
    return path if os.path.isfile(path) else None


def hypervisor():
    return os.path.join(build_folder(), "boot", "parvus-hypervisor.img")


def resolve(argument):
    """The Image that a command-line argument means: a file, else an application to build."""
    if os.path.isfile(argument):
        if not argument.endswith((".elf", ".img")) and is_guest(argument):
            build(argument, f"{argument}.img")
            return Image(f"{argument}.img")
        if argument.endswith(".elf"):
            if not existing(hypervisor()):
                make("image")
            return Image(hypervisor(), module=argument)
        return Image(argument)
    is_name = os.path.isdir(os.path.join(ROOT, "apps", argument))
    if not is_name and not os.path.isdir(argument):
        raise UsageError(f"'{argument}' is no image, no folder and no application under apps/")
    application = argument if is_name else os.path.realpath(argument)
    make("image", f"APP={application}")
    name = os.path.basename(application)
    return Image(os.path.join(build_folder(), "apps", name, f"{name}.img"))


def make(*arguments, environment=None):
    """Runs make in the tree; its output goes to stderr, which is not the application's. It is no part of a make
    that may have started us."""
    variables = {name: value for name, value in os.environ.items()
                 if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    done = subprocess.run(["make", "-C", ROOT, "--no-print-directory", *arguments], stdout=sys.stderr,
                          stdin=subprocess.DEVNULL, env={**variables, **(environment or {})})
    if done.returncode != 0:
        raise UsageError(f"make {' '.join(arguments)} failed")


def segments(file):
    """(type, offset, physical address, bytes in the file, bytes in memory) of each segment of an ELF file
    for 64 bits; none of any other file."""
    header = file.read(64)
    if len(header) < 64 or not header.startswith(b"\x7fELF\x02\x01"):
        return []
    table, size, number = struct.unpack("<Q", header[32:40]) + struct.unpack("<HH", header[54:58])
    file.seek(table)
    entries = [file.read(size) for _ in range(number)]
    return [struct.unpack_from("<I4xQ8xQQQ", entry) for entry in entries if len(entry) == 56]


def least_memory_bytes(path):
    """Where an ELF image ends in machine memory; 0 for a file that is none."""
    with open(path, "rb") as file:
        return max((start + length for kind, _, start, _, length in segments(file) if kind == PT_LOAD), default=0)


def is_guest(path):
    """Whether it is a guest by itself: an ELF file with the note that says where Xen enters."""
    with open(path, "rb") as file:
        for kind, offset, _, length, _ in segments(file):
            file.seek(offset)
            if kind == PT_NOTE and XEN_ELFNOTE_ENTRY in file.read(length):
                return True
    return False


def build(guest, output):
    """An image around a guest that was linked by tools/parvus-cc."""
    if not existing(guest):
        raise UsageError(f"{guest}: no such file")
    if not is_guest(guest):
        raise UsageError(f"{guest} is no guest: link it by tools/parvus-cc")
    make("-s", "guest-image", environment={"GUEST": os.path.abspath(guest), "OUTPUT": os.path.abspath(output)})


class Files:
    """The temporary files of one run; removed at its end unless kept."""

    def __init__(self):
        self.folder = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self):
        self.folder = None

    def path(self, name):
        if not self.folder:
            self.folder = tempfile.mkdtemp(prefix="parvus-")
        return os.path.join(self.folder, name)


def multiboot_copy(image, files):
    """A copy of the image whose Multiboot 1 header QEMU sees; next to it where that is writable."""
    try:
        with open(image.path, "rb") as source:
            contents = source.read()
    except OSError as error:
        raise UsageError(f"cannot read {image.path}: {error.strerror}") from None
    start = contents[:HEADER_SEARCH_BYTES].find(DISABLED_HEADER)
    while start % 4 != 0 and start > 0:
        start = contents[:HEADER_SEARCH_BYTES].find(DISABLED_HEADER, start + 1)
    if start < 0:
        raise UsageError(f"{image.path} has no Multiboot header for QEMU: not a Parvus image")
    contents = contents[:start] + MULTIBOOT_MAGIC + contents[start + 4:]
    name = f"{os.path.splitext(image.path)[0]}.multiboot.img"
    for path in (name, files.path(os.path.basename(name))):
        try:
            # Several runs may write it at once: each into a name of its own, then moved into place.
            with tempfile.NamedTemporaryFile(dir=os.path.dirname(path) or ".", delete=False) as copy:
                copy.write(contents)
            os.replace(copy.name, path)
            return path
        except OSError:
            continue
    raise UsageError(f"cannot write {name} nor into {files.folder}")


def grub_iso(image, entry, initrd, words, files):
    """An ISO that boots the image by one of tools/iso's entries at once, with this command line."""
    guest = image.module or f"{os.path.splitext(image.path)[0]}.stripped.elf"
    for path in (image.path, hypervisor(), guest):
        if not existing(path):
            raise UsageError(f"--boot grub needs {path}, which is missing")
    iso = files.path("boot.iso")
    done = subprocess.run([os.path.join(ROOT, "tools", "iso"), "--output", iso, "--entry", entry,
                           *(["--initrd", initrd] if initrd else []), image.path, hypervisor(), guest, *words],
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise UsageError("--boot grub: tools/iso failed")
    return iso
