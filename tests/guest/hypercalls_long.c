/*
 * Hypercalls that take long: they are interrupted and go on later, with nothing to be seen of it
 * but the events that arrive in between.
 *
 * An event that is pending while the mask goes, without a hypercall to deliver it, arrives as soon
 * as the next hypercall can be interrupted: that needs no clock. An interrupt of somebody else may
 * bring it before the call; then it is made once more.
 */
#include "tests/guest/hypercall.h"

#include <stdlib.h>
#include <string.h>

#include <xen/sched.h>
#include <xen/version.h>

#include "kernel/clock.h"
#include "kernel/pagetable.h"
#include "kernel/timer.h"
#include "kernel/vm.h"
#include "tests/guest/test.h"

#define SLOTS 512u
#define CONTINUED 0x80000000u /* in a count; Xen: MMU_UPDATE_PREEMPTED */
#define TRIES 100

/* More than a slice of any hypervisor; not more than that where ring 0 is slow. */
#define MANY (host_deprivileges() ? 2500u : 70000u)

static long mmu_update(const struct mmu_update *requests, uint64_t count, volatile uint32_t *done)
{
    return hypercall(__HYPERVISOR_mmu_update, address_of(requests), count, address_of(done),
                     DOMID_SELF, 0);
}

static long mmuext_op(const struct mmuext_op *ops, uint64_t count, volatile uint32_t *done)
{
    return hypercall(__HYPERVISOR_mmuext_op, address_of(ops), count, address_of(done), DOMID_SELF,
                     0);
}

static long multicall(const struct multicall_entry *calls, uint64_t count)
{
    return hypercall(__HYPERVISOR_multicall, address_of(calls), count, 0, 0, 0);
}

static uint64_t machine_address(mfn_t frame, uint64_t word)
{
    return (frame.n << PAGE_SHIFT) + word * 8;
}

/* Writes of words: request i writes i to word i % 512 of spare page 0. */
static struct mmu_update *word_writes(unsigned count)
{
    struct mmu_update *requests = calloc(count, sizeof(*requests));

    for (unsigned i = 0; requests && i < count; i++)
        requests[i] = (struct mmu_update){machine_address(mfn_of_image(spare[0]), i % SLOTS), i};
    return requests;
}

/* What the first `count` of these have left. */
static void check_words(unsigned count)
{
    const volatile uint64_t *words = (const uint64_t *)spare[0];

    for (unsigned word = 0; word < SLOTS; word++)
        if (words[word] != (count - 1 - word) / SLOTS * SLOTS + word)
            FAIL("word %u is %lu after %u", word, words[word], count);
}

/* --- An event in the middle ----------------------------------------------------------------- */

static struct {
    event_port_t port;
    volatile unsigned times;
    const volatile uint32_t *progress;
    volatile uint32_t seen; /* of that, at the first event */
    void (*then)(void);
} middle;

static void in_the_middle(void *arg)
{
    (void)arg;
    if (middle.times++)
        return;
    middle.seen = *middle.progress;
    if (middle.then && middle.seen)
        middle.then();
}

static bool middle_begin(const volatile uint32_t *progress, void (*then)(void))
{
    middle.progress = progress;
    middle.then = then;
    middle.seen = 0;
    return CHECK_OK(pv_event_bind_ipi(in_the_middle, NULL, &middle.port));
}

static void middle_end(void)
{
    CHECK_OK(pv_event_close(middle.port));
}

/* A call with an event pending. */
static long interrupted(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    middle.times = 0;
    middle.seen = 0;
    pv_events_mask();
    CHECK_OK(pv_event_send(middle.port));
    asm volatile("" ::: "memory");
    pv_upcall()->mask = 0;
    asm volatile("" ::: "memory");
    return hypercall(number, a1, a2, a3, a4, 0);
}

/* --- Updates -------------------------------------------------------------------------------- */

