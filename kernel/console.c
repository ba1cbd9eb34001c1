/*
 * The console: output straight to the hypervisor, input by VIRQ_CONSOLE.
 *
 * Callers: see kernel/console.h. Ring 3. Locks: none for output; read_lock makes one thread at a
 * time read and protects `bound` and `at_line_start`.
 */
#include "kernel/console.h"

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sync.h"
#include "pv/pv.h"

#define END_OF_INPUT 4 /* ^D */

static struct mutex read_lock = MUTEX_INIT;
static struct semaphore input = SEMAPHORE_INIT(0);
static bool bound;

void console_write(const char *text, size_t bytes)
{
    pv_console_write(text, bytes);
}

/* Event context. */
static void input_event(void *unused)
{
    (void)unused;
    if (semaphore_trywait(&input) != 0) /* at most one stands for any number of bytes */
        semaphore_post(&input);
    else
        semaphore_post(&input);
}

static int read_locked(char *buffer, size_t bytes)
{
    event_port_t port;

    if (!bound) {
        int error = pv_event_bind_virq(PV_VIRQ_CONSOLE, input_event, NULL, &port);
        if (error)
            return 0; /* no console input for this domain: end of input */
        bound = true;
    }
    for (;;) {
        int count = pv_console_read(buffer, bytes);
        if (count)
            return count;
        semaphore_wait(&input);
    }
}

int console_read(char *buffer, size_t bytes)
{
    if (!bytes)
        return 0;
    mutex_lock(&read_lock);
    int count = read_locked(buffer, bytes);
    mutex_unlock(&read_lock);
    return count == 1 && buffer[0] == END_OF_INPUT ? 0 : count;
}
