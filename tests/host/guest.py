"""The in-guest tests (tests/guest/), on every host."""
import hosts
from framework import suite

suite("guest", "The tests that run inside a guest.", app="guest",
      options=hosts.devices)
