/*
 * The other hypercalls misused: traps and callbacks, segments, timers, vcpu_op, console, memory,
 * version.
 */
#include "tests/guest/hypercall.h"

#include <string.h>

#include <xen/callback.h>
#include <xen/features.h>
#include <xen/memory.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "kernel/clock.h"
#include "pv/abi.h"
#include "tests/guest/test.h"

#define UNUSED_VECTOR 100

static const uint64_t non_canonical[] = {0x800000000000, 0x8000000000000000, 0xffff7fffffffffff};
#define NR_NON_CANONICAL (sizeof(non_canonical) / sizeof(non_canonical[0]))

/* --- Traps and callbacks -------------------------------------------------------------------- */

static long set_traps(const void *table)
{
    return hypercall(__HYPERVISOR_set_trap_table, address_of(table), 0, 0, 0, 0);
}

TEST(traps_addresses, "Trap handlers at addresses that are none are refused.")
{
    for (size_t i = 0; i < NR_NON_CANONICAL; i++) {
        struct trap_info table[2] = {
            {.vector = UNUSED_VECTOR, .cs = FLAT_KERNEL_CS, .address = non_canonical[i]}};

        CHECK_EQ(set_traps(table), -XEN_EINVAL);
    }
}

TEST_WHERE(traps_hypervisor, "Trap handlers in the hypervisor are refused.", needs_parvus)
{
    struct trap_info table[2] = {
        {.vector = UNUSED_VECTOR, .cs = FLAT_KERNEL_CS, .address = 0xffff830000100000}};

    CHECK_EQ(set_traps(table), -XEN_EINVAL);
}

TEST(traps_pointers, "A trap table that cannot be read is refused with -EFAULT.")
{
    struct trap_info *at_edge = open_edge(sizeof(*at_edge));

    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
        if (bad->address) /* a null one clears the table */
            if (!CHECK_EQ(set_traps((void *)bad->address), -XEN_EFAULT))
                FAIL("%s", bad->name);
    REQUIRE(at_edge);
    *at_edge = (struct trap_info){
        .vector = UNUSED_VECTOR, .cs = FLAT_KERNEL_CS, .address = address_of(set_traps)};
    CHECK_EQ(set_traps(at_edge), -XEN_EFAULT); /* its end is missing */
    close_edge();
}

static long callback_op(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_callback_op, command, address_of(argument), 0, 0, 0);
}

TEST(callback_bad, "Callbacks of unknown types, or at addresses that are none, are refused.")
{
    struct callback_register op = {.type = 99, .address = address_of(set_traps)};

    CHECK_EQ(callback_op(CALLBACKOP_register, &op), -XEN_ENOSYS);
    CHECK_EQ(callback_op(77, &op), -XEN_ENOSYS);
    for (size_t i = 0; i < NR_NON_CANONICAL; i++) {
        op = (struct callback_register){.type = CALLBACKTYPE_event, .address = non_canonical[i]};
        CHECK_EQ(callback_op(CALLBACKOP_register, &op), -XEN_EINVAL);
        op.type = CALLBACKTYPE_failsafe;
        CHECK_EQ(callback_op(CALLBACKOP_register, &op), -XEN_EINVAL);
    }
    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
        if (!CHECK_EQ(callback_op(CALLBACKOP_register, (void *)bad->address), -XEN_EFAULT))
            FAIL("%s", bad->name);
    CHECK_EQ(callback_op(CALLBACKOP_unregister,
                         &(struct callback_unregister){.type = CALLBACKTYPE_event}),
             -XEN_EINVAL);
    sleep_ms(1); /* the event callback is still ours */
}

