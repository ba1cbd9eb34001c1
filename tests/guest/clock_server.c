/*
 * See clock_server.h. The main thread serves; meanwhile another reads the clock in bursts, with
 * sleeps between, so that it sees the clock across interrupts, idle times and the host's updates.
 */
#include "tests/guest/clock_server.h"

#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/format.h"
#include "kernel/thread.h"
#include "tests/guest/test.h"

#define BURST 1000
#define PAUSE_MS 1

static atomic_ulong backwards;

static void *watch(void *unused)
{
    uint64_t last_ns = 0;

    (void)unused;
    for (;;) {
        for (int i = 0; i < BURST; i++) {
            uint64_t now_ns = clock_monotonic_ns();

            if (now_ns < last_ns)
                atomic_fetch_add(&backwards, 1);
            last_ns = now_ns;
        }
        sleep_ms(PAUSE_MS);
    }
    return NULL;
}

int clock_serve(void)
{
    static const char ready[] = "clock: ready\n";
    const struct thread_attr attr = {.name = "watcher", .priority = THREAD_PRIORITY_LOW};
    struct thread *watcher;
    char request, line[80];

    if (thread_create(&watcher, &attr, watch, NULL) != 0)
        return 1;
    console_write(ready, sizeof(ready) - 1);
    while (read(STDIN_FILENO, &request, 1) == 1) {
        uint64_t now_ns = clock_monotonic_ns(), wall_ns = clock_wall_ns();

        console_write(".", 1);
        int bytes = ksnprintf(line, sizeof(line), "%lu %lu %lu\n", now_ns, wall_ns,
                              atomic_load(&backwards));
        console_write(line, (size_t)bytes);
    }
    return 0;
}
