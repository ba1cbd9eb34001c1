# The build of Parvus: one application, newlib and the kernel become NAME.elf (a Xen PV guest), and
# with the hypervisor around it NAME.img (boots by PVH, Multiboot 1 and 2). `make help` lists the
# targets. Sources are found by folder: adding a file or an application needs no line here.
#
# Non-recursive; everything is written under $(B), the dependencies (newlib, lwIP, Xen's headers)
# under $(DEPS), which several build folders may share. No compiler is called while this file is
# read, so that a machine without one gets as far as the rule that installs it.

B ?= build
DEPS ?= build/deps
APP ?= hello
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
LD ?= ld
ifeq ($(origin AR),default)
AR := ar
endif
OBJCOPY ?= objcopy
export B DEPS

# V=1 shows the commands.
ifeq ($(V),1)
say = @:
else
Q := @
say = @$(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,printf '  %-7s %s\n')
endif

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: image run iso images images-c++ linux sysroot sysroot-c++ guest-image test torture fuzz fuzzers bench check clean distclean help FORCE

image:

# ---- dependencies --------------------------------------------------------------------------------

PACKAGES_BUILD := $(DEPS)/packages-build.stamp
PACKAGES_TEST := $(DEPS)/packages-test.stamp
PACKAGES_CXX := $(DEPS)/packages-c++.stamp
FETCHED := $(DEPS)/fetched
NEWLIB := $(DEPS)/built-newlib
LIBSTDCXX := $(DEPS)/built-libstdcxx
SYSROOT := $(abspath $(B))/sysroot

# One at a time: apt holds a lock.
$(PACKAGES_TEST) $(PACKAGES_CXX): | $(PACKAGES_BUILD)
$(DEPS)/packages-%.stamp: tools/deps/packages
	$(Q)tools/deps/packages $*
	$(Q)mkdir -p $(@D) && touch $@