TEST_WHERE(callback_hypervisor, "Callbacks and stacks in the hypervisor are refused.", needs_parvus)
{
    const uint64_t inside = 0xffff830000100000;
    struct callback_register op = {.type = CALLBACKTYPE_event, .address = inside};

    CHECK_EQ(callback_op(CALLBACKOP_register, &op), -XEN_EINVAL);
    CHECK_EQ(hypercall(__HYPERVISOR_set_callbacks, inside, inside, inside, 0, 0), -XEN_EINVAL);
    CHECK_EQ(hypercall(__HYPERVISOR_stack_switch, 0xe02b, inside, 0, 0, 0), -XEN_EFAULT);
    sleep_ms(1);
}

/* --- The way back by hypercall -------------------------------------------------------------- */

TEST(iret_registers, "The iret hypercall goes where its frame says and changes no other register.")
{
    extern const char hypercall_page[];
    const char *iret = hypercall_page + __HYPERVISOR_iret * 32;
    const uint64_t in[6] = {1, 2, 3, 4, 5, 6};
    uint64_t out[6] = {0};

    /* struct iret_context: the stub pushes rcx, r11 and rax below flags. */
    asm volatile("push %%rbp; push %%rbx; push %%rdi\n\t"
                 "mov (%%rsi), %%rbx; mov 8(%%rsi), %%rbp; mov 16(%%rsi), %%r12\n\t"
                 "mov 24(%%rsi), %%r13; mov 32(%%rsi), %%r14; mov 40(%%rsi), %%r15\n\t"
                 "mov %%rsp, %%rdx\n\t"
                 "xor %%ecx, %%ecx; mov %%ss, %%ecx; push %%rcx; push %%rdx; pushfq\n\t"
                 "mov %%cs, %%ecx; and $~3, %%ecx; push %%rcx\n\t"
                 "lea 1f(%%rip), %%rcx; push %%rcx; push $0\n\t"
                 "jmp *%%rax\n"
                 "1:\tpop %%rdi\n\t"
                 "mov %%rbx, (%%rdi); mov %%rbp, 8(%%rdi); mov %%r12, 16(%%rdi)\n\t"
                 "mov %%r13, 24(%%rdi); mov %%r14, 32(%%rdi); mov %%r15, 40(%%rdi)\n\t"
                 "pop %%rbx; pop %%rbp"
                 : "+a"(iret)
                 : "S"(in), "D"(out)
                 : "memory", "cc", "rcx", "rdx", "r11", "r12", "r13", "r14", "r15");
    for (int i = 0; i < 6; i++)
        CHECK_EQ(out[i], in[i]);
}

/* --- Segments ------------------------------------------------------------------------------- */

TEST(segment_base, "Segment bases that are no addresses, and bases of no segment, are refused.")
{
    for (size_t i = 0; i < NR_NON_CANONICAL; i++)
        for (unsigned which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++)
            CHECK_EQ(hypercall(__HYPERVISOR_set_segment_base, which, non_canonical[i], 0, 0, 0),
                     -XEN_EINVAL);
    CHECK_EQ(hypercall(__HYPERVISOR_set_segment_base, 4, 0, 0, 0, 0), -XEN_EINVAL);
    CHECK_EQ(hypercall(__HYPERVISOR_set_segment_base, 0x7fffffff, 0, 0, 0, 0), -XEN_EINVAL);
}

/* --- Time ----------------------------------------------------------------------------------- */

static void reset_timer(void)
{
    sleep_ms(1); /* the kernel sets it again for its next deadline */
}

TEST(timer_op_extremes, "The timer takes any deadline: past, far away, negative.")
{
    static const uint64_t deadlines[] = {0, 1, INT64_MAX, 1ul << 63, UINT64_MAX};

    for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
        bool unmask = pv_events_mask();

        CHECK_OK(hypercall(__HYPERVISOR_set_timer_op, deadlines[i], 0, 0, 0, 0));
        pv_events_restore(unmask);
        reset_timer();
    }
}

