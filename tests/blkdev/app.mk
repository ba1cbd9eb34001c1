# The tests of a disk, with the framework of the other in-guest tests.
APP_SOURCES := $(wildcard tests/blkdev/*.c) tests/guest/runner.c tests/guest/support.c