# The scripts keep stamps of their own, which say what was made from what; ours only bear the time at
# which they were last found to hold.
$(FETCHED): $(wildcard tools/deps/*) | $(PACKAGES_BUILD)
	$(Q)tools/deps/fetch $(DEPS)
	$(Q)touch $@

# The header that newlib's own sources need of a system (tools/deps/newlib takes it).
$(NEWLIB): $(FETCHED) $(wildcard tools/deps/*) libc-glue/include/sys/dirent.h
	$(Q)tools/deps/newlib $(DEPS)
	$(Q)touch $@

# All that is behind <...> in guest code.
C_HEADERS := $(NEWLIB) $(shell find libc-glue/include -type f 2>/dev/null)

# For programs in C++; built the first time that one is. It is compiled like them, by tools/parvus-cc.
$(LIBSTDCXX): $(C_HEADERS) $(wildcard tools/deps/*) $(SYSROOT)/flags | $(PACKAGES_CXX)
	$(Q)tools/deps/libstdcxx $(DEPS) $(abspath tools/parvus-cc) \
	    $$(cat $(SYSROOT)/flags $(DEPS)/newlib.stamp $(sort $(filter libc-glue/%,$(C_HEADERS))) | sha256sum | cut -c-64)
	$(Q)touch $@

# What else some applications and tests are made of: a folder of sources each.
.PRECIOUS: $(DEPS)/source-%
$(DEPS)/source-%: tools/deps/source tools/deps/sources tools/deps/common.sh tools/deps/apt.sh | $(PACKAGES_BUILD)
	$(Q)tools/deps/source $* $(DEPS)
	$(Q)touch $@

SOURCES_OTHERS := $(shell sed -n 's/^\([a-z][^ ]*\) .*/\1/p' tools/deps/sources)
# $(call source_rule,NAME): its files are there once it is unpacked.
source_rule = $(DEPS)/$(1)/%.c: $(DEPS)/source-$(1) ;
$(foreach s,$(SOURCES_OTHERS),$(eval $(call source_rule,$(s))))

# ---- flags ---------------------------------------------------------------------------------------

# Asked of the compiler at first use, then kept.
GCC_INCLUDE = $(eval GCC_INCLUDE := $$(shell $(CC) -print-file-name=include))$(GCC_INCLUDE)
LIBGCC = $(eval LIBGCC := $$(shell $(CC) -print-libgcc-file-name))$(LIBGCC)

NO_UNWIND := -fno-asynchronous-unwind-tables
COMMON_FLAGS = -std=gnu17 -O2 -g -Wall -Wextra -Werror -nostdinc -isystem $(GCC_INCLUDE) \
    -mno-red-zone -fno-omit-frame-pointer -ffunction-sections -fdata-sections \
    $(NO_UNWIND) -ffile-prefix-map=$(CURDIR)=. \
    -D__parvus__=1 -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ $(EXTRA_CFLAGS)

# Our headers come before newlib's, these before Xen's; the host's own operating system is not the
# target. A large frame touches each of its pages, so that it cannot step over a guard page. The stack
# protector's canary is kernel/canary.c's; CANARIES=off leaves it out, for those who measure its cost.
CANARIES ?= on
GUEST_FLAGS = $(COMMON_FLAGS) -isystem libc-glue/include -isystem $(DEPS)/newlib/include \
    -isystem $(DEPS)/xen/include \
    -fPIE -ftls-model=local-exec -fstack-clash-protection \
    $(if $(filter off,$(CANARIES)),-fno-stack-protector,-fstack-protector-strong) -mstack-protector-guard=global \
    -U__linux__ -U__linux -Ulinux -U__gnu_linux__ -U__unix__ -Uunix -U__unix

# The library's functions check the sizes that the compiler knows (newlib's ssp/ssp.h).
FORTIFY := -D_FORTIFY_SOURCE=2

# Tables for exceptions that pass through C functions: a guest without C++ leaves them out
# (kernel/guest.lds). Those for debuggers are made as well, if the compiler writes them itself.
UNWIND := -fasynchronous-unwind-tables -fno-dwarf2-cfi-asm

# Flags of each class of sources. Kernel code keeps out of the SSE registers, so that an event
# handler has none to save.
GENERAL_REGISTERS := -mgeneral-regs-only -include kernel/general.h
FLAGS_kernel = $(GUEST_FLAGS) -I. $(GENERAL_REGISTERS) -ffreestanding
FLAGS_libc-glue = $(GUEST_FLAGS) -I. $(FORTIFY) $(UNWIND)
# An event handler of net/ wakes its thread. lwIP is compiled as it comes: warnings do not count.
FLAGS_net = $(GUEST_FLAGS) $(FORTIFY) -I. -Inet -isystem $(DEPS)/lwip/src/include $(GENERAL_REGISTERS)
FLAGS_lwip = $(FLAGS_net) -w
FLAGS_app = $(GUEST_FLAGS) $(FORTIFY)
# libstdc++'s headers come before those of C, which it wraps. As elsewhere, C++ sees all that these have.
CXX_HEADERS = $(addprefix -isystem $(abspath $(DEPS))/libstdcxx/include/,. x86_64-parvus-elf backward) -D_GNU_SOURCE=1
FLAGS_c++ = $(CXX_HEADERS) $(patsubst -std=%,-std=gnu++17,$(filter-out $(NO_UNWIND),$(GUEST_FLAGS))) $(FORTIFY)
FLAGS_libc-glue-c++ = $(FLAGS_libc-glue) -fexceptions
FLAGS_hypervisor = $(COMMON_FLAGS) -fno-stack-protector -isystem $(DEPS)/xen/include -I. -ffreestanding \
    -fpie -fvisibility=hidden -mgeneral-regs-only -fno-jump-tables -mcmodel=small \
    -D__PARVUS_HYPERVISOR__

LINK_COMMON = -nostdlib -static --gc-sections --build-id=none --fatal-warnings \
    -z noexecstack -z norelro -z max-page-size=4096
# Moved to a random address as it starts: addresses are relocated in data only.
LINK_GUEST = $(LINK_COMMON) -pie --no-dynamic-linker -z text -z pack-relative-relocs
# Of a guest with C++, in front of the above: exceptions need tables, and what some functions of C do
# besides is in libc-glue/cxx/.
LINK_CXX = -T kernel/unwind.lds --eh-frame-hdr --no-ld-generated-unwind-info --wrap=exit --wrap=pthread_once
LINK_HYPERVISOR = $(LINK_COMMON) -no-pie

# Our own code is compiled for size, except for these, which run on every hypercall, event, lock and
# switch, or copy much at boot (for size, copies are made byte by byte).
FAST_SOURCES := pv/hypervisor/apic.c pv/hypervisor/callback.c pv/hypervisor/domain_build.c pv/hypervisor/event.c \
    pv/hypervisor/hypercall.c pv/hypervisor/mmu_op.c pv/hypervisor/pagetable.c pv/hypervisor/pirq.c \
    pv/hypervisor/trap.c pv/clock.c pv/events.c pv/mmu.c pv/relocate.c kernel/dma.c kernel/page.c kernel/pagetable.c \
    kernel/sched.c kernel/sync.c kernel/virtio/net.c kernel/virtio/vq.c kernel/virtio/virtio.c libc-glue/fd.c \
    libc-glue/file.c libc-glue/io.c libc-glue/lock.c libc-glue/poll.c libc-glue/socket.c libc-glue/socket_transfer.c libc-glue/string.c libc-glue/time.c libc-glue/tmpfs_file.c \
    libc-glue/tmpfs_pages.c
for_size = $(if $(filter kernel libc-glue libc-glue-c++ hypervisor,$(1)),$(if $(filter $(FAST_SOURCES),$(2)),,-Os))

# $(call stamp,TEXT): the recipe of a file that changes when TEXT does, so that what depends on it
# is rebuilt when flags or the list of sources change.
stamp = @mkdir -p $(@D) && printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || \
    printf '%s\n' '$(subst ','\'',$(1))' > $@

