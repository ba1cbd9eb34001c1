"""Archives that the Linux kernel unpacks as its root file system (cpio "newc", Linux's
Documentation/driver-api/early-userspace/buffer-format.rst). Several may follow each other."""
import stat

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


def pad(data):
    return data + bytes(-len(data) % 4)


def member(number, path, mode, data):
    """One file; times, owner and devices are 0, so that equal contents make equal archives."""
    name = path.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    header = MAGIC + b"".join(b"%08X" % field for field in fields)
    return pad(header + name) + pad(data)


class Archive:
    def __init__(self):
        self.parts = []
        self.folders = set()

    def add(self, path, mode, data):
        self.add_folder(path.rpartition("/")[0])
        self.parts.append(member(len(self.parts) + 1, path, mode, data))

    def add_folder(self, path):
        """With the folders that it lies in."""
        if path and path not in self.folders:
            self.folders.add(path)
            self.add(path, stat.S_IFDIR | 0o755, b"")

    def add_file(self, path, data, is_program=False):
        self.add(path, stat.S_IFREG | (0o755 if is_program else 0o644), data)

    def add_link(self, path, target):
        self.add(path, stat.S_IFLNK | 0o777, target.encode())

    def contents(self):
        return b"".join(self.parts) + member(0, TRAILER, 0, b"")
