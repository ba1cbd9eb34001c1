# gcc's torture tests (tests/torture/), for the main Makefile: `make torture` builds them as one guest and
# as one Linux program.

TORTURE := $(B)/torture
TORTURE_FLAGS := -O2 -g -Wall -Wextra -Werror -I.
TORTURE_COMMON := tests/torture/runner.c $(TORTURE)/table.c $(TORTURE)/tests.o

# What all tests are made of; and those that include no header need not be compiled anew for a change of one.
FLAGS_torture = $(FLAGS_cc) $(shell grep '^gcc-torture ' tools/deps/sources)
$(TORTURE)/table.c $(TORTURE)/tests.o $(TORTURE)/guest.o $(TORTURE)/linux.o: tests/torture/build \
    $(B)/flags/torture | $(DEPS)/source-gcc-torture $(SYSROOT_FILES)
	$(say) TORTURE $@
	$(Q)mkdir -p $(@D) && tests/torture/build $(DEPS)/gcc-torture $@
$(TORTURE)/guest.o: $(C_HEADERS)

$(TORTURE)/guest: $(TORTURE_COMMON) $(TORTURE)/guest.o tests/torture/runner.h $(SYSROOT_FILES)
	$(say) LINK $@
	$(Q)tools/parvus-cc $(TORTURE_FLAGS) -o $@ $(filter %.c %.o,$^) -lm

# Some tests make code on the stack; one calls tmpnam, which the linker does not like.
$(TORTURE)/linux: $(TORTURE_COMMON) $(TORTURE)/linux.o tests/torture/runner.h
	$(say) LINK $@
	$(Q)$(CC) $(TORTURE_FLAGS) -static-pie -fPIE -Wl,-z,execstack -Wl,--no-warnings -o $@ $(filter %.c %.o,$^) -lm

torture: $(TORTURE)/guest $(TORTURE)/linux