TEST(long_updates, "A batch of any length is done, in its order, and counted as one.")
{
    struct mmu_update *requests = word_writes(MANY);
    uint64_t slot = boot_entry_address(spare[1], 1);
    uint32_t done = 99;

    REQUIRE(requests);
    CHECK_OK(mmu_update(requests, MANY, &done));
    CHECK_EQ(done, MANY);
    check_words(MANY);
    CHECK_OK(mmu_update(requests, MANY, NULL));

    /* Entries of the commonest kind: mapped, and not mapped in between. */
    for (unsigned i = 0; i < MANY; i++)
        requests[i] = (struct mmu_update){
            slot, i % 2 ? entry_for(mfn_of_image(spare[2 + i / 2 % 2]), ENTRY_DATA) : 0};
    spare[2][0] = 2;
    spare[3][0] = 3;
    for (unsigned left_out = 0; left_out <= 2; left_out += 2) {
        CHECK_OK(mmu_update(requests, MANY - left_out, &done));
        CHECK_EQ(done, MANY - left_out);
        CHECK_OK(mmuext_raw(MMUEXT_INVLPG_LOCAL, address_of(spare[1]), 0));
        CHECK_EQ(*(volatile uint8_t *)spare[1], (MANY - left_out) % 4 ? 2 : 3);
    }
    restore_spare(1);
    free(requests);
}

TEST(long_updates_error, "An error ends it, and the count says where.")
{
    const unsigned at[] = {0, 512, 513, 1024, 2047, MANY - 1};
    struct mmu_update *requests = word_writes(MANY);
    uint32_t done;

    REQUIRE(requests);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct mmu_update kept = requests[at[i]];

        requests[at[i]].ptr |= 7; /* no command */
        done = 99;
        CHECK_EQ(mmu_update(requests, MANY, &done), -XEN_ENOSYS);
        CHECK_EQ(done, at[i]);
        requests[at[i]] = kept;
    }
    check_words(MANY - 1);
    free(requests);

    /* The list ends within it. */
    const unsigned count = 8 * PAGE_SIZE / sizeof(*requests);
    REQUIRE_OK(vm_map((void **)&requests, 9 * PAGE_SIZE, VM_READ | VM_WRITE, "list"));
    REQUIRE_OK(vm_unmap(&requests[count], PAGE_SIZE));
    for (unsigned i = 0; i < count; i++)
        requests[i] = (struct mmu_update){machine_address(mfn_of_image(spare[0]), i % SLOTS), i};
    CHECK_EQ(mmu_update(requests, MANY, &done), -XEN_EFAULT);
    CHECK_EQ(done, count);
    check_words(count);
    CHECK_OK(vm_unmap(requests, 8 * PAGE_SIZE));
}

TEST(long_count, "A call that says that it continues another one adds to the count.")
{
    struct mmu_update *requests = word_writes(3);
    struct mmuext_op ops[2] = {{.cmd = MMUEXT_TLB_FLUSH_LOCAL}, {.cmd = 1000}};
    uint32_t done = 40;

    REQUIRE(requests);
    CHECK_OK(mmu_update(requests, 2 | CONTINUED, &done));
    CHECK_EQ(done, 42);
    requests[2].ptr |= 7;
    CHECK_EQ(mmu_update(requests, 3 | CONTINUED, &done), -XEN_ENOSYS);
    CHECK_EQ(done, 44);
    CHECK_EQ(mmuext_op(ops, 2 | CONTINUED, &done), -XEN_ENOSYS);
    CHECK_EQ(done, 45);
    /* It has nothing left to do but to give the result. */
    CHECK_EQ(hypercall(__HYPERVISOR_mmu_update, 0, CONTINUED, 0, 7, 0), 7);
    CHECK_EQ(hypercall(__HYPERVISOR_mmuext_op, 0, CONTINUED, 0, (uint64_t)-XEN_EINVAL, 0),
             -XEN_EINVAL);
    free(requests);
}

