"""The reader of the initrd (kernel/archive.h), built for this machine with the sanitizers: archives by GNU
tar, GNU cpio and Python's tarfile, bad ones, and fuzz."""
import io
import os
import shutil
import stat
import tarfile

from framework import Skip, app_image, command, parvus, test
from parvuslib.cpio import Archive, member
from parvuslib.images import ROOT

HERE = os.path.dirname(os.path.realpath(__file__))
FUZZ_ROUNDS = "20000"


def reader(folder):
    """The program, in this folder."""
    program = os.path.join(folder, "archive")
    status, output = command(
        ["gcc", "-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{ROOT}", "-o", program, os.path.join(HERE, "archive.c"),
         *(os.path.join(ROOT, "kernel", name) for name in ("archive.c", "tar.c", "cpio.c"))])
    if "cannot find -lasan" in output or "libasan" in output:
        raise Skip("gcc's address sanitizer (package libgcc-12-dev) is missing")
    assert status == 0, output
    return program


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def checksum(data):
    total = 0
    for byte in data:
        total = (total * 31 + byte) % 2**64
    return total


def listing(program, path):
    """{path: (kind, mode, mtime, links, bytes, sum, target)}"""
    status, output = command([program, path])
    assert status == 0, output
    names = {}
    for line in output.splitlines():
        kind, mode, mtime, links, size, total, name = line.split(" ", 6)
        name, _, target = name.partition(" -> ")
        assert name not in names, name
        names[name] = (kind, int(mode, 8), int(mtime), int(links), int(size), int(total), target)
    return names


def make_tree(root):
    """Files as they come: long names, many, links of both kinds, an empty file and folder."""
    for name, data in [("a", b"alpha"), ("empty", b""), ("dir/b", b"beta" * 1000), ("dir/sub/c", b"c" * 512),
                       ("dir/" + "n" * 200, b"long"), ("/".join(["deep" * 20] * 8) + "/file", b"deep"),
                       ("sp ace\u00e9", b"utf-8")]:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (1_600_000_000, 1_600_000_000 + len(data)))
    for index in range(300):
        with open(os.path.join(root, "dir", f"many{index}"), "wb") as file:
            file.write(str(index).encode())
    os.chmod(os.path.join(root, "a"), 0o751)
    os.mkdir(os.path.join(root, "nothing"))
    os.symlink("dir/b", os.path.join(root, "link"))
    os.symlink("x" * 300, os.path.join(root, "longlink"))
    os.link(os.path.join(root, "dir/b"), os.path.join(root, "dir/hard"))
    os.link(os.path.join(root, "dir/b"), os.path.join(root, "zhard"))


def tree_listing(root):
    names = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            kind = "d" if stat.S_ISDIR(info.st_mode) else "l" if stat.S_ISLNK(info.st_mode) else "f"
            target = os.readlink(path) if kind == "l" else ""
            data = target.encode() if kind == "l" else b""
            if kind == "f":
                with open(path, "rb") as file:
                    data = file.read()
            names["/" + os.path.relpath(path, root)] = (
                kind, stat.S_IMODE(info.st_mode), int(info.st_mtime), info.st_nlink, len(data),
                checksum(data), target)
    return names


def assert_same(got, expected, what):
    for name in sorted(set(got) | set(expected)):
        assert got.get(name) == expected.get(name), f"{what}: {name}: {got.get(name)}, {expected.get(name)}"


@test("archive-tools", "What GNU tar (each format) and GNU cpio packed reads back as the tree that it was.")
def check_tools(folder):
    program, root = reader(folder), os.path.join(folder, "tree")
    command(["rm", "-rf", root])
    make_tree(root)
    expected = tree_listing(root)
    archives = {f"gnu-tar-{kind}": ["tar", f"--format={kind}", "-cf", "{}", "-C", root, "."]
                for kind in ("gnu", "pax", "oldgnu")}
    for kind in ("newc", "crc"):
        if shutil.which("cpio"):
            archives[f"cpio-{kind}"] = ["sh", "-c", f"cd {root} && find . | cpio -o -H {kind} > {{}}"]
    for name, words in archives.items():
        path = os.path.join(folder, name)
        status, output = command([word.format(path) for word in words])
        assert status == 0, output
        assert_same(listing(program, path), expected, name)
    # ustar has no room for the longest of them.
    for name in ("dir/" + "n" * 200, "longlink"):
        os.remove(os.path.join(root, name))
    os.utime(os.path.join(root, "dir"), (5, 5))
    path = os.path.join(folder, "ustar")
    status, output = command(["tar", "--format=ustar", "-cf", path, "-C", root, "."])
    if "name is too long" not in output:
        assert status == 0, output
        assert_same(listing(program, path), tree_listing(root), "ustar")


