/*
 * Event channels, the 2-level ABI of event_channel.h and xen.h (struct shared_info).
 *
 * Callers: kernel/ for binding and sending; pv/entry.S for dispatch. Ring 3.
 * Lock: handlers[] is written with events masked and read by this vCPU's dispatch only; with more
 * vCPUs each needs its own table, reached like pv_vcpu().
 */
#include "pv/events.h"

#include <errno.h>

#include "pv/shared.h"

#define BITS_PER_WORD 64

static struct {
    event_handler_t *fn;
    void *arg;
} handlers[PV_EVENT_PORTS];

static void set_bit(xen_ulong_t *words, unsigned bit)
{
    __atomic_fetch_or(&words[bit / BITS_PER_WORD], 1ul << bit % BITS_PER_WORD, __ATOMIC_SEQ_CST);
}

static void clear_bit(xen_ulong_t *words, unsigned bit)
{
    __atomic_fetch_and(&words[bit / BITS_PER_WORD], ~(1ul << bit % BITS_PER_WORD),
                       __ATOMIC_SEQ_CST);
}

static void handle_port(unsigned port)
{
    struct shared_info *shared = pv_shared();

    clear_bit(shared->evtchn_pending, port); /* before the handler looks at its device */
    if (port < PV_EVENT_PORTS && handlers[port].fn)
        handlers[port].fn(handlers[port].arg);
    else
        set_bit(shared->evtchn_mask, port); /* nobody's: be disturbed once only */
}

/*
 * Called with events masked. The order is the ABI's: the hypervisor sets pending bit, selector bit,
 * upcall_pending; we take them down in the opposite order, each before looking at the next.
 */
void pv_event_dispatch(void)
{
    struct shared_info *shared = pv_shared();
    struct vcpu_info *vcpu = pv_vcpu();

    while (vcpu->evtchn_upcall_pending) {
        vcpu->evtchn_upcall_pending = 0;
        xen_ulong_t words = __atomic_exchange_n(&vcpu->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);

        while (words) {
            unsigned word = (unsigned)__builtin_ctzl(words);

            words &= words - 1;
            /* Read once: a port that fires again sets its selector bit again. */
            xen_ulong_t ports = __atomic_load_n(&shared->evtchn_pending[word], __ATOMIC_SEQ_CST) &
                                ~__atomic_load_n(&shared->evtchn_mask[word], __ATOMIC_SEQ_CST);

            for (; ports; ports &= ports - 1)
                handle_port(word * BITS_PER_WORD + (unsigned)__builtin_ctzl(ports));
        }
    }
    kernel_event_exit();
}

int pv_event_adopt(event_port_t port, event_handler_t *fn, void *arg, event_port_t *out)
{
    if (port >= PV_EVENT_PORTS) {
        struct evtchn_close close = {.port = port};

        hypervisor_event_channel_op(EVTCHNOP_close, &close);
        return -ENOSPC;
    }
    handlers[port].arg = arg;
    handlers[port].fn = fn;
    clear_bit(pv_shared()->evtchn_mask, port);
    *out = port;
    return 0;
}

int pv_event_bind_virq(enum pv_virq virq, event_handler_t *fn, void *arg, event_port_t *port)
{
    struct evtchn_bind_virq bind = {.virq = virq, .vcpu = pv_cpu()};
    bool unmask = pv_events_mask();
    int error = pv_errno(hypervisor_event_channel_op(EVTCHNOP_bind_virq, &bind));

    if (!error)
        error = pv_event_adopt(bind.port, fn, arg, port);
    pv_events_restore(unmask);
    return error;
}

int pv_event_bind_ipi(event_handler_t *fn, void *arg, event_port_t *port)
{
    struct evtchn_bind_ipi bind = {.vcpu = pv_cpu()};
    bool unmask = pv_events_mask();
    int error = pv_errno(hypervisor_event_channel_op(EVTCHNOP_bind_ipi, &bind));

    if (!error)
        error = pv_event_adopt(bind.port, fn, arg, port);
    pv_events_restore(unmask);
    return error;
}

int pv_event_bind_port(event_port_t bound, event_handler_t *fn, void *arg, event_port_t *port)
{
    bool unmask = pv_events_mask();
    int error = pv_event_adopt(bound, fn, arg, port);

    pv_events_restore(unmask);
    return error;
}

int pv_event_close(event_port_t port)
{
    struct evtchn_close close = {.port = port};
    bool unmask = pv_events_mask();
    int error = pv_errno(hypervisor_event_channel_op(EVTCHNOP_close, &close));

    if (!error && port < PV_EVENT_PORTS)
        handlers[port].fn = NULL;
    pv_events_restore(unmask);
    return error;
}

int pv_event_send(event_port_t port)
{
    struct evtchn_send send = {.port = port};

    return pv_errno(hypervisor_event_channel_op(EVTCHNOP_send, &send));
}
