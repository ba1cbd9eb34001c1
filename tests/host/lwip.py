"""lwIP's own unit tests (its test/unit), in a guest."""
import hosts
from framework import boot

boot("lwip-unit", "All 137 unit tests of lwIP pass in a guest.", app="lwip",
     hosts=[*hosts.ONE, "kvm-microvm", "xen-dom0"],
     console=[r"^100%: Checks: 137, Failures: 0, Errors: 0$"])
