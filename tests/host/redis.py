"""apps/redis, the server as it comes, with Redis's own clients over a TAP (tests/netns.py)."""
import os
import re
import shutil
import signal

import hosts
from framework import Skip, test
from netns import Network
from parvuslib.images import ROOT

REDIS_HOSTS = ["tcg-microvm", "kvm-microvm", "xen-dom0"]
ARGUMENTS = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp", "--appendonly", "yes",
             "--enable-debug-command", "yes"]


@test("redis-clients", "redis-cli and redis-benchmark are served; what needs a fork is refused; the log of changes is read again.",
      REDIS_HOSTS)
def check_clients(host, folder):
    if not shutil.which("redis-cli"):
        raise Skip("redis-tools is missing")
    with Network() as network, network.guest(host, "redis", folder, arguments=ARGUMENTS,
                                             options=["--mem", "256M"]) as guest:
        guest.wait_for("Ready to accept connections")

        def client(*words):
            return network.output("redis-cli", "-h", Network.GUEST, *words).strip()
        assert client("set", "key", "a value") == "OK" and client("get", "key") == "a value"
        assert client("incrby", "n", "42") == "42"
        assert client("eval", "return redis.call('incr', KEYS[1]) * 2", "1", "n") == "86"
        assert client("lpush", "list", *map(str, range(100))) == "100" and client("llen", "list") == "100"
        assert client("zadd", "set", "3", "c", "1", "a", "2", "b") == "3"
        assert client("zrange", "set", "0", "-1").split() == ["a", "b", "c"]
        assert "wrong number of arguments" in client("get")
        assert client("bgsave").startswith("ERR")
        guest.wait_for("Can't save in background: fork: Function not implemented")
        assert client("save") == "OK"
        output = network.output("redis-benchmark", "-h", Network.GUEST, "-t", "get,set", "-P", "16", "-c", "30",
                                "-n", "20000", "-q", timeout=600)
        assert len(re.findall(r"(?:SET|GET): [0-9.]+ requests per second", output)) == 2, output
        before = client("debug", "digest")
        assert client("debug", "loadaof") == "OK"
        assert client("debug", "digest") == before and client("get", "n") == "43"
        assert client("time").split()[0].startswith(("1", "2"))
        network.output("redis-cli", "-h", Network.GUEST, "shutdown", "nosave")
        assert guest.wait() == 0, guest.text()[-2000:]


def kill_qemu(guest):
    pid = guest.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for child in file.read().split():
            os.kill(int(child), signal.SIGKILL)
    guest.wait()


@test("redis-persistence", "What was acknowledged is in the log on a folder of the host's, though QEMU is killed; SAVE works there; "
                           "what needs a fork tells the client.")
def check_persistence(folder):
    if not shutil.which("redis-cli"):
        raise Skip("redis-tools is missing")
    share = os.path.join(folder, "share")
    shutil.rmtree(share, ignore_errors=True)
    os.mkdir(share)

    def start(network, *arguments):
        return network.guest(hosts.ONE[0], "redis", folder, options=["--mem", "256M", "--share", share],
                             arguments=["--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/host", *arguments])

    def client(network, *words):
        return network.output("redis-cli", "-h", Network.GUEST, *words).strip()
    log = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    with Network() as network:
        with start(network, *log) as guest:
            guest.wait_for("Ready to accept connections")
            assert client(network, "eval", "for i = 1, 1000 do redis.call('set', 'key' .. i, i) end return 'done'", "0") == "done"
            assert client(network, "rpush", "list", "a", "b") == "2"
            for command in ("bgsave", "bgrewriteaof"):
                assert client(network, command).startswith("ERR"), command
            assert client(network, "incrby", "last", "42") == "42"
            kill_qemu(guest)
        with start(network, *log) as guest:
            guest.wait_for("DB loaded from append only file")
            guest.wait_for("Ready to accept connections")
            assert client(network, "dbsize") == "1002"
            assert client(network, "get", "last") == "42" and client(network, "get", "key1000") == "1000"
            assert client(network, "lrange", "list", "0", "-1").split() == ["a", "b"]
            assert client(network, "save") == "OK"
            network.output("redis-cli", "-h", Network.GUEST, "shutdown", "nosave")
            assert guest.wait() == 0, guest.text()[-2000:]
        with start(network, "--save", "", "--appendonly", "no") as guest:
            guest.wait_for("DB loaded from disk")
            guest.wait_for("Ready to accept connections")
            assert client(network, "dbsize") == "1002"
            network.output("redis-cli", "-h", Network.GUEST, "shutdown", "save")
            assert guest.wait() == 0, guest.text()[-2000:]


# Units of Redis's own tests whose outcome no clock decides, and that are soon done.
UNITS = ["unit/protocol", "unit/quit", "unit/pubsub", "unit/keyspace", "unit/multi", "unit/type/incr"]
# What a server that the tests did not start cannot do, and what takes long.
TAGS = "-needs:repl -needs:debug -needs:save -needs:reset -cluster -slow"


@test("redis-suite", "Redis's own tests, in their mode for a server elsewhere, pass against the guest.")
def check_suite(folder):
    sources = os.path.join(ROOT, os.environ.get("DEPS") or "build/deps", "redis")
    copy = os.path.join(folder, "redis")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(os.path.join(sources, "tests"), os.path.join(copy, "tests"))
    os.mkdir(os.path.join(copy, "src"))
    for program in ("redis-cli", "redis-benchmark", "tclsh"):
        if not shutil.which(program):
            raise Skip(f"{program} is missing")
        os.symlink(shutil.which(program), os.path.join(copy, "src", program))
    with Network() as network, network.guest(hosts.ONE[0], "redis", folder, options=["--mem", "256M"], arguments=[
            "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", "/tmp"]) as guest:
        guest.wait_for("Ready to accept connections")
        status, output, errors = network.run(
            "env", "-C", copy, "tclsh", "tests/test_helper.tcl", "--host", Network.GUEST, "--port", "6379", "--tags", TAGS,
            "--timeout", "300", *(word for unit in UNITS for word in ("--single", unit)), timeout=900)
        assert status == 0 and "All tests passed without errors!" in output, f"{output[-3000:]}{errors}"
        passed = re.findall(r"^\S*ok\S*\]: ", output, re.MULTILINE)
        assert len(passed) > 120, f"{len(passed)}: {output}"
        assert guest.is_alive()