TEST(long_updates_event, "An event arrives in the middle of it, and it is done all the same.")
{
    struct mmu_update *requests = word_writes(MANY);
    volatile uint32_t done = 0;

    REQUIRE(requests);
    REQUIRE(middle_begin(&done, NULL));
    for (unsigned tries = 0; tries < TRIES && !middle.seen; tries++) {
        done = 0;
        CHECK_OK(interrupted(__HYPERVISOR_mmu_update, address_of(requests), MANY, address_of(&done),
                             DOMID_SELF));
        CHECK_EQ(done, MANY);
        CHECK_EQ(middle.times, 1);
    }
    CHECK_LT(0, middle.seen);
    CHECK_LT(middle.seen, MANY);
    check_words(MANY);
    middle_end();
    free(requests);
}

static volatile bool timer_is_over;
static void timer_fired(void *seen)
{
    timer_is_over = true;
    *(uint32_t *)seen = *middle.progress;
}

TEST(long_updates_timer, "So does a timer whose deadline is over.")
{
    struct mmu_update *requests = word_writes(MANY);
    struct timer timer = {0};
    volatile uint32_t done = 0;
    uint32_t seen = 0;

    REQUIRE(requests);
    middle.progress = &done;
    for (unsigned tries = 0; tries < TRIES && !seen; tries++) {
        done = 0;
        timer_is_over = false;
        pv_events_mask();
        timer_set(&timer, clock_monotonic_ns() + 1000, timer_fired, &seen);
        while (!pv_event_pending())
            ;
        pv_upcall()->mask = 0;
        asm volatile("" ::: "memory");
        CHECK_OK(mmu_update(requests, MANY, &done));
        CHECK_EQ(done, MANY);
        CHECK(timer_is_over || pv_event_pending() == 0); /* or another event came */
        while (!timer_is_over)
            sleep_ms(1);
    }
    CHECK_LT(0, seen);
    CHECK_LT(seen, MANY);
    check_words(MANY);
    free(requests);
}

static struct mmu_update *to_change;
static void change_requests(void)
{
    for (unsigned i = MANY / 2; i < MANY; i++)
        to_change[i].ptr |= 7;
}

TEST(long_updates_changed, "Requests that change before their turn count as they are then.")
{
    volatile uint32_t done = 0;

    to_change = word_writes(MANY);
    REQUIRE(to_change);
    REQUIRE(middle_begin(&done, change_requests));
    for (unsigned tries = 0; tries < TRIES && !middle.seen; tries++) {
        done = 0;
        long error = interrupted(__HYPERVISOR_mmu_update, address_of(to_change), MANY,
                                 address_of(&done), DOMID_SELF);

        CHECK_EQ(error, middle.seen ? -XEN_ENOSYS : 0);
        CHECK_EQ(done, middle.seen ? MANY / 2 : MANY);
    }
    CHECK_LT(0, middle.seen);
    check_words(MANY / 2);
    middle_end();
    free(to_change);
}

TEST(long_mmuext, "A list of operations of any length is done, or ends where one fails.")
{
    const unsigned count = MANY / 14;
    struct mmuext_op *ops = calloc(count, sizeof(*ops));
    uint32_t done = 99;

    REQUIRE(ops);
    for (unsigned i = 0; i < count; i++)
        ops[i] = i % 2 ? (struct mmuext_op){.cmd = MMUEXT_COPY_PAGE,
                                            .arg1.mfn = mfn_of_image(spare[i / 2 % 2 + 1]).n,
                                            .arg2.src_mfn = mfn_of_image(spare[3]).n}
                       : (struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    memset(spare, 1, sizeof(spare));
    spare[3][7] = 33;
    CHECK_OK(mmuext_op(ops, count, &done));
    CHECK_EQ(done, count);
    for (unsigned i = 0; i <= 3; i++)
        CHECK_EQ(*(volatile uint8_t *)&spare[i][7], i ? 33 : 1);
    ops[count - 2].cmd = 1000;
    CHECK_EQ(mmuext_op(ops, count, &done), -XEN_ENOSYS);
    CHECK_EQ(done, count - 2);

    /* Page tables checked and released. */
    mfn_t table = mfn_of_image(spare[1]);
    memset(spare[1], 0, PAGE_SIZE);
    CHECK_OK(map_raw(spare[1], entry_for(table, ENTRY_CONSTANT)));
    for (unsigned i = 0; i < 100; i++)
        ops[i] = (struct mmuext_op){.cmd = i % 2 ? MMUEXT_UNPIN_TABLE : MMUEXT_PIN_L1_TABLE,
                                    .arg1.mfn = table.n};
    CHECK_OK(mmuext_op(ops, 100, &done));
    CHECK_EQ(done, 100);
    CHECK_OK(mmuext_op(ops, 99, &done));
    CHECK_EQ(mmuext_op(ops, 1, &done), -XEN_EINVAL);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, table.n, 0));
    restore_spare(1);
    free(ops);
}