TEST(timer_op_time_info,
     "The hypervisor does not rely on the clock's page, which the guest can write.")
{
    struct vcpu_time_info *info = &((struct shared_info *)pv_shared_page)->vcpu_info[0].time;
    bool unmask = pv_events_mask();
    struct vcpu_time_info kept = *info;

    info->tsc_to_system_mul = 0;
    info->tsc_shift = 127;
    info->system_time = ~0ul;
    *(volatile uint32_t *)&info->version |= 1; /* "being updated", for ever */
    CHECK_OK(hypercall(__HYPERVISOR_set_timer_op, kept.system_time + 1, 0, 0, 0, 0));
    CHECK_OK(hypercall(__HYPERVISOR_sched_op, 0 /* SCHEDOP_yield */, 0, 0, 0, 0));
    uint32_t version = kept.version;
    kept.version = info->version;
    *info = kept;
    *(volatile uint32_t *)&info->version = version;
    pv_events_restore(unmask);
    reset_timer();
}

static long vcpu_op(unsigned command, unsigned vcpu, void *argument)
{
    return hypercall(__HYPERVISOR_vcpu_op, command, vcpu, address_of(argument), 0, 0);
}

TEST(vcpu_op_bad, "vCPUs that do not exist, and commands that are none, are refused.")
{
    struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future};
    struct vcpu_runstate_info state;

    CHECK_EQ(vcpu_op(VCPUOP_is_up, 0, NULL), 1);
    CHECK_EQ(vcpu_op(VCPUOP_is_up, 1, NULL), -XEN_ENOENT);
    CHECK_EQ(vcpu_op(VCPUOP_is_up, 0x7fffffff, NULL), -XEN_ENOENT);
    CHECK_EQ(vcpu_op(VCPUOP_get_runstate_info, 1, &state), -XEN_ENOENT);
    CHECK_EQ(vcpu_op(999, 0, NULL), -XEN_ENOSYS);
    long result = vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer);
    if (result != -XEN_ETIME) /* it may also ignore the flag (vcpu.h) */
        CHECK_OK(result);
    CHECK_OK(vcpu_op(VCPUOP_get_runstate_info, 0, &state));
    CHECK_EQ(state.state, RUNSTATE_running);
    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++) {
        if (!CHECK_EQ(vcpu_op(VCPUOP_set_singleshot_timer, 0, (void *)bad->address), -XEN_EFAULT) ||
            !CHECK_EQ(vcpu_op(VCPUOP_get_runstate_info, 0, (void *)bad->address), -XEN_EFAULT))
            FAIL("%s", bad->name);
    }
}

/* --- Console -------------------------------------------------------------------------------- */

static long console_io(unsigned command, uint64_t count, uint64_t buffer)
{
    return hypercall(__HYPERVISOR_console_io, command, count, buffer, 0, 0);
}

static const char *needs_console_io(void)
{
    return pv_boot.initial_domain ? NULL : "Xen lets its dom0 alone use console_io";
}

TEST_WHERE(console_io_bad,
           "Text that cannot be read is not printed; commands that are none: refused.",
           needs_console_io)
{
    for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
        if (!CHECK_EQ(console_io(CONSOLEIO_write, 100, bad->address), -XEN_EFAULT))
            FAIL("%s", bad->name);
    CHECK_OK(console_io(CONSOLEIO_write, 0, address_of(spare)));
    CHECK_EQ(console_io(2, 1, address_of(spare)), -XEN_ENOSYS);
    CHECK_EQ(console_io(0x7fffffff, 1, address_of(spare)), -XEN_ENOSYS);

    char *newline = open_edge(1);
    REQUIRE(newline);
    *newline = '\n';
    CHECK_EQ(console_io(CONSOLEIO_write, 2, address_of(newline)), -XEN_EFAULT);
    CHECK_EQ(console_io(CONSOLEIO_write, 0x7fffffff, address_of(newline)), -XEN_EFAULT);
    close_edge();
}

/* --- memory_op ------------------------------------------------------------------------------ */

