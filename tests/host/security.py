"""The security tests (tests/security/): the checklist of docs/security.md, on a host of each kind."""
from framework import boot, suite

HOSTS = ["tcg-microvm", "kvm-microvm", "xen-dom0", "nested-kvm"]

suite("security", "The guest reaches for what it may not have.", app="security", hosts=HOSTS)

# What each privileged instruction looks like in the report.
INSTRUCTIONS = {
    "cli": "fa", "hlt": "f4", "lgdt": "0f 01 14 24", "lidt": "0f 01 1c 24", "rdmsr": "0f 32",
    "wrmsr": "0f 30", "write_cr0": "0f 22 c0", "read_cr3": "0f 20 d8", "invlpg": "0f 01 3c 24",
    "in": "e4 60", "out": "e6 80",
}

for name, code in INSTRUCTIONS.items():
    boot(f"security-{name.replace('_', '-')}-reported",
         f"{name} in ring 3 ends the guest, with a report of it.", app="security",
         arguments=["--end", name], status=134,
         console=[rf"^parvus: panic: privileged instruction at 0x\w+: {code}",
                  r"^  #0 0x\w+ holder_"], absent=["was executed"])