/* --- Multicalls ----------------------------------------------------------------------------- */

TEST(long_multicall, "Each call of a multicall of any length has its result.")
{
    const unsigned count = MANY / 14;
    struct multicall_entry *calls = calloc(count + 1, sizeof(*calls));

    REQUIRE(calls);
    for (unsigned i = 0; i < count; i++)
        calls[i] =
            i % 3 == 0 ? (struct multicall_entry){.op = 60, .result = 5}
            : i % 3 == 1
                ? (struct multicall_entry){.op = __HYPERVISOR_xen_version,
                                           .args = {XENVER_pagesize}}
                : (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping,
                                           .args = {address_of(spare[1]),
                                                    entry_for(mfn_of_image(spare[1]), ENTRY_DATA)}};
    calls[count].result = 12345;
    CHECK_OK(multicall(calls, count));
    for (unsigned i = 0; i < count; i++)
        if (!CHECK_EQ(calls[i].result, i % 3 == 0 ? -XEN_ENOSYS : i % 3 == 1 ? (long)PAGE_SIZE : 0))
            FAIL("call %u", i);
    CHECK_EQ(calls[count].result, 12345);
    free(calls);
}

TEST(long_multicall_updates, "Long batches within a multicall are done as if alone.")
{
    const unsigned broken = 1234;
    struct mmu_update *requests = word_writes(MANY), *other = word_writes(broken + 1);
    volatile uint32_t done[2] = {0, 0};
    struct multicall_entry calls[4];

    REQUIRE(requests && other);
    other[broken].ptr |= 7;
    REQUIRE(middle_begin(done, NULL));
    for (unsigned tries = 0; tries < TRIES && !middle.seen; tries++) {
        memset(calls, 0, sizeof(calls));
        done[0] = 0;
        calls[0] = (struct multicall_entry){
            .op = __HYPERVISOR_mmu_update,
            .args = {address_of(requests), MANY, address_of(&done[0]), DOMID_SELF}};
        calls[1] = (struct multicall_entry){
            .op = __HYPERVISOR_mmu_update,
            .args = {address_of(other), broken + 1, address_of(&done[1]), DOMID_SELF}};
        calls[2] = (struct multicall_entry){.op = 60};
        calls[3] = calls[0];
        calls[3].args[2] = 0;
        CHECK_OK(interrupted(__HYPERVISOR_multicall, address_of(calls), 4, 0, 0));
        CHECK_OK(calls[0].result);
        CHECK_EQ(done[0], MANY);
        CHECK_EQ(calls[1].result, -XEN_ENOSYS);
        CHECK_EQ(done[1], broken);
        CHECK_EQ(calls[2].result, -XEN_ENOSYS);
        CHECK_OK(calls[3].result);
        CHECK_EQ(middle.times, 1);
    }
    CHECK_LT(0, middle.seen);
    CHECK_LT(middle.seen, MANY);
    check_words(MANY);
    middle_end();
    free(requests);
    free(other);
}

TEST_WHERE(long_multicall_read_only, "A multicall that cannot note where it is ends in -EFAULT.",
           needs_parvus) /* Xen reads and writes a call as a whole */
{
    struct mmu_update *requests = word_writes(MANY);
    struct multicall_entry *call = (void *)spare[1];
    uint32_t done = 99;

    REQUIRE(requests);
    *call = (struct multicall_entry){
        .op = __HYPERVISOR_mmu_update,
        .args = {address_of(requests), MANY, address_of(&done), DOMID_SELF}};
    CHECK_OK(map_raw(spare[1], entry_for(mfn_of_image(spare[1]), ENTRY_CONSTANT)));
    CHECK_EQ(multicall(call, 1), -XEN_EFAULT);
    restore_spare(1);
    CHECK_LT(done, MANY);
    CHECK_EQ(call->args[1], MANY);
    free(requests);
}

