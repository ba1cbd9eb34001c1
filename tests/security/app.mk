# Tests of what the guest is protected from, itself included: the checklist of docs/security.md.
APP_SOURCES := $(sort $(wildcard $(APP_FOLDER)/*.c)) \
    $(patsubst %,tests/guest/%.c,hypercall runner support)
