/*
 * Interrupts of a device: from the instruction that makes it raise its line to the first of the
 * handler, and until the interrupted code goes on. The device is a second serial port (PC16550D),
 * which interrupts as soon as it is allowed to, its transmitter being empty.
 *
 * Ring 3. ABI: physdev.h, event_channel.h (bind_pirq).
 */
#include "apps/pvbench/pvbench.h"

#include <stddef.h>

#include "apps/pvbench/bench.h"
#include "pv/pv.h"

#define COM2 0x2f8
#define COM2_GSI 3
enum { UART_INTERRUPTS = 1, UART_REASON = 2, UART_MODEM = 4, UART_SCRATCH = 7 };
#define INTERRUPT_EMPTY 0x02
#define MODEM_OUT2 0x08
#define SCRATCH 0x5a
#define INTERRUPTS 64
#define TRIES 1000000000u

static volatile uint64_t arrived_tsc;

static void handler(void *arg)
{
    (void)arg;
    arrived_tsc = bench_tsc();
    pv_port_read(COM2 + UART_REASON, 1); /* which ends it */
}

static bool device_is_there(void)
{
    if (pv_port_enable())
        return false;
    pv_port_write(COM2 + UART_SCRATCH, 1, SCRATCH);
    return pv_port_read(COM2 + UART_SCRATCH, 1) == SCRATCH;
}

static uint64_t interrupt(void)
{
    pv_port_write(COM2 + UART_INTERRUPTS, 1, 0);
    arrived_tsc = 0;
    uint64_t start = bench_tsc();

    pv_port_write(COM2 + UART_INTERRUPTS, 1, INTERRUPT_EMPTY);
    for (unsigned tries = 0; !arrived_tsc && tries < TRIES; tries++)
        ;
    return start;
}

static void rounds(unsigned n, void *arg)
{
    (void)arg;
    while (n--)
        interrupt();
}

static void to_handler(void)
{
    struct bench b = {.figure = "irq.to_handler", .n = 1};

    while (bench_wants(&b)) {
        uint64_t start = interrupt();

        bench_add(&b, arrived_tsc - start);
    }
    bench_report(&b);
}

void bench_interrupts(void)
{
    event_port_t port;

    if (!device_is_there() || pv_irq_bind_gsi(COM2_GSI, PV_IRQ_EDGE, handler, NULL, &port)) {
        bench_missing("irq", "no second serial port that this guest could use");
        return;
    }
    pv_port_write(COM2 + UART_MODEM, 1, MODEM_OUT2);
    to_handler();
    bench_loop("irq.round", INTERRUPTS, rounds, NULL);
    pv_port_write(COM2 + UART_INTERRUPTS, 1, 0);
    pv_irq_unbind(port);
}