/* --- Trees of page tables ------------------------------------------------------------------- */

#define TREE_SLOT (SLOTS - 1)

/* An L3 with one L2 full of L1 tables, all of whose entries map the same page. */
static struct {
    unsigned nr_l1;
    uint8_t (*pages)[PAGE_SIZE]; /* L3, L2, and the L1 tables; read-only while they are tables */
} tree;

static mfn_t tree_frame(unsigned i)
{
    return pv_mfn(pagetable_frame(address_of(tree.pages[i])));
}

static void tree_protect(uint64_t flags)
{
    for (unsigned i = 0; i < tree.nr_l1 + 2; i++)
        CHECK_OK(map_raw(tree.pages[i], entry_for(tree_frame(i), flags)));
}

static bool tree_make(void)
{
    tree.nr_l1 = host_deprivileges() ? 6 : 300; /* there, each takes 15 ms */
    if (!CHECK_OK(
            vm_map((void **)&tree.pages, (tree.nr_l1 + 2) * PAGE_SIZE, VM_READ | VM_WRITE, "tree")))
        return false;

    uint64_t(*tables)[SLOTS] = (void *)tree.pages;

    memset(tables, 0, (tree.nr_l1 + 2) * PAGE_SIZE);
    tables[0][TREE_SLOT] = entry_for(tree_frame(1), ENTRY_TABLE);
    for (unsigned i = 0; i < tree.nr_l1; i++) {
        tables[1][i] = entry_for(tree_frame(2 + i), ENTRY_TABLE);
        for (unsigned word = 0; word < SLOTS; word++)
            tables[2 + i][word] = entry_for(mfn_of_image(spare[3]), ENTRY_DATA);
    }
    tree_protect(ENTRY_CONSTANT);
    return true;
}

/* Nothing of it is a table any more, and nothing maps that page. */
static void tree_end(void)
{
    tree_protect(ENTRY_DATA);
    CHECK_OK(map_raw(spare[3], entry_for(mfn_of_image(spare[3]), ENTRY_CONSTANT)));
    CHECK_OK(mmuext_raw(MMUEXT_TLB_FLUSH_LOCAL, 0, 0));
    memset(spare[2], 0, PAGE_SIZE);
    CHECK_LT(mmuext_raw(MMUEXT_PIN_L1_TABLE, mfn_of_image(spare[2]).n, 0), 0); /* is writable */
    CHECK_OK(update_raw(machine_address(mfn_of_image(spare[3]), 0), 0, 0));
    CHECK_OK(mmuext_raw(MMUEXT_CLEAR_PAGE, mfn_of_image(spare[3]).n, 0));
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L1_TABLE, mfn_of_image(spare[3]).n, 0)); /* is not */
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, mfn_of_image(spare[3]).n, 0));
    restore_spare(3);
    CHECK_OK(vm_unmap(tree.pages, (tree.nr_l1 + 2) * PAGE_SIZE));
}

static struct mmuext_op tree_op(unsigned command, unsigned page)
{
    return (struct mmuext_op){.cmd = command, .arg1.mfn = tree_frame(page).n};
}

