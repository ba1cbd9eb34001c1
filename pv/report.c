/*
 * How the guest ended, on Xen. The initial domain says so on QEMU's debug console, as the Parvus
 * hypervisor does; another domain leaves it in the part of xenstore that its guest may write.
 *
 * Callers: pv/start.c at boot, pv/cpu.c at the end, a panic included. Ring 3. Locks: none.
 */
#include "pv/report.h"

#include "pv/store.h"

/* QEMU's isa-debugcon and isa-debug-exit. The former answers with its port number. */
#define DEBUG_CONSOLE_PORT 0xe9
#define DEBUG_EXIT_PORT 0xf4

#define STORE_KEY "data/parvus-exit" /* below the domain's own path (xl makes "data" writable) */

static enum { NOBODY, DEBUG_CONSOLE, STORE } listener;

bool pv_report_init(void)
{
    if (pv_store_present())
        listener = STORE;
    else if (pv_boot.initial_domain && pv_port_enable() == 0 &&
             pv_port_read(DEBUG_CONSOLE_PORT, 1) == DEBUG_CONSOLE_PORT)
        listener = DEBUG_CONSOLE;
    return listener != NOBODY;
}

static char *add_text(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    return at;
}

static char *add_number(char *at, unsigned number)
{
    if (number >= 10)
        at = add_number(at, number / 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

void pv_report(enum pv_shutdown how, unsigned status)
{
    static const char *const endings[] = {"exit ", "crash", "oom"};
    char line[16], *end = add_text(line, endings[how]);

    if (how == PV_SHUTDOWN_EXIT)
        end = add_number(end, status & 0xff);
    *end = 0;
    if (listener == STORE) {
        pv_store_write(STORE_KEY, line);
    } else if (listener == DEBUG_CONSOLE) {
        *end++ = '\n';
        for (const char *c = line; c < end; c++)
            pv_port_write(DEBUG_CONSOLE_PORT, 1, (uint8_t)*c);
        pv_port_write(DEBUG_EXIT_PORT, 4, how); /* QEMU ends here */
    }
}