# Also of sources that pattern rules name.
.PRECIOUS: $(B)/flags/%

$(B)/flags/%: FORCE | $(PACKAGES_BUILD)
	$(call stamp,$(CC) $(shell $(CC) -dumpfullversion) $(FLAGS_$*) $(LINK_COMMON) $(LINK_CXX) $(SOURCES_$*) $(FAST_SOURCES))

# $(call compile,CLASS,SOURCE,OPTIONS,COMPILER): one object, with the headers it depends on beside it.
compile = $(Q)mkdir -p $(@D) && $(or $(4),$(CC)) $(FLAGS_$(1)) $(call for_size,$(1),$(2)) $(3) -MMD -MP -MF $(@:.o=.d) -c -o $@ $(2)

# ---- shared objects: kernel, libc glue, hypervisor -----------------------------------------------

sources = $(sort $(foreach folder,$(1),$(wildcard $(folder)/*.c $(folder)/*.S)))
objects = $(patsubst %,$(B)/obj/%.o,$(1))

SOURCES_kernel := $(call sources,kernel kernel/virtio pv)
SOURCES_libc-glue := $(call sources,libc-glue)
SOURCES_libc-glue-c++ := $(call sources,libc-glue/cxx)
SOURCES_hypervisor := $(filter-out boot/guest.S boot/image.lds.S,$(call sources,boot pv/hypervisor))
SOURCES_net := $(call sources,net)
SOURCES_lwip := $(patsubst %,$(DEPS)/lwip/src/%.c, \
    core/def core/dns core/inet_chksum core/init core/ip core/mem core/memp core/netif core/pbuf \
    core/raw core/stats core/tcp core/tcp_in core/tcp_out core/timeouts core/udp \
    core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp core/ipv4/igmp core/ipv4/ip4 core/ipv4/ip4_addr \
    core/ipv4/ip4_frag core/ipv6/ethip6 core/ipv6/icmp6 core/ipv6/inet6 core/ipv6/ip6 \
    core/ipv6/ip6_addr core/ipv6/ip6_frag core/ipv6/mld6 core/ipv6/nd6 netif/ethernet)
# An image has all of the C library's glue, so that it comes before what newlib has instead, but
# for the sockets: the files that include their headers or the network's, application.c apart.
SOURCES_sockets := $(filter-out libc-glue/application.c, \
    $(shell grep -lE '^#include ("(net/|libc-glue/socket\.h)|<netdb\.h>)' $(SOURCES_libc-glue) 2>/dev/null))
GUEST_OBJECTS := $(call objects,$(SOURCES_kernel) $(filter-out $(SOURCES_sockets),$(SOURCES_libc-glue)))
SOCKET_OBJECTS := $(call objects,$(SOURCES_sockets))
NET_OBJECTS := $(call objects,$(SOURCES_net)) $(SOURCES_lwip:$(DEPS)/lwip/src/%.c=$(B)/net/lwip/%.o)
# Of these, an image has what its application calls.
GUEST_LIBRARIES := $(B)/libc-glue/libsocket.a $(B)/net/libnet.a
# And that of programs in C++ only.
CXX_GLUE := $(B)/libc-glue/libparvus-c++.a
CXX_GLUE_OBJECTS := $(call objects,$(SOURCES_libc-glue-c++))
CXX_LIBRARIES := $(addprefix $(DEPS)/libstdcxx/lib/,libstdc++.a libgcc_eh.a)
HYPERVISOR_OBJECTS := $(call objects,$(SOURCES_hypervisor))

# $(call object_rule,CLASS,SOURCE,STAMP of what its system headers come from)
define object_rule
$(call objects,$(2)): $(2) $(B)/flags/$(1) $(3)
	$$(say) $(if $(filter %.S,$(2)),AS,CC) $(2)
	$$(call compile,$(1),$$<)
endef
$(foreach s,$(SOURCES_kernel),$(eval $(call object_rule,kernel,$(s),$(C_HEADERS))))
$(foreach s,$(SOURCES_libc-glue),$(eval $(call object_rule,libc-glue,$(s),$(C_HEADERS))))
$(foreach s,$(SOURCES_libc-glue-c++),$(eval $(call object_rule,libc-glue-c++,$(s),$(C_HEADERS))))
$(foreach s,$(SOURCES_net),$(eval $(call object_rule,net,$(s),$(C_HEADERS))))
$(foreach s,$(SOURCES_hypervisor),$(eval $(call object_rule,hypervisor,$(s),$(FETCHED))))

# ---- what is linked on demand --------------------------------------------------------------------

# The sources are there once they are fetched.
$(DEPS)/lwip/%.c: $(FETCHED) ;

# What net/segments.c does in lwIP's place.
$(B)/net/lwip/core/tcp.o $(B)/net/lwip/core/tcp_in.o: RENAMED := -Dtcp_output=segments_output \
    -Dtcp_rexmit_fast=segments_rexmit_fast -Dtcp_rexmit_rto_commit=segments_rexmit_rto_commit \
    -Dtcp_split_unsent_seg=segments_split_unsent

$(B)/net/lwip/%.o: $(DEPS)/lwip/src/%.c net/lwipopts.h $(B)/flags/lwip $(NEWLIB)
	$(say) CC lwip/$*.c
	$(call compile,lwip,$<,$(RENAMED))

archive = $(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcD $@ $(filter %.o,$^)

$(B)/net/libnet.a: $(NET_OBJECTS)
	$(say) AR $@
	$(archive)

$(B)/libc-glue/libsocket.a: $(SOCKET_OBJECTS) $(B)/flags/libc-glue
	$(say) AR $@
	$(archive)

$(CXX_GLUE): $(CXX_GLUE_OBJECTS) $(B)/flags/libc-glue-c++
	$(say) AR $@
	$(archive)

$(CXX_LIBRARIES): $(LIBSTDCXX) ;

# ---- the image: the hypervisor, with or without a guest inside -----------------------------------

IMAGE_SCRIPT := $(B)/boot/image.lds
HYPERVISOR_IMAGE := $(B)/boot/parvus-hypervisor.img

$(IMAGE_SCRIPT): boot/image.lds.S $(B)/flags/hypervisor $(FETCHED)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -E -P -x assembler-with-cpp $(FLAGS_hypervisor) -MMD -MP -MT $@ -MF $@.d -o $@ $<

link_image = $(Q)$(LD) $(LINK_HYPERVISOR) -T $(IMAGE_SCRIPT) -o $@ $(filter %.o,$^)
strip_image = $(Q)$(OBJCOPY) --strip-all $< $@

$(B)/boot/guest.o: boot/guest.S $(B)/flags/hypervisor $(FETCHED)
	$(call compile,hypervisor,$<)

$(HYPERVISOR_IMAGE).debug: $(HYPERVISOR_OBJECTS) $(B)/boot/guest.o $(IMAGE_SCRIPT)
	$(say) LINK $@
	$(link_image)

$(HYPERVISOR_IMAGE): $(HYPERVISOR_IMAGE).debug
	$(say) IMAGE $@
	$(strip_image)

# ---- applications --------------------------------------------------------------------------------

# Every folder of apps/ and the in-guest tests, then the folder that APP names by path; that one
# takes the place of an application of the same name.
app_files = $(wildcard $(foreach kind,*.c *.S *.cc *.cpp app.mk,$(1)/$(kind)))
APP_FOLDERS := $(patsubst %/,%,$(sort $(dir $(call app_files,apps/*) $(wildcard tests/cxx/*.cc \
    $(patsubst %,tests/%/app.mk,fuzzcheck threadtest3) \
    $(patsubst %,tests/%/*.c,balloon blkdev fuzz/hypercalls guest lookup lwip net netdev parting posix security vanish)))))
ifneq ($(filter apps/$(APP),$(APP_FOLDERS)),)
APP_NAME := $(APP)
else ifneq ($(call app_files,$(APP)),)
APP_PATH := $(patsubst $(CURDIR)/%,%,$(abspath $(APP)))
APP_NAME := $(notdir $(APP_PATH))
APP_FOLDERS := $(filter-out %/$(APP_NAME),$(APP_FOLDERS)) $(APP_PATH)
else ifneq ($(filter image run iso,$(or $(MAKECMDGOALS),image)),)
$(error APP=$(APP): neither an application (there are: $(notdir $(filter apps/%,$(APP_FOLDERS)))) \
nor a folder with sources in C or C++)
endif
APP_IMAGE := $(B)/apps/$(APP_NAME)/$(APP_NAME).img

CXX_FILES := %.cc %.cpp

# Warnings are errors in our own applications only.
# app.mk of an application's folder may set APP_SOURCES (default: *.c, *.S, *.cc and *.cpp of the
# folder), APP_CFLAGS, APP_CXXFLAGS and APP_LDLIBS; APP_INITRD, a folder whose contents are packed as its initrd; APP_RUN,
# options of tools/parvus run that hold where none are given. APP_FOLDER is the folder's path. tests/ may reach into the kernel's headers.
# $(call app_variables,NAME,FOLDER)
define app_variables
APP_SOURCES :=
APP_CFLAGS := $(if $(filter tests/%,$(2)),-I.)
APP_CXXFLAGS :=
APP_LDLIBS :=
APP_INITRD :=
APP_RUN :=
APP_FOLDER := $(2)
-include $(2)/app.mk
SOURCES_app-$(1) := $$(or $$(APP_SOURCES),$$(sort $$(filter-out %.mk,$$(call app_files,$(2)))))
FLAGS_all-$(1) := $(if $(filter /%,$(2)),-ffile-prefix-map=$(2)/=) $(if $(filter apps/% tests/%,$(2)),,-Wno-error -Wno-extra)
FLAGS_app-$(1) = $$(FLAGS_app) $$(FLAGS_all-$(1)) $$(CFLAGS_app-$(1))
FLAGS_c++-$(1) = $$(FLAGS_c++) $$(FLAGS_all-$(1)) $$(CXXFLAGS_app-$(1))
CFLAGS_app-$(1) := $$(APP_CFLAGS)
CXXFLAGS_app-$(1) := $$(APP_CXXFLAGS)
IS_CXX_app-$(1) := $$(filter $$(CXX_FILES),$$(SOURCES_app-$(1)))
LDLIBS_app-$(1) := $$(APP_LDLIBS)
INITRD_app-$(1) := $$(APP_INITRD)
RUN_app-$(1) := $$(if $$(APP_INITRD),--initrd $(1).initrd )$$(APP_RUN)
FETCHED_app-$(1) := $$(foreach s,$$(SOURCES_OTHERS),$$(if $$(findstring $$(DEPS)/$$(s)/,$$(APP_SOURCES) $$(APP_CFLAGS) ),$$(DEPS)/source-$$(s)))
endef

# An application's object: below its output folder, by its path in the application's folder (or,
# for a source from elsewhere, by its own path).
# $(call app_object,NAME,FOLDER,SOURCE)
app_object = $(B)/apps/$(1)/obj/$(patsubst /%,%,$(patsubst $(2)/%,%,$(3))).o

# Each may include headers of all other people's sources that the application is made of.
# $(call app_object_rule,NAME,FOLDER,SOURCE)
define app_object_rule
$(call app_object,$(1),$(2),$(3)): $(3) $(B)/flags/app-$(1) $(C_HEADERS) | $(FETCHED_app-$(1))
	$$(say) $(if $(filter %.S,$(3)),AS,CC) $(3)
	$$(call compile,app-$(1),$$<)
endef

# $(call app_object_rule_c++,NAME,FOLDER,SOURCE)
define app_object_rule_c++
$(call app_object,$(1),$(2),$(3)): $(3) $(B)/flags/c++-$(1) $(LIBSTDCXX) | $(FETCHED_app-$(1))
	$$(say) CXX $(3)
	$$(call compile,c++-$(1),$$<,,$$(CXX))
endef

# $(call app_rules,NAME,FOLDER)
define app_rules
OBJECTS_app-$(1) := $(foreach s,$(SOURCES_app-$(1)),$(call app_object,$(1),$(2),$(s)))
$(foreach s,$(SOURCES_app-$(1)),$(eval $(call app_object_rule$(if $(filter $(CXX_FILES),$(s)),_c++),$(1),$(2),$(s))))

$(B)/apps/$(1)/$(1).elf: $$(OBJECTS_app-$(1)) $(GUEST_OBJECTS) $(GUEST_LIBRARIES) kernel/guest.lds \
    $(if $(IS_CXX_app-$(1)),kernel/unwind.lds $(CXX_GLUE) $(CXX_LIBRARIES)) \
    $$(filter $(B)/%,$$(LDLIBS_app-$(1))) $(NEWLIB) tools/check/privileged $(B)/flags/app-$(1) $(B)/flags/kernel $(B)/flags/libc-glue
	$$(say) LINK $$@
	$$(Q)$(LD) $(if $(IS_CXX_app-$(1)),$(LINK_CXX)) $(LINK_GUEST) -T kernel/guest.lds -o $$@ $$(OBJECTS_app-$(1)) $(GUEST_OBJECTS) \
	    --start-group $$(LDLIBS_app-$(1)) $(if $(IS_CXX_app-$(1)),$(CXX_GLUE) $(CXX_LIBRARIES)) $(GUEST_LIBRARIES) $(DEPS)/newlib/lib/libc.a \
	    $(DEPS)/newlib/lib/libm.a $$(LIBGCC) --end-group
	$$(Q)tools/check/privileged $$@

$(B)/apps/$(1)/$(1).stripped.elf: $(B)/apps/$(1)/$(1).elf
	$$(strip_image)

$(B)/apps/$(1)/guest.o: boot/guest.S $(B)/apps/$(1)/$(1).stripped.elf $(B)/flags/hypervisor $(FETCHED)
	$$(call compile,hypervisor,$$<,-DGUEST_BLOB='"$(B)/apps/$(1)/$(1).stripped.elf"')

$(B)/apps/$(1)/$(1).img.debug: $(HYPERVISOR_OBJECTS) $(B)/apps/$(1)/guest.o $(IMAGE_SCRIPT)
	$$(say) LINK $$@
	$$(link_image)

$(B)/apps/$(1)/$(1).img: $(B)/apps/$(1)/$(1).img.debug
	$$(say) IMAGE $$@
	$$(strip_image)

# Packed anew each time, but only what differs counts: names may be any.
$(B)/apps/$(1)/$(1).initrd: FORCE
	$$(Q)mkdir -p $$(@D)
	$$(Q)tar --create --file $$@.new --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
	    --directory $$(INITRD_app-$(1)) .
	$$(Q)if cmp -s $$@.new $$@; then rm $$@.new; else mv $$@.new $$@; fi

# What tools/parvus run adds to its options.
$(B)/apps/$(1)/$(1).run: FORCE
	$$(call stamp,$$(RUN_app-$(1)))

FILES_app-$(1) := $(B)/apps/$(1)/$(1).run $$(if $$(INITRD_app-$(1)),$(B)/apps/$(1)/$(1).initrd)

$(B)/apps/$(1)/$(1).iso: $(B)/apps/$(1)/$(1).img $(B)/apps/$(1)/$(1).stripped.elf \
    $(HYPERVISOR_IMAGE) tools/iso $(PACKAGES_TEST) $$(FILES_app-$(1))
	$$(say) ISO $$@
	$$(Q)tools/iso --output $$@ $$(if $$(INITRD_app-$(1)),--initrd $(B)/apps/$(1)/$(1).initrd) \
	    $(B)/apps/$(1)/$(1).img $(HYPERVISOR_IMAGE) $(B)/apps/$(1)/$(1).stripped.elf
endef
$(foreach f,$(APP_FOLDERS),$(eval $(call app_variables,$(notdir $(f)),$(f))))
$(foreach f,$(APP_FOLDERS),$(eval $(call app_rules,$(notdir $(f)),$(f))))

image_of = $(B)/apps/$(1)/$(1).img
CXX_IMAGES := $(foreach f,$(notdir $(APP_FOLDERS)),$(if $(IS_CXX_app-$(f)),$(call image_of,$(f))))
IMAGES := $(filter-out $(CXX_IMAGES),$(foreach f,$(notdir $(APP_FOLDERS)),$(call image_of,$(f))))

# ---- the same programs for Linux, which tools/bench compares with --------------------------------

LINUX_APPS := lua redis speedtest1
# What a guest is compiled with, without what only a guest needs; the C library is the machine's.
FLAGS_linux = -std=gnu17 -static -no-pie $(filter-out -fno-asynchronous-unwind-tables,$(filter -O% -f%,$(GUEST_FLAGS))) $(FORTIFY)
linux_path = $(patsubst $(B)/apps/%,$(B)/linux/%,$(1))

$(B)/flags/linux: FORCE | $(PACKAGES_BUILD)
	$(call stamp,$(CC) $(shell $(CC) -dumpfullversion) $(FLAGS_linux))

# $(call linux_object_rule,NAME,SOURCE)
define linux_object_rule
$(call linux_path,$(call app_object,$(1),apps/$(1),$(2))): $(2) $(B)/flags/linux | $(FETCHED_app-$(1))
	$$(say) 'CC' 'linux: $(2)'
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(FLAGS_linux) $$(CFLAGS_app-$(1)) -MMD -MP -MF $$(@:.o=.d) -c -o $$@ $$<
endef

# $(call linux_rules,NAME)
define linux_rules
$(foreach s,$(SOURCES_app-$(1)),$(eval $(call linux_object_rule,$(1),$(s))))

$(B)/linux/$(1)/$(1): $(call linux_path,$(OBJECTS_app-$(1)) $(filter %.o,$(LDLIBS_app-$(1)))) $(B)/flags/linux
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(FLAGS_linux) -o $$@ $$(filter %.o,$$^) $(filter -l%,$(LDLIBS_app-$(1))) -lm
endef
$(foreach a,$(LINUX_APPS) sqlite,$(eval $(call linux_rules,$(a))))

linux: $(foreach a,$(LINUX_APPS),$(B)/linux/$(a)/$(a))

include tests/fuzz/host/build.mk

# ---- tools/parvus-cc and tools/parvus-c++ --------------------------------------------------------

SYSROOT_FILES := $(addprefix $(SYSROOT)/,libparvus.a parvus.specs parvus.cmake parvus.pc flags \
    $(notdir $(GUEST_LIBRARIES)) $(patsubst %,lib%.a,dl pthread rt util))
# A flag that is a path holds wherever the compiler runs.
absolute = $(foreach word,$(1),$(if $(wildcard $(word)),$(abspath $(word)),$(word)))
FLAGS_cc = -static $(UNWIND) $(call absolute,$(filter-out $(NO_UNWIND) -std=% -O% -g -W% -D__XEN% -ffile-prefix-map=% -U__unix -U__unix__ -Uunix,$(GUEST_FLAGS)))
fill_in = sed -e 's|@SYSROOT@|$(SYSROOT)|g; s|@TOOLS@|$(abspath tools)|g; s|@GCC@|$(dir $(LIBGCC))|g' \
    -e 's|@NEWLIB@|$(abspath $(DEPS)/newlib/lib)|g; s|@LIBRARIES@|$(patsubst lib%.a,-l%,$(notdir $(GUEST_LIBRARIES)))|g' \
    -e 's|@LINK@|$(filter-out --fatal-warnings,$(LINK_GUEST)) -T $(abspath kernel/guest.lds)|g' \
    -e 's|@LINK_CXX@|$(call absolute,$(LINK_CXX))|g; s|@LIBSTDCXX@|$(abspath $(DEPS)/libstdcxx/lib)|g'

$(SYSROOT)/libparvus.a: $(GUEST_OBJECTS) $(B)/flags/kernel $(B)/flags/libc-glue
	$(say) AR $@
	$(archive)

$(addprefix $(SYSROOT)/,$(notdir $(GUEST_LIBRARIES))): $(GUEST_LIBRARIES)
	$(Q)mkdir -p $(@D) && cp $(filter %/$(@F),$^) $@

# What is in libc already, for those who name it.
$(SYSROOT)/libdl.a $(SYSROOT)/libpthread.a $(SYSROOT)/librt.a $(SYSROOT)/libutil.a:
	$(archive)

$(SYSROOT)/parvus.%: tools/cc/% $(B)/flags/cc
	$(Q)mkdir -p $(@D) && $(fill_in) $< > $@

$(SYSROOT)/parvus.cmake $(SYSROOT)/parvus.pc: $(SYSROOT)/%: tools/cc/% $(B)/flags/cc
	$(Q)mkdir -p $(@D) && $(fill_in) $< > $@

# Last, as tools/parvus-cc takes it for the sign that all is there.
$(SYSROOT)/flags: $(B)/flags/cc $(NEWLIB) $(filter-out $(SYSROOT)/flags,$(SYSROOT_FILES))
	$(Q)echo '$(FLAGS_cc)' > $@

$(SYSROOT)/libparvus-c++.a: $(CXX_GLUE)
	$(Q)mkdir -p $(@D) && cp $< $@

# The same for tools/parvus-c++, whose C library is the above.
SYSROOT_CXX_FILES := $(addprefix $(SYSROOT)/,libparvus-c++.a parvus.specs-c++ flags-c++)

$(SYSROOT)/flags-c++: $(SYSROOT)/flags $(LIBSTDCXX) $(filter-out $(SYSROOT)/flags-c++,$(SYSROOT_CXX_FILES))
	$(Q)echo '$(CXX_HEADERS) $(filter-out $(UNWIND),$(FLAGS_cc))' > $@

sysroot: $(SYSROOT_FILES)

sysroot-c++: $(SYSROOT_CXX_FILES)

include tests/torture/build.mk

# tools/parvus image: around the guest $GUEST, of the environment, the image $OUTPUT; several may do it at once.
guest-image: $(HYPERVISOR_OBJECTS) $(IMAGE_SCRIPT)
	$(Q)tools/check/privileged "$$GUEST"
	$(Q)folder=$$(mktemp -d) && new="$$OUTPUT.$$$$" && trap 'rm -rf "$$folder" "$$new" "$$new.debug"' EXIT && \
	    $(OBJCOPY) --strip-all "$$GUEST" "$$folder/guest" && \
	    $(CC) $(FLAGS_hypervisor) -DGUEST_BLOB="\"$$folder/guest\"" -c -o "$$folder/guest.o" boot/guest.S && \
	    $(LD) $(LINK_HYPERVISOR) -T $(IMAGE_SCRIPT) -o "$$new.debug" $(HYPERVISOR_OBJECTS) "$$folder/guest.o" && \
	    $(OBJCOPY) --strip-all "$$new.debug" "$$new" && mv "$$new.debug" "$$OUTPUT.debug" && mv "$$new" "$$OUTPUT"

# ---- targets -------------------------------------------------------------------------------------

image: $(APP_IMAGE) $(FILES_app-$(APP_NAME)) $(HYPERVISOR_IMAGE)

images-c++: $(CXX_IMAGES)

images: $(IMAGES) $(foreach f,$(notdir $(APP_FOLDERS)),$(FILES_app-$(f))) $(HYPERVISOR_IMAGE)

run: $(APP_IMAGE) $(FILES_app-$(APP_NAME))
	$(Q)tools/parvus run $(RUN) $(APP_IMAGE) $(if $(ARGS),-- $(ARGS))

iso: $(APP_IMAGE:.img=.iso)

check: $(PACKAGES_TEST) $(IMAGES)
	$(Q)tools/check/format
	$(Q)tools/check/includes
	$(Q)tools/check/privileged $(IMAGES:.img=.elf)

# Without the packages that only tests need, some tests are skipped.
test: images images-c++ sysroot sysroot-c++ $(B)/linux/lua/lua $(B)/linux/speedtest1/speedtest1
	$(Q)tools/deps/packages test || true
	$(Q)tests/run $(TESTS)

# For long: FUZZ_SECONDS is the time of all fuzzers on the host together.
FUZZ_SECONDS ?= 3600
fuzz: images fuzzers
	$(Q)tests/fuzz/run --seconds $(FUZZ_SECONDS)

bench: images linux
	$(Q)tools/bench $(BENCH)

# Dependencies take long to build and are kept; distclean removes them too.
clean:
	$(Q)if [ -d $(B) ]; then find $(B) -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +; fi

distclean: clean
	$(Q)rm -rf $(DEPS)

help:
	@echo 'make [image] [APP=A]   build $(B)/apps/A/A.elf and A.img; A: a name under apps/ or a folder'
	@echo 'make run [APP=A] [ARGS="..."] [RUN="..."]   boot it; RUN: options of tools/parvus run'
	@echo 'make iso [APP=A]       a GRUB ISO: Multiboot 1, Multiboot 2, hypervisor + guest module'
	@echo 'make test [TESTS=".."] every test; TESTS: options of tests/run'
	@echo 'make fuzz [FUZZ_SECONDS=3600]   every fuzzer, for long; make fuzzers: builds those of the host'
	@echo 'make torture           gcc'"'"'s torture tests as one guest and one Linux program in $(B)/torture'
	@echo 'make bench             every benchmark; results in $(B)/bench/'
	@echo 'make check             static checks: style, include edges, privileged instructions'
	@echo 'make sysroot           what tools/parvus-cc compiles and links with; sysroot-c++: tools/parvus-c++'
	@echo 'make images            every application and the in-guest tests'
	@echo 'make linux             the programs that make bench compares with Linux processes'
	@echo 'make clean, distclean  remove what was built; the latter: dependencies too'
	@echo 'Variables: B=build folder, DEPS=dependencies, V=1 shows commands'

-include $(patsubst %.o,%.d,$(GUEST_OBJECTS) $(SOCKET_OBJECTS) $(CXX_GLUE_OBJECTS) $(NET_OBJECTS) $(HYPERVISOR_OBJECTS) \
    $(foreach f,$(notdir $(APP_FOLDERS)),$(OBJECTS_app-$(f))) \
    $(foreach a,$(LINUX_APPS) sqlite,$(call linux_path,$(OBJECTS_app-$(a))))) $(IMAGE_SCRIPT).d
