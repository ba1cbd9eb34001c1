"""--net and --disk of tools/parvus, on a fake image: what QEMU gets, and what to type when the host lacks
something. No test changes the host's network."""
import os
import re
import shlex
import socket

from framework import PARVUS, Skip, command, test
from tool import expect, fake_image, run

MMIO, PCI = "virtio-{}-device,", "virtio-{}-pci,disable-legacy=on,"


def words(image, *options):
    status, output = run(image, "--dry-run", *options)
    assert status == 0, output
    return shlex.split(output)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@test("devices-command-line", "Each machine gets its kind of virtio 1.x devices, in order.")
def check_command_line(folder):
    image = fake_image("devices", exit_line="exit 0")
    disks = [os.path.join(folder, name) for name in ("a,b", "c")]
    for machine, kind in [("microvm", MMIO), ("q35", PCI), ("pc", PCI)]:
        line = words(image, "--machine", machine, "--net", "user,8080:80,5353:53/udp", "--net", "none",
                     "--net", "tap:t0", "--disk", disks[0], "--disk", disks[1])
        netdevs = [line[i + 1] for i, word in enumerate(line) if word == "-netdev"]
        assert netdevs == ["user,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:5353-:53,id=net0",
                           "tap,ifname=t0,script=no,downscript=no,id=net1"], netdevs
        devices = [word for word in line if word.startswith("virtio-") and "=" in word
                   and not word.startswith("virtio-mmio")]
        patterns = [kind.format("net") + "netdev=net0", kind.format("net") + "netdev=net1,.*mac=52:54:",
                    kind.format("blk") + "drive=disk0", kind.format("blk") + "drive=disk1"]
        assert len(devices) == 4, devices
        for device, pattern in zip(devices, patterns):
            assert re.match(pattern, device), (device, pattern)
        assert ("virtio-mmio.force-legacy=false" in line) == (kind == MMIO), line
        assert f"if=none,id=disk0,format=raw,file={disks[0].replace(',', ',,')}" in line, line
    assert not [word for word in words(image) if "virtio" in word], "devices that nobody asked for"


@test("devices-run", "QEMU takes the devices, and the tool prints what to open in a browser, once.")
def check_run(folder):
    image = fake_image("devices-run", "up\\n", "exit 3")
    disk = os.path.join(folder, "disk")
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    for machine in ("microvm", "q35", "pc"):
        port, other = free_port(), free_port()
        got = run(image, "--machine", machine, "--net", f"user,{port}:80,{other}:7", "--net", "user",
                  "--disk", disk)
        expect(got, 3, rf"(?m)^parvus: http://localhost:{port}/$")
        assert got[1].count("http") == 1, got[1]


@test("devices-refused", "A device that cannot be is refused by name, with what to do instead.")
def check_refused(folder):
    image = fake_image("devices-refused", exit_line="exit 0")
    disk = os.path.join(folder, "read-only")
    with open(disk, "wb"):
        pass
    cases = [(["--net", "user,80:x"], "'80:x' is not HOST-PORT:GUEST-PORT"),
             (["--net", "user,0:80"], "'0:80' is not"), (["--net", "user,80:65536"], "'80:65536' is not"),
             (["--net", "tap:"], "'tap:' is none of"), (["--net", "tap:a,b"], "'tap:a,b' is none of"),
             (["--net", "tap:../lo"], "'tap:../lo' is none of"),
             (["--net", "tap:nameofmorethan15"], "longer than 15 bytes"),
             (["--net", "tap:no-such-tap"], "ip tuntap add dev no-such-tap mode tap user"),
             (["--net", "tap:lo"], "lo is no TAP interface" if os.geteuid() == 0 else "--net tap:lo: "),
             (["--net", "user,9000:80", "--net", "user,9000:81"],
              "TCP port 9000 of this host is forwarded twice"),
             (["--disk", "no-such-disk"], "truncate -s 64M no-such-disk"),
             (["--disk", folder], "is neither a file nor a block device"),
             (["--disk", disk] * 9, "--machine microvm has room for 8")]
    for options, pattern in cases:
        expect(run(image, *options), 2, re.escape(pattern))
    if os.geteuid() == 0:
        return  # may do anything
    os.chmod(disk, 0o444)
    expect(run(image, "--disk", disk), 2, "may not read and write")
    expect(run(image, "--net", "user,80:80"), 2, "is for root only; take one from 1024 up")


@test("devices-port-in-use", "A port in use is refused by number, with the command that shows by whom.")
def check_port_in_use():
    image = fake_image("devices-port", exit_line="exit 0")
    for kind, suffix, show in [(socket.SOCK_STREAM, "", "ss -ltnp"), (socket.SOCK_DGRAM, "/udp", "ss -lunp")]:
        with socket.socket(socket.AF_INET, kind) as holder:
            holder.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                holder.listen()
            port = holder.getsockname()[1]
            expect(run(image, "--net", f"user,{port}:80{suffix}"), 2,
                   rf"port {port} of this host is in use;(.|\n)*{show} 'sport = :{port}'")


@test("devices-tap", "A TAP interface that exists is attached to; one that is down or in use is named.")
def check_tap():
    image = fake_image("devices-tap", "up\\n", "exit 0")
    name = f"pvtest{os.getpid() % 100000}"
    # In a network of its own: nothing of the host's is touched.
    boot = shlex.join([PARVUS, "run", "--accel", "tcg", "--timeout", "60", "--net", f"tap:{name}", image])
    script = f"set -e; ip tuntap add dev {name} mode tap; {boot}; ip link set {name} up; {boot}; echo end"
    status, output = command(["unshare", "--net", "--map-root-user", "true"])
    if status != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Skip("needs a network namespace and /dev/net/tun")
    status, output = command(["unshare", "--net", "--map-root-user", "sh", "-c", script])
    expect((status, output), 0,
           rf"parvus: --net tap:{name}: {name} is down(.|\n)*ip link set {name} up\nup\nup\nend\n\Z")
