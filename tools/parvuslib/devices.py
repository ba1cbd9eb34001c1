"""Network interfaces, disks and the shared folder of one run: what --net, --disk and --share mean, what they become on QEMU's
command line, and what to type where the host lacks something. All are virtio 1.x: on microvm by
mmio, elsewhere by PCI."""
import argparse
import errno
import fcntl
import getpass
import hashlib
import os
import re
import socket
import stat
import struct
import sys

from .errors import UsageError

MAX_PORT = 65535
HOST = "127.0.0.1"  # where forwarded ports listen: this machine's own programs reach the guest
HTTP_PORTS = {80: "http", 443: "https"}

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
SIOCGIFFLAGS, IFF_UP = 0x8913, 0x1  # linux/sockios.h, linux/if.h
IFREQ = "16sH22x"
INTERFACE_NAME_BYTES = 15
MMIO_DEVICES = 8  # microvm without ACPI, which is how it names them on the command line


class Forward:
    """A port of this host that leads to one of the guest's."""

    def __init__(self, text):
        match = re.fullmatch(r"([0-9]+):([0-9]+)(/udp|/tcp)?", text)
        ports = [int(port) for port in match.groups()[:2]] if match else []
        if not all(1 <= port <= MAX_PORT for port in ports) or not match:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not HOST-PORT:GUEST-PORT, such as 8080:80 or 5353:53/udp")
        self.host, self.guest = ports
        self.protocol = (match[3] or "/tcp")[1:]

    def qemu(self):
        return f"hostfwd={self.protocol}:{HOST}:{self.host}-:{self.guest}"

    def url(self):
        scheme = HTTP_PORTS.get(self.guest) if self.protocol == "tcp" else None
        if not scheme:
            return None
        is_usual = HTTP_PORTS.get(self.host) == scheme
        return f"{scheme}://localhost{'' if is_usual else f':{self.host}'}/"

    def check(self):
        """Raises UsageError where QEMU could not listen."""
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as probe:
            if self.protocol == "tcp":  # as QEMU does: connections that are just ending do not count
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.host))
                if self.protocol == "tcp":
                    probe.listen(1)
            except OSError as error:
                raise UsageError(f"--net user: {self.protocol.upper()} port {self.host} of this host "
                                 f"{self.reason(error)}") from None

    def reason(self, error):
        suffix = "/udp" if self.protocol == "udp" else ""
        other = f"{self.host + (8000 if self.host < 1024 else 1)}:{self.guest}{suffix}"
        if error.errno == errno.EADDRINUSE:
            show = "ss -ltnp" if self.protocol == "tcp" else "ss -lunp"
            return (f"is in use; take another, e.g. --net user,{other}, or see who has it: "
                    f"{show} 'sport = :{self.host}'")
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"is for root only; take one from 1024 up, e.g. --net user,{other}"
        return f"cannot be listened on: {error.strerror}"


class User:
    """QEMU's user networking: needs no rights; the guest reaches out, and is reached by forwards."""

    def __init__(self, forwards):
        self.forwards = forwards

    def netdev(self, _):
        return ",".join(["user", *(forward.qemu() for forward in self.forwards)])

    def mac(self, _):
        return None

    def check(self):
        for forward in self.forwards:
            forward.check()

    def urls(self):
        return [url for url in (forward.url() for forward in self.forwards) if url]