static long memory_op(unsigned command, const void *argument)
{
    return hypercall(__HYPERVISOR_memory_op, command, address_of(argument), 0, 0, 0);
}

TEST(memory_op_bad, "Commands that are none, bad pointers and other domains are refused.")
{
    static const unsigned reading[] = {XENMEM_current_reservation, XENMEM_maximum_reservation,
                                       XENMEM_machphys_mapping};
    domid_t other = 1234, self = DOMID_SELF;

    CHECK_EQ(memory_op(60, &self), -XEN_ENOSYS);
    for (size_t i = 0; i < sizeof(reading) / sizeof(reading[0]); i++)
        for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
            if (!CHECK_EQ(memory_op(reading[i], (void *)bad->address), -XEN_EFAULT))
                FAIL("command %u: %s", reading[i], bad->name);
    CHECK_EQ(memory_op(XENMEM_current_reservation, &other), -XEN_ESRCH);
    CHECK_EQ(memory_op(XENMEM_maximum_reservation, &other), -XEN_ESRCH);
    CHECK_GE(memory_op(XENMEM_current_reservation, &self), pv_boot.nr_pages);
}

TEST(memory_op_ram_page, "The machine's frames end behind all of ours, where its own list does.")
{
    struct xen_machphys_mapping mapping;
    uint64_t end = (uint64_t)memory_op(XENMEM_maximum_ram_page, NULL);

    for (uint64_t pfn = 0; pfn < pv_boot.nr_pages; pfn++)
        REQUIRE(pv_mfn((pfn_t){pfn}).n < end);
    REQUIRE_OK(memory_op(XENMEM_machphys_mapping, &mapping));
    if (host_is_parvus()) /* Xen's table is larger */
        CHECK_EQ(mapping.max_mfn + 1, end);
}

/* --- xen_version ---------------------------------------------------------------------------- */

static long xen_version(unsigned command, const void *argument)
{
    return hypercall(__HYPERVISOR_xen_version, command, address_of(argument), 0, 0, 0);
}

TEST(version_bad, "Versions and features: bad pointers and unknown commands are refused.")
{
    static const unsigned writing[] = {XENVER_extraversion,        XENVER_compile_info,
                                       XENVER_capabilities,        XENVER_changeset,
                                       XENVER_platform_parameters, XENVER_get_features};

    for (size_t i = 0; i < sizeof(writing) / sizeof(writing[0]); i++)
        for (const struct bad_pointer *bad = bad_pointers; bad->name; bad++)
            if (!CHECK_EQ(xen_version(writing[i], (void *)bad->address), -XEN_EFAULT))
                FAIL("command %u: %s", writing[i], bad->name);
    CHECK_EQ(xen_version(99, spare), -XEN_ENOSYS);
    CHECK_EQ(xen_version(XENVER_pagesize, NULL), PAGE_SIZE);

    struct xen_feature_info info = {.submap_idx = 77};
    CHECK_EQ(xen_version(XENVER_get_features, &info), -XEN_EINVAL);
    info.submap_idx = PARVUS_FEATURE_SUBMAP;
    if (host_is_xen())
        CHECK_EQ(xen_version(XENVER_get_features, &info), -XEN_EINVAL);
    else
        CHECK_OK(xen_version(XENVER_get_features, &info));
}

TEST(version_read_only, "What the hypervisor writes goes only where the guest could write.")
{
    static const char constant[XEN_EXTRAVERSION_LEN] = "constant";

    CHECK_EQ(xen_version(XENVER_extraversion, constant), -XEN_EFAULT);
    CHECK_EQ(strcmp(constant, "constant"), 0);
    pfn_t frame;
    const uint64_t *table = pv_boot_table((vaddr_t){address_of(spare)}, 4, &frame);
    uint64_t before = table[300];
    CHECK_EQ(xen_version(XENVER_extraversion, &table[300]), -XEN_EFAULT);
    CHECK_EQ(*(const volatile uint64_t *)&table[300], before);
}