TEST(long_tree, "A tree of many page tables is checked and released, event or not.")
{
    static volatile uint32_t always = 1;

    REQUIRE(tree_make());
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L3_TABLE, tree_frame(0).n, 0));
    CHECK_EQ(mmuext_raw(MMUEXT_PIN_L3_TABLE, tree_frame(0).n, 0), -XEN_EINVAL);
    for (unsigned i = 0; i < tree.nr_l1 + 2; i++)
        CHECK_LT(map_raw(tree.pages[i], entry_for(tree_frame(i), ENTRY_DATA)), 0);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(0).n, 0));
    tree_protect(ENTRY_DATA);
    tree_protect(ENTRY_CONSTANT);

    volatile uint32_t done;
    struct mmuext_op pin = tree_op(MMUEXT_PIN_L3_TABLE, 0);
    struct mmuext_op unpin = tree_op(MMUEXT_UNPIN_TABLE, 0);

    REQUIRE(middle_begin(&always, NULL));
    for (const struct mmuext_op *op = &pin; op; op = op == &pin ? &unpin : NULL) {
        done = 99;
        CHECK_OK(
            interrupted(__HYPERVISOR_mmuext_op, address_of(op), 1, address_of(&done), DOMID_SELF));
        CHECK_EQ(done, 1);
        CHECK_EQ(middle.times, 1);
    }
    middle_end();
    tree_end();
}

TEST(long_tree_next, "What follows the release of a tree in a batch finds its pages free.")
{
    uint32_t done;
    struct mmuext_op ops[3];

    REQUIRE(tree_make());
    ops[0] = tree_op(MMUEXT_PIN_L2_TABLE, 1);
    ops[1] = tree_op(MMUEXT_UNPIN_TABLE, 1);
    ops[2] = tree_op(MMUEXT_CLEAR_PAGE, 2);
    CHECK_OK(mmuext_op(ops, 3, &done));
    CHECK_EQ(done, 3);

    /* By an entry that held it, and with the error of another one. */
    struct mmu_update updates[3] = {
        {machine_address(tree_frame(0), TREE_SLOT), 0},
        {machine_address(tree_frame(2), 9), 0x99},
        {machine_address(tree_frame(2), 9) | 7, 0},
    };
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L3_TABLE, tree_frame(0).n, 0));
    CHECK_EQ(mmu_update(updates, 3, &done), -XEN_ENOSYS);
    CHECK_EQ(done, 2);
    CHECK_EQ(*(volatile uint64_t *)&tree.pages[2][9 * 8], 0x99);
    CHECK_OK(update_raw(machine_address(tree_frame(2), 9), 0, 0));

    /* In a multicall, from one call to the next. */
    struct multicall_entry calls[2] = {
        {.op = __HYPERVISOR_mmu_update, .args = {address_of(updates), 2, 0, DOMID_SELF}},
        {.op = __HYPERVISOR_update_va_mapping,
         .args = {address_of(tree.pages[2]), entry_for(tree_frame(2), ENTRY_DATA),
                  UVMF_INVLPG | UVMF_LOCAL}}};
    updates[1] = (struct mmu_update){machine_address(tree_frame(0), TREE_SLOT), 0};
    CHECK_OK(update_raw(machine_address(tree_frame(0), TREE_SLOT), 0,
                        entry_for(tree_frame(1), ENTRY_TABLE)));
    CHECK_OK(multicall(calls, 2));
    CHECK_OK(calls[0].result);
    CHECK_OK(calls[1].result);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(0).n, 0));
    tree_end();
}

TEST(long_tree_error, "A tree with one bad entry is refused, and nothing of it remains in use.")
{
    struct mmu_update updates[2];
    uint32_t done = 99;

    REQUIRE(tree_make());
    unsigned last = tree.nr_l1 + 1;
    uint64_t bad = entry_for(mfn_of_image(spare[3]), ENTRY_DATA) | 1ul << 8; /* global */
    uint64_t good = ((uint64_t *)tree.pages[last])[SLOTS - 1];

    if (host_is_xen()) /* which takes that bit away */
        bad = entry_for(frame_beyond_all(), ENTRY_DATA);
    CHECK_OK(update_raw(machine_address(tree_frame(last), SLOTS - 1), 0, bad));
    CHECK_LT(mmuext_raw(MMUEXT_PIN_L3_TABLE, tree_frame(0).n, 0), 0);
    tree_protect(ENTRY_DATA);
    tree_protect(ENTRY_CONSTANT);
    /* The same by an entry of a table that is one. */
    CHECK_OK(update_raw(machine_address(tree_frame(0), TREE_SLOT), 0, 0));
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L3_TABLE, tree_frame(0).n, 0));
    updates[0] = (struct mmu_update){machine_address(tree_frame(0), 5), 0};
    updates[1] = (struct mmu_update){machine_address(tree_frame(0), TREE_SLOT),
                                     entry_for(tree_frame(1), ENTRY_TABLE)};
    CHECK_LT(mmu_update(updates, 2, &done), 0);
    CHECK_EQ(done, 1);
    CHECK_OK(update_raw(machine_address(tree_frame(last), SLOTS - 1), 0, good));
    CHECK_OK(mmu_update(updates, 2, &done));
    CHECK_EQ(done, 2);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(0).n, 0));
    tree_end();
}

