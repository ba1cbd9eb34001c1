/*
 * The console: output straight to the hypervisor (or its tool stack), input by its event.
 *
 * Callers: see kernel/console.h. Ring 3. Locks: none for output; read_lock makes one thread at a
 * time read and protects `bound` and `ended`.
 */
#include "kernel/console.h"

#include <stdbool.h>
#include <stdint.h>

#include "kernel/sync.h"
#include "pv/pv.h"

#define END_OF_INPUT 4 /* ^D */

static struct mutex read_lock = MUTEX_INIT;
static struct semaphore input = SEMAPHORE_INIT(0);
static bool bound, ended;

void console_write(const char *text, size_t bytes)
{
    pv_console_write(text, bytes);
}

/* Event context. One count stands for any number of bytes. */
static void input_event(void *unused)
{
    (void)unused;
    semaphore_trywait(&input);
    semaphore_post(&input);
}

static int up_to_end(const char *buffer, int count)
{
    for (int i = 0; i < count; i++) {
        if (buffer[i] == END_OF_INPUT) {
            ended = true;
            return i;
        }
    }
    return count;
}

static int read_locked(char *buffer, size_t bytes)
{
    event_port_t port;

    if (ended)
        return 0;
    if (!bound) {
        int error = pv_console_bind(input_event, NULL, &port);
        if (error)
            return 0; /* no console input for this domain: end of input */
        bound = true;
    }
    for (;;) {
        int count = pv_console_read(buffer, bytes);
        if (count > 0)
            return up_to_end(buffer, count);
        if (count < 0)
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
    return count;
}
