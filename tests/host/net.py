"""The network's in-guest tests (tests/net/), on every host."""
from framework import suite

suite("net", "The network's tests that run inside a guest.", app="net")