/* While it is checked, its last table becomes something else. */
static void map_last_table(void)
{
    unsigned last = tree.nr_l1 + 1;

    CHECK_OK(map_raw(tree.pages[last], entry_for(tree_frame(last), ENTRY_DATA)));
    CHECK_LT(map_raw(tree.pages[0], entry_for(tree_frame(0), ENTRY_DATA)), 0);
    CHECK_EQ(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(0).n, 0), -XEN_EINVAL);
}

TEST(long_tree_changed, "A table that is writable before its turn makes the tree be refused.")
{
    static volatile uint32_t always = 1;
    volatile uint32_t done = 99;

    REQUIRE(tree_make());
    struct mmuext_op pin = tree_op(MMUEXT_PIN_L3_TABLE, 0);
    REQUIRE(middle_begin(&always, map_last_table));
    CHECK_LT(
        interrupted(__HYPERVISOR_mmuext_op, address_of(&pin), 1, address_of(&done), DOMID_SELF), 0);
    CHECK_EQ(middle.times, 1);
    CHECK_EQ(done, 0);
    middle_end();
    tree_end();
}

/* Somebody else begins with a tree of his own, or writes to a table of this one. */
static uint64_t written;
static void write_to_table(void)
{
    CHECK_OK(update_raw(machine_address(tree_frame(1), SLOTS - 1), 0, written));
}

TEST_WHERE(long_tree_written, "A write to a table that is being checked comes before the check.",
           needs_parvus) /* for Xen it is a table already */
{
    static volatile uint32_t always = 1;
    const uint64_t bad = entry_for(mfn_of_image(spare[0]), ENTRY_TABLE);

    REQUIRE(tree_make());
    struct mmuext_op pin = tree_op(MMUEXT_PIN_L3_TABLE, 0);
    REQUIRE(middle_begin(&always, write_to_table));
    for (written = bad;; written = 0) {
        CHECK_EQ(interrupted(__HYPERVISOR_mmuext_op, address_of(&pin), 1, 0, DOMID_SELF),
                 written ? -XEN_EINVAL : 0);
        CHECK_EQ(middle.times, 1);
        CHECK_EQ(((volatile uint64_t *)tree.pages[1])[SLOTS - 1], written);
        if (!written)
            break;
    }
    middle_end();
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(0).n, 0));
    tree_end();
}

/* A root with two L3 tables, whose first leads to an L2 that is in use elsewhere: it remains so. */
enum { SMALL_ROOT, SMALL_L3, SMALL_L3_NEXT, SMALL_L2, SMALL_L2_NEW, SMALL_L1, SMALL_PAGES };
static uint8_t (*small)[PAGE_SIZE];

static mfn_t small_frame(unsigned page)
{
    return pv_mfn(pagetable_frame(address_of(small[page])));
}

static void hang_new_table(void)
{
    CHECK_OK(update_raw(machine_address(small_frame(SMALL_L3), 0), 0,
                        entry_for(small_frame(SMALL_L2_NEW), ENTRY_TABLE)));
}

