"""Network devices and their driver, with a stack of a few lines (tests/netdev/): a wire that sends
every frame back, and a device of our own (vhost_user.py) that offers every offload, or lies."""
import os
import re
import struct
import subprocess
import tempfile
import threading
import time

import hosts as host_table
import qmp
import vhost_user
from framework import (BOOT_TIMEOUT_S, FAILED, LOGS, PARVUS, PASSED, Result, app_image, mismatch, parvus,
                       register)

# Where virtio devices are on the host's machine, and how they interrupt.
MMIO = {host: "" for host in ("tcg-microvm", "kvm-microvm")}
PCI = {host: "" for host in ("tcg-q35", "tcg-pc", "xen-dom0")}
NO_MSIX = ",vectors=0"
INTX = {host: NO_MSIX for host in ("tcg-q35", "tcg-pc", "xen-dom0")}


def device(host, kind, options=""):
    """QEMU's options for a virtio device ("net,netdev=n")."""
    name, _, rest = kind.partition(",")
    rest = f",{rest}" if rest else ""
    if host in MMIO:
        return f"-global virtio-mmio.force-legacy=false -device virtio-{name}-device{rest}"
    return f"-device virtio-{name}-pci,disable-legacy=on{rest}{options}"


# --- A wire that sends back -------------------------------------------------------------------------

def loop(test_id, sentence, options):
    def run(host):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "wire")
            wire = f"-netdev dgram,id=n,local.type=unix,local.path={path},remote.type=unix,remote.path={path}"
            log = os.path.join(LOGS, f"{test_id}.{host}.log")
            status, text = parvus(host, app_image("netdev"), ["loop", "5000"],
                                  ["--qemu", f"{wire} {device(host, 'net,netdev=n', options[host])}"],
                                  BOOT_TIMEOUT_S, log)
        problem = mismatch(text, [r"^netdev: 5000 received, 0 wrong, 5000 sent, 5000 reported$"], [])
        if status != 0:
            problem = f"status {status}" + (f"; {problem}" if problem else "")
        return [Result(test_id, FAILED, problem, log) if problem else Result(test_id, PASSED)]
    register(test_id, sentence, list(options), run)


loop("netdev-loop", "Frames of all sizes, in pieces, come back as they were sent.", {**MMIO, **PCI})
loop("netdev-loop-intx", "They do with a device that has no MSI-X.", INTX)


# --- A device of our own ----------------------------------------------------------------------------