class Tap:
    """A TAP interface of this host, which exists already."""

    def __init__(self, name):
        self.name = name

    def netdev(self, accel):
        # The host's kernel moves the packets where it can (vhost) and the guest's exits reach it.
        vhost = ",vhost=on" if accel == "kvm" and os.access("/dev/vhost-net", os.R_OK | os.W_OK) else ""
        return f"tap,ifname={self.name},script=no,downscript=no{vhost}"

    def mac(self, index):
        # Its own for every TAP: several guests may meet on one bridge. Locally administered.
        digest = hashlib.sha256(f"{self.name} {index}".encode()).digest()
        return "52:54:" + ":".join(f"{byte:02x}" for byte in digest[:4])

    def check(self):
        sudo = "" if os.geteuid() == 0 else "sudo "
        user = getpass.getuser()
        make = (f"    {sudo}ip tuntap add dev {self.name} mode tap user {user}\n"
                f"    {sudo}ip addr add 10.0.0.1/24 dev {self.name}\n"
                f"    {sudo}ip link set {self.name} up")
        option = f"--net tap:{self.name}"
        flags = self.flags()
        if flags is None:
            raise UsageError(f"{option}: there is no interface {self.name}. This makes it:\n{make}")
        self.attach(option, sudo, f"    {sudo}ip tuntap del dev {self.name} mode tap\n{make}")
        if not flags & IFF_UP:
            print(f"parvus: {option}: {self.name} is down; nothing reaches the guest before:\n"
                  f"    {sudo}ip link set {self.name} up", file=sys.stderr)

    def flags(self):
        """Of the interface; None where there is none."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack(IFREQ, self.name.encode(), 0)
            try:
                return struct.unpack(IFREQ, fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
            except OSError:
                return None

    def attach(self, option, sudo, make_again):
        """Attaches to the interface for a moment, as QEMU will."""
        try:
            with open("/dev/net/tun", "r+b", buffering=0) as tun:
                fcntl.ioctl(tun, TUNSETIFF, struct.pack(
                    IFREQ, self.name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        except FileNotFoundError:
            raise UsageError(f"{option}: /dev/net/tun is missing. This loads its driver:\n"
                             f"    {sudo}modprobe tun") from None
        except OSError as error:
            if error.filename:
                raise UsageError(f"{option}: /dev/net/tun: {error.strerror}. This opens it:\n"
                                 f"    {sudo}chmod 666 /dev/net/tun") from None
            if error.errno == errno.EBUSY:
                raise UsageError(f"{option}: {self.name} is in use by another program, such as a "
                                 f"QEMU of another run; one interface serves one guest") from None
            if error.errno in (errno.EPERM, errno.EACCES):
                raise UsageError(f"{option}: {self.name} is not yours. This makes it again, for you:\n"
                                 f"{make_again}") from None
            raise UsageError(f"{option}: {self.name} is no TAP interface with one queue "
                             f"({error.strerror}); take another name") from None

    def urls(self):
        return []


def parse_net(text):
    """The type of --net: a User, a Tap, or None."""
    if text == "none":
        return None
    kind, _, rest = text.partition(",")
    if kind == "user":
        return User([Forward(part) for part in rest.split(",")] if rest else [])
    name = text.removeprefix("tap:")
    if name == text or not re.fullmatch(r"[^\s/:,]+", name) or name in (".", ".."):
        raise argparse.ArgumentTypeError(f"'{text}' is none of none, user[,PORT:PORT...], tap:NAME")
    if len(name.encode()) > INTERFACE_NAME_BYTES:
        raise argparse.ArgumentTypeError(f"'{name}' is longer than {INTERFACE_NAME_BYTES} bytes, "
                                         "which interfaces' names may have")
    return Tap(name)


def check_disk(path):
    """Raises UsageError for what QEMU could not open as a disk of the guest's."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        hint = f". This makes one of 64 MiB:\n    truncate -s 64M {path}" \
            if error.errno == errno.ENOENT else ""
        raise UsageError(f"--disk {path}: {error.strerror}{hint}") from None
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise UsageError(f"--disk {path}: is neither a file nor a block device")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UsageError(f"--disk {path}: you may not read and write it")


def check_share(path):
    """Raises UsageError for what QEMU could not share with the guest."""
    if not os.path.isdir(path):
        raise UsageError(f"--share {path}: is no folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"--share {path}: you may not read it")


def interfaces(options):
    return [net for net in options.net if net]


def check(options):
    """What only this host can tell, just before the run."""
    forwards = [forward for net in interfaces(options) if isinstance(net, User)
                for forward in net.forwards]
    ports = [(forward.protocol, forward.host) for forward in forwards]
    for protocol, port in ports:
        if ports.count((protocol, port)) > 1:
            raise UsageError(f"--net: {protocol.upper()} port {port} of this host is forwarded twice")
    for net in interfaces(options):
        net.check()
    for path in options.disk:
        check_disk(path)
    if options.share is not None:
        check_share(options.share)


def urls(options):
    """What a browser on this host can open, where the guest serves it."""
    return [url for net in interfaces(options) for url in net.urls()]


def qemu_options(options, is_mmio, accel):
    """The devices, in order: the first --net is the guest's first interface."""
    words = []
    count = len(interfaces(options)) + len(options.disk) + (options.share is not None)
    if is_mmio and count > MMIO_DEVICES:
        raise UsageError(f"--machine microvm has room for {MMIO_DEVICES} of --net, --disk and --share; "
                         "q35 has more")
    kind = "device" if is_mmio else "pci,disable-legacy=on"
    if is_mmio and count:
        words += ["-global", "virtio-mmio.force-legacy=false"]
    for index, net in enumerate(interfaces(options)):
        mac = net.mac(index)
        words += ["-netdev", f"{net.netdev(accel)},id=net{index}", "-device",
                  # Without an option ROM: nothing boots from the network.
                  f"virtio-net-{kind},netdev=net{index}" + ("" if is_mmio else ",romfile=")
                  + (f",mac={mac}" if mac else "")]
    for index, path in enumerate(options.disk):
        file = path.replace(",", ",,")
        words += ["-drive", f"if=none,id=disk{index},format=raw,file={file}",
                  "-device", f"virtio-blk-{kind},drive=disk{index}"]
    if options.share is not None:
        # Files are this user's own, with the modes that the guest gives them.
        folder = os.path.abspath(options.share).replace(",", ",,")
        words += ["-fsdev", f"local,id=share,security_model=none,multidevs=remap,path={folder}",
                  "-device", f"virtio-9p-{kind},fsdev=share,mount_tag=host"]
    return words
