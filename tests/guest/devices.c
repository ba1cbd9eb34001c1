/*
 * See devices.h.
 */
#include "tests/guest/devices.h"

#include "tests/guest/test.h"

struct search {
    uint16_t vendor, device;
    unsigned nth;
    struct pci_function *out;
};

static int compare(const struct pci_function *f, void *arg)
{
    struct search *search = arg;

    if (f->vendor != search->vendor || f->device != search->device || search->nth--)
        return 0;
    *search->out = *f;
    return 1;
}

bool device_find(uint16_t vendor, uint16_t device, unsigned nth, struct pci_function *out)
{
    struct search search = {vendor, device, nth, out};

    return pci_scan(compare, &search) == 1;
}

void device_event(void *arg)
{
    struct device_events *events = arg;

    events->count++;
    if (events->served)
        events->served(events->device);
    semaphore_post(&events->arrived);
}

bool device_wait(struct device_events *events)
{
    return CHECK_OK(semaphore_timedwait(&events->arrived, ms_from_now(DEVICE_WAIT_MS)));
}

void device_settle(void)
{
    sleep_ms(30);
}
