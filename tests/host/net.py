"""The network's in-guest tests (tests/net/), on every host."""
from framework import suite

# Addresses of the devices that tests/net/devices.c brings.
ADDRESSES = [f"eth{n}.ip=10.{1 + n // 2}.0.{1 + n % 2}/24 eth{n}.ip6=fd0{1 + n // 2}::{1 + n % 2}/64"
             for n in range(4)]

suite("net", "The network's tests that run inside a guest.", app="net",
      options=["--append", " ".join(ADDRESSES)])
