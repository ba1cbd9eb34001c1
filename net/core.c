/*
 * The stack's lock and its thread, see net/core.h.
 *
 * Callers: net/, in threads; net_wake in event context. Locks: net_lock; `awake` is atomic.
 */
#include "net/core.h"

#include <errno.h>
#include <stdatomic.h>

#include <lwip/netif.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "net/device.h"
#include "net/memory.h"
#include "net/net.h"

#define THREAD_STACK_BYTES (24ul * 1024)

static struct mutex lock;
static struct thread *thread;
static struct semaphore work;
/* The thread is not asleep, or `work` says that it must not be. */
static atomic_bool awake = true;
static uint64_t rounds; /* net_lock */

/* Whatever uses the stack is linked with its beginning, which the C library calls if it is there
 * (a weak reference, which links nothing). */
static int (*const start)(void) __attribute__((used)) = net_start;

void net_lock(void)
{
    mutex_lock(&lock);
}

void net_assert_locked(void);
void net_assert_locked(void)
{
    if (!mutex_is_mine(&lock))
        panic("net: lwIP was called without net_lock");
}

_Noreturn void net_assertion_failed(const char *what, const char *file, int line)
{
    panic("lwIP: %s (%s:%d)", what, file, line);
}

u32_t sys_now(void)
{
    return (u32_t)(clock_monotonic_ns() / NS_PER_MS);
}

/* Hands in what was sent to our own addresses; true if there was any. net_lock held. */
static bool deliver_loopback(void)
{
    struct netif *netif;
    bool any = false;

    NETIF_FOREACH(netif)
    {
        while (netif->loop_first != NULL) {
            any = true;
            netif_poll(netif);
        }
    }
    return any;
}

void net_wake(void)
{
    if (!atomic_exchange(&awake, true))
        semaphore_post(&work);
}

/* Has the thread tell the devices, in its turn. net_lock held. */
static void schedule_output(void)
{
    if (!net_device_has_output() || atomic_load(&awake))
        return;
    thread_set_priority(thread, THREAD_PRIORITY_DEFAULT);
    net_wake();
}

void net_unlock(void)
{
    deliver_loopback();
    schedule_output();
    mutex_unlock(&lock);
}

static int wait_by(int (*wait)(struct cond *, struct mutex *, uint64_t), struct cond *changed,
                   uint64_t deadline_ns)
{
    if (deliver_loopback())
        return 0;
    if (deadline_ns == 0)
        return -ETIMEDOUT;
    schedule_output();
    return wait(changed, &lock, deadline_ns);
}

int net_wait(struct cond *changed, uint64_t deadline_ns)
{
    return wait_by(cond_timedwait, changed, deadline_ns);
}

int net_wait_interruptible(struct cond *changed, uint64_t deadline_ns)
{
    return wait_by(cond_wait_interruptible, changed, deadline_ns);
}

/* What there is to do; true if there was something. */
static bool do_round(void)
{
    net_lock();
    rounds++;
    bool any = net_device_poll() != 0;
    sys_check_timeouts();
    deliver_loopback();
    net_device_flush();
    mutex_unlock(&lock);
    return any;
}

static uint64_t next_timeout_ns(void)
{
    net_lock();
    u32_t sleep_ms = sys_timeouts_sleeptime();
    uint64_t trim_at_ns = net_memory_trim();
    mutex_unlock(&lock);
    if (sleep_ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE)
        return trim_at_ns;
    /* lwIP counts whole milliseconds: the same deadline each time, which the timer has already. */
    uint64_t timeout_ns = (clock_monotonic_ns() / NS_PER_MS + sleep_ms) * NS_PER_MS;
    return timeout_ns < trim_at_ns ? timeout_ns : trim_at_ns;
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        if (do_round()) {
            thread_set_priority(thread, THREAD_PRIORITY_DEFAULT);
            thread_yield();
            continue;
        }
        thread_set_priority(thread, THREAD_PRIORITY_HIGH);
        /* From here on a device or a sender wakes us; what either did before is found below. */
        atomic_store(&awake, false);
        net_lock();
        bool quiet = net_device_listen() && !net_device_has_output();
        mutex_unlock(&lock);
        if (quiet)
            semaphore_timedwait(&work, next_timeout_ns());
        atomic_store(&awake, true);
    }
    return NULL;
}

int net_thread_start(void)
{
    static const struct thread_attr attr = {
        .name = "net",
        .priority = THREAD_PRIORITY_HIGH,
        .stack_bytes = THREAD_STACK_BYTES,
    };
    int error = thread_create(&thread, &attr, run, NULL);

    return error ? error : thread_detach(thread);
}

uint64_t net_rounds(void)
{
    return rounds;
}
