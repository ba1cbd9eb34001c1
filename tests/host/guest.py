"""The in-guest tests (tests/guest/), on every host."""
from framework import suite

suite("guest", "The tests that run inside a guest.", app="guest")