def tar(*entries, kind=tarfile.USTAR_FORMAT):
    """entries: (name, data or None for a folder, fields of TarInfo)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data, fields in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data or b"")
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def header(**changes):
    """One tar header of a file "a" with fields replaced and the sum made right."""
    block = bytearray(tar(("a", b"x", {}))[:512])
    places = {"name": 0, "mode": 100, "size": 124, "mtime": 136, "type": 156, "link": 157, "prefix": 345}
    for field, value in changes.items():
        block[places[field]:places[field] + len(value)] = value
    block[148:156] = b" " * 8
    block[148:155] = b"%06o\0" % sum(block)
    return bytes(block)


def pax(text, then=b""):
    text = text.encode() if isinstance(text, str) else text
    return (header(type=b"x", size=b"%011o\0" % len(text)) + text + bytes(-len(text) % 512)
            + (then or header(size=b"%011o\0" % 0)))


def cpio(*members):
    return b"".join(members) + member(0, "TRAILER!!!", 0, b"")


def flip(data, at, value):
    return data[:at] + value + data[at + len(value):]


FILE, LINK = 0o100644, 0o120777
ONE = tar(("a", b"data", {}))
CPIO = cpio(member(1, "a", FILE, b"data"))

# what is wrong, the archive, words of the message.
BAD = [
    ("nothing", b"", "it is empty"), ("text", b"hello\n", "neither a tar nor a cpio"),
    ("zeroes-and-text", b"x" * 1024, "neither a tar nor a cpio"),
    ("gzip", b"\x1f\x8b\x08\0" + bytes(600), "gunzip"), ("xz", b"\xfd7zXZ\0" + bytes(600), "unxz"),
    ("zstd", b"\x28\xb5\x2f\xfd" + bytes(600), "unzstd"), ("bzip2", b"BZh9" + bytes(600), "bunzip2"),
    ("zip", b"PK\x03\x04" + bytes(600), "zip archive"), ("odc", b"070707" + bytes(600), "cpio -H newc"),
    ("tar-cut-data", ONE[:514], "a: it is larger than what is left"),
    ("tar-cut-header", ONE[:1024] + ONE[:300], "ends within a header"),
    ("tar-sum", tar(("a", b"data", {}), ("b", b"", {}))[:1024] + flip(ONE, 0, b"q"), "checksum is wrong"),
    ("tar-size-text", header(size=b"12345678zzz\0"), "a: its size is no number"),
    ("tar-size-huge", header(size=b"77777777777\0"), "a: it is larger than"),
    ("tar-size-binary", header(size=b"\x80" + b"\xff" * 11), "a: its size is no number"),
    ("tar-size-negative", header(size=b"\xff" * 12), "a: its size is no number"),
    ("tar-mode", header(mode=b"rwxr-xr\0"), "a: its mode is no number"),
    ("tar-dotdot", tar(("x/../../etc/passwd", b"x", {})), 'x/../../etc/passwd: its path has a ".."'),
    ("tar-no-name", header(name=b"\0", size=b"%011o\0" % 0), "it has no name"),
    ("tar-root-file", tar(("/", b"x", {"type": b"0"})), "it would be the root"),
    ("tar-type", header(type=b"Z", size=b"%011o\0" % 0), "a: it has an unknown type"),
    ("tar-sparse", header(type=b"S", size=b"%011o\0" % 0), "a: it is a sparse file"),
    ("tar-volume", header(type=b"M", size=b"%011o\0" % 0), "a: it goes on from another volume"),
    ("tar-file-then-below", tar(("a", b"x", {}), ("a/b", b"x", {})), "a/b: it lies in what is no folder"),
    ("tar-link-then-below", tar(("a", b"", {"type": tarfile.SYMTYPE, "linkname": "/"}), ("a/b", b"x", {})),
     "a/b: it lies in what is no folder"),
    ("tar-folder-then-file", tar(("a/b", b"x", {}), ("a", b"x", {})), "a: a folder of this name came before"),
    ("tar-file-then-folder", tar(("a", b"x", {}), ("a", None, {})), "a/: something else of this name"),
    ("tar-hard-link-nowhere", tar(("a", b"", {"type": tarfile.LNKTYPE, "linkname": "b"})),
     "a: it is a hard link to no file"),
    ("tar-hard-link-folder", tar(("d", None, {}), ("a", b"", {"type": tarfile.LNKTYPE, "linkname": "d"})),
     "a: it is a hard link to no file"),
    ("tar-symlink-empty", header(type=b"2", size=b"%011o\0" % 0), "a symbolic link's target"),
    ("tar-name-long", tar(("n" * 256, b"", {}), kind=tarfile.PAX_FORMAT), "longer than 255"),
    ("tar-path-long", tar(("a/" * 3000 + "b", b"", {}), kind=tarfile.GNU_FORMAT), "longer than 4095"),
    ("pax-no-blank", pax("12"), "pax header is malformed"), ("pax-no-equals", pax("6 abc\n"), "malformed"),
    ("pax-length-0", pax("0 a=b\n"), "malformed"), ("pax-length-huge", pax("99999999999999999999 a=b\n"), "malformed"),
    ("pax-length-past", pax("99 a=b\n"), "malformed"), ("pax-length-short", pax("3 a=b\n"), "malformed"),
    ("pax-size", pax("10 size=x\n"), "size is no number"), ("pax-mtime", pax("11 mtime=x\n"), "mtime is no number"),
    ("pax-size-huge", pax("26 size=99999999999999999\n"), "it is larger than"),
    ("pax-path-zero", pax(b"13 path=a\0bc\n"), "zero byte"),
    ("pax-sparse", pax("22 GNU.sparse.major=1\n"), "sparse"),
    ("cpio-cut", CPIO[:60], "it ends without a trailer"), ("cpio-cut-name", CPIO[:111], "it ends within a name"),
    ("cpio-cut-data", CPIO[:113], "a: it is larger than"), ("cpio-no-trailer", member(1, "a", FILE, b"data"), "without a trailer"),
    ("cpio-magic", cpio(member(1, "a", FILE, b"data"), b"070709" + bytes(110)), "does not begin with 070701"),
    ("cpio-field", flip(CPIO, 14, b"0000g1a4"), "field that is no number"),
    ("cpio-size", flip(CPIO, 54, b"FFFFFFFF"), "a: it is larger than"),
    ("cpio-name-size-0", flip(CPIO, 94, b"00000000"), "a name has no length"),
    ("cpio-name-size", flip(CPIO, 94, b"FFFFFFFF"), "a name has no length"),
    ("cpio-name-end", flip(CPIO, 111, b"b"), "does not end with a zero byte"),
    ("cpio-name-zero", cpio(member(1, "a\0b", FILE, b"")), "zero byte"),
    ("cpio-dotdot", cpio(member(1, "../a", FILE, b"")), '../a: its path has a ".."'),
    ("cpio-no-name", cpio(member(1, "", FILE, b"")), "it has no name"),
    ("cpio-symlink", cpio(member(1, "a", LINK, b"")), "a: a symbolic link's target"),
    ("cpio-crc", b"070702" + CPIO[6:], "a: its checksum is wrong"),
    ("cpio-unaligned", CPIO + b"\0" * 5 + CPIO, "multiple of 4"),
]


@test("archive-bad", "A bad archive is refused with the entry and the reason; none is read past its end.")
def check_bad(folder):
    program = reader(folder)
    for name, data, words in BAD:
        status, output = command([program, write(folder, name, data)])
        assert status == 1 and words in output, f"{name}: {output}"
    # Cut anywhere, it is refused or ends early, and nothing is read behind the end.
    for kind, whole in (("tar", ONE), ("cpio", CPIO)):
        for length in range(0, len(whole), 61):
            status, output = command([program, write(folder, f"{kind}-cut", whole[:length])])
            assert status in (0, 1), f"{kind} cut to {length}: {output}"


@test("archive-good", "Odd but right: duplicates, implied folders, hard links, several cpios, v7, binary sizes.")
def check_good(folder):
    program = reader(folder)

    def names(data):
        return {path: entry[4] for path, entry in listing(program, write(folder, "good", data)).items()}

    assert names(tar(("a", b"1", {}), ("a", b"22", {}))) == {"/a": 2}, "the last one counts"
    assert names(tar(("./x//y/./z", b"1", {}))) == {"/x": 0, "/x/y": 0, "/x/y/z": 1}
    assert names(tar(("/abs", b"1", {}))) == {"/abs": 1}
    assert names(bytes(512)) == {} and names(bytes(10240)) == {}
    assert names(ONE[:516]) == {"/a": 4}, "the last block's padding may be missing"
    assert names(tar(("a", b"1", {}), ("b", b"", {"type": tarfile.LNKTYPE, "linkname": "./a"}),
                     ("a", b"333", {}))) == {"/a": 3, "/b": 1}, "a link keeps what it named"
    v7 = bytearray(header(name=b"old/\0", type=b"\0", size=b"%011o\0" % 0))
    v7[257:265] = bytes(8)
    v7[148:156] = b" " * 8
    v7[148:155] = b"%06o\0" % sum(v7)
    assert listing(program, write(folder, "v7", bytes(v7)))["/old"][0] == "d"
    assert names(header(size=b"\x80" + bytes(10) + b"\x03") + b"abc" + bytes(509)) == {"/a": 3}
    two = cpio(member(1, "a", FILE, b"1")) + bytes(512) + cpio(member(1, "b", FILE, b"22"))
    assert names(two + bytes(100)) == {"/a": 1, "/b": 2}
    status, output = command([program, write(folder, "device", cpio(member(1, "dev", 0o020600, b"")))])
    assert (status, output) == (0, "left out: 1\n"), output
    archive = Archive()
    for index in range(5000):
        archive.add_file(f"d{index % 7}/f{index}", str(index).encode())
    assert len(names(archive.contents())) == 5007


@test("archive-fuzz", "Twenty thousand changed archives of each kind are read without a wrong access.")
def check_fuzz(folder):
    program, root = reader(folder), os.path.join(folder, "tree")
    command(["rm", "-rf", root])
    for name, data in [("a", b"alpha"), ("dir/b", b"beta" * 300), ("dir/" + "n" * 150, b"long")]:
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "wb") as file:
            file.write(data)
    os.link(os.path.join(root, "a"), os.path.join(root, "hard"))
    os.symlink("s" * 120, os.path.join(root, "link"))
    seeds = {f"tar-{kind}": ["tar", f"--format={kind}", "-b1", "-cf", "{}", "-C", root, "."]
             for kind in ("gnu", "pax")}
    if shutil.which("cpio"):
        seeds["cpio"] = ["sh", "-c", f"cd {root} && find . | cpio -o -H newc > {{}}"]
    for number, (name, words) in enumerate(seeds.items()):
        path = os.path.join(folder, name)
        status, output = command([word.format(path) for word in words])
        assert status == 0, output
        status, output = command([program, path, str(number + 1), FUZZ_ROUNDS])
        assert status == 0, output


@test("initrd-refused", "The guest names the entry for which it refuses its initrd, and lives on.")
def check_refused(folder):
    bad = write(folder, "bad.tar", tar(("a", b"x", {}), ("b\x1b[31m/../c", b"x", {})))
    status, console = parvus("tcg-microvm", app_image("posix"), ["tree_stat"], ["--initrd", bad])
    assert 'error: initrd: entry "b?[31m/../c": its path has a ".." (at byte 1024 of 10240); ' in console, console
    assert status == 1 and "tests: 0 passed, 1 failed" in console, console
