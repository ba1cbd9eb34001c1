"""The network's in-guest tests (tests/net/), its configuration, and a first packet."""
import hosts
from framework import boot, suite

# Addresses of the devices that tests/net/devices.c brings.
ADDRESSES = [f"eth{n}.ip=10.{1 + n // 2}.0.{1 + n % 2}/24 eth{n}.ip6=fd0{1 + n // 2}::{1 + n % 2}/64"
             for n in range(4)]

suite("net", "The network's tests that run inside a guest.", app="net",
      options=["--append", " ".join(ADDRESSES)])

boot("net-dhcp", "An interface gets its address from a DHCP server before the application starts.",
     app="net", hosts=[*hosts.ONE, "tcg-q35", "kvm-microvm", "xen-dom0"],
     arguments=["stream_ipv4"], options=["--net", "user", "--append", "log=info"],
     console=[r"^parvus: eth0: 10\.0\.2\.15/24, gateway 10\.0\.2\.2, from DHCP$", r"^test: "],
     absent=["no DHCP server"])
boot("net-static", "Interfaces get the addresses that the command line names.",
     app="net", arguments=["stream_ipv4"],
     options=["--net", "user", "--net", "user", "--append",
              "log=info ip=192.0.2.6/30,,192.0.2.9 eth1.ip=198.51.100.2/24,198.51.100.1 ip6=none"],
     console=[r"^parvus: eth0: 192\.0\.2\.6/30, gateway none$", r"^parvus: eth1: 198\.51\.100\.2/24, gateway 198\.51\.100\.1$"],
     absent=["DHCP"])

for name, words, message in [
        ("word", "ip=dhpc", 'ip=dhpc: "dhpc" is none of: dhcp, none, ADDRESS/BITS'),
        ("address", "ip=10.0.0.300/24", 'ip=10.0.0.300/24: "10.0.0.300" is no IPv4 address'),
        ("bits", "eth0.ip=10.0.0.1/33", 'eth0.ip=10.0.0.1/33: "33" is not between 1 and 32'),
        ("host", "ip=10.0.0.255/24", 'ip=10.0.0.255/24: "10.0.0.255" is not the address of a host'),
        ("gateway", "ip=10.0.0.1/24,10.0.1.1", '"10.0.1.1" is a gateway outside of the interface'),
        ("dns", "ip=10.0.0.1/24,,one", '"one" is no name server'),
        ("ip6", "ip6=fd00::1/48", 'ip6=fd00::1/48: "48" is not 64'),
        ("hostname", "hostname=a_b ip=none", "hostname=a_b: not a host's name"),
        ("interface", "eth3.ip=dhcp ip=none", "eth3.ip=dhcp: there is no interface eth3")]:
    boot(f"net-bad-{name}", "A bad parameter of the network is named, and the application starts.",
         app="net", arguments=["stream_ipv4"], options=["--net", "user", "--append", words],
         console=[f"^parvus: (error|warning): .*{message.replace('.', chr(92) + '.')}",
                  r"^test: stream_ipv4 \.\.\. ok$"])

boot("net-vanished", "A network device that vanishes is found out though nobody uses it; the rest works on.",
     app="vanish", hosts=["tcg-q35", "xen-dom0"], options=["--net", "user", "--net", "user", "--append", "log=info"],
     console=[r"^eth0 vanishes$", r"^parvus: error: virtio-net at pci \S+ is broken: it is gone \(status 0x(0|ff)\)$",
              r"^parvus: eth0: link down$", r"^eth0 is gone, eth1 is up$"])
