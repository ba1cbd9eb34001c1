# In-guest tests of the network: the runner of the others, and tests of its own.
APP_SOURCES := $(sort $(wildcard $(APP_FOLDER)/*.c)) tests/guest/runner.c tests/guest/support.c
