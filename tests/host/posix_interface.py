"""The tests of the POSIX interface (tests/posix/): in the guest, and on Linux, which is right."""
import glob
import os
import shutil
import tarfile
import tempfile
import threading

import framework
import hosts
from framework import SKIPPED, Result, command, register, scratch, suite, suite_results
from parvuslib.images import ROOT

tree_lock = threading.Lock()


def tree():
    """The files that tests/posix/tree.c asks about, as a folder; beside it, packed, the initrd."""
    folder = scratch("posix-tree")
    root = os.path.join(folder, "tree")
    with tree_lock:
        if os.path.exists(f"{root}-initrd.tar"):
            return root
        shutil.rmtree(root, ignore_errors=True)
        for name, data in [("file", b"0123456789"), ("folder/inner", b"inner"), ("empty", b""),
                           ("large", bytes(i * 7 % 251 for i in range(100_000))),
                           *((f"many/entry-{i}", b"%d" % i) for i in range(500))]:
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o640)
            os.utime(path, (1_600_000_000, 1_600_000_000))
        for name, target in [("link", "file"), ("to-folder", "folder"), ("up", "folder/../file"),
                             ("nowhere", "no-such-file"), ("loop", "loop2"), ("loop2", "loop"),
                             ("folder/back", "../to-folder/inner"), ("long", "./" * 400 + "file")]:
            os.symlink(target, os.path.join(root, name))
        os.link(os.path.join(root, "file"), os.path.join(root, "hard"))
        os.mkdir(os.path.join(root, "nothing"))
        with tarfile.open(f"{root}.new", "w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(root, "tree")
        os.replace(f"{root}.new", f"{root}-initrd.tar")
    return root


suite("posix", "What programs expect of POSIX holds in the guest.", app="posix",
      options=lambda _: ["--initrd", f"{tree()}-initrd.tar", "--append", "tmpfs=6M"])

FLAGS = ["-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-I", ROOT]


def run_on_linux(_):
    compiler = os.environ.get("CC") or "gcc"
    if not shutil.which(compiler):
        return [Result("posix-linux", SKIPPED, f"{compiler} is missing")]
    program = os.path.join(scratch("posix-linux"), "posix")
    log = f"{program}.log"
    status, text = command([compiler, *FLAGS, "-o", program,
                            *sorted(glob.glob(os.path.join(ROOT, "tests", "posix", "*.c")))])
    if status == 0:
        # Files are judged on a tmpfs.
        shared = "/dev/shm"
        with tempfile.TemporaryDirectory(dir=shared if os.path.isdir(shared) else None) as work:
            status, text = command([program], timeout=framework.SUITE_TIMEOUT_S,
                                   env={**os.environ, "TREE": tree(), "WORK": work})
    with open(log, "w", encoding="utf-8") as file:
        file.write(text)
    return suite_results("posix-linux", status, text, log)


register("posix-linux", "The same tests pass as a Linux program: the expectations are right.",
         [hosts.LOCAL], run_on_linux)


# On a folder of the host's. Not: what a removed folder still is, and room in advance.
ON_HOST = ["shared_", "file_write", "file_append", "file_open", "file_truncate", "file_holes", "file_removed",
           "file_stdio", "file_sendfile", "lock_", "names_mkdir", "names_unlink", "names_link", "names_symlink",
           "names_rename", "names_long", "names_list", "names_attributes", "fs_mounts", "fs_patterns", "files_threads", "files_model",
           "mman_file"]


def run_on_share(host):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "from-host"), "w", encoding="utf-8") as file:
            file.write("written by the host\n")
        log = os.path.join(framework.LOGS, f"posix-share.{host}.log")
        status, text = framework.parvus(
            host, framework.app_image("posix"), ON_HOST,
            ["--share", folder, "--append", "env.WORK=/host env.SHARED=/host"],
            framework.SUITE_TIMEOUT_S, log)
        results = suite_results("posix-share", status, text, log)
        try:
            with open(os.path.join(folder, "from-guest"), encoding="utf-8", errors="replace") as file:
                written = file.read(1000)
        except OSError as error:
            written = str(error)
        if sorted(os.listdir(folder)) != ["from-guest", "from-host"] or written != "written by the guest\n":
            results.append(Result("posix-share", framework.FAILED,
                                  f"in the folder: {os.listdir(folder)}, from-guest: {written!r}", log))
        return results


register("posix-share", "Files of a folder that the host shares behave as Linux's.",
         ["tcg-microvm", "tcg-q35"], run_on_share)
