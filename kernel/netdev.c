/*
 * The list of network devices. Devices register while the kernel boots, in one thread; afterwards
 * the list does not change.
 */
#include "kernel/netdev.h"

#include "kernel/format.h"

static TAILQ_HEAD(netdev_list, netdev) devices = TAILQ_HEAD_INITIALIZER(devices);
static unsigned count;

void netdev_register(struct netdev *dev)
{
    ksnprintf(dev->name, sizeof(dev->name), "eth%u", count++);
    TAILQ_INSERT_TAIL(&devices, dev, link);
}

struct netdev *netdev_first(void)
{
    return TAILQ_FIRST(&devices);
}

struct netdev *netdev_next(struct netdev *dev)
{
    return TAILQ_NEXT(dev, link);
}

void netdev_attach(struct netdev *dev, const struct netdev_stack *stack, void *stack_data)
{
    dev->stack_data = stack_data;
    dev->stack = stack;
}
