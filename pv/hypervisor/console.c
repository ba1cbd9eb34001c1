/*
 * The console over a 16550 UART. National Semiconductor PC16550D, section 8 (registers).
 *
 * A port access costs an exit to the monitor, so the transmit FIFO is filled by one string
 * instruction each time it is empty.
 */
#include <stdint.h>
#include <xen/xen.h>
#include "pv/hypervisor/apic.h"
#include "pv/hypervisor/console.h"
#include "pv/hypervisor/cpu.h"
#include "pv/hypervisor/errno.h"
#include "pv/hypervisor/event.h"
#include "pv/hypervisor/ioapic.h"

#define UART_DATA (SERIAL_PORT + 0)
#define UART_INTERRUPT_ENABLE (SERIAL_PORT + 1)
#define UART_FIFO_CONTROL (SERIAL_PORT + 2)
#define UART_LINE_CONTROL (SERIAL_PORT + 3)
#define UART_MODEM_CONTROL (SERIAL_PORT + 4)
#define UART_LINE_STATUS (SERIAL_PORT + 5)

#define INTERRUPT_DATA_READY 0x01
#define LINE_STATUS_DATA_READY 0x01
#define LINE_STATUS_TRANSMITTER_EMPTY 0x20
#define FIFO_BYTES 16
/* How often to ask for an empty transmitter before taking the port for dead: about 0.1 s. */
#define TRANSMITTER_TRIES 100000

static int port_is_there;

void console_init(void)
{
    uint8_t status = cpu_inb(UART_LINE_STATUS);

    if (status == 0xff)
        return; /* nobody drives the bus: no port */
    port_is_there = 1;
    cpu_outb(UART_INTERRUPT_ENABLE, 0);
    cpu_outb(UART_LINE_CONTROL, 0x80); /* divisor latch: 115200 baud */
    cpu_outb(UART_DATA, 1);
    cpu_outb(UART_INTERRUPT_ENABLE, 0);
    cpu_outb(UART_LINE_CONTROL, 0x03);  /* 8n1 */
    cpu_outb(UART_FIFO_CONTROL, 0x01);  /* enabled, not cleared */
    cpu_outb(UART_MODEM_CONTROL, 0x0b); /* DTR, RTS, OUT2: interrupts reach the bus */
    /* Enabling the FIFO discards what had arrived: now the monitor may begin to send. */
    cpu_debug_console("console\n");
}

static int transmitter_is_empty(void)
{
    for (unsigned int tries = 0; tries < TRANSMITTER_TRIES; tries++)
        if (cpu_inb(UART_LINE_STATUS) & LINE_STATUS_TRANSMITTER_EMPTY)
            return 1;
    return 0;
}

void console_write(const char *text, size_t bytes)
{
    const char *end = text + bytes;
    int newline_is_due = 0; /* its carriage return is out */

    while (text < end && port_is_there) {
        char chunk[FIFO_BYTES];
        const char *from = chunk;
        size_t count = 0;

        while (text < end && count < FIFO_BYTES) {
            if (*text == '\n' && !newline_is_due) {
                chunk[count++] = '\r';
                newline_is_due = 1;
            } else {
                chunk[count++] = *text++;
                newline_is_due = 0;
            }
        }
        if (!transmitter_is_empty())
            port_is_there = 0;
        else
            __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(UART_DATA) : "memory");
    }
}

int console_enable_interrupt(void)
{
    if (!port_is_there)
        return -ENODEV;

    uint32_t flags;
    unsigned int gsi = ioapic_isa_gsi(SERIAL_IRQ, &flags);
    int error = ioapic_route(gsi, VECTOR_CONSOLE | flags);

    if (error)
        return error;
    cpu_outb(UART_INTERRUPT_ENABLE, INTERRUPT_DATA_READY); /* what waits raises it at once */
    return 0;
}

void console_interrupt(void)
{
    apic_eoi();
    event_send_virq(VIRQ_CONSOLE);
}

size_t console_read(char *to, size_t bytes)
{
    size_t got = 0;

    while (port_is_there && got < bytes && (cpu_inb(UART_LINE_STATUS) & LINE_STATUS_DATA_READY))
        to[got++] = (char)cpu_inb(UART_DATA);
    return got;
}
