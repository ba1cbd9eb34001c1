# The fuzzers that run on the host, for the main Makefile: each NAME.c below with LLVMFuzzerTestOneInput
# and the sources of FUZZ_NAME becomes $(B)/fuzz/NAME. `make fuzzers` builds them all; they need clang.

CLANG ?= clang-14
FUZZ := tests/fuzz/host

# What is shared: log, formatting; the hypervisor's side of the boot code; lwIP with the sanitizers.
FUZZ_LOG := kernel/log.c kernel/format.c $(FUZZ)/console_support.c
FUZZ_BOOT := $(FUZZ)/boot_support.c
FUZZ_MACHINE := $(FUZZ)/machine_support.c $(FUZZ_LOG)
FUZZ_VIRTIO := kernel/virtio/vq.c kernel/virtio/virtio.c $(FUZZ)/virtio_device.c $(FUZZ)/no_drivers.c \
    $(FUZZ_MACHINE)

FUZZ_acpi := $(FUZZ_BOOT)
FUZZ_archive := kernel/archive.c kernel/tar.c kernel/cpio.c
FUZZ_boot := $(FUZZ_BOOT) $(wildcard boot/*.c)
FUZZ_cmdline := kernel/cmdline.c $(FUZZ_LOG)
FUZZ_daemons := pv/store.c pv/console_ring.c
FUZZ_elf := $(FUZZ_BOOT) pv/hypervisor/elf.c
FUZZ_config := net/config.c $(patsubst %,$(DEPS)/lwip/src/core/%.c,def ip ipv4/ip4_addr ipv6/ip6_addr) $(FUZZ_LOG)
FUZZ_lwip := net/checksum.c net/connections.c net/device.c net/packet.c net/syn.c $(SOURCES_lwip) $(FUZZ_LOG)
FUZZ_inet :=
FUZZ_mmio := kernel/virtio/mmio.c kernel/virtio/net.c $(FUZZ_VIRTIO)
FUZZ_p9 := libc-glue/p9_fs.c libc-glue/folder_file.c $(FUZZ_LOG)
FUZZ_pci := kernel/pci.c kernel/virtio/pci.c kernel/virtio/vq.c kernel/virtio/virtio.c kernel/virtio/net.c \
    $(FUZZ)/no_drivers.c $(FUZZ_MACHINE)
FUZZ_virtio_net := kernel/virtio/net.c $(FUZZ_VIRTIO)
FUZZ_virtio_others := $(patsubst %,kernel/virtio/%.c,balloon blk console p9 rng) $(FUZZ_VIRTIO)
FUZZ_request := apps/httpd/request.c apps/httpd/http_date.c

FUZZERS := $(patsubst FUZZ_%,%,$(filter-out FUZZ_LOG FUZZ_BOOT FUZZ_MACHINE FUZZ_VIRTIO,$(filter FUZZ_%,$(.VARIABLES))))

# On x86 nothing has to be aligned, and what is read here lies anywhere.
FUZZ_FLAGS = -std=gnu17 -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=alignment \
    -fno-sanitize-recover=all -Wall -Wextra -Werror -Wno-sign-compare -I. -isystem $(DEPS)/xen/include \
    -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Iapps/httpd -idirafter net -isystem $(DEPS)/lwip/src/include

$(B)/fuzz/obj/%.o: % $(B)/flags/fuzz $(FETCHED)
	$(say) CLANG $<
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_FLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(B)/fuzz/obj/lwip/%.o: $(DEPS)/lwip/src/% $(B)/flags/fuzz
	$(say) CLANG lwip/$*
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_FLAGS) -w -MMD -MP -MF $(@:.o=.d) -c -o $@ $<

$(B)/flags/fuzz: FORCE
	$(call stamp,$(CLANG) $(FUZZ_FLAGS))

# $(call fuzzer_rule,NAME)
define fuzzer_rule
FUZZ_OBJECTS_$(1) := $(patsubst $(B)/fuzz/obj/$(DEPS)/lwip/src/%,$(B)/fuzz/obj/lwip/%, \
    $(patsubst %,$(B)/fuzz/obj/%.o,$(FUZZ)/$(1).c $(FUZZ_$(1))))
$(B)/fuzz/$(1): $$(FUZZ_OBJECTS_$(1))
	$$(say) LINK $$@
	$$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $$@ $$^
-include $$(FUZZ_OBJECTS_$(1):.o=.d)
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzzer_rule,$(f))))

fuzzers: $(FUZZERS:%=$(B)/fuzz/%)