class Guest:
    """The test application on a host, its network device ours. By PCI it interrupts by INTx: QEMU 7.2
    ends with a segmentation fault for vhost-user with MSI-X without KVM."""

    def __init__(self, host, folder, log, features=vhost_user.ALL):
        self.log = log
        wire, monitor = os.path.join(folder, "wire"), os.path.join(folder, "monitor")
        self.device = vhost_user.Device(wire, features)
        words = [PARVUS, "run", *host_table.OPTIONS[host], "--timeout", str(BOOT_TIMEOUT_S)]
        line = subprocess.run([*words, "--dry-run", app_image("netdev")], capture_output=True, text=True,
                              check=True).stdout
        size = re.search(r" -m (\S+)", line)[1]
        qemu = (f"-object memory-backend-memfd,id=ram,size={size}{'' if size[-1].isalpha() else 'M'},share=on "
                f"-machine memory-backend=ram -chardev socket,id=c,path={wire} "
                f"-netdev vhost-user,id=n,chardev=c -qmp unix:{monitor},server=on,wait=off "
                f"{device(host, 'net,netdev=n', NO_MSIX)}")
        self.monitor = monitor
        with open(log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen([*words, "--qemu", qemu, app_image("netdev"), "--", "reflect"],
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        self.mac = re.search(r"(\S\S(:\S\S){5}) mtu", self.wait_for(r"eth0 \S+ mtu"))[1]
        assert self.device.started.wait(BOOT_TIMEOUT_S), "the device was not started"

    def console(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read().replace("\r\n", "\n")

    def wait_for(self, pattern):
        """The console, once a line matches."""
        end = time.monotonic() + BOOT_TIMEOUT_S
        while not re.search(pattern, self.console(), re.MULTILINE):
            ended = self.process.poll() is not None
            assert not ended or re.search(pattern, self.console(), re.MULTILINE), f"the guest ended without /{pattern}/"
            assert time.monotonic() < end, f"the console lacks /{pattern}/"
            time.sleep(0.02)
        return self.console()

    def frame(self, data=b"", command="e", fragments=1, start=0, offset=0, segment=0, headers=0, ipv6=0):
        return (bytes.fromhex(self.mac.replace(":", "")) + b"\x02peer!" + b"\x88\xb5"
                + struct.pack("<BBHHHHBB", ord(command), fragments, start, offset, segment, headers, ipv6, 0)
                + data)

    def ask(self, header=vhost_user.NO_HEADER, **request):
        """Sends a frame; what comes back: header, whether the checksum was good, data, descriptors."""
        self.device.send(self.frame(**request), header)
        return self.answer()

    def answer(self):
        header, frame, descriptors = self.device.receive()
        assert frame[:6] == b"\x02peer!" and frame[12:14] == b"\x88\xb5", f"not an answer: {frame[:26]!r}"
        return header, frame[25], frame[26:], descriptors

    def command(self, name, /, **arguments):
        """QEMU's monitor."""
        return qmp.ask(self.monitor, name, **arguments)

    def finish(self):
        return self.process.wait(BOOT_TIMEOUT_S)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def scene(test_id, sentence, hosts, **guest_options):
    """Decorates a function of a running guest."""
    def decorate(function):
        def run(host):
            log = os.path.join(LOGS, f"{test_id}.{host}.log")
            os.makedirs(LOGS, exist_ok=True)
            with tempfile.TemporaryDirectory() as folder:
                guest = None
                try:
                    guest = Guest(host, folder, log, **guest_options)
                    function(guest)
                except AssertionError as error:
                    return [Result(test_id, FAILED, str(error) or repr(error), log)]
                finally:
                    if guest:
                        guest.stop()
            return [Result(test_id, PASSED)]
        register(test_id, sentence, list(hosts), run)
        return function
    return decorate


def pattern(count):
    return bytes((i * 7 + (i >> 8)) & 0xff for i in range(count))


def check_sizes(guest, sizes):
    for size in sizes:
        for fragments in (1, 2, 3, 20):
            _, _, data, _ = guest.ask(data=pattern(size), fragments=fragments)
            assert data == pattern(size), f"{size} bytes in {fragments} pieces came back wrong"


def quit_guest(guest):
    guest.device.send(guest.frame(command="q"))
    guest.answer()
    status = guest.finish()
    assert status == 0, f"status {status}"
    match = re.search(r"^netdev: (\d+) sent, (\d+) reported$", guest.console(), re.MULTILINE)
    assert match and match[1] == match[2], "not every packet was reported as sent"


@scene("netdev-offload", "Checksums, segmentation and merged buffers, as the device sees them.", {**MMIO, **PCI})
def check_offload(guest):
    v = vhost_user
    assert guest.device.negotiated & v.ALL == v.ALL, hex(guest.device.negotiated)
    check_sizes(guest, (0, 1, 34, 100, 1400, 1474, 1911, 1912, 1913, 4000, 20000, 65000))
    for flags, is_good in ((0, 0), (v.NEEDS_CHECKSUM, 1), (v.DATA_VALID, 1)):
        _, was_good, _, _ = guest.ask(header=(flags, 0, 0, 0, 0, 0), data=pattern(100))
        assert was_good == is_good, f"flags {flags}: the checksum is {was_good}"
    header, _, _, _ = guest.ask(data=pattern(500), start=34, offset=16)
    assert header[:6] == (v.NEEDS_CHECKSUM, 0, 0, 0, 34, 16), header
    for ipv6, kind in ((0, 1), (1, 4)):
        header, _, data, descriptors = guest.ask(
            header=(v.NEEDS_CHECKSUM, kind, 54, 1448, 34, 16), data=pattern(64000), fragments=17, start=34,
            offset=16, segment=1448, headers=54, ipv6=ipv6)
        assert header[:6] == (v.NEEDS_CHECKSUM, kind, 54, 1448, 34, 16), header
        assert data == pattern(64000), "a large packet came back wrong"
        assert 2 <= descriptors <= 64, descriptors
    quit_guest(guest)


@scene("netdev-burst", "Bursts longer than the rings come through whole and in order.", {**MMIO, **PCI})
def check_burst(guest):
    for burst in (2, 50, 200, 250) * 5:
        for i in range(burst):
            guest.device.send(guest.frame(data=struct.pack("<I", i) + pattern(i * 5)))
        for i in range(burst):
            _, _, data, _ = guest.answer()
            assert data == struct.pack("<I", i) + pattern(i * 5), f"frame {i} of {burst} is wrong"
    quit_guest(guest)


@scene("netdev-plain", "A device without a single option serves as well.", {**MMIO, **PCI},
       features=vhost_user.F_VERSION_1)
def check_plain(guest):
    assert guest.device.negotiated & vhost_user.ALL == vhost_user.F_VERSION_1, hex(guest.device.negotiated)
    check_sizes(guest, (0, 1, 34, 100, 1400, 1474))
    _, was_good, _, _ = guest.ask(header=(vhost_user.DATA_VALID, 0, 0, 0, 0, 0), data=pattern(100))
    assert not was_good, "a checksum is good that nobody was asked to check"
    guest.device.send(guest.frame(start=34, offset=16))
    guest.wait_for(r"^netdev: not sent: error 22$")
    for i in range(1000):
        assert guest.ask(data=pattern(i))[2] == pattern(i), f"{i} bytes came back wrong"
    quit_guest(guest)


@scene("netdev-link", "The link goes down and up, and frames go on.", {**MMIO, **PCI})
def check_link(guest):
    check_sizes(guest, (100,))
    for times in range(1, 4):
        guest.command("set_link", name="n", up=False)
        guest.wait_for(r"(?s)(link down.*){%d}" % times)
        guest.command("set_link", name="n", up=True)
        guest.wait_for(r"(?s)(link up.*){%d}" % (times + 1))
    check_sizes(guest, (100,))
    quit_guest(guest)


@scene("netdev-full", "When the ring is full the stack waits, and hears when there is room.", {**MMIO, **PCI})
def check_full(guest):
    for _ in range(3):
        guest.device.keeps_sent = True
        for i in range(200):
            guest.device.send(guest.frame(data=struct.pack("<I", i)))
        got = [guest.answer()[2] for _ in range(128)]  # of two descriptors each
        guest.device.keeps_sent = False
        with guest.device.lock:
            guest.device.give_back()
        got += [guest.answer()[2] for _ in range(200 - 128)]
        assert got == [struct.pack("<I", i) for i in range(200)], "frames are missing or out of order"
    quit_guest(guest)


@scene("netdev-storm", "A device that interrupts all the time does not keep the guest from its work.",
       ["tcg-microvm", "tcg-q35"])
def check_storm(guest):
    over = threading.Event()

    def storm():
        while not over.is_set():
            for q in guest.device.queues:
                q.interrupt()

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        for _ in range(20):
            check_sizes(guest, (100,))
    finally:
        over.set()
        thread.join()
    quit_guest(guest)


# --- A device that lies -----------------------------------------------------------------------------

def lie(name, says, sentence):
    """The guest reports the device as broken, has its packets back and lives on."""
    def decorate(function):
        @scene(f"netdev-lie-{name}", sentence, ["tcg-microvm"])
        def check(guest):
            check_sizes(guest, (100,))
            guest.device.keeps_sent = True
            guest.ask(data=pattern(10))
            with guest.device.lock:
                function(guest.device, guest.device.queues[vhost_user.RX])
            for q in guest.device.queues:
                q.interrupt()
            status = guest.finish()
            console = guest.console()
            assert status == 3, f"status {status}"
            problem = mismatch(console, [rf"^parvus: error: virtio-net at mmio 0x[0-9a-f]+ is broken: {says}$",
                                         r"^netdev: eth0 link down, broken$"], [r"stop"])
            assert not problem, problem
            match = re.search(r"^netdev: (\d+) sent, (\d+) reported$", console, re.MULTILINE)
            assert match and match[1] == match[2], "the packets that the device had did not come back"
        return check
    return decorate


@lie("id", r"queue 0: bad used id 256", "A used id beyond the queue.")
def lie_id(_, rx):
    rx.put_used(rx.entries, 100)
    rx.publish()


@lie("twice", r"queue 0: bad used id \d+", "The same buffer used twice.")
def lie_twice(device_, rx):
    head, size = device_.fill(vhost_user.HEADER.pack(*vhost_user.NO_HEADER) + bytes(60))[0]
    rx.put_used(head, size)
    rx.put_used(head, size)
    rx.publish()


@lie("length", r"queue 0: bad used length 1000000", "More bytes than there was room for.")
def lie_length(_, rx):
    rx.put_used(rx.take(), 1000000)
    rx.publish()


@lie("short", r"a received packet has bad length 11", "A packet shorter than its header.")
def lie_short(_, rx):
    rx.put_used(rx.take(), 11)
    rx.publish()


@lie("index", r"queue 0: bad used index \d+", "A used index that jumps.")
def lie_index(_, rx):
    rx.publish((rx.used + 5000) % 0x10000)


@lie("sent", r"queue 1: bad used id 77777", "A used id that was never sent.")
def lie_sent(device_, rx):
    device_.queues[vhost_user.TX].put_used(77777, 0)
    device_.queues[vhost_user.TX].publish()
    # Its interrupt is off; the next packet makes the driver look.
    head, size = device_.fill(vhost_user.HEADER.pack(*vhost_user.NO_HEADER) + bytes(60))[0]
    rx.put_used(head, size)
    rx.publish()


def lie_buffers(name, count, says):
    @lie(f"buffers-{name}", says, f"A packet that says it has {name} buffers.")
    def lie_count(device_, rx):
        packet = vhost_user.HEADER.pack(*vhost_user.NO_HEADER[:6], count) + bytes(60)
        rx.put_used(*device_.fill(packet)[0])
        rx.publish()


lie_buffers("no", 0, "a received packet has bad number of buffers 0")
lie_buffers("two-of-one", 2, "a received packet has bad number of buffers 2")
lie_buffers("65535", 65535, "a received packet has bad number of buffers 65535")