TEST(long_tree_hung, "A new tree is hung into a part of one that is being checked.")
{
    static volatile uint32_t always = 1;

    REQUIRE_OK(vm_map((void **)&small, SMALL_PAGES * PAGE_SIZE, VM_READ | VM_WRITE, "tree"));
    memset(small, 0, SMALL_PAGES * PAGE_SIZE);
    ((uint64_t *)small[SMALL_ROOT])[0] = entry_for(small_frame(SMALL_L3), ENTRY_TABLE);
    ((uint64_t *)small[SMALL_ROOT])[1] = entry_for(small_frame(SMALL_L3_NEXT), ENTRY_TABLE);
    ((uint64_t *)small[SMALL_L3])[0] = entry_for(small_frame(SMALL_L2), ENTRY_TABLE);
    for (unsigned i = 0; i < SMALL_PAGES; i++)
        CHECK_OK(map_raw(small[i], entry_for(small_frame(i), ENTRY_CONSTANT)));
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L2_TABLE, small_frame(SMALL_L2).n, 0));

    /* The first one is for the slice to end where the first L3 is checked and the next is not. */
    struct mmuext_op pins[] = {
        {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = small_frame(SMALL_L1).n},
        {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = small_frame(SMALL_ROOT).n},
    };
    REQUIRE(middle_begin(&always, hang_new_table));
    CHECK_OK(interrupted(__HYPERVISOR_mmuext_op, address_of(pins), 2, 0, DOMID_SELF));
    CHECK_EQ(middle.times, 1);
    middle_end();
    CHECK_LT(map_raw(small[SMALL_L2], entry_for(small_frame(SMALL_L2), ENTRY_DATA)), 0);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, small_frame(SMALL_L2).n, 0));
    CHECK_OK(map_raw(small[SMALL_L2], entry_for(small_frame(SMALL_L2), ENTRY_DATA)));
    CHECK_LT(map_raw(small[SMALL_L2_NEW], entry_for(small_frame(SMALL_L2_NEW), ENTRY_DATA)), 0);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, small_frame(SMALL_ROOT).n, 0));
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, small_frame(SMALL_L1).n, 0));
    for (unsigned i = 0; i < SMALL_PAGES; i++)
        CHECK_OK(map_raw(small[i], entry_for(small_frame(i), ENTRY_DATA)));
    CHECK_OK(vm_unmap(small, SMALL_PAGES * PAGE_SIZE));
}

static void pin_part(void)
{
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L2_TABLE, tree_frame(1).n, 0));
}

TEST(long_tree_part, "A part of a tree is pinned while the whole one is being checked.")
{
    static volatile uint32_t always = 1;

    REQUIRE(tree_make());
    struct mmuext_op pin = tree_op(MMUEXT_PIN_L3_TABLE, 0);
    REQUIRE(middle_begin(&always, pin_part));
    CHECK_OK(interrupted(__HYPERVISOR_mmuext_op, address_of(&pin), 1, 0, DOMID_SELF));
    CHECK_EQ(middle.times, 1);
    middle_end();
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(0).n, 0));
    CHECK_LT(map_raw(tree.pages[2], entry_for(tree_frame(2), ENTRY_DATA)), 0);
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(1).n, 0));
    tree_end();
}

/* While it is released, the first of its tables are tables still, and more of them appear. */
static void pin_first_table(void)
{
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L1_TABLE, tree_frame(2).n, 0));
}

TEST(long_tree_released, "Part of a tree that is being released is pinned, and remains.")
{
    static volatile uint32_t always = 1;

    REQUIRE(tree_make());
    CHECK_OK(mmuext_raw(MMUEXT_PIN_L3_TABLE, tree_frame(0).n, 0));
    struct mmuext_op unpin = tree_op(MMUEXT_UNPIN_TABLE, 0);
    REQUIRE(middle_begin(&always, pin_first_table));
    CHECK_OK(interrupted(__HYPERVISOR_mmuext_op, address_of(&unpin), 1, 0, DOMID_SELF));
    CHECK_EQ(middle.times, 1);
    middle_end();
    CHECK_LT(map_raw(tree.pages[2], entry_for(tree_frame(2), ENTRY_DATA)), 0);
    CHECK_OK(map_raw(tree.pages[3], entry_for(tree_frame(3), ENTRY_CONSTANT)));
    CHECK_OK(mmuext_raw(MMUEXT_UNPIN_TABLE, tree_frame(2).n, 0));
    tree_end();
}
